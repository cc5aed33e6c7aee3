"""DoRA: LoRA for the direction of each row of a weight, and its length apart."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from emokit.models.adapters.lora import LoraAdapter, LoraConfig
from emokit.models.adapters.shapes import factory_of


@dataclasses.dataclass(frozen=True)
class DoraConfig(LoraConfig):
    """Settings of DoRA, those of LoRA."""


class DoraAdapter(LoraAdapter):
    """g (y - b + s B A x) + b beside a linear layer x -> y = W x + b, s = alpha / r.

    g = (||W|| + m) / ||W + s B A|| for each row of W, m [d_out] and B started as zero: the
    identity. The norms count as constants for the gradient. r (d_in + d_out) + d_out numbers.

    Source:
        Liu et al. 2024, sections 4.1 and 4.3. Deviation: what is stored of the length is its
        difference m from that of W, so that weight decay does not shrink the layer.
    """

    Config = DoraConfig

    def __init__(self, site: nn.Linear, config: DoraConfig):
        super().__init__(site, config)
        # in a list, so that the backbone's layer does not become a part of the adapter
        self.site = [site]
        self.magnitude = nn.Parameter(torch.zeros(site.out_features, **factory_of(site)))

    @classmethod
    def count(cls, site: nn.Linear, role: str, config: DoraConfig) -> tuple[int, int]:
        n = LoraAdapter.count(site, role, config)[0] + site.out_features
        return n, n

    def factor(self) -> Tensor:
        """Give g [d_out]."""
        with torch.no_grad():
            weight = self.site[0].weight
            length = torch.linalg.vector_norm(weight, dim=1)
            norm = torch.linalg.vector_norm(weight + self.weight_delta(), dim=1)
        return (length + self.magnitude) / norm

    def forward(self, inputs: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
        bias = self.site[0].bias
        plain = outputs if bias is None else outputs - bias
        plain = self.factor() * (plain + self.added(inputs))
        return plain if bias is None else plain + bias

    def folds(self) -> bool:
        return False  # it scales what stands before it too

    def merged(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        factor, own = self.factor(), self.site[0].bias
        own = torch.zeros_like(bias) if own is None else own
        return factor[:, None] * (weight + self.weight_delta()), factor * (bias - own) + own
