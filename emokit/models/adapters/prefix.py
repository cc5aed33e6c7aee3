"""Prefixes: learnt keys and values that every position may attend to."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import torch
from torch import Tensor, nn

from emokit.core.config import knob
from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.adapters.prompt import DEVIATION
from emokit.models.adapters.shapes import factory_of, width


@dataclasses.dataclass(frozen=True)
class PrefixConfig(AdapterConfig):
    """Settings of the prefix."""

    tokens: int = knob(30, "Further keys and values p of each layer.", minimum=1)


class PrefixAdapter(Adapter):
    """Gives an attention p further rows of keys and values, [p, d] each, shared by all positions.

    They start from N(0, 0.02^2), which is not the identity. 2 p d numbers. The attention must take
    an argument `prefix=(keys, values)`.

    Source:
        Li, Liang 2021, without their network that makes the rows; 30 tokens are theirs for
        generation and ours here.
    """

    roles = ("attention",)
    Config = PrefixConfig
    acts_before = True
    starts_as_identity = False

    def __init__(self, site: nn.Module, config: PrefixConfig):
        super().__init__()
        shape, factory = (config.tokens, width(site)), factory_of(site)
        self.keys = nn.Parameter(torch.randn(*shape, **factory) * DEVIATION)
        self.values = nn.Parameter(torch.randn(*shape, **factory) * DEVIATION)

    @classmethod
    def accepts(cls, site: nn.Module, config: PrefixConfig | None = None) -> str | None:
        if "prefix" not in inspect.signature(type(site).forward).parameters:
            return "the attention of this backbone takes no further keys and values"
        return None

    @classmethod
    def count(cls, site: nn.Module, role: str, config: PrefixConfig) -> tuple[int, int]:
        return 2 * config.tokens * width(site), 2 * config.tokens * width(site)

    def keywords(self) -> dict[str, Any]:
        return {"prefix": (self.keys, self.values)}

    def forward(self, inputs: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
        return outputs
