"""Metrics: `f(truth, prediction, *, labels) -> float`, with the label list given, never inferred.

Undefined is NaN, never 0 and never a fallback number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emokit.core.errors import EmokitError
from emokit.evaluation import counts as _counts
from emokit.evaluation.counts import check_labels, class_counts, encode


def confusion(truth: Sequence[str], prediction: Sequence[str], *, labels: Sequence[str],
              outside: str = "error") -> np.ndarray:
    """Give the confusion matrix, truth in rows.

    Args:
        truth, prediction: [N] class names.
        labels: the corpus's ordered class list, K ≥ 2, distinct.
        outside: what a prediction outside `labels` is: `error`, or `miss`, a wrong answer that is
            no class's false positive.

    Returns:
        [K, K] int64; with `miss` [K, K + 1], the last column holding the misses.

    Raises:
        EmokitError: lengths differ, a bad label list, or a word outside it, with its row.

    Example:
        >>> confusion(["a", "b", "b"], ["a", "a", "b"], labels=("a", "b")).tolist()
        [[1, 0], [1, 1]]
    """
    labels = check_labels(labels)
    rows, columns = _encode_both(truth, prediction, labels, outside)
    k = len(labels)
    matrix = np.bincount(rows * (k + 1) + columns, minlength=k * (k + 1)).reshape(k, k + 1)
    return matrix if outside == "miss" else matrix[:, :k]


def _encode_both(truth, prediction, labels, outside):
    truth, prediction = _listed(truth), _listed(prediction)
    if len(truth) != len(prediction):
        raise EmokitError(
            f"There are {len(truth)} truths but {len(prediction)} predictions. Give one each."
        )
    return encode(truth, labels, "truth"), encode(prediction, labels, "prediction", outside)


def _listed(words) -> list:
    return words.tolist() if hasattr(words, "tolist") else list(words)


def _count(truth, prediction, labels, outside) -> np.ndarray:
    labels = check_labels(labels)
    return class_counts(*_encode_both(truth, prediction, labels, outside), len(labels))[0]


def uar(truth: Sequence[str], prediction: Sequence[str], *, labels: Sequence[str],
        outside: str = "error") -> float:
    """Give the unweighted average recall, (1/K) Σ_k TP_k / N_k (balanced accuracy).

    Args, Raises: see `confusion`.

    Returns:
        In [0, 1], chance 1/K; NaN if a class of `labels` does not occur in truth.

    Example:
        >>> uar(list("AAAABBC"), list("AAABBCC"), labels="A B C".split())
        0.75

    Source: Schuller, Steidl, Batliner 2009, The INTERSPEECH 2009 Emotion Challenge. Deviation
    from scikit-learn's `balanced_accuracy_score` and audmetric: they drop absent classes.
    """
    return float(_counts.uar(_count(truth, prediction, labels, outside)))


def uar_present(truth: Sequence[str], prediction: Sequence[str], *, labels: Sequence[str],
                outside: str = "error") -> float:
    """Give the recall averaged over the classes that occur in truth; NaN without utterances."""
    return float(_counts.uar_present(_count(truth, prediction, labels, outside)))


def wa(truth: Sequence[str], prediction: Sequence[str], *, labels: Sequence[str],
       outside: str = "error") -> float:
    """Give the accuracy ("weighted" by class size), (1/N) Σ_k TP_k; NaN without utterances."""
    return float(_counts.wa(_count(truth, prediction, labels, outside)))


def macro_f1(truth: Sequence[str], prediction: Sequence[str], *, labels: Sequence[str],
             outside: str = "error") -> float:
    """Give the mean of the classes' F1, (1/K) Σ_k 2TP_k / (2TP_k + FP_k + FN_k).

    A class never predicted has F1 0. It is not the F1 of mean precision and mean recall.

    Returns:
        In [0, 1]; NaN if a class of `labels` does not occur in truth.

    Example:
        >>> round(macro_f1(list("AAAABBC"), list("AAABBCC"), labels="A B C".split()), 6)
        0.674603
    """
    return float(_counts.macro_f1(_count(truth, prediction, labels, outside)))


def recall(truth: Sequence[str], prediction: Sequence[str], *, labels: Sequence[str],
           outside: str = "error") -> np.ndarray:
    """Give TP_k / N_k per class, [K]; NaN for a class that does not occur."""
    table = _count(truth, prediction, labels, outside)
    return _counts._divide(table[_counts.RIGHT], table[_counts.TRUE])


def precision(truth: Sequence[str], prediction: Sequence[str], *, labels: Sequence[str],
              outside: str = "error") -> np.ndarray:
    """Give TP_k / (TP_k + FP_k) per class, [K]; NaN for a class never predicted."""
    table = _count(truth, prediction, labels, outside)
    return _counts._divide(table[_counts.RIGHT], table[_counts.PREDICTED])


def ece(truth: Sequence[str], probabilities: np.ndarray, *, labels: Sequence[str],
        n_bins: int = 15) -> float:
    """Give the expected calibration error, Σ_bins (n/N) |accuracy − mean top probability|.

    Args:
        truth: [N] class names.
        probabilities: [N, K], columns in the order of `labels`.
        n_bins: equal-width bins over (0, 1], closed on the right.

    Returns:
        In [0, 1]; NaN without utterances or where a probability is missing.

    Raises:
        EmokitError: probabilities are not [N, K].

    Source: Guo, Pleiss, Sun, Weinberger 2017, On Calibration of Modern Neural Networks.
    """
    labels = check_labels(labels)
    codes = encode(_listed(truth), labels, "truth")
    probabilities = np.asarray(probabilities, float)
    if probabilities.shape != (len(codes), len(labels)):
        raise EmokitError(
            f"Probabilities have shape {probabilities.shape}; expected "
            f"({len(codes)}, {len(labels)}): a row each utterance, a column each label."
        )
    if not len(codes) or np.isnan(probabilities).any():
        return float("nan")
    top = probabilities.max(1)
    right = probabilities.argmax(1) == codes
    bins = np.clip(np.ceil(top * n_bins).astype(int) - 1, 0, n_bins - 1)
    gap = np.bincount(bins, weights=right - top, minlength=n_bins)
    return float(np.abs(gap).sum() / len(codes))


def ccc(truth: Sequence[float], prediction: Sequence[float]) -> float:
    """Give Lin's concordance correlation, 2 s_xy / (s_x² + s_y² + (x̄ − ȳ)²).

    Population moments (1/N), as Lin defines them; the sample form differs.

    Returns:
        In [−1, 1]; 0 if one side is constant; NaN if N < 2 or both are constant and equal.

    Example:
        >>> round(ccc([0, 1, 2], [0, 1, 1]), 6)
        0.666667

    Source: Lin 1989, A concordance correlation coefficient to evaluate reproducibility.
    """
    x, y = _numbers(truth, prediction)
    if len(x) < 2:
        return float("nan")
    # centred first: sums of squares of a large offset would eat the digits
    covariance = float(np.mean((x - x.mean()) * (y - y.mean())))
    total = float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    return 2 * covariance / total if total > 0 else float("nan")


def rmse(truth: Sequence[float], prediction: Sequence[float]) -> float:
    """Give the root of the mean squared error; NaN without utterances."""
    x, y = _numbers(truth, prediction)
    return float(np.sqrt(np.mean((x - y) ** 2))) if len(x) else float("nan")


def pearson(truth: Sequence[float], prediction: Sequence[float]) -> float:
    """Give Pearson's correlation; NaN if N < 2 or one side is constant."""
    x, y = _numbers(truth, prediction)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1, 1))


def _numbers(truth, prediction):
    x, y = np.asarray(truth, float), np.asarray(prediction, float)
    if x.shape != y.shape or x.ndim != 1:
        raise EmokitError(
            f"Truth has shape {x.shape}, prediction {y.shape}. Give one number per utterance each."
        )
    return x, y
