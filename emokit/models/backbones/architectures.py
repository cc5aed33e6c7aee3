"""Which speech transformers there are, and their settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from emokit.core.config import from_mapping, knob, to_mapping
from emokit.core.errors import ConfigError, choices
from emokit.core.registry import Registry
from emokit.models.backbones.base import Backbone

FAMILIES = Registry("architecture", {
    "wav2vec2": "emokit.models.backbones.wav2vec2:Wav2Vec2",
    "hubert": "emokit.models.backbones.wav2vec2:Wav2Vec2",
    "data2vec-audio": "emokit.models.backbones.wav2vec2:Wav2Vec2",
    "wavlm": "emokit.models.backbones.wavlm:WavLM",
    "whisper": "emokit.models.backbones.whisper:Whisper",
})
"""By `model_type` of config.json; each has a `Shape`, its fields named as there."""


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """Settings of speech transformers, wherever their weights come from."""

    name: ClassVar[str]
    example: ClassVar[str]

    path: str | None = knob(None, "Where the weights are.")
    architecture: dict[str, Any] = knob(
        {}, "What it is made of, as config.json of the transformers library names it; found with "
        "the weights if left out. Without weights it starts at random.")
    layer: int | str = knob(
        "last", "Which state it gives: last, mean (of all), or a number: 0 is what the first layer "
        "takes, N what the Nth returns; layers above are left out.")
    train_feature_encoder: bool = knob(
        False, "Let the convolutions below the layers learn too, where the rest of it learns.")
    backbone_dropout: float | None = knob(
        None, "One rate for all its dropouts, also while it is frozen beside learning adapters. "
        "None: those of the architecture while it learns, none while it is frozen.",
        minimum=0.0, below=1.0)
    gradient_checkpointing: bool = knob(
        False, "Compute layers again for the gradient instead of keeping them: less memory, more "
        "time.")
    mask_time: float = knob(0.0, "Share of the frames that is masked in training, where masks that "
                            "overlap count twice.", minimum=0.0, maximum=1.0)
    mask_time_length: int = knob(10, "Frames of one mask.", minimum=1)
    mask_features: float = knob(0.0, "The same of the features of all frames.", minimum=0.0,
                                maximum=1.0)
    mask_features_length: int = knob(10, "Neighbouring features of one mask.", minimum=1)

    def __post_init__(self):
        architecture = self.architecture
        if not architecture and self.path is not None:
            architecture = self.find_architecture(self.path)
        if architecture:
            object.__setattr__(self, "architecture", to_mapping(self.shape(architecture)))
        if isinstance(self.layer, str) and self.layer not in ("last", "mean"):
            raise ConfigError(f"'layer' is '{self.layer}'; expected last, mean or a number.")

    def find_architecture(self, path: str) -> Mapping[str, Any]:
        """Give the architecture of the weights that a path means."""
        raise NotImplementedError

    def weights(self, path: str) -> Mapping[str, Tensor]:
        """Give the pretrained weights that a path means."""
        raise NotImplementedError

    def shape(self, architecture: Mapping[str, Any]) -> Any:
        """Give the architecture as the checked `Shape` of its family.

        Raises:
            ConfigError: no known family, an unknown field, or one of another type.
        """
        kind = architecture.get("model_type")
        if kind not in FAMILIES:
            raise ConfigError(f"{self.name}: the architecture '{kind}' is none that emokit has. "
                              f"{choices(str(kind), FAMILIES)}")
        return from_mapping(FAMILIES[kind].Shape, architecture, f"architecture of {self.name}")


def make(config: TransformerConfig) -> Backbone:
    """Make the encoder of an architecture, with random weights.

    Raises:
        ConfigError: the settings name neither weights nor an architecture.
    """
    if not config.architecture:
        raise ConfigError(f"{config.name}: neither 'path' nor 'architecture' is set. Name what to "
                          f"start from: --backbone {config.name}:{config.example}.")
    return FAMILIES[config.architecture["model_type"]](config)


def known_fields(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Give what matters to emokit of a foreign config.json."""
    kind = architecture.get("model_type")
    if kind not in FAMILIES:
        return dict(architecture)
    names = {field.name for field in dataclasses.fields(FAMILIES[kind].Shape)}
    return {name: value for name, value in architecture.items()
            if name in names and value is not None}
