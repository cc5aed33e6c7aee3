"""EmoBox's fold of a corpus that emokit reads by itself: whose record is which utterance."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from emokit.core.errors import ManifestError, culprits
from emokit.corpora.parsers.emobox import PARTS, corpus_folder, n_folds, part_records
from emokit.corpora.parsers.names import nfc

Place = tuple[str, float]
"""Path and start of a record or utterance."""

_PARTS_COMPARED = 6

MOST_LEFT_OUT = 0.05
"""EmoBox lacks a file or two of some corpora; where it lacks more, it is another release."""


def fold_of(table, folder: str, fold: int) -> tuple[list[str], int, int]:
    """Give each utterance its part in a fold of EmoBox.

    A record is the utterance whose path ends alike, in as few last parts as tell all records and
    all utterances apart, without extension, and which starts at the same hundredth of a second.

    Args:
        table: pandas, with `utterance`, `corpus`, `path`, `start`.
        folder: EmoBox's folder `data`, or that of the corpus.
        fold: from 1.

    Returns:
        `train`, `dev`, `test` or (no record names it) "" by row, how many records have no
        utterance, and how many folds there are.

    Raises:
        CorpusError: the lists are missing.
        ManifestError: no record names more than `MOST_LEFT_OUT` of the utterances, or names tell
            nothing apart.
    """
    corpus = str(table["corpus"].iloc[0])
    here = corpus_folder(Path(folder), corpus)
    records: list[tuple[Place, str]] = []
    for part, word in PARTS.items():
        if part == "valid" and not list((here / f"fold_{fold}").glob("*_valid_*.jsonl")):
            continue
        records += [((row["file"], row["start"] or 0.0), word)
                    for row in part_records(here, fold, part)]
    own = list(zip(table["path"], table["start"]))
    keys, own_keys = _told_apart([place for place, _ in records], own, corpus, here)
    parts = dict(zip(keys, (word for _, word in records)))
    without = [name for name, key in zip(table["utterance"], own_keys) if key not in parts]
    if len(without) > MOST_LEFT_OUT * len(table):
        raise ManifestError(
            f"EmoBox's fold {fold} in '{here}' says nothing of {len(without)} of {len(table)} "
            f"utterances of '{corpus}': {culprits(without)}. Keep the classes that EmoBox has with "
            "'classes', or use another rule."
        )
    return [parts.get(key, "") for key in own_keys], len(set(keys) - set(own_keys)), n_folds(here)


def _told_apart(records: Iterable[Place], own: Iterable[Place], corpus: str, here: Path):
    for n_parts in range(1, _PARTS_COMPARED + 1):
        keys, own_keys = ([_key(place, n_parts) for place in places] for places in (records, own))
        if len(set(keys)) == len(keys) and len(set(own_keys)) == len(own_keys):
            return keys, own_keys
    twice = [name for name in dict.fromkeys(keys) if keys.count(name) > 1][:3] if len(
        set(keys)) < len(keys) else []
    raise ManifestError(
        f"The last parts of paths do not tell the utterances of '{corpus}' or the records in "
        f"'{here}' apart{': ' + culprits(name for name, _ in twice) if twice else ''}. Use "
        "another rule."
    )


def _key(place: Place, n_parts: int) -> tuple[str, int]:
    path, start = place
    stem = nfc(os.path.splitext(path)[0])
    return "/".join(stem.split("/")[-n_parts:]).lower(), round(100 * start)
