"""Deep prompts: learnt vectors before the input of each layer."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.config import knob
from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.adapters.shapes import channel_axis, factory_of, width

DEVIATION = 0.02
"""Of the normal start of prompts and prefixes, as BERT's embeddings (ours)."""


@dataclasses.dataclass(frozen=True)
class PromptConfig(AdapterConfig):
    """Settings of the prompt."""

    tokens: int = knob(5, "Vectors p before each layer's input.", minimum=1)


class PromptAdapter(Adapter):
    """Puts p learnt vectors [p, d] before a layer's input and cuts them off its output.

    They start from N(0, 0.02^2), which is not the identity. Other adapters of the layer see its
    output without them, wherever they are written.

    Source:
        Jia et al. 2022 (deep visual prompts), in speech Feng, Narayanan 2023 (5 tokens).
    """

    roles = ("block",)
    Config = PromptConfig
    acts_before = True
    starts_as_identity = False

    def __init__(self, site: nn.Module, config: PromptConfig):
        super().__init__()
        self.vectors = nn.Parameter(
            torch.randn(config.tokens, width(site), **factory_of(site)) * DEVIATION)

    @classmethod
    def accepts(cls, site: nn.Module, config: PromptConfig | None = None) -> str | None:
        if not width(site) or channel_axis(site) != -1:
            return "it needs layers over a sequence of vectors, and these work on maps"
        return None

    @classmethod
    def count(cls, site: nn.Module, role: str, config: PromptConfig) -> tuple[int, int]:
        return config.tokens * width(site), config.tokens * width(site)

    def before(self, inputs: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        vectors = self.vectors.to(inputs.dtype).expand(len(inputs), -1, -1)
        if mask is not None:  # [B, T, 1]
            mask = functional.pad(mask, (0, 0, len(self.vectors), 0), value=True)
        return torch.cat([vectors, inputs], 1), mask

    def forward(self, inputs: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
        return outputs[:, len(self.vectors):]
