"""Tests and intervals that let utterances of one speaker (session, dialogue) hang together.

Counts have shape [M, S, …]: seeds, clusters, and what `emokit.evaluation.counts` sums.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from emokit.evaluation.counts import Measure
from emokit.evaluation.results import NAN, Interval, Test, undefined

EXHAUSTIVE = 16
"""Up to so many clusters all exchanges are tried."""
DRAWS, BOOTSTRAP_DRAWS = 10_000, 2_000
PERCENTILE_FROM = 40
"""Percentile intervals need so many clusters; with fewer they are far too short."""
MAY_LOSE = 0.05
"""Share of deletions or draws that may lose a class before the interval is refused."""
_CELLS = 4_000_000


@dataclasses.dataclass(frozen=True)
class SwapTest(Test):
    """A swap test; `draws` is 0 if all exchanges were tried, `able` counts clusters that differ."""

    draws: int = 0
    able: int = 0


def sign_flip(nets: np.ndarray, rng: np.random.Generator, draws: int = DRAWS) -> SwapTest:
    """Test whether the sum of clusters' nets is zero by flipping their signs.

    p = share of |Σ ± d_s| ≥ |Σ d_s|: over all 2^S signs up to 16 clusters with d_s ≠ 0, otherwise
    (1 + count) / (1 + draws).

    Args:
        nets: [S] net of each cluster, in favour of the first system.

    Example:
        >>> sign_flip(np.array([4, 3, 2, 2, 1, -1]), np.random.default_rng(0)).p
        0.09375
    """
    sizes = np.abs(np.asarray(nets, float))
    sizes = sizes[sizes > 1e-12 * max(sizes.max(initial=0.0), 1e-300)]
    if not sizes.size:
        return SwapTest("swap", 1.0, 0.0, "the systems score alike on every cluster")
    total = abs(float(np.sum(nets)))
    reach = total - 1e-10 * sizes.sum()  # sums in another order differ in the last digits
    if sizes.size <= EXHAUSTIVE:
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums + size, sums - size])
        p = float(np.mean(np.abs(sums) >= reach))
        return SwapTest("swap", p, float(np.sum(nets)), able=sizes.size)
    # equal nets are exchangeable: the number of kept signs among them is binomial
    values, times = np.unique(np.round(sizes / sizes.max(), 12), return_counts=True)
    values, count = values * sizes.max(), 0
    step = max(1, _CELLS // len(values))
    for start in range(0, draws, step):
        kept = rng.binomial(times, 0.5, size=(min(step, draws - start), len(values)))
        count += int(np.sum(np.abs((2 * kept - times) @ values) >= reach))
    return SwapTest("swap", (1 + count) / (1 + draws), float(np.sum(nets)),
                    draws=draws, able=sizes.size)


def nets_of(first: np.ndarray, second: np.ndarray, measure: Measure) -> np.ndarray:
    """Give what each cluster adds to the difference of a linear metric.

    d_s = Σ_{i∈s} (a_i − b_i) / (K N_k(i)) for UAR, / N for accuracy; Σ_s d_s is the difference.

    Args:
        first, second: [M, S, 3, K]; seeds are averaged, M may differ.

    Returns:
        [S]; NaN where a class does not occur at all.
    """
    from emokit.evaluation.counts import RIGHT

    difference = first.mean(0)[:, RIGHT] - second.mean(0)[:, RIGHT]
    return difference @ measure.weights(first.mean(0).sum(0))


def swap_test(first: np.ndarray, second: np.ndarray, measure: Measure,
              rng: np.random.Generator, draws: int = DRAWS) -> SwapTest:
    """Test two trained models by exchanging their predictions, cluster by cluster.

    For each cluster the two systems' predictions are exchanged with probability ½ and the
    difference Δ of the metric is taken again; p = share of |Δ*| ≥ |Δ|. Seeds of a system are
    averaged first, so a metric that is not linear is that of the mean counts.

    Args:
        first, second: [M, S, …] counts.

    Returns:
        p NaN with a note where the metric is undefined. The smallest p is 2^(1−S).
    """
    if not first.shape[1]:
        return SwapTest("swap", NAN, note="no utterances")
    if measure.weights is not None:
        nets = nets_of(first, second, measure)
        if np.isnan(nets).any():
            return SwapTest("swap", NAN, note="a class does not occur in truth")
        return sign_flip(nets, rng, draws)
    a, b = first.mean(0), second.mean(0)
    differs = (a != b).reshape(len(a), -1).any(1)
    rest = a[~differs].sum(0)
    a, b, able = a[differs], b[differs], int(differs.sum())
    delta = float(measure.value(rest + a.sum(0)) - measure.value(rest + b.sum(0)))
    if math.isnan(delta):
        return SwapTest("swap", NAN, note="the metric is undefined here")
    if not able:
        return SwapTest("swap", 1.0, 0.0, "the systems score alike on every cluster")

    def exceeds(kept):
        change = np.tensordot(kept.astype(float), a - b, 1)
        return np.abs(measure.value(rest + b.sum(0) + change)
                      - measure.value(rest + a.sum(0) - change)) >= abs(delta) - 1e-12

    if able <= EXHAUSTIVE:
        kept = (np.arange(2**able)[:, None] >> np.arange(able)) & 1
        return SwapTest("swap", float(np.mean(exceeds(kept))), delta, able=able)
    count, step = 0, max(1, _CELLS // able)
    for start in range(0, draws, step):
        kept = rng.integers(0, 2, size=(min(step, draws - start), able), dtype=np.int8)
        count += int(np.sum(exceeds(kept)))
    return SwapTest("swap", (1 + count) / (1 + draws), delta, draws=draws, able=able)


def obuchowski(nets: np.ndarray) -> Test:
    """Give the clustered McNemar test, (Σ d_s)² / Σ d_s² against χ² with 1 degree of freedom.

    Args:
        nets: [S] integer nets d_s = b_s − c_s of one pair of trained models.

    Returns:
        p 1 and a NaN statistic if every net is zero.

    Example:
        >>> round(obuchowski(np.array([4, 3, 2, 2, 1, -1])).p, 6)
        0.062979

    Source: Obuchowski 1998, in the modified form of Yang, Sun, Hardin 2010 (variance Σ d_s²
    under the null hypothesis); Durkalski's and Eliasziw's forms are more liberal.
    """
    nets = np.asarray(nets, float)
    below = float(nets @ nets)
    if below == 0:
        return Test("modified Obuchowski", 1.0, note="no cluster has a net")
    statistic = float(nets.sum()) ** 2 / below
    return Test("modified Obuchowski", max(math.erfc(math.sqrt(statistic / 2)), 5e-324), statistic)


def leave_one_out(counts: np.ndarray, measure: Measure) -> np.ndarray:
    """Give the metric, averaged over seeds, without each cluster in turn: [S] from [M, S, …]."""
    return measure.value(counts.sum(1, keepdims=True) - counts).mean(0)


def jackknife(estimate: float, without: np.ndarray, alpha: float = 0.05) -> Interval:
    """Give the leave-one-cluster-out interval, Δ ± t_{S−1, 1−α/2} · se.

    se² = (S − 1)/S Σ_s (θ_s − θ̄)². Deletions that lose a class are left out up to 5 %.

    Args:
        estimate: on all clusters.
        without: [S] θ_s, on all clusters but one; NaN where that is undefined.

    Returns:
        NaN limits with a note for S < 3, an undefined estimate, or more than 5 % lost deletions.
    """
    if math.isnan(estimate):
        return undefined("the estimate is undefined")
    kept = without[~np.isnan(without)]
    lost, n = len(without) - len(kept), len(kept)
    if lost > MAY_LOSE * len(without):
        return undefined(f"no interval: {lost} of {len(without)} leave-one-out sets lose a class, "
                         "or nearly all utterances")
    if n < 3:
        return undefined(f"no interval: {n} clusters, at least 3 are needed")
    error = math.sqrt((n - 1) / n * float(np.sum((kept - kept.mean()) ** 2)))
    return _around(estimate, error, n - 1, alpha)


def _around(estimate, error, degrees, alpha) -> Interval:
    from scipy.special import stdtrit

    half = float(stdtrit(degrees, 1 - alpha / 2)) * error
    return Interval(estimate - half, estimate + half, error, degrees)


def bootstrap(first: np.ndarray, second: np.ndarray | None, measure: Measure,
              rng: np.random.Generator, draws: int = BOOTSTRAP_DRAWS,
              alpha: float = 0.05) -> Interval:
    """Give the interval from drawing clusters with replacement.

    From 40 clusters the percentiles; below, Δ ± t_{S−1} · se · sqrt(S / (S − 1)), because
    percentiles of few clusters are far too short.

    Args:
        first, second: [M, S, …] counts; without `second` the interval of one system.

    Returns:
        NaN limits with a note for S < 3, an undefined metric, or more than 5 % lost draws.
    """
    def value(sums):
        return measure.value(sums).mean(0)

    n = first.shape[1]
    sides = [first] if second is None else [first, second]
    points = [value(side.sum(1)) for side in sides]
    estimate = float(points[0] - points[1] if second is not None else points[0])
    if math.isnan(estimate):
        return undefined("the estimate is undefined")
    if n < 3:
        return undefined(f"no interval: {n} clusters, at least 3 are needed")
    results, step = [], max(1, _CELLS // n)
    for start in range(0, draws, step):
        times = rng.multinomial(n, np.full(n, 1 / n), size=min(step, draws - start)).astype(float)
        drawn = [value(np.moveaxis(np.tensordot(times, side, (1, 1)), 1, 0)) for side in sides]
        results.append(drawn[0] - drawn[1] if second is not None else drawn[0])
    values = np.concatenate(results)
    kept = values[~np.isnan(values)]
    if len(values) - len(kept) > MAY_LOSE * len(values):
        return undefined(f"no interval: {len(values) - len(kept)} of {len(values)} bootstrap draws "
                         "lose a class, or nearly all utterances")
    error = float(kept.std(ddof=1))
    if n >= PERCENTILE_FROM:
        low, high = np.quantile(kept, [alpha / 2, 1 - alpha / 2])
        return Interval(float(low), float(high), error, n - 1)
    return _around(estimate, error * math.sqrt(n / (n - 1)), n - 1, alpha)


def intra_cluster_correlation(values: np.ndarray, clusters: np.ndarray) -> float:
    """Give the share of variance between clusters, by one-way analysis of variance.

    ρ = (MSB − MSW) / (MSB + (n₀ − 1) MSW), n₀ = (N − Σ n_s²/N) / (S − 1), cut to [0, 1].

    Args:
        values: [N], e.g. a_i − b_i, how the two systems differ on each utterance.
        clusters: [N] in 0 … S−1.

    Returns:
        NaN with one cluster, one utterance per cluster, or no variance at all.
    """
    sizes = np.bincount(clusters).astype(float)
    sums = np.bincount(clusters, weights=values)
    sums, sizes = sums[sizes > 0], sizes[sizes > 0]
    n, s = float(sizes.sum()), len(sizes)
    if s < 2 or n <= s:
        return NAN
    between = float(np.sum(sizes * (sums / sizes - sums.sum() / n) ** 2)) / (s - 1)
    within = (float(np.sum(np.square(values))) - float(np.sum(sums**2 / sizes))) / (n - s)
    size = (n - float(np.sum(sizes**2)) / n) / (s - 1)
    below = between + (size - 1) * within
    return float(np.clip((between - within) / below, 0, 1)) if below > 1e-15 else NAN
