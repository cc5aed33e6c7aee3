"""Linear classifiers, chosen on dev; their weights are kept and scored like any model's."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from emokit.core.errors import CorpusError
from emokit.training.selection import class_figures

PENALTIES = tuple(10.0**power for power in range(-5, 2))
"""Values of C that are tried, in rising order: ties go to the simpler model."""


@dataclasses.dataclass(frozen=True)
class LinearModel:
    """Standardisation and linear scores in one.

    z = W ((x - mean) / scale) + b; probabilities are softmax(z). For an SVM these are no
    calibrated probabilities, only its scores made comparable.

    Args:
        mean, scale: [D].
        weight: [K, D].
        bias: [K]; -inf for a class that train lacks.
        penalty: the chosen C.
        median: [D] of train, what stands for NaN and infinities; none if None.
    """

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    penalty: float
    median: np.ndarray | None = None

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Give [N, K] for features [N, D]."""
        if self.median is not None:
            features = filled(features, self.median)
        scores = (features - self.mean) / self.scale @ self.weight.T + self.bias
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)


def fit(features: np.ndarray, classes: np.ndarray, dev_features: np.ndarray,
        dev_classes: np.ndarray, n_classes: int, classifier: str = "svm") -> LinearModel:
    """Fit for each C on train, keep the one with the best dev UAR, ties to the smaller C.

    SVM: linear, squared hinge, one against the rest, balanced class weights. Logistic: the
    multinomial one, balanced likewise. Features are standardised by train.

    Args:
        features: [N, D]; NaN and infinities become the train median of their column, here and
            in whatever the model scores.
        classes: [N] in 0 … n_classes-1.

    Raises:
        CorpusError: train has a single class.
    """
    if len(np.unique(classes)) < 2:
        raise CorpusError("A linear baseline needs two classes in train; there is one.")
    median = medians(features)
    features, dev_features = filled(features, median), filled(dev_features, median)
    best, best_uar = None, -np.inf
    for penalty in PENALTIES:
        model = _fit_one(features, classes, n_classes, classifier, penalty)
        uar, _ = class_figures(model.probabilities(dev_features), dev_classes)
        if uar > best_uar:
            best, best_uar = model, uar
    return dataclasses.replace(best, median=median)


def refit(chosen: LinearModel, features: np.ndarray, classes: np.ndarray, n_classes: int,
          classifier: str = "svm") -> LinearModel:
    """Fit once more, with the C and the medians of a chosen model, on train and dev together.

    What such a model says of dev is no selection figure: it has seen the answers.
    """
    model = _fit_one(filled(features, chosen.median), classes, n_classes, classifier,
                     chosen.penalty)
    return dataclasses.replace(model, median=chosen.median)


def medians(features: np.ndarray) -> np.ndarray:
    """Give the median of each column, 0 where nothing is defined."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN slice")
        return np.nan_to_num(np.nanmedian(
            np.where(np.isfinite(features), features, np.nan), axis=0))


def filled(features: np.ndarray, median: np.ndarray) -> np.ndarray:
    """Put the median of its column in the place of what is undefined."""
    return np.where(np.isfinite(features), features, median)


def _fit_one(features, classes, n_classes, classifier, penalty) -> LinearModel:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    if classifier == "svm":
        model = LinearSVC(C=penalty, loss="squared_hinge", class_weight="balanced", dual=True,
                          random_state=0, max_iter=2000)
    else:
        model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000)
    with warnings.catch_warnings():
        # large C on separable data never converges; such a model must win on dev to be kept
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((features - mean) / scale, classes)
    weight, bias = _all_classes(model.coef_, model.intercept_, model.classes_, n_classes,
                                0.5 if classifier == "logistic" else 1.0)
    return LinearModel(mean, scale, weight, bias, penalty)


def _all_classes(coefficients, intercepts, present: Sequence[int], n_classes: int,
                 two: float = 1.0):
    """Give weight and bias of every class; of two classes one row z becomes -two z and two z.

    With two = 1/2 the softmax is the sigmoid of z, which a logistic regression has fitted.
    """
    if len(present) == 2 and len(coefficients) == 1:
        coefficients = two * np.concatenate([-coefficients, coefficients])
        intercepts = two * np.concatenate([-intercepts, intercepts])
    weight = np.zeros((n_classes, coefficients.shape[1]))
    bias = np.full(n_classes, -np.inf)
    weight[present], bias[present] = coefficients, intercepts
    return weight, bias
