"""MER2023: clips of Chinese films and series, the labelled part of the challenge."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers.conversation import below_first, number, parse_listed, spread
from emokit.corpora.parsers.tables import check_labels, read_table, unique
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Lian, Sun, Sun, Chen, Xu, Wang, Xu, He, Li, Zhao, Liu, Liu, Yi, Wang, Cambria, Zhao, "
    "Schuller & Tao, MER 2023: Multi-label Learning, Modality Robustness, and Semi-Supervised "
    "Learning, ACM Multimedia 2023, pp. 9610-9614. http://merchallenge.cn"
)
EMOTIONS = {word: word for word in ("neutral", "angry", "happy", "sad", "worried", "surprise")}
LANGUAGE = "zh"
SCALES = {"valence": (-5, 5)}
PARTITIONS = ("train of the challenge, from which dev is set apart, and its three test sets "
              "together as test (column split tells them apart); speakers are unknown")
NOTES = (
    "Sound of films and series. Nobody knows who speaks, so no score is speaker-independent. In "
    "test2 the authors added noise. Most clips of test3 have no label and are left out."
)

_STEM = re.compile(r"sample_(\d{8})")
_TABLES = {
    "train": ("train-label.csv", "mer2023train/train-label.csv"),
    **{split: (f"test-labels/{split}-label.csv", f"{split}-label.csv",
               f"{split}/{split}-label.csv", f"test_labels/{split}-label.csv")
       for split in ("test1", "test2", "test3")},
}
"""Places of each table of labels."""

OPTIONAL = {places: f"labels of {split} are" for split, places in _TABLES.items()}

FOLDERS = {"train": "mer2023train/train", "test1": "test1", "test2": "test2", "test3": "test3"}


def recognises(root: Path) -> bool:
    """Tell by a table of labels with clips such as `sample_00005854`, or the table alone."""
    if all(names.find_table(root, *places) is None for places in _TABLES.values()):
        return False
    return any(below_first(root, folder, _STEM.fullmatch, depth)
               for folder in names.folders_in(root) for depth in (0, 1)) or (
        names.find_table(root, _TABLES["train"][1]) is not None)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the labelled clips; clips without label are misfits.

    Raises:
        CorpusError: no table of labels, or one that is not as published: an unknown emotion, or
            two rows of one clip that contradict each other.
    """
    labelled = []
    for split, places in _TABLES.items():
        path = names.find_table(root, *places)
        for row in read_table(path, ("name", "discrete")) if path else ():
            if row["discrete"]:
                labelled.append((row["name"], (split, row.of("discrete", "valence")), row.place))
    check_labels(((row["discrete"], place) for _, (_, row), place in labelled), EMOTIONS)
    rows = unique(labelled)
    if not rows:
        raise CorpusError(f"MER2023 in '{root}' has no table {_TABLES['train'][1]}, where its "
                          "labels are. Put it there, and those of test-labels.")

    def read(file: names.AudioFile) -> Utterance | str:
        if not _STEM.fullmatch(file.stem):
            return "the name is not of the form sample_00005854"
        if file.stem not in rows:
            return "no table of labels names it"
        split, row = rows[file.stem]
        extra: dict[str, str | float] = {"language": LANGUAGE, "split": split}
        if row["valence"]:
            extra["valence"] = number(row["valence"], f"labels of {split}: {file.stem}")
        return Utterance(file.stem, file.path, EMOTIONS[row["discrete"]],
                         partition="train" if split == "train" else "test", extra=extra)

    listed = {name: f"{FOLDERS[split]}/{name}.avi" for name, (split, _) in rows.items()}
    yield from parse_listed(names.audio_files(root), read, listed, "the table of labels")


_SIZES = {"train": 3373, "test1": 411, "test2": 412, "test3": 834}
_SHARES = {"neutral": 26, "angry": 24, "happy": 19, "sad": 14, "worried": 11, "surprise": 6}
_CANONICAL = {"angry": "anger", "happy": "happiness", "sad": "sadness", "worried": "worry"}


def stand_ins() -> Iterator[StandIn]:
    """Give 5030 labelled clips; the sizes of the sets are the published ones.

    Numbers in the names and labels are our choice.
    """
    codes, number_ = spread(_SHARES), 0
    for split, size in _SIZES.items():
        for index in range(size):
            number_ += 1
            word = codes[index % len(codes)]
            yield StandIn(f"{FOLDERS[split]}/sample_{number_:08d}.avi",
                          _CANONICAL.get(word, word), "", "", f"clip {number_}")


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the tables of labels of some stand-ins; valence is invented."""
    words = {canonical: word for word, canonical in _CANONICAL.items()}
    valence = {"happy": 2.5, "neutral": 0.0, "surprise": 0.5}
    lines = {split: ["name,discrete,valence"] for split in _TABLES}
    for item in stand_ins:
        folder, _, name = item.path.rpartition("/")
        word = words.get(item.emotion, item.emotion)
        split = next(key for key, value in FOLDERS.items() if value == folder)
        lines[split].append(f"{name.rsplit('.', 1)[0]},{word},{valence.get(word, -2.0)}")
    return {_TABLES[split][1 if split == "train" else 0]: "\n".join(rows) + "\n"
            for split, rows in lines.items()}
