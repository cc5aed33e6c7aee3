"""Format `audformat`: a database of audEERING's audformat, also as audb caches it.

Source:
    H. Wierstorf et al., audformat, https://audeering.github.io/audformat/. Read with that package,
    from the header and the CSV or Parquet tables only: a table's pickle could run any program.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emokit.core.config import knob
from emokit.core.errors import CorpusError, ManifestError, choices, culprits
from emokit.corpora.parsers import records
from emokit.corpora.utterance import DIMENSIONS, Misfit, Utterance

HEADER = "db.yaml"
LEVELS = 3
"""audb keeps a database in NAME/VERSION/FLAVOUR; the root may be any of these folders."""

Key = tuple[str, "float | None", "float | None"]
"""File as the database names it, start and end in seconds."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the format `audformat`."""

    tables: str | list[str] | None = knob(
        None, "Tables with the labels, by id or pattern (emotion.*.gold_standard); if unset all "
        "that have the column.")
    emotion: str = knob("emotion", "Column that holds the emotion.")
    speaker: str = knob("", "Column that holds the speaker; speaker if unset and there.")
    columns: dict[str, str] | None = knob(
        None, "Column of the database to the manifest column it becomes: {transcription: text}.")


def words(root: Path, settings: Config) -> list[str]:
    """Give the labels of the emotion scheme in its order; empty if it lists none."""
    with opened(root) as (db, _):
        for name in _labelled(db, settings):
            scheme = db[name].columns[settings.emotion].scheme
            if scheme is not None and scheme.labels:
                spelt = _meanings(db, scheme)
                codes = [records.text(code) for code in scheme.labels_as_list]
                return [word if isinstance(word := spelt.get(code), str) else code
                        for code in codes]
    return []


def scales(root: Path, settings: Config) -> dict[str, tuple[float, float]]:
    """Give minimum and maximum of the schemes of arousal, valence and dominance."""
    renamed, found = settings.columns or {}, {}
    with opened(root) as (db, _):
        for table in db.tables:
            for name, column in db[table].columns.items():
                scheme, target = column.scheme, renamed.get(name, name)
                if target in DIMENSIONS and scheme is not None and None not in (
                        scheme.minimum, scheme.maximum):
                    found.setdefault(target, (float(scheme.minimum), float(scheme.maximum)))
    return found


def parse(root: Path, settings: Config) -> Iterator[Utterance | Misfit]:
    """Read the rows of the label tables; what other tables say of the same file comes along.

    Partitions are the splits of the label tables (of any table, if those have none). Facts of
    speakers (gender, age, …) are taken from the labels of the speaker scheme. A file or stretch
    without label is a misfit.

    Raises:
        CorpusError: no database, several, a table that cannot be read, files that are missing.
        ManifestError: no table or column of that name, two labels or two splits for one row.
    """
    renamed = settings.columns or {}
    with opened(root) as (db, folder):
        prefix = os.path.relpath(folder, root).replace(os.sep, "/")
        labelled = _labelled(db, settings)
        rows = _rows(db, labelled, settings.emotion)
        _join(db, rows, labelled)
        parts = _partitions(db, rows, labelled)
        meta = db.meta.get("audb", {})
        if settings.speaker and not any(settings.speaker in row for row in rows.values()):
            columns = sorted({column for row in rows.values() for column in row})
            raise ManifestError(f"The database '{db.name}' has no column '{settings.speaker}' "
                                f"for 'speaker'. {choices(settings.speaker, columns)}")
    paths = {key: key[0] if prefix == "." else f"{prefix}/{key[0]}" for key in rows}
    found = records.require(root, paths.values(), "Load the whole database" + (
        "; audb marks this copy as incomplete." if meta.get("complete") is False else
        ", or list fewer 'tables'."))
    paths = {key: found[path] for key, path in paths.items()}
    for key in sorted(rows, key=lambda key: (paths[key], key[1] or 0.0, key[2] or 0.0)):
        row, where = rows[key], f"{folder / HEADER}, {key[0]}"
        speaker = settings.speaker or "speaker"
        word = records.text(row.get(settings.emotion))
        if not word:
            yield Misfit(paths[key], f"no label in column '{settings.emotion}'")
            continue
        identity = records.text(row.get("utterance")) or records.identity(*key)
        extra = records.extra(row, [settings.emotion, speaker, "utterance"], renamed, where)
        yield Utterance(identity, paths[key], word, records.text(row.get(speaker)),
                        key[1], key[2], parts.get(key, ""), extra)


@contextlib.contextmanager
def opened(root: Path) -> Iterator[tuple[Any, Path]]:
    """Open the database at a root or in the one folder below it that has a header.

    Gives the database and its folder.

    Raises:
        CorpusError: audformat is not installed, no header, several, or one that cannot be read.
    """
    audformat = package()
    folder = _folder(Path(root))
    with tempfile.TemporaryDirectory(prefix="emokit-") as here:
        # audformat prefers a pickled table where there is one: show it the others alone
        for path in folder.iterdir():
            if path.name.startswith("db.") and path.suffix in (".yaml", ".csv", ".parquet"):
                os.symlink(path.resolve(), os.path.join(here, path.name))
        try:
            yield audformat.Database.load(here), folder
        except (CorpusError, ManifestError):
            raise
        except Exception as error:  # audformat raises whatever yaml, pandas and pyarrow raise
            words_ = " ".join(str(error).split()).replace(here, str(folder))
            raise CorpusError(
                f"'{folder / HEADER}' or one of its tables cannot be read "
                f"({type(error).__name__}: {words_[:200]}). Load the database again."
            ) from None


def package():
    """Import audformat.

    Raises:
        CorpusError: it is not installed.
    """
    try:
        import audformat
    except ImportError:
        raise CorpusError(
            "audformat databases are read and written with the package audformat, which is not "
            "installed. Run: pip install 'emokit[interop]'"
        ) from None
    return audformat


def _folder(root: Path) -> Path:
    level = [root]
    for _ in range(LEVELS + 1):
        found = [folder for folder in level if (folder / HEADER).is_file()]
        if len(found) > 1:
            raise CorpusError(
                f"'{root}' holds {len(found)} audformat databases: {culprits(found)}. Set 'root' "
                "to the one you mean."
            )
        if found:
            return found[0]
        level = sorted(inner for folder in level for inner in folder.iterdir()
                       if inner.is_dir() and not inner.name.startswith("."))
    raise CorpusError(
        f"There is no {HEADER} in '{root}' or at most {LEVELS} folders below it. Set 'root' to "
        "the folder of an audformat database."
    )


def _labelled(db, settings: Config) -> list[str]:
    """Name the tables that hold the labels."""
    having = [name for name in db.tables if settings.emotion in db[name].columns]
    if not having:
        columns = sorted({column for name in db.tables for column in db[name].columns})
        raise ManifestError(
            f"No table of the database '{db.name}' has a column '{settings.emotion}'. Set "
            f"'emotion'. {choices(settings.emotion, columns)}"
        )
    if settings.tables is None:
        return having
    wanted = [settings.tables] if isinstance(settings.tables, str) else settings.tables
    for pattern in wanted:
        if not fnmatch.filter(having, pattern):
            raise ManifestError(
                f"No table '{pattern}' with a column '{settings.emotion}' in the database "
                f"'{db.name}'. {choices(pattern, having)}"
            )
    return [name for name in having if any(fnmatch.fnmatchcase(name, row) for row in wanted)]


def _rows(db, labelled: list[str], emotion: str) -> dict[Key, dict[str, Any]]:
    """Give the cells of every row of the label tables; of other columns the first table's."""
    rows: dict[Key, dict[str, Any]] = {}
    seen: dict[Key, str] = {}
    for name in labelled:
        for key, cells in _table(db, name):
            row = rows.setdefault(key, {})
            known = {column: value for column, value in cells.items() if records.text(value)}
            if emotion in known and row.get(emotion, known[emotion]) != known[emotion]:
                raise ManifestError(
                    f"Tables '{seen[key]}' and '{name}' of the database '{db.name}' differ on the "
                    f"label of {key[0]}: '{row[emotion]}' and '{known[emotion]}'. Set 'tables' to "
                    f"those you mean. Choices: {', '.join(labelled)}."
                )
            if emotion in known:
                seen.setdefault(key, name)
            rows[key] = {**known, **row}
    return rows


def _join(db, rows: dict[Key, dict[str, Any]], labelled: list[str]) -> None:
    """Add what the other tables say of the same stretch, or of its whole file."""
    for name in db.tables:
        if name in labelled:
            continue
        cells = dict(_table(db, name))
        for key, row in rows.items():
            for column, value in (cells.get(key) or cells.get((key[0], None, None), {})).items():
                if records.text(value):
                    row.setdefault(column, value)


def _partitions(db, rows: dict[Key, dict[str, Any]], labelled: list[str]) -> dict[Key, str]:
    """Give the split of each row that has one."""
    split = [name for name in labelled if db[name].split_id] or [
        name for name in db.tables if db[name].split_id]
    parts: dict[Key, str] = {}
    for name in split:
        kind = db.splits[db[name].split_id].type
        here = {key for key, _ in _table(db, name)}
        for key in rows:
            if kind in ("train", "dev", "test") and (key in here or (key[0], None, None) in here):
                if parts.setdefault(key, kind) != kind:
                    raise ManifestError(
                        f"{key[0]} stands in two splits of the database '{db.name}', "
                        f"'{parts[key]}' and '{kind}' (table '{name}'). Set 'tables' to those "
                        f"you mean. Choices: {', '.join(labelled)}."
                    )
    return parts


def _table(db, name: str) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Give key and cells of each row of a table; codes with a meaning are spelt out."""
    table = db[name]
    frame = table.df
    meanings = {column: _meanings(db, table.columns[column].scheme) for column in frame}
    values = [_cells(frame[column]) for column in frame]
    for index, cells in zip(frame.index, zip(*values) if values else [()] * len(frame)):
        key = (index, None, None) if isinstance(index, str) else (
            index[0], _seconds(index[1]) or None, _seconds(index[2]))
        row: dict[str, Any] = {}
        facts: dict[str, Any] = {}
        for column, value in zip(frame, cells):
            meaning = meanings[column].get(records.text(value), value)
            if isinstance(meaning, dict):
                # what is known of a speaker gives way to what the table itself says
                facts = {**meaning, **facts}
                meaning = value
            row[column] = meaning
        yield key, {**facts, **row}


def _meanings(db, scheme) -> dict[str, Any]:
    """Give what a scheme says of its labels: a text, or facts by name."""
    if scheme is None or not scheme.labels:
        return {}
    if scheme.uses_table:
        frame = db[scheme.labels].df
        columns = {column: _cells(frame[column]) for column in frame}
        return {records.text(code): {column: cells[place] for column, cells in columns.items()}
                for place, code in enumerate(frame.index)}
    if isinstance(scheme.labels, dict):
        return {records.text(code): meaning for code, meaning in scheme.labels.items() if meaning}
    return {}


def _cells(column) -> list[Any]:
    # pandas has several values for unknown, and one of them cannot be compared
    return [None if unknown else value
            for value, unknown in zip(column.astype(object), column.isna())]


def _seconds(time) -> float | None:
    return None if time != time else time.total_seconds()
