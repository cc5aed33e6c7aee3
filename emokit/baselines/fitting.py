"""Linear models of one corpus: of its classes, of its dimensions, or of both."""

from __future__ import annotations

import dataclasses

import numpy as np

from emokit.baselines import linear, ridge
from emokit.baselines.config import BaselineConfig
from emokit.core.errors import CorpusError
from emokit.loading.source import Source


@dataclasses.dataclass(frozen=True)
class Models:
    """What is fitted to one corpus.

    Args:
        classes: None if the target is dimensions alone.
        dimensions: None without dimensions.
    """

    classes: linear.LinearModel | None
    dimensions: ridge.RidgeModel | None

    def answers(self, features: np.ndarray) -> np.ndarray:
        """Give probabilities and values, [N, K + R]."""
        parts = [] if self.classes is None else [self.classes.probabilities(features)]
        parts += [] if self.dimensions is None else [self.dimensions.values(features)]
        return np.concatenate(parts, axis=1)

    def tensors(self) -> dict[str, np.ndarray]:
        """Give all numbers by name."""
        named = {}
        for prefix, model in (("", self.classes), ("dimensions.", self.dimensions)):
            if model is not None:
                named |= {prefix + field.name: np.ascontiguousarray(getattr(model, field.name))
                          for field in dataclasses.fields(model)
                          if isinstance(getattr(model, field.name), np.ndarray)}
        return named


def from_tensors(tensors: dict[str, np.ndarray], penalty: float | None) -> Models:
    """Give what `Models.tensors` gave back; `penalty` is the C of the classes."""
    theirs = {name.removeprefix("dimensions."): value for name, value in tensors.items()
              if name.startswith("dimensions.")}
    own = {name: value for name, value in tensors.items() if not name.startswith("dimensions.")}
    return Models(linear.LinearModel(**own, penalty=penalty) if own else None,
                  ridge.RidgeModel(**theirs) if theirs else None)


def fit(source: Source, parts: dict[str, np.ndarray], config: BaselineConfig
        ) -> tuple[Models, Models]:
    """Fit to train, choosing on dev.

    Args:
        parts: features of `train` and `dev` at least.

    Returns:
        (models as they were chosen on dev, models that answer for other audio).

    Raises:
        CorpusError: train or dev knows too little to fit or choose.
    """
    chosen: list = [None, None]
    fitted: list = [None, None]
    both = np.concatenate([parts["train"], parts["dev"]])
    classes = {name: source.classes[source.rows[name]] for name in ("train", "dev")}
    values = {name: source.own_values(source.rows[name]) for name in ("train", "dev")}
    if source.labels:
        known = {name: classes[name] >= 0 for name in classes}
        if not known["dev"].any():
            raise CorpusError(
                f"Dev of '{source.name}' knows no class, so no penalty can be chosen there. Change "
                "its partitions in corpora.yaml and build it again, or learn --target dimensions."
            )
        given = [array for name in ("train", "dev")
                 for array in (parts[name][known[name]], classes[name][known[name]])]
        chosen[0] = fitted[0] = linear.fit(*given, len(source.labels), config.classifier)
        if config.refit_on == "train+dev":
            fitted[0] = linear.refit(chosen[0], np.concatenate(given[::2]),
                                     np.concatenate(given[1::2]), len(source.labels),
                                     config.classifier)
    if source.dimensions:
        chosen[1] = fitted[1] = ridge.fit(parts["train"], values["train"], parts["dev"],
                                          values["dev"], source.dimensions)
        if config.refit_on == "train+dev":
            fitted[1] = ridge.refit(chosen[1], both, np.concatenate([*values.values()]))
    return Models(*chosen), Models(*fitted)
