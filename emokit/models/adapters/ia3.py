"""IA3: one factor for each channel of keys, values and the ffn's middle."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.adapters.shapes import factory_of, width


class Ia3Adapter(Adapter):
    """y l for each channel, l = 1 + delta, delta [width] started as zero: the identity.

    Source:
        Liu et al. 2022 (T-Few). Deviation: delta is what is stored, so that weight decay pulls
        towards the identity and not towards silence.
    """

    roles = ("key", "value", "ffn_hidden")
    default_where = roles

    def __init__(self, site: nn.Module, config: AdapterConfig):
        super().__init__()
        self.delta = nn.Parameter(torch.zeros(width(site), **factory_of(site)))

    @classmethod
    def accepts(cls, site: nn.Module, config: AdapterConfig | None = None) -> str | None:
        return None if width(site) else "it needs a site whose width is known"

    @classmethod
    def count(cls, site: nn.Module, role: str, config: AdapterConfig) -> tuple[int, int]:
        return width(site), width(site)

    def forward(self, inputs: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
        return outputs * (1 + self.delta)

    def merged(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        return (1 + self.delta)[:, None] * weight, (1 + self.delta) * bias

    def merged_behind(self, weight: Tensor) -> Tensor:
        """Give the weight [d_out, width] of the linear layer behind that does the same in eval."""
        return weight * (1 + self.delta)
