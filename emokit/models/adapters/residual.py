"""Residual adapters: a 1x1 convolution of the corpus's own beside or behind each convolution."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.config import knob
from emokit.core.errors import ConfigError
from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.adapters.norm import NormAdapter
from emokit.models.adapters.shapes import (
    CONVOLUTIONS, channel_axis, factory_of, input_width, project, width,
)
from emokit.models.masking import MaskedBatchNorm


@dataclasses.dataclass(frozen=True)
class ResidualConfig(AdapterConfig):
    """Settings of the residual adapter; `where` and `layers` choose convolutions or ffns."""

    kind: str = knob(
        "parallel", "Beside the convolution (parallel) or on its output (series).",
        choices=("parallel", "series"))
    rank: int | str | None = knob(
        None, "Rank of the 1x1: full, C/4 (a share of the output channels), a number, or 0 for "
        "private norms alone. C/4 if parallel and full if series when unset.")
    start: str = knob(
        "zero", "Zero is the identity; he is EmoNet's He-normal start.", choices=("zero", "he"))
    norm: str = knob(
        "private", "Norms of the corpus's own at all norms, or the shared ones.",
        choices=("private", "shared"))

    def __post_init__(self):
        _rank(self, 8)
        if self.norm == "shared" and _rank(self, 8) == 0:
            raise ConfigError("adapter residual: rank 0 with shared norms leaves nothing to learn.")


def _rank(config: ResidualConfig, n_out: int) -> int | None:
    """Give the rank for so many output channels, None for full."""
    rank = config.rank
    if rank is None:
        rank = "C/4" if config.kind == "parallel" else "full"
    if rank == "full":
        return None
    if isinstance(rank, int) and rank >= 0:
        return rank
    share = re.fullmatch(r"C/([1-9]\d*)", rank) if isinstance(rank, str) else None
    if not share:
        raise ConfigError(
            f"adapter residual: 'rank' is '{rank}'; expected full, C/4 or another share, or a "
            "number from 0.")
    return max(1, n_out // int(share[1]))


def _shape(site: nn.Module, config: ResidualConfig) -> tuple[int, int, int | None]:
    """Give channels in and out of the 1x1 and its rank, None where full is not dearer."""
    n_out = width(site)
    n_in = input_width(site) if config.kind == "parallel" else n_out
    rank = _rank(config, n_out)
    if rank is not None and rank * (n_in + n_out) >= n_in * n_out:
        rank = None
    return n_in, n_out, rank


class ResidualAdapter(Adapter):
    """Adds a 1x1 convolution A of the corpus's own to a convolution x -> W * x.

    Parallel: y = W * x + A x(s), x(s) sampled at the convolution's stride. Series:
    y <- y + A norm1(y). Full rank: A [C_out, C_in]; rank r: A = up down, r (C_in + C_out) numbers,
    and full where that is not fewer. Parallel adapters are folded, the convolution running once
    with `W + pad(A)`: the same function and gradients, because padding 1 puts A on the centre tap
    at any stride and size.

    At `ffn`, of transformers, A is a matrix without bias beside the feed-forward part.

    A private norm at every norm comes with it (`norm=private`), whatever `layers` says.

    Source:
        Rebuffi, Bilen, Vedaldi 2017 (series), 2018 (parallel); EIHW/EmoNet. Deviations: rank C/4
        and zero start by default; with low rank `down` is He-normal and `up` zero.
    """

    roles = ("conv", "norm", "ffn")
    Config = ResidualConfig

    def __init__(self, site: nn.Module, config: ResidualConfig):
        super().__init__()
        n_in, n_out, rank = _shape(site, config)
        self.starts_as_identity = config.start == "zero"
        self.kind, self.has_weight = config.kind, isinstance(site, (nn.Linear, *CONVOLUTIONS))
        self.stride, self.kernel = getattr(site, "stride", None), getattr(site, "kernel_size", None)
        self.input_dropout = getattr(site, "input_dropout", 0.0)
        self.takes_dropout = self.input_dropout > 0
        factory = factory_of(site)
        last = torch.zeros if config.start == "zero" else self._he
        if rank is None:
            self.matrix = nn.Parameter(last(n_out, n_in, **factory))
        else:
            self.up = nn.Parameter(last(n_out, rank, **factory))
            self.down = nn.Parameter(self._he(rank, n_in, **factory))
        if config.kind == "series":
            self.norm = MaskedBatchNorm(n_out).to(**factory)

    @staticmethod
    def _he(n_out: int, n_in: int, **factory) -> Tensor:
        return torch.randn(n_out, n_in, **factory) * math.sqrt(2 / n_in)

    @classmethod
    def always(cls, config: ResidualConfig) -> tuple[str, ...]:
        return ("norm",) if config.norm == "private" else ()

    @classmethod
    def accepts(cls, site: nn.Module, config: ResidualConfig | None = None) -> str | None:
        if isinstance(site, (MaskedBatchNorm, nn.LayerNorm)):
            return NormAdapter.accepts(site)
        if not isinstance(site, CONVOLUTIONS) and channel_axis(site) == -1 and width(site):
            if config is not None and config.kind == "series":
                return "kind=series needs a convolution"
            return None
        if not isinstance(site, nn.Conv2d) or site.groups != 1:
            return "a residual adapter needs a 2-d convolution of one group"
        if any(2 * pad != (size - 1) * step or size % 2 == 0 for pad, size, step in
               zip(site.padding, site.kernel_size, site.dilation)):
            return "a residual adapter needs an odd kernel with its centre on the input"
        return None

    @classmethod
    def make(cls, site: nn.Module, role: str, config: ResidualConfig) -> Adapter | None:
        if role == "norm":
            return NormAdapter.make(site, role, config)
        return None if _rank(config, width(site)) == 0 else cls(site, config)

    @classmethod
    def count(cls, site: nn.Module, role: str, config: ResidualConfig) -> tuple[int, int]:
        if role == "norm":
            return NormAdapter.count(site, role, config)
        if _rank(config, width(site)) == 0:
            return 0, 0
        n_in, n_out, rank = _shape(site, config)
        n = n_in * n_out if rank is None else rank * (n_in + n_out)
        series = config.kind == "series"
        return n + 4 * n_out * series, n + 2 * n_out * series

    def product(self) -> Tensor:
        """Give A [C_out, C_in]."""
        return self.matrix if "matrix" in self._parameters else self.up @ self.down

    def forward(self, inputs: Tensor, outputs: Tensor | None, mask: Tensor | None) -> Tensor:
        if self.kind == "series":
            return outputs + self._convolve(self.norm(outputs, mask), (1, 1))
        if self.input_dropout and self.training:
            inputs = functional.dropout(inputs, self.input_dropout)
        return outputs + self._convolve(inputs, self.stride)

    def _convolve(self, inputs: Tensor, stride: tuple[int, int] | None) -> Tensor:
        if self.kernel is None:
            if "matrix" in self._parameters:
                return functional.linear(inputs, self.matrix)
            return functional.linear(functional.linear(inputs, self.down), self.up)
        # sampled beforehand, because the gradient of a 1x1 with stride 2 writes beyond its memory
        # for some channels-last inputs (torch 2.13, CPU)
        inputs = inputs[:, :, ::stride[0], ::stride[1]]
        if "matrix" in self._parameters:
            return project(inputs, self.matrix, None, 1)
        return project(project(inputs, self.down, None, 1), self.up, None, 1)

    def folds(self) -> bool:
        return self.kind == "parallel" and self.has_weight and not (
            self.training and self.input_dropout)

    def pad(self, matrix: Tensor) -> Tensor:
        """Give a weight of the site's shape: a matrix, at the centre tap of a kernel."""
        if self.kernel is None:
            return matrix
        high, wide = (size // 2 for size in self.kernel)
        return functional.pad(matrix[:, :, None, None], (wide, wide, high, high))

    def weight_delta(self) -> Tensor:
        return self.pad(self.product())

    def merged(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor] | None:
        if self.kind == "parallel":
            return weight + self.weight_delta(), bias
        matrix, norm = self.product(), self.norm
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        # y + A (scale (y - mu) + beta) with y = W * x + bias
        scaled = matrix * scale
        weight = weight + torch.einsum("oc,cihw->oihw", scaled, weight)
        return weight, bias + matrix @ (scale * (bias - norm.running_mean) + norm.bias)


def full_rank_mean(adapters: Sequence[Adapter]) -> Tensor | None:
    """Give the mean of full-rank parallel adapters [C_out, C_in]; None if one is none."""
    for adapter in adapters:
        if not isinstance(adapter, ResidualAdapter) or adapter.kind != "parallel" or (
                "matrix" not in adapter._parameters or not adapter.has_weight):
            return None
    return torch.stack([adapter.matrix for adapter in adapters]).mean(0)
