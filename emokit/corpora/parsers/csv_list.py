"""Format `csv`: a corpus described by lists of `file,label`, as EmoNet's folders are."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from emokit.core.config import knob
from emokit.core.errors import CorpusError, ManifestError, culprits
from emokit.corpora.parsers import names
from emokit.corpora.utterance import Utterance

LISTS = {"train": ("train",), "dev": ("devel", "dev", "val"), "test": ("test",)}
"""Partition to the list names that mean it, in a folder as EmoNet's."""

PARTITION_WORDS = {
    "train": "train", "training": "train", "dev": "dev", "devel": "dev", "development": "dev",
    "val": "dev", "valid": "dev", "validation": "dev", "test": "test", "testing": "test",
}
NUMBERS = ("age", "arousal", "valence", "dominance", "agreement", "n_ratings")
_OWN = ("file", "label", "speaker", "partition", "start", "end", "utterance")
_RESERVED = ("corpus", "path", "duration", "emotion", "emotion_original", "fold", "audio_hash")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the format `csv`."""

    lists: str | list[str] | None = knob(
        None, "CSV file or files, relative to root; if unset train.csv, devel.csv (or dev.csv, "
        "val.csv) and test.csv in root, otherwise the only CSV there.")
    columns: dict[str, str] | None = knob(
        None, "Column of the CSV to what it is: {path: file, class: label}.")


def inputs(root: Path, settings: Config) -> list[Path]:
    """Name the lists that `parse` reads, which may lie outside the root.

    Raises:
        CorpusError: none is there, or it is unclear which are meant.
    """
    return [path for path, _ in _lists(Path(root), settings)]


def listed(root: Path, settings: Config) -> list[str]:
    """Give the files that the lists name, relative to the root and each once, there or not.

    Raises:
        CorpusError, ManifestError: see `parse`.
    """
    files = [row["file"].replace("\\", "/") for path, _ in _lists(Path(root), settings)
             for _, row in _rows(path, settings)]
    return list(dict.fromkeys(
        os.path.relpath(file, root) if os.path.isabs(file) else os.path.normpath(file)
        for file in files))


def parse(root: Path, settings: Config) -> Iterator[Utterance]:
    """Read the lists: columns `file,label`, optionally `speaker, partition, start, end`
    (seconds), `utterance` (an id of one's own); any further column is kept.

    Separators `,` `;` and tab are told apart by the header. Files are relative to the root, or
    to their list; one that is there with another audio extension, in another case or with accents
    composed otherwise is taken. Further columns named
    like manifest columns that emokit fills (`duration`, `emotion`, …) are kept as `listed_…`.

    Raises:
        CorpusError: no list, files that are not there, or names that fit several files.
        ManifestError: a column missing, an empty cell, a file listed twice; with the line.
    """
    root = Path(root)
    rows, seen, missing, index = [], {}, [], names.Index(root)
    for path, partition in _lists(root, settings):
        for line, row in _rows(path, settings):
            where = f"{path}:{line}"
            relative = _locate(index, root, path, row["file"], where)
            if relative is None:
                missing.append(f"{row['file']} ({path.name}:{line})")
                continue
            utterance = _utterance(relative, row, partition, where)
            if utterance.id in seen:
                raise ManifestError(
                    f"{where}: '{row['file']}' is listed twice, first in {seen[utterance.id]}. "
                    "Remove one of the two."
                )
            seen[utterance.id] = where
            rows.append(utterance)
    if missing:
        raise CorpusError(
            f"{len(missing)} of {len(rows) + len(missing)} listed files are not below '{root}': "
            f"{culprits(missing)}. Set 'root' to the folder that the lists are relative to, or "
            "obtain the missing files."
        )
    yield from sorted(rows, key=lambda row: (row.path, row.start or 0.0, row.id))


def _lists(root: Path, settings: Config) -> list[tuple[Path, str]]:
    if settings.lists is not None:
        given = [settings.lists] if isinstance(settings.lists, str) else settings.lists
        if not given:
            raise CorpusError(f"'lists' of the corpus in '{root}' is empty. Name a CSV file.")
        paths = [root / name for name in given]
        absent = [str(path) for path in paths if not path.is_file()]
        if absent:
            raise CorpusError(f"There is no list {culprits(absent)}. Mend 'lists'.")
        return [(path, _partition_of(path)) for path in paths]
    found = []
    tables = {path.name.lower(): path for path in sorted(root.iterdir())
              if path.suffix.lower() in (".csv", ".tsv") and not path.name.startswith(".")
              and path.is_file()}
    for partition, stems in LISTS.items():
        here = [tables[f"{stem}{suffix}"] for stem in stems for suffix in (".csv", ".tsv")
                if f"{stem}{suffix}" in tables]
        if len(here) > 1:
            raise CorpusError(
                f"'{root}' has several lists of {partition}: "
                f"{culprits(path.name for path in here)}. Keep one or set 'lists'."
            )
        found += [(path, partition) for path in here]
    if found:
        return found
    if len(tables) != 1:
        raise CorpusError(
            f"'{root}' has {len(tables) or 'no'} CSV files where one list is expected"
            f"{': ' + culprits(tables) if tables else ''}. Set 'lists' to the file with the "
            "columns file,label."
        )
    return [(path, "") for path in tables.values()]


def _partition_of(path: Path) -> str:
    stem = path.stem.lower()
    return next((partition for partition, stems in LISTS.items() if stem in stems), "")


def _rows(path: Path, settings: Config) -> Iterator[tuple[int, dict[str, str]]]:
    renamed = settings.columns or {}
    line = 1
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            separator = max(",;\t", key=header.count)
            # a quote that is never closed would swallow all further rows
            reader = csv.DictReader(file, delimiter=separator, skipinitialspace=True, strict=True)
            header = [(name or "").strip() for name in reader.fieldnames or ()]
            if not header:
                raise ManifestError(f"'{path}' is empty. List the files in it: file,label.")
            line = reader.line_num + 1
            unknown = [name for name in renamed if name not in header]
            reader.fieldnames = [renamed.get(name, name) for name in header]
            lacking = [name for name in ("file", "label") if name not in reader.fieldnames]
            if lacking or unknown:
                raise ManifestError(
                    f"'{path}' has no column {culprits(unknown or lacking)}; its columns are "
                    f"{', '.join(header) or 'none'}. Rename one in the file, or set "
                    f"'columns: {{its name: {(lacking or ['label'])[0]}}}' in corpora.yaml."
                )
            twice = [name for name in set(reader.fieldnames) if reader.fieldnames.count(name) > 1]
            if twice:
                raise ManifestError(f"'{path}' has column {culprits(twice)} twice. Remove one.")
            for row in reader:
                if None in row or None in row.values():
                    raise ManifestError(
                        f"{path}:{reader.line_num}: this row has more or fewer cells than the "
                        f"header ({len(header)}). Mend the line."
                    )
                cells = {name: value.strip() for name, value in row.items()}
                for name in ("file", "label"):
                    if not cells[name]:
                        raise ManifestError(
                            f"{path}:{reader.line_num}: '{name}' is empty. Fill it in or remove "
                            "the line."
                        )
                yield reader.line_num, cells
                line = reader.line_num + 1
    except UnicodeDecodeError:
        raise ManifestError(f"'{path}' is not UTF-8. Save it as UTF-8.") from None
    except OSError as error:
        raise ManifestError(f"Cannot read '{path}': {error.strerror or error}.") from None
    except csv.Error as error:
        raise ManifestError(f"{path}:{line}: this is no row of a CSV table ({error}). Is a quote "
                            "not closed?") from None


def _locate(index: names.Index, root: Path, list_path: Path, file: str, where: str) -> str | None:
    """Give a listed file relative to the root, as it is spelt there; None if it is not there."""
    file = file.replace("\\", "/")
    if os.path.isabs(file):
        options = [os.path.relpath(file, root)]
    else:
        by_list = os.path.relpath(list_path.parent / file, root)
        options = [os.path.normpath(file)]
        if not by_list.startswith(".."):
            options.append(by_list)
    for option in options:
        try:
            found = index.find(option.replace(os.sep, "/"))
        except ManifestError as error:
            raise ManifestError(f"{where}: {error}") from None
        if found is not None:
            return found
    return None


def _utterance(relative: str, row: dict[str, str], partition: str, where: str) -> Utterance:
    start, end = (_number(row.get(name, ""), name, where) for name in ("start", "end"))
    if (start or 0.0) < 0 or (end is not None and end <= (start or 0.0)):
        raise ManifestError(f"{where}: 'end' must come after 'start', both from 0 on, in seconds.")
    identity = names.nfc(os.path.splitext(relative)[0])
    if start is not None or end is not None:
        identity += f"@{start or 0:g}-{'' if end is None else format(end, 'g')}"
    if row.get("partition"):
        partition = partition_word(row["partition"], where)
    extra: dict[str, str | float] = {}
    for name, value in row.items():
        if value and name not in _OWN and name:
            number = name in NUMBERS or name.startswith("p_")
            extra["listed_" + name if name in _RESERVED else name] = (
                _number(value, name, where) if number else value
            )
    return Utterance(row.get("utterance") or identity, relative, row["label"],
                     row.get("speaker", ""), start, end, partition, extra)


def _number(text: str, column: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")):
        raise ManifestError(f"{where}: '{column}' is '{text}', not a number.")
    return value


def partition_word(text: str, where: str) -> str:
    """Read a partition as people write it: `devel`, `val` and `validation` are `dev`.

    Raises:
        ManifestError: any other word.
    """
    word = PARTITION_WORDS.get(text.strip().lower())
    if word is None:
        raise ManifestError(f"{where}: partition is '{text}'. Choices: train, dev, test.")
    return word
