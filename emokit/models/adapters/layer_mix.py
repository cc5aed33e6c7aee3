"""Layer mix: each layer's state through a layer of its own, then a weighted sum."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.config import knob
from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.adapters.shapes import linear_start
from emokit.models.adapters.weighted_sum import NO_READOUT, n_states, refuse_mean


@dataclasses.dataclass(frozen=True)
class LayerMixConfig(AdapterConfig):
    """Settings of the layer mix."""

    width: int = knob(512, "Numbers per frame that it gives, and the head sees.", minimum=1)


class LayerMixAdapter(Adapter):
    """sum_l softmax(a)_l LN_l(ReLU(P_l h_l + p_l)) over the states behind the L layers.

    P_l [width, d] as a linear layer starts, a zero; never the identity, because frames get another
    size. L (width d + 3 width) + L numbers, once.

    Source:
        Otake et al. 2023 ("L-adapter", width 512). The start is ours.
    """

    roles = ("states",)
    Config = LayerMixConfig
    replaces = True
    starts_as_identity = False

    def __init__(self, site: nn.Module, config: LayerMixConfig):
        super().__init__()
        n_layers = n_states(site) - 1
        self.weights = nn.Parameter(torch.zeros(n_layers))
        self.down = nn.Parameter(torch.stack(
            [linear_start(config.width, site.site_width) for _ in range(n_layers)]))
        self.down_bias = nn.Parameter(torch.zeros(n_layers, config.width))
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(n_layers))

    @classmethod
    def frame_dim(cls, config: LayerMixConfig) -> int:
        return config.width

    @classmethod
    def accepts(cls, site: nn.Module, config: LayerMixConfig | None = None) -> str | None:
        return refuse_mean(site) if n_states(site) else NO_READOUT

    @classmethod
    def count(cls, site: nn.Module, role: str, config: LayerMixConfig) -> tuple[int, int]:
        n = (n_states(site) - 1) * (config.width * (site.site_width + 3) + 1)
        return n, n

    def forward(self, inputs: Tensor, outputs: Tensor | None, mask: Tensor | None) -> Tensor:
        """Give [B, T, width] from states [B, L + 1, T, D]."""
        shares = torch.softmax(self.weights, 0)
        mixed = 0
        for layer, norm in enumerate(self.norms):
            hidden = functional.linear(inputs[:, layer + 1], self.down[layer],
                                       self.down_bias[layer])  # [B, T, width]
            mixed = mixed + shares[layer] * norm(hidden.relu())
        return mixed
