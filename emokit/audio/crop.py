"""Windows of a waveform: one random crop to train on, evenly spaced ones to score with."""

from __future__ import annotations

import numpy as np

from emokit.core.errors import ConfigError, choices

SCORING_RULES = ("multi", "whole", "center", "emonet")
"""Ways to cut an utterance for scoring; `scoring_crops` says what each does."""


def random_crop(n_samples: int, window: int | None, rng: np.random.Generator) -> tuple[int, int]:
    """Draw one uniformly random window; an utterance not longer than it is taken whole.

    Draws exactly one number from `rng` in any case, so lengths do not move later draws.

    Args:
        n_samples: length of the utterance, at least 1.
        window: samples, or None for the whole utterance.
        rng: where the start comes from.

    Returns:
        (start, stop) in samples.
    """
    place = rng.random()
    if window is None or n_samples <= window:
        return 0, n_samples
    # random() < 1, so every start 0 … n_samples - window is equally likely
    start = int(place * (n_samples - window + 1))
    return start, start + window


def scoring_crops(
    n_samples: int, window: int | None, rule: str = "multi"
) -> list[tuple[int, int]]:
    """Give the windows over which an utterance's probabilities are averaged.

    With S samples and a window of W < S (otherwise one crop, the whole utterance):

    - `multi`: n = 1 + ceil((S - W) / (W / 2)) crops at start_i = round(i (S - W) / (n - 1)).
      Every sample is covered, the last crop ends at S, neighbours overlap by half or more.
    - `whole`: the whole utterance in one pass.
    - `center`: one crop in the middle.
    - `emonet`: one crop from the start, or from the middle onward if S > 2 W.

    Args:
        n_samples: S, at least 1.
        window: W in samples, at least 1, or None for whole utterances.
        rule: one of `SCORING_RULES`.

    Returns:
        (start, stop) pairs in samples, sorted, at least one.

    Raises:
        ConfigError: an unknown rule.

    Example:
        >>> scoring_crops(10, 4)
        [(0, 4), (2, 6), (4, 8), (6, 10)]

    Source: `emonet` is what the code of Gerczuk et al. (2021) does; the rest is emokit's own.
        round() is to the nearest, halves up, so it does not depend on the parity of a start.
    """
    if rule not in SCORING_RULES:
        raise ConfigError(f"Unknown scoring rule '{rule}'. {choices(rule, SCORING_RULES)}")
    if window is None or rule == "whole" or n_samples <= window:
        return [(0, n_samples)]
    if rule == "center":
        start = (n_samples - window) // 2
        return [(start, start + window)]
    if rule == "emonet":
        start = n_samples // 2 if n_samples > 2 * window else 0
        return [(start, start + window)]
    rest = n_samples - window
    n_crops = 1 - (-2 * rest // window)
    starts = ((2 * index * rest + n_crops - 1) // (2 * (n_crops - 1)) for index in range(n_crops))
    return [(start, start + window) for start in starts]
