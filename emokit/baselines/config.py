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
    path: str | None = knob(None, "File or folder of weights, for embedding and states.",
                            cosmetic=True)
    classifier: str | None = knob(None, "Linear classifier; its C is chosen on dev. Default: "
                                  "logistic for embedding and states, otherwise svm.",
                                  choices=CLASSIFIERS)
    refit_on: str = knob("train", "What the chosen model is fitted on.",
                         choices=("train", "train+dev"))
    target: str = knob("emotion", "What is learnt, as for emokit train; dimensions by ridge "
                       "regression.", choices=TARGETS)
    corpora: list[str] = knob([], "Built corpora to use; default all.", cosmetic=True)
    folds: str = knob("none", "none: the default partitions; all; J: one fold; auto: folds only "
                      "where few speakers make one split too small.", cosmetic=True)
    jobs: int | None = knob(None, "Processes that compute slow features; default: one per "
                            "processor.", minimum=1, cosmetic=True)
