"""Several corpora at once: correction over them, and tests with corpora as units."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from emokit.core.errors import EmokitError, choices
from emokit.evaluation.results import NAN, Interval, Test, undefined

CORRECTIONS = ("holm", "none")
BOOTSTRAP_FROM = 20
"""Corpora needed before a bootstrap over them says anything."""


def adjust(p_values: Sequence[float], correction: str = "holm") -> np.ndarray:
    """Adjust p-values for the number of planned tests.

    Holm: sorted p₍₁₎ ≤ …, adjusted p₍ᵢ₎ = max_{j≤i} min(1, (m − j + 1) p₍ⱼ₎). An undefined p was
    planned too: it counts in m and stays NaN.

    Example:
        >>> adjust([.01, .04, .03, .005]).round(3).tolist()
        [0.03, 0.06, 0.06, 0.02]

    Source: Holm 1979, by statsmodels.
    """
    p = np.asarray(p_values, float)
    if correction not in CORRECTIONS:
        raise EmokitError(f"Unknown correction '{correction}'. {choices(correction, CORRECTIONS)}")
    if correction == "none" or not p.size:
        return p.copy()
    from statsmodels.stats.multitest import multipletests

    adjusted = multipletests(np.where(np.isnan(p), 1.0, p), method="holm")[1]
    return np.where(np.isnan(p), NAN, adjusted)


@dataclasses.dataclass(frozen=True)
class Signs(Test):
    """The sign test, with its counts."""

    better: int = 0
    worse: int = 0
    ties: int = 0


def sign_test(differences: Sequence[float]) -> Signs:
    """Test whether better and worse corpora are equally many; ties and NaN are dropped, counted.

    Returns:
        Exact binomial p; NaN with a note if no corpus differs.

    Example:
        >>> round(sign_test([1] * 21 + [-1] * 5).p, 7)
        0.0024939
    """
    d = _defined(differences)
    better, worse = int(np.sum(d > 1e-12)), int(np.sum(d < -1e-12))
    n, ties = better + worse, len(d) - better - worse
    if not n:
        return Signs("sign test", NAN, note="no corpus differs", ties=ties)
    tail = sum(math.comb(n, i) for i in range(min(better, worse) + 1))
    return Signs("sign test", min(1.0, 2 * tail / 2**n), better, "", better, worse, ties)


def wilcoxon(differences: Sequence[float]) -> Test:
    """Give Wilcoxon's signed rank test on differences of corpora, exact up to 25.

    Zeros are dropped, ties get mean ranks, also in the exact distribution. W is the smaller sum.

    Returns:
        NaN with a note for no corpus that differs.

    Example:
        >>> test = wilcoxon([3, 2, 2, 1.5, 1, -.5, 4, .2])
        >>> test.statistic, round(test.p, 4)
        (2.0, 0.0234)
    """
    from scipy.stats import rankdata

    d = _defined(differences)
    # rounded, so that differences equal but for their last digits tie
    d = np.round(d[np.abs(d) > 1e-12], 12)
    if not len(d):
        return Test("Wilcoxon signed rank", NAN, note="no corpus differs")
    ranks = rankdata(np.abs(d))
    w = float(min(ranks[d > 0].sum(), ranks[d < 0].sum()))
    if len(d) <= 25:
        # mean ranks are halves: count twice the rank sums of all sign patterns
        doubled = np.round(2 * ranks).astype(int)
        ways = np.zeros(doubled.sum() + 1)
        ways[0] = 1
        for rank in doubled:
            shifted = np.zeros_like(ways)
            shifted[rank:] = ways[: len(ways) - rank]
            ways += shifted
        p = min(1.0, 2 * float(ways[: round(2 * w) + 1].sum()) / 2.0 ** len(d))
        return Test("Wilcoxon signed rank", p, w)
    mean = ranks.sum() / 2
    z = (abs(w - mean) - 0.5) / math.sqrt(float(np.sum(ranks**2)) / 4)
    return Test("Wilcoxon signed rank", min(1.0, math.erfc(max(z, 0.0) / math.sqrt(2))), w,
                "normal approximation")


def mean_interval(differences: Sequence[float], rng: np.random.Generator, draws: int = 10_000,
                  alpha: float = 0.05) -> Interval:
    """Give the percentile interval of the mean difference over corpora, drawn with replacement.

    Returns:
        NaN limits with a note below 20 corpora.
    """
    d = _defined(differences)
    if len(d) < BOOTSTRAP_FROM:
        return undefined(f"no bootstrap over {len(d)} corpora, {BOOTSTRAP_FROM} are needed")
    means = d[rng.integers(0, len(d), (draws, len(d)))].mean(1)
    low, high = np.quantile(means, [alpha / 2, 1 - alpha / 2])
    return Interval(float(low), float(high), float(means.std(ddof=1)))


@dataclasses.dataclass(frozen=True)
class Ranks:
    """Average ranks of systems over corpora; a description, no decision."""

    mean_ranks: tuple[float, ...]
    friedman: float
    critical_difference: float
    note: str = ""


def average_ranks(scores: np.ndarray, alpha: float = 0.05) -> Ranks:
    """Rank systems on every corpus, 1 for the best, and average.

    Args:
        scores: [systems, corpora]; corpora with a NaN are left out.

    Returns:
        With Friedman's p and Nemenyi's critical difference q_α sqrt(m (m + 1) / (6 n)); NaN for
        fewer than three systems or two corpora.

    Source: Demšar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    scores = np.asarray(scores, float)
    scores = scores[:, ~np.isnan(scores).any(0)]
    m, n = scores.shape
    if not n:
        return Ranks((NAN,) * m, NAN, NAN, "no corpus on which every system is defined")
    ranks = rankdata(-np.round(scores, 12), axis=0).mean(1)
    if m < 3 or n < 2:
        return Ranks(tuple(map(float, ranks)), NAN, NAN, "needs three systems and two corpora")
    flat = bool((np.ptp(np.round(scores, 12), axis=0) == 0).all())
    friedman = 1.0 if flat else float(friedmanchisquare(*np.round(scores, 12)).pvalue)
    q = float(studentized_range.ppf(1 - alpha, m, math.inf)) / math.sqrt(2)
    return Ranks(tuple(map(float, ranks)), friedman, q * math.sqrt(m * (m + 1) / (6 * n)))


def _defined(differences) -> np.ndarray:
    d = np.asarray(differences, float)
    return d[~np.isnan(d)]
