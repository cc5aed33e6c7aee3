"""What one corpus gives to one run: its targets under a view, and rows by partition."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from emokit.core.errors import ConfigError, CorpusError, choices, culprits
from emokit.corpora.store import RATE, BuiltCorpus
from emokit.corpora.utterance import DIMENSIONS
from emokit.corpora.views import split_target

POOLED = "pooled"
"""The one corpus id of a model in which nothing is private."""

FEW_TEST_SPEAKERS = 12
"""Below this many test speakers a test on one split can prove little, so `folds: auto` folds."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One corpus within one run.

    Args:
        corpus: the built corpus.
        head: id of the model's head that its batches use: its own name, or `pooled`.
        labels: its classes under the target view, in the order of the view; none if the target
            is dimensions alone.
        head_labels: classes of that head; equal to `labels` unless pooled.
        classes: [N] int64, index into `head_labels` per manifest row; -1 where the view has no
            place for the row's class.
        rows: partition -> [n] int64 manifest rows with a class or a dimension, ascending.
        fold: the test fold, or None for the default partitions.
        dropped: class -> number of rows without a place in the view.
        dimensions: those that it has, where the target asks for them.
        head_dimensions: those of the head; equal to `dimensions` unless pooled.
        values: [N, len(head_dimensions)] float32 by manifest row, on [0, 1], NaN where unknown;
            None without dimensions.
    """

    corpus: BuiltCorpus
    head: str
    labels: tuple[str, ...]
    head_labels: tuple[str, ...]
    classes: np.ndarray
    rows: dict[str, np.ndarray]
    fold: int | None = None
    dropped: dict[str, int] = dataclasses.field(default_factory=dict)
    dimensions: tuple[str, ...] = ()
    head_dimensions: tuple[str, ...] = ()
    values: np.ndarray | None = None

    @property
    def name(self) -> str:
        """Id of the corpus."""
        return self.corpus.name

    def class_counts(self, partition: str = "train") -> np.ndarray:
        """Count rows per class of the head, [K]."""
        classes = self.classes[self.rows[partition]]
        return np.bincount(classes[classes >= 0], minlength=len(self.head_labels))

    def samples(self, window: float | None) -> np.ndarray:
        """Give how many samples of each row a crop of `window` seconds has, [N]."""
        lengths = self.corpus.audio.lengths
        return lengths if window is None else np.minimum(lengths, round(window * RATE))

    def own_values(self, rows: np.ndarray) -> np.ndarray:
        """Give the values of the corpus's own dimensions, [n, len(dimensions)]."""
        if self.values is None:
            return np.empty((len(rows), 0), np.float32)
        columns = [self.head_dimensions.index(name) for name in self.dimensions]
        return self.values[np.ix_(rows, columns)]


def make_source(corpus: BuiltCorpus, target: str = "emotion", fold: int | None = None,
                pooled: bool = False) -> Source:
    """Apply a target and a choice of partitions to a built corpus.

    Args:
        target: `emotion` or the name of a view in `emokit.corpora.views`, `dimensions`, or both
            joined by `+`; then a corpus may lack the dimensions.
        fold: test fold; the next one is dev, the others train. None: the default partitions.
            A corpus with official partitions has no folds and keeps those.
        pooled: its batches use the shared head of a pooled run, with all classes of the view.

    Raises:
        CorpusError: fewer than two classes are left, there is no dimension, or train or dev is
            empty.
        ConfigError: a fold the corpus does not have.
    """
    view, regress = split_target(target)
    found: dict = {"labels": (), "head_labels": (), "dropped": {},
                   "classes": np.full(len(corpus.manifest), -1, dtype=np.int64)}
    if view:
        found = _classes(corpus, view, pooled)
    if regress:
        found |= _dimensions(corpus, bool(view), pooled)
    useful = found["classes"] >= 0
    if found.get("values") is not None:
        useful = useful | np.isfinite(found["values"]).any(axis=1)
    partition, fold = partition_column(corpus, fold)
    rows = {name: np.flatnonzero((partition == name) & useful)
            for name in ("train", "dev", "test")}
    for name in ("train", "dev"):
        if not len(rows[name]):
            raise CorpusError(
                f"Corpus '{corpus.name}' has no {name} utterance under target '{target}'. "
                "Change its partitions in corpora.yaml and build it again."
            )
    return Source(corpus, POOLED if pooled else corpus.name, rows=rows, fold=fold, **found)


def _classes(corpus: BuiltCorpus, view: str, pooled: bool) -> dict:
    mapping, order = _view(corpus, view)
    words = corpus.manifest["emotion"].map(mapping).to_numpy(dtype=object)
    present = {word for word in words if isinstance(word, str)}
    labels = tuple(word for word in order if word in present)
    if len(labels) < 2:
        raise CorpusError(
            f"Corpus '{corpus.name}' has {len(labels)} class(es) under target '{view}'; "
            "two are needed. Choose another --target or leave it out with --corpora."
        )
    head_labels = order if pooled else labels
    index = {word: number for number, word in enumerate(head_labels)}
    lost = corpus.manifest["emotion"][[not isinstance(word, str) for word in words]]
    return {"labels": labels, "head_labels": head_labels,
            "classes": np.array([index.get(word, -1) for word in words], dtype=np.int64),
            "dropped": {str(key): int(value) for key, value in lost.value_counts().items()}}


def _dimensions(corpus: BuiltCorpus, optional: bool, pooled: bool) -> dict:
    from emokit.corpora.dimensions import has_dimensions, rescaled

    if optional and not has_dimensions(corpus):
        names, values = (), np.full((len(corpus.manifest), 0), np.nan, np.float32)
    else:
        names, values = rescaled(corpus)
    if not pooled:
        return {"dimensions": names, "head_dimensions": names, "values": values if names else None}
    everywhere = np.full((len(values), len(DIMENSIONS)), np.nan, np.float32)
    everywhere[:, [DIMENSIONS.index(name) for name in names]] = values
    return {"dimensions": names, "head_dimensions": DIMENSIONS, "values": everywhere}


def _view(corpus: BuiltCorpus, target: str) -> tuple[dict, tuple[str, ...]]:
    if target == "emotion":
        return {name: name for name in corpus.classes}, corpus.classes
    from emokit.corpora.views import apply_view, view_classes

    # an entry of another name reads a corpus by its parser: its facts are that corpus's
    kind, _, name = corpus.build.get("reader", "").partition(" ")
    name = name if kind == "parser" else corpus.name
    mapping = apply_view(target, name, corpus.classes, corpus.build.get("views"))
    return mapping, tuple(view_classes(target))


def partition_column(corpus: BuiltCorpus, fold: int | None):
    """Give the partition of each manifest row, [N], and the fold, None where there are no folds.

    Raises:
        ConfigError: a fold the corpus does not have.
    """
    default = corpus.manifest["partition"].to_numpy(dtype=object)
    n_folds = count_folds(corpus)
    if fold is None or n_folds == 0:
        return default, None
    if not 0 <= fold < n_folds:
        raise ConfigError(
            f"Corpus '{corpus.name}' has no fold {fold}. {choices(fold, range(n_folds))}"
        )
    folds = corpus.manifest["fold"].to_numpy(dtype=object)
    column = np.full(len(folds), "train", dtype=object)
    column[folds == str((fold + 1) % n_folds)] = "dev"
    column[folds == str(fold)] = "test"
    column[folds == ""] = ""
    return column, fold


def count_folds(corpus: BuiltCorpus) -> int:
    """Count the test folds of a corpus; 0 where its partitions are official."""
    folds = {value for value in corpus.manifest["fold"] if value != ""}
    return len(folds) if len(folds) >= 3 else 0


def fold_of(corpus: BuiltCorpus, fold: int | None) -> int | None:
    """Give the corpus's own fold of a run's fold: modulo its number of folds."""
    n_folds = count_folds(corpus)
    return None if fold is None or not n_folds else fold % n_folds


def folds_of(corpora: Sequence[BuiltCorpus], choice: str) -> list[int | None]:
    """Give the folds that a run over these corpora has, for `--folds`.

    `all`: every fold of the corpus with the most; `auto`: the same, if any corpus has folds and
    fewer than 12 test speakers, otherwise the default partitions; `J`: one; `none`: none. Joint
    runs use fold j of all corpora together, corpora with fewer folds stay with theirs modulo.

    Raises:
        ConfigError: not one of these, or a fold that no corpus has.
    """
    most = max((count_folds(corpus) for corpus in corpora), default=0)
    if choice == "none":
        return [None]
    if choice in ("all", "auto"):
        folded = most and (choice == "all" or any(
            count_folds(corpus) and _n_test_speakers(corpus) < FEW_TEST_SPEAKERS
            for corpus in corpora))
        return list(range(most)) if folded else [None]
    if not (choice.isascii() and choice.isdigit()):
        raise ConfigError(
            f"--folds is '{choice}'. Choices: none, all, auto, or the number of one fold."
        )
    if int(choice) >= most:
        raise ConfigError(
            f"--folds is {choice}, but the corpora {culprits(c.name for c in corpora)} have "
            f"{most or 'no'} folds, counted from 0."
        )
    return [int(choice)]


def _n_test_speakers(corpus: BuiltCorpus) -> int:
    table = corpus.manifest
    return table.loc[table["partition"] == "test", "speaker"].nunique()
