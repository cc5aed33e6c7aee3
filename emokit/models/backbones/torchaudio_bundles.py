"""Speech transformers that torchaudio publishes as bundles."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from torch import Tensor

from emokit.core.config import knob
from emokit.core.errors import CheckpointError, ConfigError, choices
from emokit.models.backbones.architectures import TransformerConfig, make
from emokit.models.backbones.base import Backbone
from emokit.models.backbones.transformer import SpeechTransformer

_FIELDS = {
    "encoder_embed_dim": "hidden_size", "encoder_num_layers": "num_hidden_layers",
    "encoder_num_heads": "num_attention_heads", "encoder_ff_interm_features": "intermediate_size",
    "encoder_dropout": "hidden_dropout", "encoder_ff_interm_dropout": "activation_dropout",
    "encoder_attention_dropout": "attention_dropout",
    "encoder_projection_dropout": "feat_proj_dropout",
    "encoder_layer_norm_first": "do_stable_layer_norm", "extractor_conv_bias": "conv_bias",
    "encoder_pos_conv_kernel": "num_conv_pos_embeddings",
    "encoder_pos_conv_groups": "num_conv_pos_embedding_groups",
    "encoder_num_buckets": "num_buckets", "encoder_max_distance": "max_bucket_distance",
}
"""Arguments of torchaudio's constructors, and what the transformers library calls them."""

_RENAMED = (("encoder.feature_projection.", "feature_projection."),
            ("encoder.transformer.", "encoder."))


@dataclasses.dataclass(frozen=True)
class BundleConfig(TransformerConfig):
    """Settings of a speech transformer that torchaudio publishes."""

    name: ClassVar[str] = "torchaudio"
    example: ClassVar[str] = "WAVLM_BASE"

    path: str | None = knob(None, "Name of the bundle, such as WAVLM_BASE or HUBERT_LARGE "
                            "(torchaudio:WAVLM_BASE).")

    def __post_init__(self):
        super().__post_init__()
        if self.architecture.get("model_type") == "whisper":
            raise ConfigError("torchaudio has no 'whisper'. Use --backbone hf:PATH_OR_ID.")

    def find_architecture(self, path: str) -> Mapping[str, Any]:
        """Give the architecture of the bundle; fetches nothing.

        Raises:
            ConfigError: no such bundle.
        """
        found = bundle(path)
        return {**architecture_of(found._params), "do_normalize": found._normalize_waveform}

    def weights(self, path: str) -> Mapping[str, Tensor]:
        """Give the weights of the bundle, which torchaudio fetches once.

        Raises:
            CheckpointError: they cannot be fetched.
        """
        try:
            model = bundle(path).get_model()
        except Exception as error:
            # of the network or of the disk, each with errors of its own
            why = (str(error).splitlines() or [type(error).__name__])[0][:120]
            raise CheckpointError(
                f"torchaudio cannot fetch the weights of '{path}' ({why}). Go on where the "
                "net can be reached, or name a folder: --backbone hf:FOLDER."
            ) from None
        # bundles that bring the waveform to mean 0 wrap the model
        return weights_of(getattr(model, "model", model).state_dict())


class Bundle(Backbone):
    """wav2vec 2.0, HuBERT or WavLM as torchaudio publishes it, `torchaudio:WAVLM_BASE`.

    The layers are those of `hf`, with the weights under the names there, so that adapters, masks
    and checkpoints are the same; a test holds the outputs to torchaudio's own.
    """

    name = "torchaudio"
    Config = BundleConfig
    input = "waveform"
    recipe = SpeechTransformer.recipe
    started_mode = SpeechTransformer.started_mode

    def __new__(cls, config: BundleConfig, input_dim: int = 0) -> Backbone:
        return make(config)


def bundle(name: str):
    """Give torchaudio's bundle of a name.

    Raises:
        ConfigError: torchaudio cannot be imported, or has no such bundle.
    """
    try:
        from torchaudio import pipelines
    except (ImportError, OSError) as error:
        why = str(error).splitlines()[0][:100]
        raise ConfigError(f"torchaudio cannot be imported ({why}). Install the version that fits "
                          "torch, see 'emokit doctor', or use --backbone hf:PATH.") from None
    known = [key for key in dir(pipelines)
             if isinstance(getattr(pipelines, key), pipelines.Wav2Vec2Bundle)]
    if name not in known:
        raise ConfigError(f"torchaudio has no bundle '{name}'. {choices(name, known)}")
    return getattr(pipelines, name)


def architecture_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Give the architecture from the arguments of torchaudio's `wav2vec2_model`, `wavlm_model`."""
    convolutions = arguments["extractor_conv_layer_config"]
    found = {ours: arguments[theirs] for theirs, ours in _FIELDS.items() if theirs in arguments}
    return {
        **found, "model_type": "wavlm" if "encoder_num_buckets" in arguments else "wav2vec2",
        "feat_extract_norm": arguments["extractor_mode"].removesuffix("_norm"),
        **{name: [step[index] for step in convolutions]
           for index, name in enumerate(("conv_dim", "conv_kernel", "conv_stride"))},
        # torchaudio has no masks
        "mask_time_prob": 0.0,
    }


def weights_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of torchaudio's model under the names of the transformers library."""
    return {name: tensor for key, value in state.items() for name, tensor in _named(key, value)}


def _named(key: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    for theirs, ours in _RENAMED:
        if key.startswith(theirs):
            key = ours + key[len(theirs):]
    # WavLM holds the attention proper one level deeper, its three projections in one tensor
    key = key.replace(".attention.attention.", ".attention.")
    head, _, last = key.rpartition(".in_proj_")
    if not head:
        yield key, value
        return
    for name, part in zip("qkv", value.chunk(3)):
        yield f"{head}.{name}_proj.{last}", part
