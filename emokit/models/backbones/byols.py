"""BYOL-S: a small convolutional encoder that others trained on unlabelled speech."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.config import knob
from emokit.core.errors import ConfigError
from emokit.features.base import as_waveform
from emokit.features.logmel import hertz_to_mel
from emokit.models.backbones.base import Backbone
from emokit.models.masking import MaskedBatchNorm, position_mask
from emokit.models.pretrained import read_weights, refuse_misfits, weights_file

RATE, WINDOW, HOP, LOW, HIGH = 16_000, 1024, 160, 60.0, 7800.0
"""Of the log-mel that the published weights were trained on: Hz, samples, samples, Hz, Hz."""

LOG_FLOOR = float(np.finfo(np.float32).eps)
"""Added to every mel power before the logarithm, as there."""

LEVELS = 3
"""Poolings by two in time and frequency: a frame of output stands for 8 of input, 80 ms."""

SHORTEST = HOP * (2**LEVELS - 1)
"""Samples that make one frame of output; shorter utterances are followed by silence."""


@dataclasses.dataclass(frozen=True)
class ByolsConfig:
    """Settings of BYOL-S; the defaults are those of the published weights."""

    path: str | None = knob(None, "File or folder of pretrained weights (.safetensors, .npz, .pth) "
                            "to start from; random weights if none.")
    width: int = knob(64, "Channels of the convolutions.", minimum=1)
    bands: int = knob(64, "Mel bands, a multiple of 8.", minimum=8)
    size: int = knob(512, "Numbers per frame of output.", minimum=1)
    dropout: float = knob(0.3, "Dropout between the two linear layers.", minimum=0.0, below=1.0)
    mean: float | None = knob(None, "What is taken off the log-mel, one number; of each utterance "
                              "itself if none.")
    deviation: float | None = knob(None, "What the log-mel is divided by, one number; of each "
                                   "utterance itself if none.", above=0.0)

    def __post_init__(self):
        if self.bands % 2**LEVELS:
            raise ConfigError(f"'bands' of byols is {self.bands}; it must be a multiple of 8.")
        if (self.mean is None) != (self.deviation is None):
            raise ConfigError("byols: set both 'mean' and 'deviation', or neither.")


class Conv(nn.Conv2d):
    """A 3x3 convolution that takes the mask of its outputs, for adapters."""

    input_dropout = 0.0

    def __init__(self, n_in: int, n_out: int):
        super().__init__(n_in, n_out, 3, padding=1)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(inputs)


class Linear(nn.Linear):
    """A linear layer that takes the mask of its outputs, for adapters."""

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(inputs)


class Byols(Backbone):
    """Log-mel, three blocks of convolution, norm, ReLU and 2x2 maximum, two linear layers.

    T = floor((1 + floor(S / 160)) / 8) frames of 512 numbers, none negative. The published
    utterance vector is their mean over time plus their maximum.

    Args:
        config: its settings.
        input_dim: of a front end; it takes waveforms, so none.

    Source:
        Scheidwasser-Clow, Kegler, Beckmann, Cernak 2022 (SERAB), weights and description; network
        and log-mel after Niizumi et al. 2021 (BYOL-A). Deviations: the log-mel is normalised by
        mean and deviation of the utterance (there: one mean and one deviation of the data set at
        hand, which settings can hold), so that scores depend on nothing else and audio of other
        level fits; utterances below 70 ms are followed by silence; what is padding counts for
        nothing. Measured on public excerpts, UAR by utterance against by data set: EmoDB .82, .83;
        RAVDESS .60, .58; nEMO .43, .39.
    """

    name = "byols"
    Config = ByolsConfig
    input = "waveform"
    recipe = "encoder"

    def __init__(self, config: ByolsConfig, input_dim: int = 0):
        super().__init__(config)
        # numbered as in the published file
        self.features = nn.ModuleDict()
        for level in range(LEVELS):
            n_in = config.width if level else 1
            self.features[str(4 * level)] = Conv(n_in, config.width)
            self.features[str(4 * level + 1)] = MaskedBatchNorm(config.width)
        flat = config.width * (config.bands // 2**LEVELS)
        self.fc = nn.ModuleDict({"0": Linear(flat, config.size),
                                 "3": Linear(config.size, config.size)})
        self.dim = config.size
        # both follow from the config, so checkpoints need not hold them
        self.register_buffer("filters", torch.from_numpy(_filters(config.bands)), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    @classmethod
    def recognises(cls, weights: Mapping[str, Tensor]) -> bool:
        """Say whether tensors are of such a network, of any size."""
        return all(name in weights for name in ("features.0.weight", "features.9.running_var",
                                                "fc.0.weight", "fc.3.weight"))

    @classmethod
    def of_weights(cls, weights: Mapping[str, Tensor]) -> Byols:
        """Make the network that tensors are of, in evaluation mode.

        Raises:
            CheckpointError: they fit no network of this kind.
        """
        width, (size, flat) = len(weights["features.0.weight"]), weights["fc.0.weight"].shape
        backbone = cls(ByolsConfig(width=width, size=size,
                                   bands=max(flat // width, 1) * 2**LEVELS))
        backbone.load_weights(weights)
        return backbone.eval()

    @classmethod
    def start_files(cls, config: ByolsConfig) -> list[Path]:
        """Give the file of the weights, if the settings name one."""
        return [] if config.path is None else [weights_file(config.path)]

    def load_start(self) -> None:
        """Load the weights that the settings name, if they name some."""
        if self.config.path is not None:
            self.load_weights(read_weights(self.config.path))

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load tensors as published.

        Raises:
            CheckpointError: one is missing, too many or of another shape.
        """
        weights = {name: tensor for name, tensor in weights.items()
                   if not name.endswith("num_batches_tracked")}
        refuse_misfits(self.state_dict(), weights, "byols")
        # there maps are [B, C, F, T], here [B, C, T, F]
        self.load_state_dict({name: tensor.transpose(2, 3) if tensor.dim() == 4 else tensor
                              for name, tensor in weights.items()})

    def sites(self) -> dict[str, list[str]]:
        """Give the convolutions, the norm after each, and the linear layers."""
        levels = range(LEVELS)
        return {"conv": [f"features.{4 * level}" for level in levels],
                "norm": [f"features.{4 * level + 1}" for level in levels],
                "ffn": ["fc.0", "fc.3"]}

    def norm_after(self, site: str) -> str | None:
        """Name the norm of the same block."""
        places = self.sites()
        return dict(zip(places["conv"], places["norm"])).get(site)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Give frames [B, T, D] and their lengths, at least 1.

        Args:
            frames: waveform [B, S] in [-1, 1] at 16 kHz, zero past `lengths`.
            lengths: [B] samples.
        """
        maps, lengths = self.log_mel(frames, lengths)  # [B, T, F]
        maps = maps[:, None]  # [B, 1, T, F]
        for level in range(LEVELS):
            mask = position_mask(lengths, maps.shape[2]).to(maps.dtype)[:, None, :, None]
            maps = self.features[str(4 * level)](maps * mask, mask)
            maps = self.features[str(4 * level + 1)](maps, mask).relu()
            maps = functional.max_pool2d(maps, 2)  # [B, C, T // 2, F // 2]
            lengths = torch.div(lengths, 2, rounding_mode="floor")
        states = maps.permute(0, 2, 3, 1).flatten(2)  # [B, T, F C], by band
        real = position_mask(lengths, states.shape[1])[:, :, None]
        states = self.fc["0"](states, real).relu()
        states = functional.dropout(states, self.config.dropout, self.training)
        states = self.fc["3"](states, real).relu()
        return states * real.to(states.dtype), lengths

    def log_mel(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Give the normalised log-mel [B, T, F], T = 1 + floor(S / 160), zero where padded.

        Always in float32. Frames are centred; the signal is mirrored at its two ends, at those of
        the utterance and not of the batch.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = as_waveform(waveform, lengths)
            lengths = lengths.clamp(min=SHORTEST)
            waveform = functional.pad(waveform, (0, max(0, SHORTEST - waveform.shape[1])))
            spectrum = torch.stft(_mirrored(waveform, lengths, WINDOW // 2), WINDOW, HOP,
                                  window=self.window, center=False, return_complex=True)
            powers = (spectrum.abs().square().transpose(1, 2)) @ self.filters  # [B, T, F]
            values = torch.log(powers + LOG_FLOOR)
            lengths = 1 + torch.div(lengths, HOP, rounding_mode="floor")
            values = values[:, :waveform.shape[1] // HOP + 1]
            real = position_mask(lengths, values.shape[1])[:, :, None].to(values.dtype)
            mean, deviation = self.config.mean, self.config.deviation
            if mean is None:
                count = lengths[:, None, None] * values.shape[2]
                mean = (values * real).sum((1, 2), keepdim=True) / count
                squares = ((values - mean) * real).square().sum((1, 2), keepdim=True)
                deviation = (squares / count).sqrt().clamp(min=1e-3)
            return (values - mean) / deviation * real, lengths


def _mirrored(waveform: Tensor, lengths: Tensor, side: int) -> Tensor:
    """Give [B, S + 2 side]: each row followed and preceded by its own mirror image."""
    places = torch.arange(-side, waveform.shape[1] + side, device=waveform.device)
    period = 2 * (lengths - 1).clamp(min=1)[:, None]
    places = torch.remainder(places[None, :], period)
    return waveform.gather(1, torch.minimum(places, period - places))


def _filters(bands: int) -> np.ndarray:
    """Give triangles of peak 1, evenly spaced on the HTK scale and linear in Hz, [513, bands].

    (The front end `logmel` has them linear in mel.)
    """
    edges = 700.0 * np.expm1(
        np.linspace(hertz_to_mel(LOW), hertz_to_mel(HIGH), bands + 2) / 1127.0)
    hertz = np.linspace(0, RATE / 2, WINDOW // 2 + 1)[:, None]
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
