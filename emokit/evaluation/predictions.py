"""Tables of predictions: emokit's own and those that other toolkits wrote."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emokit.core.errors import EmokitError, ManifestError, culprits
from emokit.core.files import read_csv, typed_column, write_csv
from emokit.corpora.utterance import DIMENSIONS
from emokit.evaluation.counts import check_labels, encode

LEADING = ("utterance", "corpus", "speaker", "session", "fold", "partition", "truth", "prediction")
UNNAMED = "unnamed"
"""Corpus of a table that names none."""


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What one system said on one partition of one corpus, rows sorted by utterance.

    Args:
        corpus: its id.
        partition: `train`, `dev`, `test`; empty if the table does not tell.
        labels: the corpus's ordered class list; empty if there are only dimensions.
        table: pandas table with at least `utterance`, and `truth` and `prediction` or, for
            dimensions, `truth_arousal` and `arousal` (likewise valence, dominance). An utterance
            without a class has an empty truth, if it has a dimension.
        seed: of the training, if there are several.
        outside: what a prediction outside `labels` is: `error`, or `miss`, a wrong answer.

    Raises:
        ManifestError: columns missing, an utterance twice, a truth or prediction outside the
            labels, with the utterance named.
    """

    corpus: str
    partition: str
    labels: tuple[str, ...]
    table: Any
    seed: int | None = None
    outside: str = "error"

    def __post_init__(self):
        table, where = self.table, f"predictions of '{self.corpus}'"
        needed = ("utterance", "truth", "prediction") if self.labels else ("utterance",)
        missing = [name for name in needed if name not in table]
        if missing:
            raise ManifestError(f"The {where} lack column {culprits(missing)}.")
        ids = table["utterance"].to_numpy(object)
        order = np.argsort(ids.astype(str), kind="stable")
        if not np.array_equal(order, np.arange(len(ids))):
            table = table.iloc[order]
        object.__setattr__(self, "table", table.reset_index(drop=True))
        twice = self.table["utterance"][self.table["utterance"].duplicated()]
        if len(twice):
            raise ManifestError(
                f"The {where} hold {len(twice)} utterances twice: {culprits(twice)}. Give each "
                "once; a column 'seed' keeps several trainings apart."
            )
        if self.labels:
            try:
                object.__setattr__(self, "labels", check_labels(self.labels))
                classified = self.classified()
                _ = classified.truth, classified.answers
            except ManifestError:
                raise
            except EmokitError as error:
                raise ManifestError(f"In the {where}: {error}") from None

    def __len__(self) -> int:
        return len(self.table)

    def classified(self) -> Predictions:
        """Give the utterances whose class is known, all of them where there are no dimensions."""
        known = [f"truth_{name}" for name in self.dimensions]
        if not self.labels or not known:
            return self
        unknown = self.table["truth"].isna() | (self.table["truth"] == "")
        unknown &= self.table[known].notna().any(axis=1)
        return self.part(~unknown.to_numpy()) if unknown.any() else self

    def part(self, kept: np.ndarray) -> Predictions:
        """Give some of the utterances, [N] bool; what was checked is not checked again."""
        part = copy.copy(self)
        object.__setattr__(part, "table", self.table[kept].reset_index(drop=True))
        return part

    @property
    def utterances(self) -> np.ndarray:
        """Ids, [N] object."""
        return self.table["utterance"].to_numpy(object)

    @property
    def truth(self) -> np.ndarray:
        """Index of the true class, [N] int64."""
        return encode(self.table["truth"].tolist(), self.labels, "truth", names=self.utterances)

    @property
    def answers(self) -> np.ndarray:
        """Index of the predicted class, [N] int64; K is a miss."""
        return encode(self.table["prediction"].tolist(), self.labels, "prediction", self.outside,
                      self.utterances)

    @property
    def probabilities(self) -> np.ndarray | None:
        """[N, K] in the order of the labels; None unless every one is there."""
        names = [f"p_{label}" for label in self.labels]
        if not names or any(name not in self.table for name in names):
            return None
        values = self.table[names].to_numpy(float)
        return None if np.isnan(values).any() else values

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Dimensions of which truth and prediction are there."""
        return tuple(name for name in DIMENSIONS
                     if name in self.table and f"truth_{name}" in self.table)


def read(path: str | os.PathLike, labels: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
         *, corpus: str = UNNAMED, outside: str = "error") -> list[Predictions]:
    """Read a CSV of predictions.

    Needed: `utterance` (or `file`), `truth`, `prediction`; or pairs such as `truth_arousal`,
    `arousal`. Optional: `p_<class>` columns, which carry the label list and its order, `corpus`,
    `speaker`, `session`, `dialogue`, `fold`, `partition`, `seed`; any other column is kept.

    Args:
        labels: the ordered class list where the table has no `p_<class>` columns, or one by
            corpus. It is never inferred from the words in the table.
        corpus: name for a table without that column.
        outside: see `Predictions`.

    Returns:
        One entry for each corpus, partition and seed, sorted.

    Raises:
        ManifestError: no such file, columns missing, no label list, one that contradicts the
            columns, an utterance twice, a word outside the list.
    """
    path = Path(path)
    table = read_csv(path)
    given = ", ".join(map(str, table.columns)) or "none"
    if "utterance" not in table and "file" in table:
        table = table.rename(columns={"file": "utterance"})
    paired = [name for name in DIMENSIONS if name in table and f"truth_{name}" in table]
    classes = not paired or "truth" in table or "prediction" in table
    needed = ["utterance", "truth", "prediction"] if classes else ["utterance"]
    missing = [name for name in needed if name not in table]
    if missing:
        raise ManifestError(
            f"'{path}' lacks column {culprits(missing)}. Predictions need utterance (or file), "
            f"truth and prediction; the table has: {given}."
        )
    for name in table.columns:
        if name.startswith("p_") or name in paired or name.removeprefix("truth_") in paired:
            table[name] = _numbers(table[name], path)
    if "seed" in table:
        table["seed"] = typed_column(table["seed"], "int", path)
    for name, value in (("corpus", corpus), ("partition", "")):
        if name not in table:
            table[name] = value
    keys = [name for name in ("corpus", "partition", "seed") if name in table]
    found = []
    for key, part in table.groupby(keys, sort=True):
        order = _labels(part, key[0], labels, path) if classes else ()
        # columns of other corpora in the same file
        foreign = [name for name in part.columns if name.startswith("p_") and classes
                   and name.removeprefix("p_") not in order and part[name].isna().all()]
        try:
            found.append(Predictions(
                key[0], key[1], order, part.drop(columns=foreign),
                int(key[2]) if len(key) == 3 else None, outside,
            ))
        except ManifestError as error:
            raise ManifestError(f"{path}: {error}") from None
    if not found and classes and labels is not None and not isinstance(labels, Mapping):
        found = [Predictions(corpus, "", tuple(labels), table, None, outside)]
    return found


def _numbers(column, path: Path):
    try:
        # several times faster where every cell is a number, which is nearly always
        return column.to_numpy(object).astype(float)
    except ValueError:
        return typed_column(column, "float", path)


def _labels(part, corpus: str, given, path: Path) -> tuple[str, ...]:
    columns = [name for name in part.columns if name.startswith("p_")]
    filled = [name for name in columns if part[name].notna().any()] or columns
    carried = tuple(name.removeprefix("p_") for name in filled)
    wanted = given.get(corpus) if isinstance(given, Mapping) else given
    if wanted is None and not carried:
        raise ManifestError(
            f"'{path}' does not say which classes corpus '{corpus}' has, nor their order: it has "
            "no columns p_<class>. Give the label list with --labels, e.g. "
            "--labels anger,happiness,neutral,sadness; it is never inferred."
        )
    if wanted is not None and carried and tuple(wanted) != carried:
        raise ManifestError(
            f"'{path}' has the label order {', '.join(carried)} for corpus '{corpus}', but the "
            f"labels given are {', '.join(wanted)}. Leave them out, or mend the columns."
        )
    return tuple(wanted) if wanted is not None else carried


def write(path: str | os.PathLike, predictions: Predictions | Iterable[Predictions]) -> Path:
    """Write predictions as CSV; `p_<class>` columns, empty if unknown, carry the label order."""
    import pandas as pd

    several = [predictions] if isinstance(predictions, Predictions) else list(predictions)
    tables = []
    for one in several:
        table = one.table.copy()
        table["corpus"], table["partition"] = one.corpus, one.partition
        if one.seed is not None:
            table["seed"] = one.seed
        for name in ("speaker", "session", "fold"):
            if name not in table:
                table[name] = ""
        for label in one.labels:
            if f"p_{label}" not in table:
                table[f"p_{label}"] = np.nan
        probabilities = [f"p_{label}" for label in one.labels]
        leading = [name for name in LEADING if name in table] + probabilities
        tables.append(table[leading + [name for name in table if name not in leading]])
    return write_csv(path, pd.concat(tables) if tables else pd.DataFrame(columns=list(LEADING)))


def concatenate(parts: Iterable[Predictions]) -> Predictions:
    """Join the test folds of one corpus, so that every utterance is predicted once.

    Raises:
        ManifestError: folds of different corpora, partitions, seeds or label lists, none at all,
            or an utterance in two of them.
    """
    import pandas as pd

    parts = list(parts)
    if not parts:
        raise ManifestError("There are no folds to join.")
    first = parts[0]
    for part in parts[1:]:
        for what in ("corpus", "partition", "seed", "labels"):
            if getattr(part, what) != getattr(first, what):
                raise ManifestError(
                    f"Folds of '{first.corpus}' differ in {what}: {getattr(first, what)!r} and "
                    f"{getattr(part, what)!r}. Join only folds of one corpus and one system."
                )
    return dataclasses.replace(first, table=pd.concat([part.table for part in parts]))
