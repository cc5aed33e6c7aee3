"""Format `huggingface`: a data-set folder of the HuggingFace hub, with audio files or in Parquet.

Source:
    The layouts `audiofolder` and Parquet of the package datasets,
    https://huggingface.co/docs/datasets/audio_dataset; splits by the keywords that it looks for,
    https://huggingface.co/docs/hub/datasets-file-names-and-splits. Read without that package.
"""

from __future__ import annotations

import csv
import dataclasses
import fnmatch
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emokit.audio.cells import cell, parquet
from emokit.core.config import knob
from emokit.core.errors import CorpusError, ManifestError, choices, culprits
from emokit.corpora.parsers import card_of, names, records
from emokit.corpora.parsers.csv_list import PARTITION_WORDS
from emokit.corpora.utterance import Misfit, Utterance

EMOTION = ("emotion", "label", "labels", "emotion_label", "class")
SPEAKER = ("speaker", "speaker_id", "speaker_name", "actor", "actor_id")
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_WORDS = {**PARTITION_WORDS, "eval": "test", "evaluation": "test"}


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the format `huggingface`."""

    config: str = knob("", "Configuration (subset), where the data set has several.")
    audio: str = knob("", "Column with the audio, where a Parquet file has several.")
    emotion: str = knob("", f"Column that holds the emotion; if unset {', '.join(EMOTION)}, the "
                        "first that is there.")
    speaker: str = knob("", f"Column that holds the speaker; if unset {', '.join(SPEAKER)}, the "
                        "first that is there.")
    columns: dict[str, str] | None = knob(
        None, "Column to the manifest column it becomes: {transcript: text}.")


@dataclasses.dataclass(frozen=True)
class _Row:
    """One example: `path` relative to the root, the name of its sound file, and its cells."""

    path: str
    name: str
    split: str
    cells: dict[str, Any]
    where: str


def words(root: Path, settings: Config) -> list[str]:
    """Give the names of the emotion's ClassLabel in their order; empty if it is plain text."""
    root = Path(root)
    tables, files = _metadata(root), _parquets(root, settings)
    if tables:
        columns = list(next(iter(_table(tables[0])), {}))
        labels = card_of.class_labels(root, settings.config)
    elif files:
        labels = _features(files[0])
        columns = parquet().read_schema(files[0]).names
    else:
        return []
    return labels.get(records.optional(columns, settings.emotion, EMOTION, str(root)), [])


def scales(root: Path, settings: Config) -> dict[str, tuple[float, float]]:
    """Give the scales of dimensions that an export of emokit wrote into the card."""
    return card_of.scales(Path(root))


def parse(root: Path, settings: Config) -> Iterator[Utterance | Misfit]:
    """Read Parquet files with audio in them, or audio files with metadata, or in class folders.

    An utterance is called as its column `utterance` says, otherwise as its sound file if those
    names tell all apart, otherwise by file and row. Splits become partitions unless there is only
    one. Numbers of a ClassLabel become its words; nested columns are left out.

    Raises:
        CorpusError: nothing to read, damaged tables, files that are missing.
        ManifestError: a column that is not there, or a cell of the wrong kind.
    """
    root = Path(root)
    rows = list(_rows(root, settings))
    if len({row.split for row in rows} - {""}) < 2:
        rows = [dataclasses.replace(row, split="") for row in rows]
    stems = [names.nfc(os.path.splitext(row.name)[0]) for row in rows]
    named = all(stems) and len(set(stems)) == len(stems)
    result: list[Utterance | Misfit] = []
    for row, stem in zip(rows, stems):
        emotion = records.column(list(row.cells), settings.emotion, EMOTION, "emotion", row.where)
        speaker = records.optional(list(row.cells), settings.speaker, SPEAKER, row.where)
        word = records.text(row.cells[emotion])
        if not word:
            result.append(Misfit(row.path, f"no label in column '{emotion}'"))
            continue
        identity = records.text(row.cells.get("utterance")) or (
            stem if named else names.nfc(row.path.replace(".parquet::", "/")))
        result.append(Utterance(
            identity, row.path, word, records.text(row.cells.get(speaker)), partition=row.split,
            extra=records.extra(row.cells, [emotion, speaker, "utterance"],
                                settings.columns or {}, row.where)))
    yield from sorted(result, key=lambda item: _natural(item.path))


def _natural(path: str) -> tuple:
    """Sort rows of a table by number, so that they are read one after the other."""
    file, mark, place = path.partition("::")
    column, _, row = place.rpartition("/")
    return (file, column, int(row)) if mark and row.isdigit() else (file, place, 0)


def _rows(root: Path, settings: Config) -> Iterator[_Row]:
    tables = _metadata(root)
    files = _parquets(root, settings)
    if tables:
        yield from _listed(root, tables, settings)
    elif files:
        for path in files:
            yield from _from_parquet(root, path, settings)
    else:
        yield from _class_folders(root, settings)


def _split(relative: str, splits: list[tuple[str, str]], of_folders: bool = False) -> str:
    """Give the partition of a file by the card's patterns, otherwise by keywords in its path."""
    for word, pattern in splits:
        if fnmatch.fnmatchcase(relative, pattern):
            return _WORDS.get(word.lower(), "")
    parts = relative.lower().split("/")
    # a recording may be called test; a table of a split is
    for part in reversed(parts[:-1] if of_folders else parts):
        for word in re.split(r"[^a-z]+", part):
            if word in _WORDS:
                return _WORDS[word]
    return ""


def _visible(root: Path, pattern: str) -> list[Path]:
    return sorted(path for path in root.rglob(pattern) if path.is_file() and not any(
        part.startswith(".") for part in path.relative_to(root).parts))


def _parquets(root: Path, settings: Config) -> list[Path]:
    """Name the Parquet files of the chosen configuration."""
    found = [path for path in _visible(root, "*.parquet") if path.name not in METADATA]
    patterns = [pattern for _, pattern in card_of.splits(root, settings.config)]
    if not patterns:
        return found
    return [path for path in found if any(fnmatch.fnmatchcase(
        path.relative_to(root).as_posix(), pattern) for pattern in patterns)]


def _from_parquet(root: Path, path: Path, settings: Config) -> Iterator[_Row]:
    pyarrow_parquet = parquet()
    import pyarrow

    try:
        table = pyarrow_parquet.ParquetFile(path)
        schema = table.schema_arrow
    except (OSError, pyarrow.ArrowException) as error:
        raise _damaged(path, error) from None
    audio = _audio_column(schema, settings, path)
    features = _features(path)
    kinds = pyarrow.types
    plain = [field.name for field in schema if not (
        kinds.is_nested(field.type) or kinds.is_binary(field.type)
        or kinds.is_large_binary(field.type))]
    relative = path.relative_to(root).as_posix()
    split = _split(relative, card_of.splits(root, settings.config))
    columns = [*plain, *([f"{audio}.path"] if _has(schema, audio, "path") else [])]
    number = 0
    try:
        for batch in table.iter_batches(4096, columns=columns, use_threads=False):
            for cells in batch.to_pylist():
                sound = cells.pop(audio, None) or {}
                name = sound.get("path") or ""
                yield _Row(cell(relative, audio, number), name, split,
                           _named(cells, features, f"{path}, row {number}"),
                           f"{path}, row {number}")
                number += 1
    except (OSError, pyarrow.ArrowException) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> CorpusError:
    return CorpusError(f"Cannot read '{path}' ({str(error).splitlines()[0]}). Load it again; "
                       "it may be a git-lfs pointer or cut short.")


def _audio_column(schema, settings: Config, path: Path) -> str:
    found = [field.name for field in schema if _has(schema, field.name, "bytes")]
    if settings.audio:
        if settings.audio not in found:
            raise ManifestError(f"'{path}' has no column '{settings.audio}' with audio. "
                                f"{choices(settings.audio, found)}")
        return settings.audio
    if len(found) != 1:
        raise ManifestError(
            f"'{path}' has {len(found) or 'no'} columns with audio, that is with the fields bytes "
            f"and path{': ' + culprits(found) if found else ''}. "
            + ("Set 'audio' to one of them." if found else "Is this a data set of recordings?"))
    return found[0]


def _has(schema, column: str, field: str) -> bool:
    import pyarrow

    kind = schema.field(column).type
    return pyarrow.types.is_struct(kind) and kind.get_field_index(field) >= 0


def _features(path: Path) -> dict[str, list[str]]:
    """Give the names of each ClassLabel, from what datasets writes into the Parquet file."""
    pyarrow_parquet = parquet()
    import pyarrow

    try:
        metadata = pyarrow_parquet.read_schema(path).metadata or {}
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features")
    except (OSError, pyarrow.ArrowException, ValueError) as error:
        raise _damaged(path, error) from None
    return {name: feature["names"] for name, feature in (features or {}).items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
            and feature.get("names")}


def _named(cells: dict[str, Any], labels: dict[str, list[str]], where: str) -> dict[str, Any]:
    """Give a row with the numbers of each ClassLabel as words; -1 is no label."""
    for column, known in labels.items():
        value = cells.get(column)
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value) and value not in known:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            if value >= len(known):
                raise ManifestError(f"{where}: '{column}' is {value}, but has only {len(known)} "
                                    f"names: {', '.join(known)}.")
            cells[column] = known[value] if value >= 0 else None
    return cells


def _metadata(root: Path) -> list[Path]:
    """Name the tables of an audiofolder: metadata files that list files."""
    found = []
    for path in _visible(root, "metadata.*"):
        if path.name in METADATA:
            first = next(iter(_table(path)), {})
            if "file_name" in first:
                found.append(path)
    return found


def _listed(root: Path, tables: list[Path], settings: Config) -> Iterator[_Row]:
    labels = card_of.class_labels(root, settings.config)
    splits = card_of.splits(root, settings.config)
    rows = []
    for path in tables:
        for line, cells in enumerate(_table(path), 2 if path.suffix == ".csv" else 1):
            where = f"{path}:{line}"
            name = records.text(cells.pop("file_name", ""))
            if not name:
                raise ManifestError(f"{where}: 'file_name' is empty. Fill it in or remove the "
                                    "line.")
            file = os.path.relpath(path.parent / name, root).replace(os.sep, "/")
            rows.append(_Row(file, file, _split(file, splits, True),
                             _named(cells, labels, where), where))
    found = records.require(root, [row.path for row in rows], "Load the whole data set.")
    yield from (dataclasses.replace(row, path=found[row.path]) for row in rows)


def _table(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            yield from parquet().read_table(path).to_pylist()
            return
        with open(path, encoding="utf-8-sig", newline="") as file:
            if path.suffix == ".csv":
                yield from csv.DictReader(file)
                return
            for line in filter(str.strip, file):
                yield json.loads(line)
    except (OSError, ValueError, csv.Error) as error:
        raise CorpusError(f"Cannot read '{path}' ({error}). Load it again.") from None


def _class_folders(root: Path, settings: Config) -> Iterator[_Row]:
    splits = card_of.splits(root, settings.config)
    for file in names.audio_files(root):
        if not file.folders:
            raise CorpusError(
                f"'{root}' has neither metadata.csv nor Parquet files, and '{file.path}' lies in "
                "no folder that could tell its label. Describe the corpus with 'format: csv'."
            )
        yield _Row(file.path, file.path, _split(file.path, splits, True),
                   {"label": file.folders[-1]}, file.path)
