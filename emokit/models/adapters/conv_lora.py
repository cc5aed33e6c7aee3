"""LoRA for convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emokit.models.adapters.base import Adapter
from emokit.models.adapters.lora import LowRankConfig
from emokit.models.adapters.shapes import (
    Geometry, factory_of, kernel_size, linear_start, plain_convolution, project,
)


class ConvLoraAdapter(Adapter):
    """y + (alpha / r) B (A * x) beside a convolution x -> y = W * x + b.

    A [r, C_in, k…] has the convolution's kernel, stride, padding and dilation, B [C_out, r] is
    1x1 and starts as zero: the identity. r (C_in k^n + C_out) numbers. Beside the convolution in
    training, folded into it otherwise. The last three convolutions if `layers` is unset.

    Source:
        The reference code of Lashkarashvili et al. 2024 (r 8, the last three of the feature
        encoder's seven). Deviation: alpha follows r.
    """

    roles = ("conv",)
    default_layers = "last3"
    Config = LowRankConfig

    def __init__(self, site: nn.Module, config: LowRankConfig):
        super().__init__()
        factory = factory_of(site)
        self.config, self.geometry = config, Geometry.of(site)
        self.a = nn.Parameter(
            linear_start(config.rank, site.in_channels, *site.kernel_size, **factory))
        self.b = nn.Parameter(torch.zeros(site.out_channels, config.rank, **factory))

    @classmethod
    def accepts(cls, site: nn.Module, config: LowRankConfig | None = None) -> str | None:
        return plain_convolution(site)

    @classmethod
    def count(cls, site: nn.Module, role: str, config: LowRankConfig) -> tuple[int, int]:
        n = config.rank * (site.in_channels * kernel_size(site) + site.out_channels)
        return n, n

    def meaning(self) -> tuple:
        return (self.config.scale,)

    def forward(self, inputs: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
        hidden = self.geometry.run(inputs, self.a)  # [B, r, …]
        return outputs + self.config.scale * project(hidden, self.b, None, 1)

    def folds(self) -> bool:
        return not self.training

    def weight_delta(self) -> Tensor:
        return self.config.scale * torch.tensordot(self.b, self.a, 1)

    def merged(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        return weight + self.weight_delta(), bias
