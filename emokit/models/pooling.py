"""Frames to one embedding per utterance, over real positions only."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from emokit.core.config import knob
from emokit.models.masking import position_mask


def masked_mean(frames: Tensor, lengths: Tensor) -> Tensor:
    """Give the mean [B, D] over the real positions of [B, T, D]."""
    mask = position_mask(lengths, frames.shape[1]).to(frames.dtype)
    return torch.einsum("btd,bt->bd", frames, mask) / lengths[:, None].to(frames.dtype)


@dataclasses.dataclass(frozen=True)
class NoSettings:
    """A part without settings."""


@dataclasses.dataclass(frozen=True)
class AttentionConfig:
    """Settings of attention pooling."""

    scale: float = knob(0.3, "Factor on the scores before the softmax.", above=0)


class AttentionPooling(nn.Module):
    """v = sum_j a_j h_j, a = softmax over real positions of e_j = 0.3 u . tanh(W h_j + b).

    W [C, C]; b, u [C]; all start from N(0, 0.05). C^2 + 2 C numbers.

    Source:
        Zhang et al. 2018, as in EIHW/EmoNet ("FCNAttention"), with the 0.3 and the start kept.
        Deviation: positions that are padding get no weight.
    """

    Config = AttentionConfig

    def __init__(self, config: AttentionConfig, dim: int):
        super().__init__()
        self.config, self.dim = config, dim
        self.weight = nn.Parameter(torch.randn(dim, dim) * 0.05)
        self.bias = nn.Parameter(torch.randn(dim) * 0.05)
        self.query = nn.Parameter(torch.randn(dim) * 0.05)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Give [B, D] from frames [B, T, D]."""
        hidden = torch.tanh(nn.functional.linear(frames, self.weight, self.bias))
        scores = self.config.scale * (hidden @ self.query.to(hidden.dtype)).float()  # [B, T]
        scores = scores.masked_fill(~position_mask(lengths, frames.shape[1]), float("-inf"))
        shares = torch.softmax(scores, 1).to(frames.dtype)
        return torch.einsum("btd,bt->bd", frames, shares)


class AveragePooling(nn.Module):
    """The mean over real positions.

    Source:
        EIHW/EmoNet's "avgpool" takes 8x8 means of a fixed window, remainder and padding included;
        this is the masked mean.
    """

    Config = NoSettings

    def __init__(self, config: NoSettings, dim: int):
        super().__init__()
        self.config, self.dim = config, dim

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Give [B, D] from frames [B, T, D]."""
        return masked_mean(frames, lengths)


class StatisticsPooling(nn.Module):
    """Mean and deviation over real positions, [B, 2 D]; one position has deviation 0.

    The deviation is sqrt(var + 1e-8), so that its gradient stays finite at 0.
    """

    Config = NoSettings

    def __init__(self, config: NoSettings, dim: int):
        super().__init__()
        self.config, self.dim = config, 2 * dim

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Give [B, 2 D] from frames [B, T, D]."""
        frames = frames.float()
        mean = masked_mean(frames, lengths)
        variance = masked_mean((frames - mean[:, None]).square(), lengths)
        return torch.cat([mean, torch.sqrt(variance + 1e-8)], 1)


@dataclasses.dataclass(frozen=True)
class StatisticsAttentionConfig:
    """Settings of statistical attentive pooling."""

    hidden: int = knob(128, "Numbers in the middle of the attention.", minimum=1)


class StatisticsAttentionPooling(nn.Module):
    """[mu; sigma], [B, 2 D], under attention: a = softmax over real positions of v . tanh(W h + b).

    mu = sum a_t h_t, sigma = sqrt(max(sum a_t h_t^2 - mu^2, 1e-6)), element by element. W
    [hidden, D], b and v [hidden]; 128 D + 256 numbers by default. One position has sigma 1e-3 and
    finite gradients.

    Source:
        Okabe et al. 2018, as Song et al. 2025 (arXiv 2509.23795) use it by name; width and start
        are ours. Deviation: sigma from centred values, which lose no digits.
    """

    Config = StatisticsAttentionConfig

    def __init__(self, config: StatisticsAttentionConfig, dim: int):
        super().__init__()
        self.config, self.dim = config, 2 * dim
        self.hidden = nn.Linear(dim, config.hidden)
        self.query = nn.Parameter(torch.randn(config.hidden) / config.hidden**0.5)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Give [B, 2 D] from frames [B, T, D]."""
        scores = (torch.tanh(self.hidden(frames)) @ self.query.to(frames.dtype)).float()  # [B, T]
        scores = scores.masked_fill(~position_mask(lengths, frames.shape[1]), float("-inf"))
        return weighted_statistics(frames.float(), torch.softmax(scores, 1))


def weighted_statistics(frames: Tensor, shares: Tensor) -> Tensor:
    """Give mean and deviation [B, 2 D] of [B, T, D] under weights [B, T] that sum to 1.

    Example:
        >>> frames = torch.tensor([[[0.0], [2.0]]])
        >>> found = weighted_statistics(frames, torch.tensor([[0.25, 0.75]]))
        >>> [round(value, 4) for value in found[0].tolist()]
        [1.5, 0.866]
    """
    mean = torch.einsum("btd,bt->bd", frames, shares)
    variance = torch.einsum("btd,bt->bd", (frames - mean[:, None]).square(), shares)
    return torch.cat([mean, variance.clamp(min=1e-6).sqrt()], 1)
