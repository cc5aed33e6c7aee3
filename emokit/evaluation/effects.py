"""Effect sizes of discordant pairs, and the smallest gap a test partition resolves."""

from __future__ import annotations

import dataclasses
import math

from emokit.evaluation.results import NAN


@dataclasses.dataclass(frozen=True)
class Discordance:
    """How large a difference in correctness is, beside whether it is there.

    Args:
        share: n/N, utterances on which exactly one system is right.
        right: b/n, with its Clopper–Pearson limits.
        odds: b/c, with the limits that follow.
        cohens_g: b/n − ½.
        difference: (b − c)/N with its unclustered limits, for reference only.
    """

    share: float
    right: float
    right_low: float
    right_high: float
    odds: float
    odds_low: float
    odds_high: float
    cohens_g: float
    difference: float
    difference_low: float
    difference_high: float


def discordance(b: int, c: int, n_utterances: int, alpha: float = 0.05) -> Discordance:
    """Give the effect sizes of b and c; undefined ones (no discordant pair) are NaN.

    The unclustered interval is (b − c)/N ± z sqrt(b + c − (b − c)²/N)/N.

    Example:
        >>> effect = discordance(10, 2, 100)
        >>> round(effect.right_low, 5), round(effect.right_high, 5), round(effect.odds_high, 1)
        (0.51586, 0.97914, 46.9)
    """
    from scipy.special import ndtri
    from scipy.stats import beta

    n = b + c
    if not n_utterances:
        return Discordance(*[NAN] * 11)
    centre = (b - c) / n_utterances
    spread = max(n - (b - c) ** 2 / n_utterances, 0.0)
    half = float(ndtri(1 - alpha / 2)) * math.sqrt(spread) / n_utterances
    ends = (centre, centre - half, centre + half)
    if not n:
        return Discordance(0.0, *[NAN] * 7, *ends)
    low = float(beta.ppf(alpha / 2, b, c + 1)) if b else 0.0
    high = float(beta.ppf(1 - alpha / 2, b + 1, c)) if c else 1.0

    def odds(share):
        return share / (1 - share) if share < 1 else math.inf

    return Discordance(n / n_utterances, b / n, low, high, b / c if c else math.inf, odds(low),
                       odds(high), b / n - 0.5, *ends)


def resolvable_gap(share: float, n_utterances: int, cluster_size: float = 1.0,
                   correlation: float = 0.0) -> float:
    """Give the smallest accuracy gap seen with 80 % power at .05, some 2.8 sqrt(δ/N).

    Times sqrt(1 + (n̄ − 1) ρ) for utterances that hang together.

    Args:
        share: δ, discordant utterances over all.
        cluster_size: n̄, mean number of utterances per speaker.
        correlation: ρ of a_i − b_i within speakers; NaN counts as 0.

    Returns:
        In accuracy, 0 to 1; NaN without utterances.

    Example:
        >>> round(100 * resolvable_gap(.4, 1000), 1)
        5.6
    """
    if not n_utterances or math.isnan(share):
        return NAN
    rho = 0.0 if math.isnan(correlation) else correlation
    return 2.8 * math.sqrt(share / n_utterances * (1 + (max(cluster_size, 1.0) - 1) * rho))
