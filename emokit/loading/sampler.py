"""Which corpus gives the next batch, and which utterances are in it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from emokit.core.seeding import generator


@dataclasses.dataclass(frozen=True)
class Plan:
    """One batch before it is loaded: rows of one source, or of several.

    Args:
        source: index of the source in the run's list; of several that of the first row.
        rows: [B] manifest rows.
        epoch: for the random streams of crops and augmentation.
        mixed: [B] index of the source of each row, where there are several.
    """

    source: int
    rows: np.ndarray
    epoch: int
    mixed: np.ndarray | None = None

    @property
    def sources(self) -> np.ndarray:
        """Index of the source of each row, [B]."""
        return np.full(len(self.rows), self.source) if self.mixed is None else self.mixed


def n_batches(sizes: Sequence[int], batch_size: int) -> int:
    """Count the batches of an epoch: ceil(all utterances / batch size)."""
    return max(1, math.ceil(sum(sizes) / batch_size))


def corpus_order(sizes: Sequence[int], n: int, sampler: str, temperature: float,
                 rng: np.random.Generator) -> np.ndarray:
    """Draw which corpus gives each of the n batches of an epoch.

    `round_robin`: every corpus in turn, the order shuffled each round. `proportional`:
    P(c) = N_c / sum N. `temperature`: P(c) = N_c^tau / sum N_j^tau. The latter two draw by
    systematic sampling: each corpus gets its expected number of batches, rounded up or down, in
    random order, which has less variance than independent draws and the same expectation.

    Args:
        sizes: train utterances of each corpus, all > 0.

    Returns:
        [n] indices of corpora.
    """
    sizes = np.asarray(sizes, dtype=float)
    if sampler == "round_robin":
        rounds = [rng.permutation(len(sizes)) for _ in range(-(-n // len(sizes)))]
        return np.concatenate(rounds)[:n]
    exponent = 1.0 if sampler == "proportional" else temperature
    weight = np.power(sizes / sizes.max(), exponent)
    edges = np.cumsum(weight) / weight.sum() * n
    ticks = np.arange(n) + rng.random()
    drawn = np.searchsorted(edges, ticks, side="right").clip(max=len(sizes) - 1)
    return rng.permutation(drawn)


def by_length(order: np.ndarray, lengths: np.ndarray, batch_size: int, bucket: int,
              rng: np.random.Generator) -> np.ndarray:
    """Reorder a shuffled pass so that utterances of like length share batches.

    Each bucket of `bucket` batches is sorted by length and cut into batches, and the batches of
    the whole pass are shuffled; a smaller one stays last.

    Args:
        order: [n] rows, shuffled.
        lengths: [n] of these rows, in any unit.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> by_length(np.arange(4), np.array([9, 1, 8, 2]), 2, 2, rng).tolist()
        [1, 3, 2, 0]
    """
    size = bucket * batch_size
    batches = []
    for start in range(0, len(order), size):
        some = order[start:start + size]
        some = some[np.argsort(lengths[start:start + size], kind="stable")]
        batches += [some[first:first + batch_size] for first in range(0, len(some), batch_size)]
    whole = [batch for batch in batches if len(batch) == batch_size]
    rest = [batch for batch in batches if len(batch) < batch_size]
    return np.concatenate([*(whole[index] for index in rng.permutation(len(whole))), *rest])


@dataclasses.dataclass(frozen=True)
class Buckets:
    """How a corpus's passes are put into batches of like length.

    Args:
        lengths: [N] by manifest row, in any unit.
        batch_size: of its batches.
        n_batches: that are made together.
        anew: whether batches begin anew with each pass, instead of running over its end.
    """

    lengths: np.ndarray
    batch_size: int
    n_batches: int
    anew: bool

    def order(self, order: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
        """Reorder pass `number`, from where its own batches begin."""
        begun = 0 if self.anew else -number * len(order) % self.batch_size
        head, rest = order[:begun], order[begun:]
        if not len(rest):
            return order
        return np.concatenate([head, by_length(
            rest, self.lengths[rest], self.batch_size, self.n_batches, rng)])


class _Passes:
    """Endless passes over one corpus, each a fresh shuffle; state is a seed and a counter."""

    def __init__(self, classes: np.ndarray, rows: np.ndarray, balanced: bool, seed: int, name: str,
                 buckets: Buckets | None = None):
        self.classes, self.rows, self.balanced = classes, rows, balanced
        self.seed, self.name, self.buckets = seed, name, buckets
        self._cached: tuple[int, np.ndarray] | None = None

    def _pass(self, number: int) -> np.ndarray:
        if self._cached is None or self._cached[0] != number:
            rng = generator(self.seed, "shuffle", self.name, number)
            if not self.balanced:
                order = rng.permutation(self.rows)
            else:
                order = self._balanced(rng)
            if self.buckets is not None:
                order = self.buckets.order(order, number, rng)
            self._cached = (number, order)
        return self._cached[1]

    def _balanced(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a class, then one of its rows with replacement, as often as classes are known.

        Rows without a class, there for their dimensions, come once each.
        """
        known = self.classes[self.rows] >= 0
        rows, labels = self.rows[known], self.classes[self.rows][known]
        present = np.unique(labels)
        order = np.empty_like(rows)
        if len(rows):
            picks = rng.permutation(np.arange(len(rows)) % len(present))
            for index, label in enumerate(present):
                there = picks == index
                order[there] = rng.choice(rows[labels == label], there.sum())
        return order if known.all() else rng.permutation(
            np.concatenate([order, self.rows[~known]]))

    def take(self, position: int, n: int) -> np.ndarray:
        """Give n rows from a position in the endless sequence of passes."""
        parts, size = [], len(self.rows)
        while n > 0:
            number, offset = divmod(position, size)
            part = self._pass(number)[offset:offset + n]
            parts.append(part)
            position, n = position + len(part), n - len(part)
        return np.concatenate(parts)


def mix(plans: Sequence[Plan], rng: np.random.Generator) -> list[Plan]:
    """Deal the utterances of an epoch anew over as many batches, whatever their source.

    Each utterance is there as often as before, so a sampler's shares hold; sizes differ by one at
    most.
    """
    rows = np.concatenate([plan.rows for plan in plans])
    sources = np.concatenate([plan.sources for plan in plans])
    return [Plan(int(sources[some[0]]), rows[some], plans[0].epoch, sources[some])
            for some in np.array_split(rng.permutation(len(rows)), len(plans))]


class EpochSampler:
    """Plans the batches of any epoch from the seed alone, so a resumed run needs no state of it.

    A corpus goes on where its last epoch stopped: with unequal sizes an epoch is not a pass over
    every corpus, but passes are complete before one begins again.

    Args:
        sources: list of (name, classes [N], train rows [n]).
        batch_size: utterances per batch; a corpus smaller than that gives all it has.
        sampler, temperature: see `corpus_order`.
        balanced: draw classes uniformly.
        seed: of the run.
        bucket: batches that are made together from utterances sorted by length, see `by_length`;
            1 makes each at random.
        lengths: [N] of each source, by manifest row; needed if `bucket` is more than 1.
        mixed: batches draw from all sources, see `mix`; for a `bucket` of 1.
    """

    def __init__(self, sources: Sequence[tuple[str, np.ndarray, np.ndarray]], batch_size: int,
                 sampler: str = "temperature", temperature: float = 0.5, balanced: bool = False,
                 seed: int = 0, bucket: int = 1, lengths: Sequence[np.ndarray] = (),
                 mixed: bool = False):
        self.passes = []
        for index, (name, classes, rows) in enumerate(sources):
            buckets = None if bucket == 1 else Buckets(
                lengths[index], min(batch_size, len(rows)), bucket, len(sources) == 1)
            self.passes.append(_Passes(classes, rows, balanced, seed, name, buckets))
        self.sizes = [len(rows) for _, _, rows in sources]
        self.batch_size, self.sampler = batch_size, sampler
        self.temperature, self.seed, self.mixed = temperature, seed, mixed
        self._taken: list[list[int]] = [[0] * len(sources)]

    def __len__(self) -> int:
        return n_batches(self.sizes, self.batch_size)

    def _order(self, epoch: int) -> np.ndarray:
        rng = generator(self.seed, "corpus", epoch)
        return corpus_order(self.sizes, len(self), self.sampler, self.temperature, rng)

    def _batches(self, epoch: int) -> list[tuple[int, int]]:
        """Give (source, batch size) of each batch of an epoch."""
        if len(self.sizes) > 1:
            return [(int(source), min(self.batch_size, self.sizes[source]))
                    for source in self._order(epoch)]
        # one corpus: an epoch is exactly one pass, the last batch smaller
        size = self.sizes[0]
        full = [(0, self.batch_size)] * (size // self.batch_size)
        return full + ([(0, size % self.batch_size)] if size % self.batch_size else [])

    def plans(self, epoch: int) -> list[Plan]:
        """Plan the batches of an epoch, counted from 0."""
        while len(self._taken) <= epoch:
            taken = list(self._taken[-1])
            for source, n in self._batches(len(self._taken) - 1):
                taken[source] += n
            self._taken.append(taken)
        position = list(self._taken[epoch])
        plans = []
        for source, n in self._batches(epoch):
            plans.append(Plan(source, self.passes[source].take(position[source], n), epoch))
            position[source] += n
        return mix(plans, generator(self.seed, "mix", epoch)) if self.mixed else plans
