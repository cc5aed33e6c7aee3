"""The wide residual network of EmoNet, with masks."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.config import knob
from emokit.core.errors import ConfigError
from emokit.models.backbones.base import Backbone
from emokit.models.masking import MaskedBatchNorm, all_real, position_mask

WIDENINGS = (2, 4, 8)
"""Channels of the three stages, in units of the stem's width."""


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """Settings of the residual network. Convolutions: 9 f + 378 f^2 (4 N - 1) weights."""

    width: int = knob(32, "Channels f of the stem; stages have 2f, 4f, 8f.", minimum=1)
    blocks: int = knob(2, "Residual blocks N in each stage.", minimum=1)
    widen: int = knob(1, "Factor on the widths of the stages.", minimum=1)
    stem_stride: int = knob(
        1, "Stride of the stem in time and frequency; 2 is four times cheaper.",
        minimum=1, maximum=2)
    dropout: list[float] = knob(
        [0.0, 0.0], "Dropout on the input of a block's first and second unit: of its residual "
        "adapter where there is one, of its convolution otherwise. EmoNet: 0 and 0.5.")
    start: str = knob(
        "fan_out", "Variance of the He-normal start: 2 / fan_out or 2 / fan_in (EmoNet).",
        choices=("fan_out", "fan_in"))
    momentum: float = knob(
        0.1, "Share of a batch in the running statistics (EmoNet 0.01).", above=0, maximum=1)
    eps: float = knob(1e-5, "Added to variances (EmoNet 1e-3).", above=0)

    def __post_init__(self):
        if len(self.dropout) != 2 or not all(0 <= rate < 1 for rate in self.dropout):
            raise ConfigError(
                f"'dropout' of resnet is {self.dropout}; expected two numbers from 0 to below 1.")


class Conv(nn.Conv2d):
    """A 3x3 convolution without bias; takes the mask of its outputs, for adapters.

    `input_dropout` is a plain number, so that an adapter at this site can take it over.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, input_dropout: float = 0.0):
        super().__init__(n_in, n_out, 3, stride, padding=1, bias=False)
        self.input_dropout = input_dropout

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.input_dropout and self.training:
            inputs = functional.dropout(inputs, self.input_dropout)
        return super().forward(inputs)


class Unit(nn.Module):
    """Convolution, then masked norm."""

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float, config: ResNetConfig):
        super().__init__()
        self.conv = Conv(n_in, n_out, stride, dropout)
        self.norm = MaskedBatchNorm(n_out, config.momentum, config.eps)

    def forward(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        return self.norm(self.conv(inputs, mask), mask)


class Block(nn.Module):
    """Two units and a shortcut without weights: identity, or pooling and zero channels."""

    def __init__(self, n_in: int, n_out: int, stride: int, config: ResNetConfig):
        super().__init__()
        self.stride = stride
        self.first = Unit(n_in, n_out, stride, config.dropout[0], config)
        self.second = Unit(n_out, n_out, 1, config.dropout[1], config)

    def forward(self, inputs: Tensor, mask: Tensor | None, share: Tensor | None) -> Tensor:
        """Give [B, C_out, T', F'].

        Args:
            inputs: [B, C, T, F], zero where padded.
            mask: [B, 1, T', 1] of the outputs.
            share: [B, 1, T', 1] factor that makes the mean of two rows one of the real rows.
        """
        outputs = self.first(inputs, mask).relu_()
        outputs = self.second(outputs, mask)
        shortcut = inputs
        if self.stride == 2:
            shortcut = functional.avg_pool2d(
                inputs, 2, ceil_mode=True, count_include_pad=False)
            if share is not None:
                shortcut = shortcut * share.to(shortcut.dtype)
        extra = outputs.shape[1] - shortcut.shape[1]
        if extra:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, extra))
        return torch.relu_(outputs + shortcut)


class ResNet(Backbone):
    """Stem, three stages of residual blocks, final norm; every position counts or is 0.

    Inside, maps are [B, C, T, F] in channels-last memory, which is both the faster layout and,
    read as [B, T' F', C], the output, so that time and frequency are pooled together by
    whatever honours lengths. A stride of 2 makes T to ceil(T / 2), and lengths likewise.

    Args:
        config: its settings.
        input_dim: F of the front end; any.

    Source:
        EIHW/EmoNet (behaviour of the reference) after Zagoruyko, Komodakis 2016 and Rebuffi et al.
        2018. Deviations: masked norms and pooling; He start by fan-out; PyTorch's norm constants.
    """

    name = "resnet"
    Config = ResNetConfig
    input = "logmel"

    def __init__(self, config: ResNetConfig, input_dim: int = 64):
        super().__init__(config)
        self.stem = Unit(1, config.width, config.stem_stride, 0.0, config)
        self.stages = nn.ModuleList()
        n_in = config.width
        for widening in WIDENINGS:
            n_out = widening * config.width * config.widen
            self.stages.append(nn.ModuleList(
                Block(n_in if index == 0 else n_out, n_out, 2 if index == 0 else 1, config)
                for index in range(config.blocks)))
            n_in = n_out
        self.norm = MaskedBatchNorm(n_in, config.momentum, config.eps)
        self.dim = n_in
        for module in self.modules():
            if isinstance(module, Conv):
                nn.init.kaiming_normal_(module.weight, mode=config.start, nonlinearity="relu")

    def sites(self) -> dict[str, list[str]]:
        """Give the 6 N + 1 convolutions, the norm after each and the final one, the blocks."""
        blocks = [f"stages.{stage}.{index}" for stage in range(len(WIDENINGS))
                  for index in range(self.config.blocks)]
        units = ["stem", *(f"{block}.{unit}" for block in blocks for unit in ("first", "second"))]
        return {
            "conv": [f"{unit}.conv" for unit in units],
            "norm": [*(f"{unit}.norm" for unit in units), "norm"],
            "block": blocks,
        }

    def norm_after(self, site: str) -> str | None:
        """Name the norm of the same unit."""
        unit, _, last = site.rpartition(".")
        return f"{unit}.norm" if last == "conv" else None

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Give frames [B, T' F', D] in time-major order and lengths T'_i F'.

        Args:
            frames: [B, T, F], zero past `lengths`.
            lengths: [B] frames, at least 1.
        """
        size, whole = frames.shape[1], all_real(lengths, frames.shape[1])

        def halve():
            """Give mask and shortcut factor of the next stage, and move on to it."""
            nonlocal size, lengths
            odd = (lengths % 2 == 1) & (lengths < size)
            last, lengths, size = lengths // 2, (lengths + 1) // 2, (size + 1) // 2
            if whole:
                return None, None
            at_last = torch.arange(size, device=lengths.device) == last[:, None]
            share = 1.0 + (at_last & odd[:, None]).float()  # 2 where half the window is padding
            return mask_here(), share[:, None, :, None]

        def mask_here():
            if whole:
                return None
            return position_mask(lengths, size).float()[:, None, :, None]  # [B, 1, T, 1]

        mask = mask_here() if self.config.stem_stride == 1 else halve()[0]
        maps = self.stem(frames[:, None], mask)  # [B, f, T, F]
        maps = maps.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            mask, share = halve()
            for block in stage:
                maps = block(maps, mask, share)  # [B, C, T', F']
        maps = self.norm(maps, mask).relu_()
        batch, channels, time, bands = maps.shape
        # [B, T', F', C] is how channels-last lies in memory
        frames = maps.permute(0, 2, 3, 1).reshape(batch, time * bands, channels)
        return frames, lengths * bands
