"""Clusters of the teacher's frames: the local attributes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.errors import ConfigError
from emokit.core.seeding import generator

START_FRAMES = 50_000
"""Frames that clusters start from."""

FIT_FRAMES = 200_000
"""Frames that k-means is fitted on at most."""

BATCH_FRAMES = 4096
"""Of mini-batch k-means."""

OFFSET_DECAY = 0.9
"""Of the moving mean of frames: it has to keep up with them."""


class Prototypes(nn.Module):
    """K cluster centres, compared by cosine after an offset is taken off.

    Online they follow n_k <- g n_k + (1 - g) sum_t q_tk, m_k <- g m_k + (1 - g) sum_t q_tk z_t,
    c_k = m_k / n_k.

    Args:
        n: K.
        width: d.
        centred: whether an offset is taken off; encoders whose frames share a large common part
            are clustered into one without.

    Attributes:
        centres: c [K, d].
        counts, sums: n [K] and m [K, d].
        offset, origin: [d], means of frames of late and of the clusters, 0 if not centred. Two,
            because frames drift as one while clusters lag behind: with one for both the lag
            decides, and all frames come to the cluster that began anew last.
        middle: [K], moving mean of the teacher's cosines, for the distillation over clusters.
    """

    def __init__(self, n: int, width: int, centred: bool = True):
        super().__init__()
        self.centred = centred
        self.register_buffer("centres", torch.zeros(n, width))
        self.register_buffer("counts", torch.zeros(n))
        self.register_buffer("sums", torch.zeros(n, width))
        self.register_buffer("offset", torch.zeros(width))
        self.register_buffer("origin", torch.zeros(width))
        self.register_buffer("middle", torch.zeros(n))

    def __len__(self) -> int:
        return len(self.centres)

    def cosines(self, frames: Tensor) -> Tensor:
        """Give the cosines [N, K] of frames [N, d] with the centres."""
        return functional.normalize(frames.float() - self.offset, dim=-1) @ functional.normalize(
            self.centres - self.origin, dim=-1).T

    @torch.no_grad()
    def start(self, frames: Tensor, batch_frames: float, seed: int) -> None:
        """Begin at frames chosen by k-means++, and one step of k-means.

        Args:
            frames: [N, d], at least K.
            batch_frames: expected frames of a batch, which the counts are scaled to.
        """
        if self.centred:
            self.offset.copy_(frames.mean(0))
            self.origin.copy_(self.offset)
        unit = functional.normalize(frames.float() - self.offset, dim=-1)
        self.centres.copy_(frames[plus_plus(unit, len(self), seed)])
        nearest = self.cosines(frames).argmax(1)
        share = batch_frames / len(frames)
        counts = torch.bincount(nearest, minlength=len(self)).float()
        sums = torch.zeros_like(self.sums).index_add_(0, nearest, frames.float())
        empty = counts == 0
        counts[empty], sums[empty] = 1.0, self.centres[empty]
        self.counts.copy_(counts * share)
        self.sums.copy_(sums * share)
        self.centres.copy_(self.sums / self.counts[:, None])

    @torch.no_grad()
    def fit(self, frames: np.ndarray, seed: int) -> None:
        """Become the centres of k-means over frames [N, d] of unit length, mean taken off.

        Raises:
            ConfigError: fewer frames than clusters.
        """
        from sklearn.cluster import MiniBatchKMeans

        if len(frames) < len(self):
            raise ConfigError(f"'attributes' is {len(self)}, but there are {len(frames)} frames. "
                              "Set attributes lower.")
        frames = torch.from_numpy(np.asarray(frames, np.float32))
        if self.centred:
            self.offset.copy_(frames.mean(0))
            self.origin.copy_(self.offset)
        unit = functional.normalize(frames - self.offset, dim=-1).numpy()
        found = MiniBatchKMeans(len(self), batch_size=BATCH_FRAMES, n_init=3, max_iter=20,
                                random_state=seed % 2**32).fit(unit)
        self.centres.copy_(self.offset + torch.from_numpy(
            found.cluster_centers_.astype(np.float32)))

    @torch.no_grad()
    def update(self, frames: Tensor, shares: Tensor, decay: float, reseed_share: float,
               draws: torch.Generator) -> int:
        """Follow the frames of a batch; give how many clusters begin anew.

        Args:
            frames: [N, d] of the teacher.
            shares: q [N, K], or [N] long where each frame belongs to one.
            reseed_share: see the settings.
        """
        frames = frames.float()
        if self.centred:
            self.offset.lerp_(frames.mean(0), 1 - OFFSET_DECAY)
        if shares.dim() == 1:
            counts = torch.bincount(shares, minlength=len(self)).float()
            sums = torch.zeros_like(self.sums).index_add_(0, shares, frames)
        else:
            counts, sums = shares.sum(0), shares.T @ frames
        self.counts.mul_(decay).add_(counts, alpha=1 - decay)
        self.sums.mul_(decay).add_(sums, alpha=1 - decay)
        mean = self.counts.mean()
        weak = (self.counts < reseed_share * mean).nonzero()[:, 0]
        if len(weak):
            drawn = torch.randint(len(frames), (len(weak),), generator=draws)
            self.counts[weak] = mean
            self.sums[weak] = mean * frames[drawn.to(frames.device)]
        self.centres.copy_(self.sums / self.counts.clamp(min=1e-12)[:, None])
        if self.centred:
            self.origin.copy_(self.sums.sum(0) / self.counts.sum())
        return len(weak)


def plus_plus(frames: Tensor, n: int, seed: int) -> Tensor:
    """Choose n of the frames [N, d], each by its squared distance to those chosen before, [n].

    Source:
        Arthur and Vassilvitskii 2007 (k-means++); one candidate each, because several, as
        scikit-learn tries, take half a minute here and the clusters move on anyway.
    """
    draws = generator(seed, "k-means++")
    chosen = [int(draws.integers(len(frames)))]
    nearest = torch.full((len(frames),), torch.inf)
    for _ in range(1, n):
        nearest = torch.minimum(nearest, (frames - frames[chosen[-1]]).square().sum(1))
        ends = nearest.double().cumsum(0)
        drawn = draws.random() * float(ends[-1])
        chosen.append(min(int(torch.searchsorted(ends, drawn, right=True)), len(frames) - 1))
    return torch.tensor(chosen)


def sinkhorn(scores: Tensor, rounds: int) -> Tensor:
    """Balance positive scores [N, K]: columns to N / K, then rows to 1, so many times.

    Source:
        Cuturi 2013; over a batch as Caron et al. 2020 (SwAV).
    """
    n, k = scores.shape
    for _ in range(rounds):
        scores = scores * (n / k / scores.sum(0, keepdim=True))
        scores = scores / scores.sum(1, keepdim=True)
    return scores
