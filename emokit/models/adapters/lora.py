"""LoRA: a product of two thin matrices beside a linear layer."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.config import knob
from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.adapters.shapes import factory_of, linear_start

LINEAR_ROLES = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out", "ffn")


@dataclasses.dataclass(frozen=True)
class LowRankConfig(AdapterConfig):
    """Settings of everything that adds a product of rank r."""

    rank: int = knob(8, "Rank r of what is added.", minimum=1)
    alpha: float | None = knob(
        None, "What is added is times alpha / r; alpha is r if unset, so that ranks compare.",
        above=0)
    rslora: bool = knob(False, "Times alpha / sqrt(r) instead.")

    @property
    def scale(self) -> float:
        """Factor on B A."""
        alpha = self.rank if self.alpha is None else self.alpha
        return alpha / (math.sqrt(self.rank) if self.rslora else self.rank)


@dataclasses.dataclass(frozen=True)
class LoraConfig(LowRankConfig):
    """Settings of LoRA."""

    dropout: float = knob(0.0, "Dropout on what A receives.", minimum=0, below=1)


class LoraAdapter(Adapter):
    """y + (alpha / r) B A x beside a linear layer x -> y = W x + b.

    A [r, d_in] Kaiming uniform, B [d_out, r] zero: the identity. r (d_in + d_out) numbers. On
    query and value if `where` is unset; `all` adds key, output and both layers of the ffn. It runs
    beside the layer in training, because a gradient of all of W would cost more, and is folded
    into it otherwise.

    Source:
        Hu et al. 2022; rslora: Kalajdzievski 2023. Deviation: alpha follows r if unset (the
        reference code of Lashkarashvili et al. 2024 leaves it at 1, so that a comparison of ranks
        is one of step sizes).
    """

    roles = LINEAR_ROLES
    default_where = ("query", "value")
    Config = LoraConfig

    def __init__(self, site: nn.Linear, config: LoraConfig):
        super().__init__()
        factory = factory_of(site)
        self.config = config
        self.a = nn.Parameter(linear_start(config.rank, site.in_features, **factory))
        self.b = nn.Parameter(torch.zeros(site.out_features, config.rank, **factory))

    @classmethod
    def accepts(cls, site: nn.Module, config: LoraConfig | None = None) -> str | None:
        return None if isinstance(site, nn.Linear) else "it needs a linear layer"

    @classmethod
    def count(cls, site: nn.Linear, role: str, config: LoraConfig) -> tuple[int, int]:
        n = config.rank * (site.in_features + site.out_features)
        return n, n

    def added(self, inputs: Tensor) -> Tensor:
        """Give (alpha / r) B A x."""
        inputs = functional.dropout(inputs, self.config.dropout, self.training)
        hidden = functional.linear(inputs, self.a)  # [B, T, r]
        return self.config.scale * functional.linear(hidden, self.b)

    def meaning(self) -> tuple:
        return (self.config.scale,)

    def forward(self, inputs: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
        return outputs + self.added(inputs)

    def folds(self) -> bool:
        return not self.training

    def weight_delta(self) -> Tensor:
        return self.config.scale * (self.b @ self.a)

    def merged(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        return weight + self.weight_delta(), bias
