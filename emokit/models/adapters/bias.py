"""BitFit: biases of the corpus's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emokit.models.adapters.base import ALL, Adapter, AdapterConfig
from emokit.models.adapters.lora import LINEAR_ROLES
from emokit.models.adapters.shapes import OTHER, along, channel_axis, masked


class BiasAdapter(Adapter):
    """y + delta for each channel, at real positions; delta [bias] started as zero: the identity.

    At every linear layer, convolution and norm of the backbone that has a bias, those without a
    role of their own (`other`: projections, last norms) included; name roles in `where` for fewer.
    The gradient of a key's is zero, because the softmax over keys ignores it.

    Source:
        Ben Zaken, Ravfogel, Goldberg 2022, all biases. The same path as training the bias itself
        without weight decay, but the backbone's stays as it is.
    """

    roles = (*LINEAR_ROLES, "conv", "norm", OTHER)
    default_where = (ALL,)

    def __init__(self, site: nn.Module, config: AdapterConfig):
        super().__init__()
        self.axis = channel_axis(site)
        self.delta = nn.Parameter(torch.zeros_like(site.bias))

    @classmethod
    def accepts(cls, site: nn.Module, config: AdapterConfig | None = None) -> str | None:
        if not isinstance(getattr(site, "bias", None), Tensor):
            return "it needs a site with a bias"
        return None

    @classmethod
    def count(cls, site: nn.Module, role: str, config: AdapterConfig) -> tuple[int, int]:
        return site.bias.numel(), site.bias.numel()

    def forward(self, inputs: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
        return outputs + masked(along(self.delta, self.axis, outputs).expand_as(outputs), mask)

    def merged(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        return weight, bias + self.delta
