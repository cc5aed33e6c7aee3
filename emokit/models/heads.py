"""Embeddings to logits, one head per corpus."""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn

from emokit.core.config import knob
from emokit.models.masking import MaskedBatchNorm
from emokit.models.pooling import NoSettings


class LinearHead(nn.Linear):
    """logits = W v + b, [K, D] and [K]: D K + K numbers."""

    Config = NoSettings

    def __init__(self, config: NoSettings, dim: int, n_classes: int):
        super().__init__(dim, n_classes)


@dataclasses.dataclass(frozen=True)
class DenseConfig:
    """Settings of the dense head."""

    dropout: float = knob(0.2, "Dropout before the last layer.", minimum=0, below=1)


class EmbeddingNorm(MaskedBatchNorm):
    """Batch norm over the utterances of a batch, summed over ranks like the norms of maps."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise [B, D]; a batch of one becomes the bias in training."""
        return super().forward(inputs[:, :, None, None])[:, :, 0, 0]


class DenseHead(nn.Sequential):
    """D -> D/2, batch norm, ReLU, dropout 0.2, D/2 -> K, as in EIHW/EmoNet.

    In training its norm is over the utterances of a batch, so batches of a few are poor.
    """

    Config = DenseConfig

    def __init__(self, config: DenseConfig, dim: int, n_classes: int):
        half = dim // 2
        super().__init__(
            nn.Linear(dim, half), EmbeddingNorm(half), nn.ReLU(),
            nn.Dropout(config.dropout), nn.Linear(half, n_classes))


ACTIVATIONS = {"none": nn.Identity, "relu": nn.ReLU, "tanh": nn.Tanh}


@dataclasses.dataclass(frozen=True)
class ProjectorConfig:
    """Settings of the projector."""

    width: int = knob(256, "Numbers in the middle.", minimum=1)
    activation: str = knob("none", "Non-linearity in the middle.", choices=tuple(ACTIVATIONS))


class ProjectorHead(nn.Sequential):
    """D -> 256 -> K, linear: D m + m + m K + K numbers, m the width.

    It draws the same lines as a linear head, but with an optimiser like Adam it learns them in far
    fewer steps from embeddings whose numbers differ much in size, as those of speech transformers
    do.

    Source:
        Lashkarashvili et al. 2024, reference code, whose first layer runs before the mean over
        time, which without activation is the same.
    """

    Config = ProjectorConfig

    def __init__(self, config: ProjectorConfig, dim: int, n_classes: int):
        super().__init__(
            nn.Linear(dim, config.width), ACTIVATIONS[config.activation](),
            nn.Linear(config.width, n_classes))
