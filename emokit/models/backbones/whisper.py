"""Whisper's encoder, at the utterance's own length or on its 30 s window."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.config import knob
from emokit.core.errors import ConfigError
from emokit.features.base import as_waveform
from emokit.models.backbones.architectures import TransformerConfig
from emokit.models.backbones.layers import Activation, Attention, Conv1d, LayerNorm, Linear
from emokit.models.backbones.transformer import RATE, SpeechTransformer
from emokit.models.masking import all_real, position_mask

WINDOW, HOP = 400, 160
"""Of its log-mel, samples."""

POWER_FLOOR, RANGE = 1e-10, 8.0
"""The least mel power, and how far below the loudest value of an utterance values reach, log10."""

SAMPLES_PER_FRAME = 2 * HOP

_SITES = {
    "norm": (".self_attn_layer_norm", ".final_layer_norm"), "query": (".self_attn.q_proj",),
    "key": (".self_attn.k_proj",), "value": (".self_attn.v_proj",),
    "attention_output": (".self_attn.out_proj",), "attention": (".self_attn",), "ffn": (".ffn",),
    "ffn_in": (".fc1",), "ffn_hidden": (".activation",), "ffn_out": (".fc2",), "block": ("",),
}


@dataclasses.dataclass(frozen=True)
class WhisperShape:
    """An architecture; fields and defaults are those of the transformers library."""

    model_type: str = knob("whisper")
    d_model: int = knob(384, minimum=2)
    encoder_layers: int = knob(4, minimum=0)
    encoder_attention_heads: int = knob(6, minimum=1)
    encoder_ffn_dim: int = knob(1536, minimum=1)
    activation_function: str = knob("gelu")
    dropout: float = knob(0.0, minimum=0, below=1)
    attention_dropout: float = knob(0.0, minimum=0, below=1)
    activation_dropout: float = knob(0.0, minimum=0, below=1)
    max_source_positions: int = knob(1500, minimum=1)
    num_mel_bins: int = knob(80, minimum=1)


class FeedForward(nn.Module):
    """The feed-forward part of a layer as one site; its weights are the layer's own."""

    def forward(self, inputs: Tensor, mask: Tensor | None, first: nn.Module, hidden: nn.Module,
                second: nn.Module) -> Tensor:
        return second(hidden(first(inputs, mask), mask), mask)


class Layer(nn.Module):
    """Pre-norm: y + FFN(LN2(y)), y = x + attention(LN1(x))."""

    def __init__(self, shape: WhisperShape, rate):
        super().__init__()
        dim = shape.d_model
        self.self_attn = Attention(dim, shape.encoder_attention_heads,
                                   rate(shape.attention_dropout), key_bias=False)
        self.self_attn_layer_norm = LayerNorm(dim)
        self.fc1 = Linear(dim, shape.encoder_ffn_dim)
        self.activation = Activation(shape.activation_function, rate(shape.activation_dropout))
        self.fc2 = Linear(shape.encoder_ffn_dim, dim)
        self.ffn = FeedForward()
        self.final_layer_norm = LayerNorm(dim)
        self.dropout = nn.Dropout(rate(shape.dropout))

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        states = self.self_attn(self.self_attn_layer_norm(inputs, mask), mask)
        states = inputs + self.dropout(states)
        added = self.ffn(self.final_layer_norm(states, mask), mask, self.fc1, self.activation,
                         self.fc2)
        return states + self.dropout(added)


class Whisper(SpeechTransformer):
    """Log-mel, two convolutions, fixed positions, and a transformer; one frame every 20 ms.

    An utterance runs at its own length: only its frames are computed, its positions are the first
    of the table, and what follows it is silence. With `padded` it runs as in the library, followed
    by silence up to the whole window, to which all frames attend; only its own are given.

    Source:
        Radford et al. 2023 (Whisper), with the parameter names of the transformers library, to
        whose outputs it is equal if `padded`. Deviations: own length by default, many times
        cheaper; padding in a batch changes nothing; positions never learn, as there.
    """

    Shape = WhisperShape
    top = ("conv1", "conv2", "embed_positions", "layers", "layer_norm")
    prefixes = ("", "encoder.", "model.encoder.")

    def __init__(self, config: TransformerConfig):
        super().__init__(config)
        shape = self.shape
        self.conv1 = Conv1d(shape.num_mel_bins, shape.d_model, 3, padding=1)
        self.conv2 = Conv1d(shape.d_model, shape.d_model, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(shape.max_source_positions, shape.d_model)
        with torch.no_grad():
            self.embed_positions.weight.copy_(sinusoids(*self.embed_positions.weight.shape))
        self.layers = nn.ModuleList(Layer(shape, self.rate) for _ in range(self.depth))
        if not self.is_cut:
            self.layer_norm = LayerNorm(shape.d_model)
        # both follow from the architecture, so checkpoints need not hold them
        self.register_buffer("filters", torch.from_numpy(mel_filters(shape.num_mel_bins)),
                             persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.requires_grad_(True)

    def size(self) -> tuple[int, int]:
        return self.shape.d_model, self.shape.encoder_layers

    def layer_list(self) -> Sequence[nn.Module]:
        return self.layers

    def fixed(self) -> list[nn.Module | nn.Parameter]:
        stem = [] if self.config.train_feature_encoder else [self.conv1, self.conv2]
        return [*stem, self.embed_positions]

    @property
    def longest(self) -> int:
        """Samples of the window."""
        return self.shape.max_source_positions * SAMPLES_PER_FRAME

    def begin(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        waveform = as_waveform(waveform, lengths)
        if waveform.shape[1] > self.longest:
            self._refuse_long(int(lengths.max()))
            waveform = waveform[:, :self.longest]
        padded = self.config.padded
        size = self.longest if padded else waveform.shape[1]
        waveform = functional.pad(waveform, (0, size - waveform.shape[1]))
        lengths = torch.div(lengths + HOP - 1, HOP, rounding_mode="floor")
        heard = torch.full_like(lengths, size // HOP) if padded else lengths
        maps = self.mask_spans(self.log_mel(waveform, heard), heard).transpose(1, 2)  # [B, F, T]
        heard, maps = self._convolve(maps, heard, (self.conv1, 1), (self.conv2, 2))
        lengths = torch.div(lengths + 1, 2, rounding_mode="floor")
        size = maps.shape[2]
        states = maps.transpose(1, 2) + self.embed_positions.weight[:size]  # [B, T, D]
        states = functional.dropout(states, self.rate(self.shape.dropout), self.training)
        mask = None
        if not padded and not all_real(lengths, size):
            mask = position_mask(lengths, size)[:, :, None]
        return states, lengths, mask

    def _refuse_long(self, samples: int) -> None:
        if samples > self.longest:
            raise ConfigError(
                f"An utterance of {samples / RATE:.1f} s is longer than the "
                f"{self.longest / RATE:g} s window of Whisper. Set --window to at most "
                f"{self.longest / RATE:g}; longer utterances are then scored in several crops.")

    def log_mel(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Give the log-mel [B, T, F] of Whisper, T = ceil(S / 160), always in float32.

        (max(log10 p, its maximum over the utterance - 8) + 4) / 4, p the mel powers. Frame t is
        centred on sample 160 t; the signal is mirrored at its start and silent after its end.

        Args:
            waveform: [B, S], zero after each utterance.
            lengths: [B] frames that count for the maximum.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            size = -(-waveform.shape[1] // HOP)
            side = WINDOW // 2
            # mirroring needs more samples than it mirrors
            waveform = functional.pad(waveform, (0, size * HOP - waveform.shape[1] + side + 1))
            waveform = torch.cat([waveform[:, 1:side + 1].flip(1), waveform], 1)
            spectrum = torch.stft(waveform, WINDOW, HOP, window=self.window, center=False,
                                  return_complex=True)[:, :, :size]
            powers = spectrum.abs().square().transpose(1, 2) @ self.filters  # [B, T, F]
            values = torch.log10(powers.clamp(min=POWER_FLOOR))
            real = position_mask(lengths, size)[:, :, None]
            loudest = values.masked_fill(~real, -math.inf).amax((1, 2), keepdim=True)
            return (torch.maximum(values, loudest - RANGE) + 4) / 4

    def _convolve(self, maps: Tensor, lengths: Tensor, *steps: tuple[nn.Module, int]
                  ) -> tuple[Tensor, Tensor]:
        """Run convolutions and GELU; frames past the lengths are 0 to each."""
        for conv, stride in steps:
            if not all_real(lengths, maps.shape[2]):
                maps = torch.where(position_mask(lengths, maps.shape[2])[:, None], maps, 0.0)
            lengths = torch.div(lengths + stride - 1, stride, rounding_mode="floor")
            size = -(-maps.shape[2] // stride)
            mask = None if all_real(lengths, size) else position_mask(lengths, size)[:, None]
            maps = functional.gelu(conv(maps, mask))
        return lengths, maps

    def finish(self, states: Tensor, mask: Tensor | None) -> Tensor:
        return self.layer_norm(states, mask)

    def sites(self) -> dict[str, list[str]]:
        """Give convolutions, and of each layer its norms, projections, parts and itself."""
        return {"conv": ["conv1", "conv2"], **self.layer_sites("layers", _SITES),
                "states": ["readout"]}

    def _is_unused(self, name: str) -> bool:
        if name.startswith("layers."):
            return int(name.split(".")[1]) >= self.depth
        return self.is_cut and name.startswith("layer_norm.")


def sinusoids(positions: int, channels: int) -> Tensor:
    """Give Whisper's table of positions [T, D]: sines, then cosines, of t / 10000^(k / (D/2 - 1)).
    """
    half = channels // 2
    rates = torch.exp(-math.log(10_000) / max(half - 1, 1) * torch.arange(half))
    angles = torch.arange(positions)[:, None] * rates
    table = torch.cat([angles.sin(), angles.cos()], 1)
    return functional.pad(table, (0, channels - 2 * half))


def mel_filters(bands: int) -> np.ndarray:
    """Give Slaney's triangles of equal area from 0 to 8 kHz, [201, bands] float32."""
    low, high = 0.0, RATE / 2
    edges = _hertz(np.linspace(_mel(low), _mel(high), bands + 2))
    hertz = np.linspace(0, RATE / 2, WINDOW // 2 + 1)[:, None]
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


_LINEAR, _BREAK = 200 / 3, 1000.0  # Hz a mel below the break, Hz
_STEP = math.log(6.4) / 27  # of the logarithm a mel above it


def _mel(hertz: float) -> float:
    """Give Slaney's mels: linear below 1 kHz, logarithmic above."""
    if hertz < _BREAK:
        return hertz / _LINEAR
    return _BREAK / _LINEAR + math.log(hertz / _BREAK) / _STEP


def _hertz(mels: np.ndarray) -> np.ndarray:
    above = _BREAK * np.exp(_STEP * (mels - _BREAK / _LINEAR))
    return np.where(mels < _BREAK / _LINEAR, mels * _LINEAR, above)
