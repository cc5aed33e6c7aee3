"""Frozen states as items, batches counted in seconds, and the masks of each epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from emokit.core.errors import ConfigError
from emokit.core.seeding import generator, torch_generator
from emokit.corpora.store import RATE
from emokit.loading.source import Source
from emokit.pretraining.masking import draw_mask
from emokit.training.frozen import States

BUCKET = 8
"""Batches that are made together from crops sorted by length."""


@dataclasses.dataclass(frozen=True)
class Frames:
    """One batch of frozen states.

    Args:
        values: [B, T, N D], zero past `lengths`; the states of a frame in a row.
        lengths: [B].
        items: [B] index of each crop among all.
        at: [n] positions of the B crops' real frames in the corpora's states, all in a row.
    """

    values: Tensor
    lengths: Tensor
    items: np.ndarray
    at: np.ndarray


class FrameSet:
    """Crops of one partition of several corpora, as one list.

    Args:
        sources: the corpora.
        states: of one partition of each, in the same order.
    """

    def __init__(self, sources: Sequence[Source], states: Sequence[States]):
        self.states = list(states)
        self.corpus = np.concatenate([np.full(len(one.crops), index)
                                      for index, one in enumerate(states)])
        self.crop = np.concatenate([np.arange(len(one.crops)) for one in states])
        self.seconds = np.concatenate([(one.crops[:, 2] - one.crops[:, 1]) / RATE
                                       for one in states])
        self.lengths = np.concatenate([one.lengths for one in states])
        self.first = np.concatenate([[0], np.cumsum(self.lengths)])
        names = [source.corpus.manifest["utterance"].to_numpy(dtype=object)[one.rows]
                 for source, one in zip(sources, states)]
        self.utterances = np.concatenate([found[one.crops[:, 0]]
                                          for found, one in zip(names, states)])

    def __len__(self) -> int:
        return len(self.crop)

    @property
    def n_frames(self) -> int:
        """All frames together."""
        return int(self.first[-1])

    def batch(self, items: np.ndarray) -> Frames:
        """Give the states of crops, of whatever corpora."""
        lengths = self.lengths[items]
        width = self.states[0].values.shape[1]
        values = torch.zeros(len(items), int(lengths.max()), width)
        for row, item, length in zip(values, items, lengths):
            one = self.states[self.corpus[item]]
            first = one.offsets[self.crop[item]]
            row[:length] = torch.tensor(np.asarray(one.values[first:first + length]))
        at = np.concatenate([np.arange(self.first[item], self.first[item + 1]) for item in items])
        return Frames(values, torch.from_numpy(lengths), items, at)

    def epoch(self, seconds: float, seed: int, epoch: int) -> list[np.ndarray]:
        """Give the batches of an epoch, each crop once, by at most so many seconds with padding."""
        rng = generator(seed, "order", epoch)
        order = rng.permutation(len(self))
        batches: list[np.ndarray] = []
        size = max(1, int(BUCKET * seconds / self.seconds.mean()))
        for start in range(0, len(order), size):
            some = order[start:start + size]
            batches += pack(some[np.argsort(-self.seconds[some], kind="stable")], self.seconds,
                            seconds)
        return [batches[index] for index in rng.permutation(len(batches))]

    def in_order(self, seconds: float, items: np.ndarray | None = None) -> Iterator[Frames]:
        """Give crops, all if none are named, longest first."""
        items = np.arange(len(self)) if items is None else items
        order = items[np.argsort(-self.seconds[items], kind="stable")]
        for some in pack(order, self.seconds, seconds):
            yield self.batch(some)

    def some(self, seconds: float, seed: int, purpose: str) -> np.ndarray:
        """Draw crops of so many seconds together, one at least."""
        order = generator(seed, purpose).permutation(len(self))
        return order[:max(1, int(np.searchsorted(self.seconds[order].cumsum(), seconds)))]

    def sample(self, n: int, seed: int, purpose: str) -> np.ndarray:
        """Draw up to n frames over all crops, sorted, as positions like `Frames.at`."""
        n = min(n, self.n_frames)
        return np.sort(generator(seed, purpose).choice(self.n_frames, n, replace=False))

    def masks(self, batch: Frames, share: float, span: int, seed: int, epoch: int | str) -> Tensor:
        """Draw what is masked of a batch, [B, T] bool, each crop from a generator of its own.

        At least one span, never all of a crop; a crop of one frame has none.
        """
        masks = torch.zeros(batch.values.shape[:2], dtype=torch.bool)
        for row, item, length in zip(masks, batch.items, batch.lengths):
            n = int(length)
            draws = torch_generator(seed, "mask", epoch, self.utterances[item], self.crop[item])
            row[:n] = draw_mask(length[None], n, share, span, 1, draws)[0]
            if row[:n].all():
                row[int(torch.randint(n, (), generator=draws))] = False
        return masks


def pack(order: np.ndarray, seconds: np.ndarray, limit: float) -> list[np.ndarray]:
    """Cut crops, the longest first, into batches of at most so many seconds with padding.

    Example:
        >>> [batch.tolist() for batch in pack(np.array([1, 0, 2]), np.array([2.0, 3.0, 1.0]), 6)]
        [[1, 0], [2]]
    """
    batches, start = [], 0
    while start < len(order):
        n = max(1, int(limit / max(seconds[order[start]], 1e-9)))
        batches.append(order[start:start + n])
        start += n
    return batches


def refuse_short(train: FrameSet, attributes: Sequence[int], span: int) -> None:
    """Hold settings to what there is.

    Raises:
        ConfigError: a mask longer than every crop, or fewer frames than clusters.
    """
    if span >= train.lengths.max():
        raise ConfigError(
            f"mask_span is {span} frames, but the longest utterance has {train.lengths.max()}, so "
            f"that nothing would be seen. Set mask_span below {train.lengths.max()}.")
    if max(attributes) > train.n_frames:
        raise ConfigError(
            f"'attributes' is {max(attributes)}, but all utterances together have "
            f"{train.n_frames} frames. Set attributes lower, or learn from more speech.")
