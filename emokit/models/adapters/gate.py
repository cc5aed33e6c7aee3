"""Weight gating: how much of each channel passes on."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from emokit.core.config import knob
from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.adapters.shapes import along, channel_axis, factory_of, width


@dataclasses.dataclass(frozen=True)
class GateConfig(AdapterConfig):
    """Settings of the gate."""

    start: str = knob("identity", "Factor 2 sigmoid(0) = 1, or the reference code's sigmoid(1) = "
                      "0.731.", choices=("identity", "reference"))


class GateAdapter(Adapter):
    """y 2 sigmoid(g) for each channel, g [d] started as zero: the identity.

    Behind other adapters at the same site it gates what they give, before them only the site.

    Source:
        Lashkarashvili et al. 2024 (behind the bottleneck). Deviation: starts as the identity;
        `start=reference` is sigmoid(1 + g).
    """

    roles = ("block", "attention", "ffn")
    Config = GateConfig

    def __init__(self, site: nn.Module, config: GateConfig):
        super().__init__()
        self.axis, factory = channel_axis(site), factory_of(site)
        self.peak, self.start = (2.0, 0.0) if config.start == "identity" else (1.0, 1.0)
        self.starts_as_identity = config.start == "identity"
        self.gate = nn.Parameter(torch.zeros(width(site), **factory))

    def meaning(self) -> tuple:
        return (self.peak,)

    @classmethod
    def accepts(cls, site: nn.Module, config: GateConfig | None = None) -> str | None:
        return None if width(site) else "it needs a site whose width is known"

    @classmethod
    def count(cls, site: nn.Module, role: str, config: GateConfig) -> tuple[int, int]:
        return width(site), width(site)

    def forward(self, inputs: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
        gate = along(self.gate, self.axis, outputs)
        return outputs * (self.peak * torch.sigmoid(self.start + gate))
