"""Additive counts per cluster, and metrics as functions of their sums.

Every metric here depends on the data only through sums over utterances. Summing once per cluster
makes leaving a cluster out, drawing clusters anew or exchanging two systems on a cluster a matter
of adding small arrays, whatever the number of utterances.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from emokit.core.errors import EmokitError, choices

TRUE, RIGHT, PREDICTED = 0, 1, 2
"""Rows of class counts: utterances of the class, those recognised, those predicted as it."""


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Give the label list as a tuple.

    Raises:
        EmokitError: fewer than two labels, or one of them twice.
    """
    if isinstance(labels, str):
        raise EmokitError(f"labels is the text '{labels}'; give a list of class names.")
    labels = tuple(labels)
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise EmokitError(
            f"labels are {list(labels)}; give at least two different class names, in the order "
            "of the corpus."
        )
    return labels


def encode(words: Sequence[str], labels: Sequence[str], what: str, outside: str = "error",
           names: Sequence[str] | None = None) -> np.ndarray:
    """Give the index of each word in the label list.

    Args:
        words: [N] class names.
        what: `truth` or `prediction`, for messages.
        outside: `error`, or `miss`: an unknown word gets the index K, which is no class.
        names: [N] names of the rows for messages; their positions from 0 otherwise.

    Returns:
        [N] int64.

    Raises:
        EmokitError: an unknown word under `error`, with the row named.
    """
    if outside not in ("error", "miss"):
        raise EmokitError(f"outside is '{outside}'. {choices(outside, ('error', 'miss'))}")
    table = {label: index for index, label in enumerate(labels)}
    codes = np.fromiter((table.get(word, -1) for word in words), np.int64, len(words))
    unknown = np.flatnonzero(codes < 0)
    if unknown.size and outside == "error":
        first = int(unknown[0])
        row = f"row {first}" if names is None else f"'{names[first]}'"
        hint = "" if what == "truth" else " Or count such answers as wrong: outside='miss'."
        raise EmokitError(
            f"The {what} of {row} is '{words[first]}', which is not in the label list "
            f"({unknown.size} of {len(codes)} rows). {choices(words[first], labels)}{hint}"
        )
    codes[codes < 0] = len(labels)
    return codes


def class_counts(truth: np.ndarray, prediction: np.ndarray, n_classes: int,
                 clusters: np.ndarray | None = None, n_clusters: int = 1) -> np.ndarray:
    """Count, per cluster and class, utterances of it, those recognised, those predicted as it.

    Args:
        truth: [N] in 0 … K−1.
        prediction: [N] in 0 … K; K is a miss and counts for no class.
        clusters: [N] in 0 … S−1; one cluster if None.

    Returns:
        [S, 3, K] float64.
    """
    first = np.zeros(len(truth), np.int64) if clusters is None else clusters
    width = n_classes + 1

    def tally(codes, kept=None):
        cells = first * width + codes
        cells = cells if kept is None else cells[kept]
        counted = np.bincount(cells, minlength=n_clusters * width)
        return counted.reshape(n_clusters, width)[:, :n_classes]

    return np.stack(
        [tally(truth), tally(truth, truth == prediction), tally(prediction)], axis=1
    ).astype(float)


def moments(truth: np.ndarray, prediction: np.ndarray, clusters: np.ndarray | None = None,
            n_clusters: int = 1) -> np.ndarray:
    """Sum, per cluster, 1, x, y, x², y² and xy: all that CCC needs; [S, 6]."""
    truth, prediction = np.asarray(truth, float), np.asarray(prediction, float)
    first = np.zeros(len(truth), np.int64) if clusters is None else clusters
    columns = (np.ones_like(truth), truth, prediction, truth**2, prediction**2, truth * prediction)
    return np.stack(
        [np.bincount(first, weights=column, minlength=n_clusters) for column in columns], axis=1
    )


def _divide(numerator, denominator):
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan),
                     where=np.asarray(denominator) > 0.5e-9)


def uar(counts: np.ndarray) -> np.ndarray:
    """UAR of class counts [..., 3, K]; NaN where a class does not occur."""
    return _divide(counts[..., RIGHT, :], counts[..., TRUE, :]).mean(-1)


def uar_present(counts: np.ndarray) -> np.ndarray:
    """Mean recall over the classes that occur; NaN without utterances."""
    recalls = _divide(counts[..., RIGHT, :], counts[..., TRUE, :])
    occurs = ~np.isnan(recalls)
    return _divide(np.where(occurs, recalls, 0).sum(-1), occurs.sum(-1).astype(float))


def wa(counts: np.ndarray) -> np.ndarray:
    """Plain accuracy of class counts [..., 3, K]; NaN without utterances."""
    return _divide(counts[..., RIGHT, :].sum(-1), counts[..., TRUE, :].sum(-1))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 of class counts [..., 3, K]; NaN where a class does not occur."""
    # 2TP + FP + FN = (TP + FP) + (TP + FN)
    both = counts[..., TRUE, :] + counts[..., PREDICTED, :]
    scores = _divide(2 * counts[..., RIGHT, :], both)
    return np.where((counts[..., TRUE, :] > 0).all(-1), scores.mean(-1), np.nan)


def ccc(sums: np.ndarray) -> np.ndarray:
    """CCC of moments [..., 6]; see `emokit.evaluation.metrics.ccc`."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    n = np.where(n >= 2, n, np.nan)
    mean_x, mean_y = x / n, y / n
    variance = np.maximum(xx / n - mean_x**2, 0) + np.maximum(yy / n - mean_y**2, 0)
    return _divide(2 * (xy / n - mean_x * mean_y), variance + (mean_x - mean_y) ** 2)


@dataclasses.dataclass(frozen=True)
class Measure:
    """A metric on summed counts.

    Args:
        value: `[..., F] -> [...]` on counts of a whole partition.
        weights: if the metric is linear in the number of right answers: `[3, K] -> [K]`, what
            one right answer of each class is worth. Then exchanging systems is a sign flip.
    """

    name: str
    value: Callable[[np.ndarray], np.ndarray]
    weights: Callable[[np.ndarray], np.ndarray] | None = None


MEASURES = {
    "uar": Measure("uar", uar, lambda total: _divide(1.0, total[TRUE]) / total.shape[-1]),
    "wa": Measure("wa", wa, lambda total: _divide(np.ones(total.shape[-1]), total[TRUE].sum())),
    "macro_f1": Measure("macro_f1", macro_f1),
    "ccc": Measure("ccc", ccc),
}
