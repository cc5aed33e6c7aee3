"""Weighted layer sum: which of the backbone's states the head sees."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from emokit.core.config import knob
from emokit.models.adapters.base import Adapter, AdapterConfig

NO_READOUT = "it needs the backbone's readout of states"


def n_states(site: nn.Module) -> int | None:
    """Give how many states a readout takes; None if it is no readout."""
    return getattr(site, "n_states", None)


def refuse_mean(site: nn.Module) -> str | None:
    """Give the reason why nothing that makes states anew can sit at a readout of their mean."""
    return "it takes the states themselves, so that layer=mean would do nothing" if getattr(
        site, "mean", False) else None


@dataclasses.dataclass(frozen=True)
class WeightedSumConfig(AdapterConfig):
    """Settings of the weighted sum."""

    start: str = knob("uniform", "The mean of all states, or the last alone with weights that are "
                      "free to be negative.", choices=("uniform", "last"))


class WeightedSumAdapter(Adapter):
    """sum_l softmax(a)_l h_l over the L + 1 states, that before the first layer included.

    a starts as zero: the mean of the states, which is the identity under `layer=mean` alone,
    because the head above is new anyway. `start=last`: h_L + sum_l w_l h_l, w starting as zero,
    which is otherwise. L + 1 numbers.

    Source:
        Yang et al. 2021 (SUPERB); Lashkarashvili et al. 2024, whose code takes all L + 1.
    """

    roles = ("states",)
    Config = WeightedSumConfig
    replaces = True

    def __init__(self, site: nn.Module, config: WeightedSumConfig):
        super().__init__()
        self.free = config.start == "last"
        self.starts_as_identity = self.free or getattr(site, "mean", False)
        self.weights = nn.Parameter(torch.zeros(n_states(site)))

    def meaning(self) -> tuple:
        return (self.free,)

    @classmethod
    def accepts(cls, site: nn.Module, config: WeightedSumConfig | None = None) -> str | None:
        if not n_states(site):
            return NO_READOUT
        if config is not None and config.start == "last" and getattr(site, "mean", False):
            return "start=last is the last state, and layer=mean of the backbone the mean of all"
        return None

    @classmethod
    def count(cls, site: nn.Module, role: str, config: WeightedSumConfig) -> tuple[int, int]:
        return n_states(site), n_states(site)

    def forward(self, inputs: Tensor, outputs: Tensor | None, mask: Tensor | None) -> Tensor:
        """Give [B, T, D] from states [B, L + 1, T, D]."""
        shares = self.weights if self.free else torch.softmax(self.weights, 0)
        mixed = torch.einsum("l,bltd->btd", shares.to(inputs.dtype), inputs)
        return inputs[:, -1] + mixed if self.free else mixed
