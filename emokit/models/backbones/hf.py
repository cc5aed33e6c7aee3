"""Speech transformers in the layout of the transformers library, from a folder or the hub."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from emokit.core.config import knob
from emokit.core.errors import CheckpointError, ConfigError, choices
from emokit.core.files import read_json
from emokit.models.backbones.architectures import (
    FAMILIES, TransformerConfig, known_fields, make,
)
from emokit.models.backbones.base import Backbone
from emokit.models.backbones.transformer import SpeechTransformer
from emokit.models.pretrained import read_weights

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
           "pytorch_model.bin.index.json")
"""Where weights may lie, the first that is there."""

_REFUSED = {"add_adapter": "its own adapter behind the layers",
            "adapter_attn_dim": "its own adapters in the layers",
            "conv_pos_batch_norm": "a batch norm before its positions"}
"""Extensions that emokit does not have, by their fields in config.json."""

_NOT_THEIRS = "'{}' is not as the transformers library writes it. Fetch it again."


@dataclasses.dataclass(frozen=True)
class HuggingFaceConfig(TransformerConfig):
    """Settings of a speech transformer in the layout of the transformers library."""

    name: ClassVar[str] = "hf"
    example: ClassVar[str] = "PATH_OR_ID"

    path: str | None = knob(None, "Folder with config.json and weights (hf:FOLDER), or the name of "
                            "such a folder on the Hugging Face hub, as OWNER/NAME.")
    normalise: bool | None = knob(None, "Bring each utterance to mean 0 and deviation 1, for "
                                  "encoders on the waveform. None: as the checkpoint says.")
    padded: bool = knob(False, "Whisper on its whole window of 30 s, filled up with silence, as "
                        "in the library; otherwise at the utterance's own length.")

    def __post_init__(self):
        super().__post_init__()
        if not self.architecture:
            return
        kind = self.architecture["model_type"]
        for name, applies in (("padded", kind == "whisper"), ("normalise", kind != "whisper")):
            if getattr(self, name) not in (None, False) and not applies:
                raise ConfigError(f"hf: '{name}' means nothing for a '{kind}'. Leave it out.")
        if self.normalise is not None:
            object.__setattr__(self, "architecture", {
                **self.architecture, "do_normalize": self.normalise})

    def find_architecture(self, path: str) -> Mapping[str, Any]:
        """Read the architecture from config.json, see `read_architecture`."""
        return read_architecture(path)

    def weights(self, path: str) -> Mapping[str, Tensor]:
        """Read the weights, see `read_checkpoint`."""
        return read_checkpoint(path)


class HuggingFace(Backbone):
    """wav2vec 2.0, HuBERT, data2vec-audio, WavLM or Whisper's encoder, as `hf:FOLDER` or `hf:ID`.

    The architecture is found from config.json, and becomes a part of the settings, so that a
    checkpoint of emokit needs neither folder nor hub.
    """

    name = "hf"
    Config = HuggingFaceConfig
    input = "waveform"
    recipe = SpeechTransformer.recipe
    started_mode = SpeechTransformer.started_mode

    def __new__(cls, config: HuggingFaceConfig, input_dim: int = 0) -> Backbone:
        return make(config)

    @classmethod
    def start_files(cls, config: HuggingFaceConfig) -> list[Path]:
        """Give the files of weights in the folder, if the settings name one."""
        is_folder = config.path is not None and Path(config.path).is_dir()
        return weight_files(config.path) if is_folder else []


def read_architecture(path: str) -> dict[str, Any]:
    """Read what matters of config.json and preprocessor_config.json.

    Raises:
        ConfigError: nothing there, no architecture, or one that emokit does not have.
    """
    found = find(path, CONFIG)
    if found is None:
        raise ConfigError(f"'{path}' has no {CONFIG}, which says what the weights are of. Name the "
                          "folder that holds both.")
    foreign = read_json(found)
    kind = foreign.get("model_type") if isinstance(foreign, Mapping) else None
    if kind not in FAMILIES:
        raise ConfigError(f"'{path}' is a model of architecture '{kind}', which emokit cannot read "
                          f"as a backbone. {choices(str(kind), FAMILIES)}")
    for field, words in _REFUSED.items():
        if foreign.get(field):
            raise ConfigError(f"'{path}' has {words} ('{field}' in {CONFIG}), which emokit does "
                              "not have. Choose the model without.")
    preprocessor = find(path, PREPROCESSOR)
    if preprocessor is not None and kind != "whisper":
        foreign = {**foreign, "do_normalize": _read_mapping(preprocessor).get("do_normalize")}
    return known_fields(foreign)


def read_checkpoint(path: str) -> dict[str, Tensor]:
    """Read all weights of a folder or a model of the hub, on the CPU.

    Raises:
        CheckpointError: there are none, or they are damaged.
    """
    files = weight_files(path)
    return {key: tensor for file in files for key, tensor in read_weights(file).items()}


def weight_files(path: str) -> list[Path]:
    """Give the files that hold the weights of a folder or a model of the hub.

    Raises:
        CheckpointError: there are none, or some are missing.
    """
    for name in WEIGHTS:
        found = find(path, name)
        if found is None:
            continue
        if not name.endswith(".index.json"):
            return [found]
        names = _read_mapping(found).get("weight_map")
        if not isinstance(names, Mapping) or not all(
                isinstance(part, str) for part in names.values()):
            raise CheckpointError(_NOT_THEIRS.format(found))
        parts = [find(path, part) for part in sorted(set(names.values()))]
        if None in parts:
            raise CheckpointError(f"'{path}' lacks parts of its weights that {name} lists. Fetch "
                                  "it again.")
        return parts
    raise CheckpointError(f"'{path}' has no weights, neither {' nor '.join(WEIGHTS[::2])}. Fetch "
                          "them too, or name another folder.")


def _read_mapping(path: Path) -> Mapping[str, Any]:
    content = read_json(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(_NOT_THEIRS.format(path))
    return content


def find(path: str, name: str) -> Path | None:
    """Give a file of a folder or of a model of the hub; None if it has no such file.

    Raises:
        ConfigError: neither a folder nor to be had from the hub.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    hint = (f"Give hf:FOLDER with {CONFIG} and weights, or hf:OWNER/NAME where the hub can be "
            "reached.")
    if folder.exists() or folder.is_absolute() or path.startswith((".", "~")):
        raise ConfigError(f"There is no folder '{path}'. {hint}")
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError:
        raise ConfigError(f"'{path}' is no folder here, and fetching it from the hub needs "
                          "huggingface_hub: pip install 'emokit[ssl]'. Or name a folder.") from None
    try:
        try:
            return Path(hf_hub_download(path, name, local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(hf_hub_download(path, name))
    except LocalEntryNotFoundError:
        raise ConfigError(f"'{path}' is no folder here, has not been fetched before, and the hub "
                          f"cannot be reached. {hint}") from None
    except EntryNotFoundError:
        return None
    except Exception as error:
        # of names, of rights, of the disk: the library has an error for each
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:120].rstrip(" .")
        raise ConfigError(f"'{path}' is no folder here and cannot be fetched from the hub "
                          f"({why}). {hint}") from None
