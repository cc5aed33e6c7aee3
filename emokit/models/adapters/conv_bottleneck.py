"""Bottleneck adapters beside convolutions."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from emokit.core.config import knob
from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.adapters.bottleneck import ACTIVATIONS
from emokit.models.adapters.shapes import (
    Geometry, factory_of, kernel_size, linear_start, masked, plain_convolution, project,
)


@dataclasses.dataclass(frozen=True)
class ConvBottleneckConfig(AdapterConfig):
    """Settings of the bottleneck beside a convolution."""

    rank: int = knob(8, "Channels r in the middle.", minimum=1)
    activation: str = knob("relu", "Non-linearity in the middle.", choices=tuple(ACTIVATIONS))


class ConvBottleneckAdapter(Adapter):
    """y + U phi(A * x + a) + b beside a convolution x -> y, at real positions.

    A [r, C_in, k…] has the convolution's kernel, stride, padding and dilation, U [C_out, r] is
    1x1. A as a linear layer starts, the rest zero: the identity. r (C_in k^n + C_out) + r + C_out.
    The last three convolutions if `layers` is unset.

    Source:
        Ours: the bottleneck of Houlsby et al. 2019 with the convolution's own kernel.
    """

    roles = ("conv",)
    default_layers = "last3"
    Config = ConvBottleneckConfig

    def __init__(self, site: nn.Module, config: ConvBottleneckConfig):
        super().__init__()
        factory = factory_of(site)
        self.config = config
        self.geometry = Geometry.of(site)
        self.down = nn.Parameter(
            linear_start(config.rank, site.in_channels, *site.kernel_size, **factory))
        self.down_bias = nn.Parameter(torch.zeros(config.rank, **factory))
        self.up = nn.Parameter(torch.zeros(site.out_channels, config.rank, **factory))
        self.up_bias = nn.Parameter(torch.zeros(site.out_channels, **factory))

    @classmethod
    def accepts(cls, site: nn.Module, config: AdapterConfig | None = None) -> str | None:
        return plain_convolution(site)

    @classmethod
    def count(cls, site: nn.Module, role: str, config: ConvBottleneckConfig) -> tuple[int, int]:
        n = config.rank * (site.in_channels * kernel_size(site) + site.out_channels + 1)
        return n + site.out_channels, n + site.out_channels

    def meaning(self) -> tuple:
        return (self.config.activation,)

    def forward(self, inputs: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
        hidden = ACTIVATIONS[self.config.activation](
            self.geometry.run(inputs, self.down, self.down_bias))
        return outputs + masked(project(hidden, self.up, self.up_bias, 1), mask)
