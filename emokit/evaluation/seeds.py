"""Comparing methods rather than checkpoints: several trainings of each."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from emokit.core.errors import EmokitError
from emokit.evaluation.results import NAN, Test

FEWEST = 3
"""Seeds that each system needs for the combined test."""
_ALL_UP_TO = 200_000


@dataclasses.dataclass(frozen=True)
class Combined(Test):
    """The combined test, with its interval."""

    low: float = NAN
    high: float = NAN
    standard_error: float = NAN
    degrees_of_freedom: float = NAN


def combined(delta: float, cluster_error: float, n_clusters: int, first: Sequence[float],
             second: Sequence[float], *, paired: bool = False, alpha: float = 0.05) -> Combined:
    """Test whether method A beats B on new speakers and in new trainings.

    t = Δ / sqrt(se₁² + se₂²), se₁ the cluster jackknife of Δ, se₂² = var(A)/M_A + var(B)/M_B
    (paired: var of the differences / M), with
    (se₁² + se₂²)² / (se₁⁴/(S − 1) + se₂⁴/(M_A + M_B − 2)) degrees of freedom (paired: M − 1 in the
    last term). Conservative when neither effect exists.

    Args:
        delta: difference of the seeds' mean scores.
        cluster_error: se₁; NaN if undefined.
        n_clusters: S.
        first, second: [M_A], [M_B] score of each seed.
        paired: seed i of A and seed i of B share what the seed decides.

    Returns:
        NaN with a note for fewer than 3 seeds a side, an undefined score or se₁.

    Raises:
        EmokitError: paired, with differing numbers of seeds.
    """
    from scipy.special import stdtr, stdtrit

    a, b = np.asarray(first, float), np.asarray(second, float)
    if paired and len(a) != len(b):
        raise EmokitError(
            f"Paired seeds need equal numbers, there are {len(a)} and {len(b)}. "
            "Leave pairing out, or train the missing seeds."
        )

    def nothing(note):
        return Combined("combined", NAN, note=note)

    if min(len(a), len(b)) < FEWEST:
        return nothing(f"the combined test needs {FEWEST} seeds each, there are {len(a)} and "
                       f"{len(b)}")
    if not math.isfinite(delta):
        return nothing("the score is undefined")
    if not math.isfinite(cluster_error):
        return nothing("the cluster jackknife is undefined")
    if paired:
        seed_variance, seed_degrees = float((a - b).var(ddof=1)) / len(a), len(a) - 1
    else:
        seed_variance = float(a.var(ddof=1)) / len(a) + float(b.var(ddof=1)) / len(b)
        seed_degrees = len(a) + len(b) - 2
    variance = cluster_error**2 + seed_variance
    if variance <= 1e-24:
        if abs(delta) <= 1e-12:
            return Combined("combined", 1.0, 0.0, "the systems score alike", 0.0, 0.0, 0.0)
        return nothing("speakers and seeds show no variance at all")
    degrees = variance**2 / (
        cluster_error**4 / (n_clusters - 1) + seed_variance**2 / seed_degrees
    )
    error = math.sqrt(variance)
    t = delta / error
    half = float(stdtrit(degrees, 1 - alpha / 2)) * error
    p = float(np.clip(2 * stdtr(degrees, -abs(t)), 5e-324, 1.0))
    return Combined("combined", p, t, "", delta - half, delta + half, error, degrees)


def permutation(first: Sequence[float], second: Sequence[float], *, paired: bool = False,
                rng: np.random.Generator | None = None, draws: int = 10_000) -> Test:
    """Test the difference of mean scores with seeds as units, on one fixed test partition.

    All divisions (paired: all sign flips) while there are at most 200 000, otherwise draws with
    (1 + count) / (1 + draws). The smallest p with M against M seeds is 2 / C(2M, M).

    Returns:
        NaN with a note if a side has no seed or an undefined score.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    name = "permutation over seeds"
    if not len(a) or not len(b) or np.isnan(a).any() or np.isnan(b).any():
        return Test(name, NAN, note="a score is undefined")
    if paired:
        if len(a) != len(b):
            raise EmokitError(f"Paired seeds need equal numbers, there are {len(a)} and {len(b)}.")
        from emokit.evaluation.clusters import sign_flip

        flip = sign_flip(a - b, rng or np.random.default_rng(0), draws)
        return Test(name, flip.p, float(a.mean() - b.mean()), flip.note)
    pooled, size = np.concatenate([a, b]), len(a)
    delta = float(a.mean() - b.mean())
    if math.comb(len(pooled), size) <= _ALL_UP_TO:
        groups = np.array(list(itertools.combinations(range(len(pooled)), size)))
        sums, extra = pooled[groups].sum(1), 0
    else:
        rng = rng or np.random.default_rng(0)
        order = rng.permuted(np.tile(np.arange(len(pooled)), (draws, 1)), axis=1)
        sums, extra = pooled[order[:, :size]].sum(1), 1
    others = (pooled.sum() - sums) / len(b)
    hits = int(np.sum(np.abs(sums / size - others) >= abs(delta) - 1e-12))
    return Test(name, (hits + extra) / (len(sums) + extra), delta)


@dataclasses.dataclass(frozen=True)
class ASO:
    """Almost stochastic order: ε and ε_min of A over B, and of B over A; no p-values."""

    epsilon: float
    epsilon_min: float
    reverse: float
    reverse_min: float
    note: str = ""


def violation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Give ε, how far A is from stochastically dominating B, exact for step functions.

    ε = ∫_{F⁻¹<G⁻¹} (F⁻¹ − G⁻¹)² / ∫ (F⁻¹ − G⁻¹)² with F⁻¹, G⁻¹ the quantile functions of A's and
    B's scores: 0 if A dominates, 1 if B does, ½ if all are equal.

    Args:
        first, second: [..., M_A], [..., M_B] scores.

    Example:
        >>> round(float(violation(np.array([.6, .7, .8]), np.array([.5, .6, .9]))), 6)
        0.333333
    """
    a, b = np.sort(first, -1), np.sort(second, -1)
    m, n = a.shape[-1], b.shape[-1]
    # the steps of both functions, counted in parts of 1/(mn) so that equal ones coincide
    edges = np.union1d(np.arange(m + 1) * n, np.arange(n + 1) * m)
    gap = a[..., edges[:-1] // n] - b[..., edges[:-1] // m]
    squares = np.diff(edges) / (m * n) * gap**2
    whole = squares.sum(-1)
    against = np.where(gap < 0, squares, 0).sum(-1)
    return np.divide(against, whole, out=np.full(np.shape(whole), 0.5), where=whole > 1e-20)


def aso(first: Sequence[float], second: Sequence[float], rng: np.random.Generator, *,
        alpha: float = 0.05, draws: int = 1_000) -> ASO:
    """Give ε_min of A over B and of B over A, for comparison with the literature.

    ε_min = ε + sqrt((M_A + M_B)/(M_A M_B)) · σ̂ · z_{1−α}, σ̂ by bootstrap draws scaled by
    sqrt(M_A M_B/(M_A + M_B)), cut to [0, 1]. Marked below .2; .5 is only "leaning". It knows
    nothing of speakers.

    Returns:
        NaN with a note for fewer than 3 seeds a side or an undefined score.

    Source: del Barrio, Cuesta-Albertos, Matrán 2018; Dror, Shlomov, Reichart 2019; Ulmer,
    Hardmeier, Frellsen 2022. Deviation: exact integral instead of a Riemann sum.
    """
    from scipy.special import ndtri

    a, b = np.asarray(first, float), np.asarray(second, float)
    if min(len(a), len(b)) < FEWEST:
        return ASO(NAN, NAN, NAN, NAN, f"ASO needs {FEWEST} seeds each")
    if np.isnan(a).any() or np.isnan(b).any():
        return ASO(NAN, NAN, NAN, NAN, "a score is undefined")
    # drawn in an order that does not know which system comes first, so that the test mirrors
    pair = sorted([np.sort(a), np.sort(b)], key=lambda scores: (len(scores), *scores))
    drawn = [scores[rng.integers(0, len(scores), (draws, len(scores)))] for scores in pair]
    forward = np.array_equal(pair[0], np.sort(a))
    one, two = drawn if forward else drawn[::-1]
    reach = float(ndtri(1 - alpha))

    def minimum(epsilon, values):
        # the scaling by the numbers of seeds cancels
        return float(np.clip(epsilon + values.std(ddof=1) * reach, 0, 1))

    ab, ba = float(violation(a, b)), float(violation(b, a))
    return ASO(ab, minimum(ab, violation(one, two)), ba, minimum(ba, violation(two, one)))
