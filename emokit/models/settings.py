"""What a model is made of; importing it, and naming the parts, needs no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from emokit.core.config import from_mapping, knob, to_mapping
from emokit.core.errors import ConfigError
from emokit.core.registry import Registry
from emokit.features import FRONT_ENDS
from emokit.models import HEADS, POOLINGS
from emokit.models.adapters import ADAPTERS
from emokit.models.backbones import BACKBONES

MODES = ("scratch", "finetune", "head", "adapters", "joint")
"""What learns; `emokit.models.modes.apply_mode` says it of a model."""

NORMALISATIONS = ("corpus", "pooled", "utterance", "none", "batchnorm")

_PARTS = {"frontend": FRONT_ENDS, "backbone": BACKBONES, "pooling": POOLINGS, "head": HEADS}


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """The parts of a model, each `{name: …, its own settings}`; a bare name is short for that.

    Example:
        >>> ModelSettings(backbone="resnet").backbone
        {'name': 'resnet'}
    """

    frontend: dict[str, Any] | str = knob({"name": "logmel"}, "Waveform to frames.")
    backbone: dict[str, Any] | str = knob(
        {"name": "resnet"}, "Shared encoder; with weights of others as hf:PATH_OR_ID, "
        "torchaudio:BUNDLE or byols:PATH.")
    pooling: dict[str, Any] | str = knob({"name": "attention"}, "Frames to one embedding.")
    head: dict[str, Any] | str = knob({"name": "linear"}, "Embedding to logits, per corpus.")
    adapters: list[dict[str, Any] | str] = knob(
        [], "Weights of each corpus inside the backbone, in this order at a shared site.")
    normalisation: str = knob(
        "corpus", "Per-band mean and deviation of the frames: of the corpus's train partition "
        "(corpus), of all corpora's (pooled), of the utterance itself (utterance), none, or a "
        "batch norm per corpus (batchnorm).",
        choices=NORMALISATIONS)
    shared_pooling: bool = knob(True, "One pooling for all corpora; otherwise one per corpus.")

    def __post_init__(self):
        for name in _PARTS:
            object.__setattr__(self, name, _as_mapping(getattr(self, name), name))
        adapters = [_as_mapping(item, "adapters") for item in self.adapters]
        object.__setattr__(self, "adapters", adapters)
        names = [item["name"] for item in adapters]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"'adapters' has '{name}' twice. Names must differ.")


def _as_mapping(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ConfigError(f"'{where}' is {value!r}; expected a name or {{name: …, settings}}.")
    return dict(value)


def part(registry: Registry, settings: Mapping[str, Any], where: str = "") -> tuple[type, Any]:
    """Give the class that a part's mapping names and its checked config (imports the part).

    Args:
        registry: the table that knows the name.
        settings: `{name: …, settings}`.
        where: what to call the place in messages.

    Raises:
        ConfigError: unknown name, unknown key, wrong type or value out of range.
    """
    cls = registry[settings["name"]]
    rest = {key: value for key, value in settings.items() if key != "name"}
    return cls, from_mapping(cls.Config, rest, where or f"{registry.kind} {settings['name']}")


def complete(settings: ModelSettings) -> ModelSettings:
    """Give the same settings with every setting of every part written out, all of them checked.

    Run folders and signatures hold this form, so that a later change of a default is seen.

    Raises:
        ConfigError: as `part`.
    """
    def filled(registry, mapping):
        _, config = part(registry, mapping)
        return {"name": mapping["name"], **to_mapping(config)}

    values = {name: filled(registry, getattr(settings, name)) for name, registry in _PARTS.items()}
    values["adapters"] = [filled(ADAPTERS, item) for item in settings.adapters]
    return dataclasses.replace(settings, **values)
