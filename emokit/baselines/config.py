"""Settings of the baselines; importing them needs neither torch nor scikit-learn."""

from __future__ import annotations

import dataclasses

from emokit.baselines import BASELINES
from emokit.core.config import knob
from emokit.training.config import TARGETS

CLASSIFIERS = ("svm", "logistic")


@dataclasses.dataclass(frozen=True)
class BaselineConfig:
    """Settings of a group of baselines."""

    name: str = knob("logmel", "Feature set.", choices=lambda: BASELINES)
    classifier: str = knob("svm", "Linear classifier; its C is chosen on dev.",
                           choices=CLASSIFIERS)
    refit_on: str = knob("train", "What the chosen model is fitted on.",
                         choices=("train", "train+dev"))
    target: str = knob("emotion", "Label view: the corpus's own classes, or a canonical one.",
                       choices=TARGETS)
    corpora: list[str] = knob([], "Built corpora to use; default all.", cosmetic=True)
    folds: str = knob("none", "none: the default partitions; all; J: one fold; auto: folds only "
                      "where few speakers make one split too small.", cosmetic=True)
