"""Figures that tell learning from collapse, and when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from emokit.pretraining.local_attributes.config import LocalAttributesConfig

RANK_FRAMES = 5_000
"""Frames that the effective rank is taken from."""


def perplexity(shares: np.ndarray) -> float:
    """Give exp H of shares that sum to 1: K if uniform, 1 if one has all.

    Example:
        >>> round(perplexity(np.array([0.5, 0.25, 0.25])), 4)
        2.8284
    """
    some = np.asarray(shares, float)
    some = some[some > 0]
    return float(np.exp(-(some * np.log(some)).sum()))


def spread(frames: Tensor) -> float:
    """Give the mean over dimensions of the deviation of z / |z|, times sqrt(d).

    About 1 where frames [N, d] point into all directions alike, 0 where they are constant.
    """
    unit = functional.normalize(frames.float(), dim=1)
    return float(unit.std(0, correction=0).mean() * frames.shape[1] ** 0.5)


def effective_rank(frames: Tensor) -> float:
    """Give exp H of the eigenvalue shares of the covariance of frames [N, d], 1 to d.

    NaN of frames that are all equal.
    """
    values = torch.linalg.eigvalsh(torch.cov(frames.double().T, correction=0)).clamp(min=0)
    if float(values.sum()) <= 1e-12:
        return float("nan")
    return perplexity((values / values.sum()).numpy())


def collapsed(history: Sequence[dict[str, Any]], config: LocalAttributesConfig) -> str | None:
    """Say in words that the last epochs are those of a collapse, or None.

    Args:
        history: records of all epochs, with `usage` {number of attributes: perplexity} and
            `spread`.
    """
    last = history[-config.stop_epochs:]
    if len(last) < config.stop_epochs:
        return None
    epochs = f"for {len(last)} epoch{'s' if len(last) > 1 else ''}"
    table = "\n".join(
        f"  epoch {record['epoch']}: perplexity " + ", ".join(
            f"{value:.1f} of {n}" for n, value in record["usage"].items())
        + f"; spread {record['spread']:.3f}" for record in last)
    for n in config.attributes:
        limit = config.stop_perplexity * n
        if all(record["usage"][str(n)] < limit for record in last):
            return (f"the perplexity of the use of {n} attributes is "
                    f"{last[-1]['usage'][str(n)]:.1f}, below {limit:.1f} {epochs}. Try "
                    f"clustering=online with target=balanced, fewer attributes, or a lower "
                    f"learning_rate.\n{table}")
    if all(record["spread"] < config.stop_spread for record in last):
        return (f"the spread of the teacher's frames is {last[-1]['spread']:.3f}, below "
                f"{config.stop_spread:g} {epochs}: they are nearly all the same. Try a lower "
                f"learning_rate, a higher teacher_decay, or distillation=none.\n{table}")
    return None


def in_words(record: dict[str, Any], config: LocalAttributesConfig) -> str:
    """Give an epoch in one line."""
    parts = [f"{name.removeprefix('loss_')} {record[name]:.3f}"
             for name in record if name.startswith("loss_")]
    for n in map(str, config.attributes):
        parts.append(f"{n} attributes: used {record['usage'][n]:.0f}, dev masked accuracy "
                     f"{record['dev_accuracy'][n]:.3f} (commonest {record['dev_majority'][n]:.3f}, "
                     f"by place {record['dev_place'][n]:.3f})")
    return ", ".join([*parts, f"spread {record['spread']:.2f}", f"rank {record['rank']:.0f}"])


class EpochFigures:
    """Sums over one epoch of training.

    Args:
        config: of the pre-training.
        n_batches: of the epoch.
        longest: frames of the longest crop.

    Attributes:
        by_place: for each clustering, how often each attribute was that of a frame at each place
            in its utterance, [longest, K].
    """

    def __init__(self, config: LocalAttributesConfig, n_batches: int, longest: int):
        self.config = config
        self.by_place = [np.zeros((longest, n), np.int64) for n in config.attributes]
        self.per_batch = max(1, RANK_FRAMES // max(1, n_batches))
        self.usage = [np.zeros(n) for n in config.attributes]
        self.parts: dict[str, list[float]] = {}
        self.frames: list[Tensor] = []
        self.reseeded, self.n_masked, self.n_frames, self.n_seconds = 0, 0, 0, 0.0

    def add(self, found: dict[str, Tensor], frames: Tensor, targets: Sequence[Tensor],
            places: Tensor, n_masked: int, seconds: float) -> None:
        """Add a batch: parts of its loss, the teacher's real frames [n, d], their targets, and
        which frame [n] of its utterance each is."""
        for counts, target in zip(self.by_place, targets):
            nearest = target if target.dim() == 1 else target.argmax(1)
            np.add.at(counts, (places.cpu().numpy(), nearest.cpu().numpy()), 1)
        for name, value in found.items():
            self.parts.setdefault(name, []).append(float(value.detach()))
        for sums, target in zip(self.usage, targets):
            counts = torch.bincount(target, minlength=len(sums)) if target.dim() == 1 \
                else target.sum(0)
            sums += counts.cpu().numpy()
        step = max(1, len(frames) // self.per_batch)
        self.frames.append(frames[::step][:self.per_batch].float().cpu())
        self.n_masked += n_masked
        self.n_frames += len(frames)
        self.n_seconds += seconds

    def commonest(self) -> list[np.ndarray]:
        """Give for each clustering the commonest attribute of each place, [longest]."""
        return [np.where(counts.any(1), counts.argmax(1), counts.sum(0).argmax())
                for counts in self.by_place]

    def record(self) -> dict[str, Any]:
        """Give the figures of the epoch."""
        frames = torch.cat(self.frames)
        return {
            **{f"loss_{name}": float(np.mean(values)) for name, values in self.parts.items()},
            "usage": {str(len(sums)): perplexity(sums / sums.sum()) for sums in self.usage},
            "reseeded": self.reseeded, "spread": spread(frames), "rank": effective_rank(frames),
            "masked_share": self.n_masked / self.n_frames}
