"""Linear regression of dimensions, its penalty chosen on dev."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from emokit.baselines.linear import filled, medians
from emokit.core.errors import CorpusError
from emokit.evaluation.metrics import ccc

PENALTIES = tuple(10.0**power for power in range(5, -3, -1))
"""Ridge penalties that are tried, the strongest first: ties go to the simpler model."""


@dataclasses.dataclass(frozen=True)
class RidgeModel:
    """Standardisation and linear values in one: y = W ((x - mean) / scale) + b.

    Args:
        mean, scale: [D].
        weight: [R, D].
        bias: [R].
        penalty: [R], chosen for each dimension by itself.
        median: [D] of train, what stands for NaN and infinities.
    """

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    penalty: np.ndarray
    median: np.ndarray

    def values(self, features: np.ndarray) -> np.ndarray:
        """Give [N, R] for features [N, D]."""
        features = filled(features, self.median)
        return (features - self.mean) / self.scale @ self.weight.T + self.bias


def fit(features: np.ndarray, values: np.ndarray, dev_features: np.ndarray,
        dev_values: np.ndarray, names: tuple[str, ...]) -> RidgeModel:
    """Fit for each penalty on train, keep the one with the best dev CCC, by dimension.

    Args:
        features: [N, D]; NaN and infinities become the train median of their column.
        values: [N, R], NaN where unknown; such rows are left out for that dimension.
        names: of the dimensions, for messages.

    Raises:
        CorpusError: a dimension that fewer than two utterances of train or of dev have.
    """
    median = medians(features)
    features, dev_features = filled(features, median), filled(dev_features, median)
    mean, scale = _standard(features)
    x, dev = (features - mean) / scale, (dev_features - mean) / scale
    chosen = []
    for index, name in enumerate(names):
        known, there = np.isfinite(values[:, index]), np.isfinite(dev_values[:, index])
        for partition, n in (("train", int(known.sum())), ("dev", int(there.sum()))):
            if n < 2:
                raise CorpusError(f"A linear baseline needs {name} of two utterances in "
                                  f"{partition}; there is {n}. Change the partitions in "
                                  "corpora.yaml and build again, or choose another --target.")
        tried = []
        for penalty in PENALTIES:
            weight, bias = _solve(x[known], values[known, index], penalty)
            score = ccc(dev_values[there, index], dev[there] @ weight + bias)
            tried.append((-1.0 if math.isnan(score) else score, penalty, weight, bias))
        chosen.append(max(tried, key=lambda one: one[0]))
    return RidgeModel(mean, scale, np.stack([one[2] for one in chosen]),
                      np.array([one[3] for one in chosen]), np.array([one[1] for one in chosen]),
                      median)


def refit(chosen: RidgeModel, features: np.ndarray, values: np.ndarray) -> RidgeModel:
    """Fit once more, with the penalties and medians of a chosen model."""
    features = filled(features, chosen.median)
    mean, scale = _standard(features)
    x = (features - mean) / scale
    solved = []
    for index, penalty in enumerate(chosen.penalty):
        known = np.isfinite(values[:, index])
        solved.append(_solve(x[known], values[known, index], float(penalty)))
    return dataclasses.replace(chosen, mean=mean, scale=scale,
                               weight=np.stack([weight for weight, _ in solved]),
                               bias=np.array([bias for _, bias in solved]))


def _standard(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = features.std(axis=0)
    return features.mean(axis=0), np.where(scale > 0, scale, 1.0)


def _solve(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=penalty).fit(x, y)
    return model.coef_, float(model.intercept_)
