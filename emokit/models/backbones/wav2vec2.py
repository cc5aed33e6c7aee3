"""wav2vec 2.0, HuBERT and data2vec-audio: convolutions on the waveform below a transformer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from emokit.core.config import knob
from emokit.core.errors import ConfigError
from emokit.features.base import as_waveform
from emokit.models.backbones.architectures import TransformerConfig
from emokit.models.backbones.layers import (
    Attention, ChannelNorm, Conv1d, Dropout, LayerNorm, Linear, activation,
)
from emokit.models.backbones.transformer import SpeechTransformer
from emokit.models.masking import all_real, position_mask

_CHANNELS = [512] * 7
_KERNELS = [10, 3, 3, 3, 3, 2, 2]
_STRIDES = [5, 2, 2, 2, 2, 2, 2]
_SITES = {
    "norm": (".layer_norm", ".final_layer_norm"), "query": (".attention.q_proj",),
    "key": (".attention.k_proj",), "value": (".attention.v_proj",),
    "attention_output": (".attention.out_proj",), "attention": (".attention",),
    "ffn": (".feed_forward",), "ffn_in": (".feed_forward.intermediate_dense",),
    "ffn_hidden": (".feed_forward.intermediate_dropout",),
    "ffn_out": (".feed_forward.output_dense",), "block": ("",),
}
_EPSILON = 1e-7  # added to the variance of a waveform, as by the library's feature extractor


@dataclasses.dataclass(frozen=True)
class Wav2Vec2Shape:
    """An architecture; fields and defaults are those of the transformers library."""

    model_type: str = knob("wav2vec2")
    hidden_size: int = knob(768, minimum=1)
    num_hidden_layers: int = knob(12, minimum=0)
    num_attention_heads: int = knob(12, minimum=1)
    intermediate_size: int = knob(3072, minimum=1)
    hidden_act: str = knob("gelu")
    hidden_dropout: float = knob(0.1, minimum=0, below=1)
    activation_dropout: float = knob(0.1, minimum=0, below=1)
    attention_dropout: float = knob(0.1, minimum=0, below=1)
    feat_proj_dropout: float = knob(0.0, minimum=0, below=1)
    layer_norm_eps: float = knob(1e-5, above=0)
    do_stable_layer_norm: bool = knob(False)
    feat_extract_norm: str = knob("group", choices=("group", "layer"))
    feat_extract_activation: str = knob("gelu")
    feat_proj_layer_norm: bool = knob(True)
    conv_dim: list[int] = knob(_CHANNELS)
    conv_kernel: list[int] = knob(_KERNELS)
    conv_stride: list[int] = knob(_STRIDES)
    conv_bias: bool = knob(False)
    num_conv_pos_embeddings: int | None = knob(None, minimum=1)
    num_conv_pos_embedding_groups: int = knob(16, minimum=1)
    conv_pos_kernel_size: int = knob(19, minimum=1)
    mask_time_prob: float = knob(0.05)
    mask_feature_prob: float = knob(0.0)
    do_normalize: bool | None = knob(None)
    # of WavLM alone
    num_buckets: int = knob(320, minimum=4)
    max_bucket_distance: int = knob(800, minimum=2)

    def __post_init__(self):
        data2vec = self.model_type == "data2vec-audio"
        if self.num_conv_pos_embeddings is None:
            object.__setattr__(self, "num_conv_pos_embeddings", 5 if data2vec else 128)
        if self.do_normalize is None:
            # fairseq's rule: the models whose convolutions have layer norms were trained so
            object.__setattr__(self, "do_normalize", self.feat_extract_norm == "layer")
        groups = self.num_conv_pos_embedding_groups
        if self.hidden_size % groups:
            raise ConfigError(f"The architecture of an encoder has {groups} groups of positional "
                              f"convolutions, which do not divide {self.hidden_size}. Mend "
                              "config.json, or fetch it again.")
        if min([*self.conv_dim, *self.conv_kernel, *self.conv_stride], default=1) < 1:
            raise ConfigError("The architecture of an encoder has a convolution of size 0. Mend "
                              "config.json, or fetch it again.")
        sizes = {len(self.conv_dim), len(self.conv_kernel), len(self.conv_stride)}
        if len(sizes) != 1 or not self.conv_dim:
            raise ConfigError("The architecture of an encoder has conv_dim, conv_kernel and "
                              "conv_stride of different lengths. Give each convolution one of "
                              "each.")


class FeedForward(nn.Module):
    """Two linear layers with an activation between, [B, T, D] to the same."""

    def __init__(self, shape: Wav2Vec2Shape, rate):
        super().__init__()
        self.function = activation(shape.hidden_act)
        self.intermediate_dense = Linear(shape.hidden_size, shape.intermediate_size)
        self.intermediate_dropout = Dropout(rate(shape.activation_dropout))
        self.output_dense = Linear(shape.intermediate_size, shape.hidden_size)
        self.output_dropout = nn.Dropout(rate(shape.hidden_dropout))

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        hidden = self.function(self.intermediate_dense(inputs, mask))
        hidden = self.intermediate_dropout(hidden, mask)  # [B, T, F]
        return self.output_dropout(self.output_dense(hidden, mask))


class Layer(nn.Module):
    """Attention and feed-forward part, each added to its input, with a norm behind or before.

    Post-norm (base models): LN2(y + FFN(y)), y = LN1(x + attention(x)). Pre-norm (large models):
    y + FFN(LN2(y)), y = x + attention(LN1(x)).
    """

    def __init__(self, shape: Wav2Vec2Shape, attention: Attention, rate):
        super().__init__()
        self.pre_norm = shape.do_stable_layer_norm
        self.attention = attention
        self.dropout = nn.Dropout(rate(shape.hidden_dropout))
        self.layer_norm = LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.feed_forward = FeedForward(shape, rate)
        self.final_layer_norm = LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)

    def forward(self, inputs: Tensor, mask: Tensor | None = None, *more) -> Tensor:
        """Give [B, T, D] from the same; `more` is for the attention."""
        if self.pre_norm:
            states = self.attention(self.layer_norm(inputs, mask), mask, *more)
            states = inputs + self.dropout(states)
            return states + self.feed_forward(self.final_layer_norm(states, mask), mask)
        states = self.layer_norm(inputs + self.dropout(self.attention(inputs, mask, *more)), mask)
        return self.final_layer_norm(states + self.feed_forward(states, mask), mask)


class Wav2Vec2(SpeechTransformer):
    """A convolutional feature encoder, positions by a wide convolution, and a transformer.

    One frame every 20 ms in the published sizes. Utterances shorter than the receptive field of
    the convolutions (25 ms there) are followed by silence.

    Source:
        Baevski et al. 2020 (wav2vec 2.0), Hsu et al. 2021 (HuBERT), Baevski et al. 2022
        (data2vec), in the form and with the parameter names of the transformers library, to whose
        outputs it is equal for an utterance alone. Deviations: the group norm of base models runs
        over real frames, so that padding changes nothing; no layer is dropped in training; masks
        are off unless set.
    """

    Shape = Wav2Vec2Shape
    top = ("feature_extractor", "feature_projection", "encoder", "masked_spec_embed")
    prefixes = ("", "wav2vec2.", "hubert.", "data2vec_audio.", "wavlm.")

    def __init__(self, config: TransformerConfig):
        super().__init__(config)
        shape, rate = self.shape, self.rate
        self.is_data2vec = shape.model_type == "data2vec-audio"
        self.feature_extractor = nn.ModuleDict({"conv_layers": nn.ModuleList(
            self._convolution(index) for index in range(len(shape.conv_dim)))})
        projection = {"projection": Linear(shape.conv_dim[-1], shape.hidden_size)}
        if shape.feat_proj_layer_norm:
            projection["layer_norm"] = LayerNorm(shape.conv_dim[-1], eps=shape.layer_norm_eps)
        self.feature_projection = nn.ModuleDict(projection)
        if shape.mask_time_prob > 0 or shape.mask_feature_prob > 0:
            self.masked_spec_embed = nn.Parameter(torch.rand(shape.hidden_size))
        self.encoder = nn.ModuleDict({"pos_conv_embed": self._positions(), "layers": nn.ModuleList(
            Layer(shape, self.make_attention(index), rate) for index in range(self.depth))})
        if not (shape.do_stable_layer_norm and self.is_cut):
            self.encoder["layer_norm"] = LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.function = activation(shape.feat_extract_activation)
        self.requires_grad_(True)

    def _convolution(self, index: int) -> nn.ModuleDict:
        shape = self.shape
        n_in = shape.conv_dim[index - 1] if index else 1
        n_out = shape.conv_dim[index]
        parts = {"conv": Conv1d(n_in, n_out, shape.conv_kernel[index], shape.conv_stride[index],
                                bias=shape.conv_bias)}
        nn.init.kaiming_normal_(parts["conv"].weight)
        if self.is_data2vec or shape.feat_extract_norm == "layer":
            parts["layer_norm"] = LayerNorm(n_out)
        elif index == 0:
            parts["layer_norm"] = ChannelNorm(n_out)
        return nn.ModuleDict(parts)

    def _positions(self) -> nn.ModuleDict:
        shape = self.shape
        size = shape.conv_pos_kernel_size if self.is_data2vec else shape.num_conv_pos_embeddings

        def convolution():
            return Conv1d(shape.hidden_size, shape.hidden_size, size, padding=size // 2,
                          groups=shape.num_conv_pos_embedding_groups)

        if self.is_data2vec:
            return nn.ModuleDict({"layers": nn.ModuleList(
                nn.ModuleDict({"conv": convolution()})
                for _ in range(shape.num_conv_pos_embeddings))})
        return nn.ModuleDict({"conv": weight_norm(convolution(), "weight", dim=2)})

    def make_attention(self, index: int) -> Attention:
        """Make the attention of a layer."""
        shape = self.shape
        return Attention(shape.hidden_size, shape.num_attention_heads,
                         self.rate(shape.attention_dropout))

    def size(self) -> tuple[int, int]:
        return self.shape.hidden_size, self.shape.num_hidden_layers

    def layer_list(self) -> Sequence[nn.Module]:
        return self.encoder["layers"]

    def fixed(self) -> list[nn.Module | nn.Parameter]:
        parts = [] if self.config.train_feature_encoder else [self.feature_extractor]
        if hasattr(self, "masked_spec_embed") and not self.config.mask_time:
            parts.append(self.masked_spec_embed)
        return parts

    @property
    def shortest(self) -> int:
        """Samples that make one frame."""
        samples = 1
        for kernel, stride in reversed(list(zip(self.shape.conv_kernel, self.shape.conv_stride))):
            samples = (samples - 1) * stride + kernel
        return samples

    def begin(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        features, lengths, mask = self.features(waveform, lengths)
        return self.embed(features, lengths, mask), lengths, mask

    def features(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Give what the convolutions make of a waveform, normed: [B, T, C], lengths, mask."""
        waveform, lengths = self.prepare(waveform, lengths)
        maps, lengths = self._extract(waveform[:, None], lengths)  # [B, C, T]
        size = maps.shape[2]
        mask = None
        if not all_real(lengths, size):
            mask = position_mask(lengths, size)[:, :, None]
        features = maps.transpose(1, 2)  # [B, T, C]
        if "layer_norm" in self.feature_projection:
            features = self.feature_projection["layer_norm"](features, mask)
        return features, lengths, mask

    def embed(self, features: Tensor, lengths: Tensor, mask: Tensor | None,
              masked: Tensor | None = None) -> Tensor:
        """Give state 0 [B, T, D] of features [B, T, C].

        Args:
            masked: [B, T], positions that become the embedding of what is masked, besides those
                that the settings draw.
        """
        states = self.feature_projection["projection"](features, mask)
        states = functional.dropout(states, self.rate(self.shape.feat_proj_dropout), self.training)
        instead = getattr(self, "masked_spec_embed", states.new_zeros(())).to(states.dtype)
        if masked is not None:
            states = torch.where(masked[:, :, None], instead, states)
        states = self._place(self.mask_spans(states, lengths, instead), mask)
        if "layer_norm" in self.encoder and not self.shape.do_stable_layer_norm:
            states = self.encoder["layer_norm"](states, mask)
        return functional.dropout(states, self.rate(self.shape.hidden_dropout), self.training)

    def prepare(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Give the waveform at mean 0 and deviation 1 if that is asked for, and long enough."""
        waveform = as_waveform(waveform, lengths)
        if self.shape.do_normalize:
            count = lengths[:, None]
            real = position_mask(lengths, waveform.shape[1])
            mean = waveform.sum(1, keepdim=True) / count
            centred = torch.where(real, waveform - mean, 0.0)
            variance = centred.square().sum(1, keepdim=True) / count
            waveform = centred * torch.rsqrt(variance + _EPSILON)
        extra = max(0, self.shortest - waveform.shape[1])
        return functional.pad(waveform, (0, extra)), lengths.clamp(min=self.shortest)

    def n_frames(self, lengths):
        """Give the number of frames for numbers of samples, of any kind of array."""
        for kernel, stride in zip(self.shape.conv_kernel, self.shape.conv_stride):
            lengths = (lengths - kernel) // stride + 1
        return lengths

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(self.shape.conv_stride)

    def _extract(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Give maps [B, C, T] of the convolutions, and their lengths."""
        for kernel, stride, layer in zip(self.shape.conv_kernel, self.shape.conv_stride,
                                         self.feature_extractor["conv_layers"]):
            lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
            size = (maps.shape[2] - kernel) // stride + 1
            mask = None
            if not all_real(lengths, size):
                mask = position_mask(lengths, size)[:, None]  # [B, 1, T]
            maps = layer["conv"](maps, mask)
            norm = layer["layer_norm"] if "layer_norm" in layer else None
            if isinstance(norm, ChannelNorm):
                maps = norm(maps, mask)
            elif norm is not None:
                known = None if mask is None else mask.transpose(1, 2)
                maps = norm(maps.transpose(1, 2), known).transpose(1, 2)
            maps = self.function(maps)
        return maps, lengths

    def _place(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Add what the convolution over positions makes of the states, padding as silence."""
        if mask is not None:
            states = torch.where(mask, states, 0.0)
        embed, size = self.encoder["pos_conv_embed"], states.shape[1]
        maps = states.transpose(1, 2)  # [B, D, T]
        if not self.is_data2vec:
            return states + self.function(embed["conv"](maps)[:, :, :size]).transpose(1, 2)
        for layer in embed["layers"]:
            maps = layer["conv"](maps)[:, :, :size].transpose(1, 2)
            maps = self.function(functional.layer_norm(maps, maps.shape[-1:]))
            if mask is not None:
                maps = torch.where(mask, maps, 0.0)
            maps = maps.transpose(1, 2)
        return states + maps.transpose(1, 2)

    def finish(self, states: Tensor, mask: Tensor | None) -> Tensor:
        return self.encoder["layer_norm"](states, mask) if self.shape.do_stable_layer_norm \
            else states

    def sites(self) -> dict[str, list[str]]:
        """Give convolutions, and of each layer its norms, projections, parts and itself."""
        n_convolutions = len(self.shape.conv_dim)
        return {"conv": [f"feature_extractor.conv_layers.{index}.conv"
                         for index in range(n_convolutions)],
                **self.layer_sites("encoder.layers", _SITES), "states": ["readout"]}

    def _is_unused(self, name: str) -> bool:
        if name.startswith("encoder.layers."):
            return int(name.split(".")[2]) >= self.depth
        return name == "masked_spec_embed" or (self.is_cut and name.startswith(
            "encoder.layer_norm."))
