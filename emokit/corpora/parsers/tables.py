"""A corpus's own tables: read with their lines, held to known labels, never contradictory."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from emokit.core.errors import CorpusError, choices, culprits

Value = TypeVar("Value")

_WIDE = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"),
         (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))


ROW_LINES = 20
"""Lines from which a row is none, but a quote that was not closed and swallowed others."""


class Row(dict):
    """A row of a table by column; `place` says where it stands, `file:line`."""

    __slots__ = ("place",)

    def of(self, *columns: str) -> dict[str, str]:
        """Give some of its cells, empty for a column that the table lacks."""
        return {name: self.get(name, "") for name in columns}


def read_table(
    path: Path, columns: Iterable[str], separator: str = ",", encoding: str = "utf-8-sig"
) -> Iterator[Row]:
    """Give the rows of a table as text, blanks around cells stripped.

    Args:
        columns: those the parser needs; further ones are given too.

    Raises:
        CorpusError: the file is no such table, or lacks a column.
    """
    try:
        with open(path, "rb") as file:
            refuse_wide(path, file.read(4096))
        with open(path, encoding=encoding, newline="") as file:
            # a tab-separated corpus table has free quotes in its texts
            quoting = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
            reader = csv.DictReader(file, delimiter=separator, quoting=quoting)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise CorpusError(
                    f"'{path}' lacks column {culprits(missing)}. Put the published table there."
                )
            line = reader.line_num
            for cells in reader:
                if reader.line_num - line > ROW_LINES:
                    raise CorpusError(
                        f"{path}:{line + 1}: this row ends in line {reader.line_num}: a quote in "
                        "it is not closed. Mend it, or put the published table there.")
                line = reader.line_num
                row = Row((key, (value or "").strip()) for key, value in cells.items()
                          if isinstance(key, str) and not isinstance(value, list))
                row.place = f"{path}:{reader.line_num}"
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"Cannot read '{path}' ({error}). Put the published table there."
        ) from None


def parse_json(text: str, where: str) -> Any:
    """Read JSON in which no key stands twice; the last one would win without a word.

    Args:
        where: file, for the message.

    Raises:
        CorpusError: a key stands twice in one object.
        ValueError: it is no JSON.
    """
    def known(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = sorted({key for key in keys if keys.count(key) > 1})
            raise CorpusError(
                f"{where}: the key '{twice[0]}' stands twice in one object (keys "
                f"{culprits(found)}). Remove the wrong one, or put the published file there.")
        return found

    return json.loads(text, object_pairs_hook=known)


def refuse_wide(path: Path, data: bytes) -> None:
    """Stop at text of two or four bytes a letter, which would pass as Latin-1 or Windows-1252.

    Args:
        data: the file, or its start.

    Raises:
        CorpusError: it begins as UTF-16 or UTF-32 does, or holds a byte 0.
    """
    wide = next((name for mark, name in _WIDE if data.startswith(mark)), "")
    if not wide and b"\0" in data:
        wide = "UTF-16 without a mark, or no text"
    if wide:
        raise CorpusError(f"Cannot read '{path}': it is {wide}. Put the published file there, or "
                          "save it as UTF-8.")


def unique(rows: Iterable[tuple[str, Value, str]]) -> dict[str, Value]:
    """Give what the rows of a table say by key; rows that say the same twice do no harm.

    Args:
        rows: key, what the parser takes from the row, and the place of the row.

    Raises:
        CorpusError: two rows of one key contradict each other; both are named.

    Example:
        >>> unique([("a", 1, "t.csv:2"), ("b", 2, "t.csv:3"), ("a", 1, "t.csv:4")])
        {'a': 1, 'b': 2}
    """
    found: dict[str, Value] = {}
    places: dict[str, str] = {}
    wrong = []
    for key, value, place in rows:
        if key not in found:
            found[key], places[key] = value, place
        elif found[key] != value:
            wrong.append((key, value, place))
    if wrong:
        key, value, place = wrong[0]
        here, there = _difference(value, found[key])
        more = f" ({len(wrong) - 1:,} more rows contradict others)" if len(wrong) > 1 else ""
        raise CorpusError(
            f"{place}: '{key}' is {here}, but {there} in {places[key]}{more}. Remove the wrong "
            "row, or put the published table there.")
    return found


def _difference(value: Any, other: Any) -> tuple[str, str]:
    """Word what two contradicting rows say, only where they differ."""
    if isinstance(value, dict) and isinstance(other, dict):
        names = [name for name in {**other, **value} if value.get(name) != other.get(name)]
        return tuple(", ".join(f"{name} '{side.get(name, '')}'" for name in names[:3])
                     for side in (value, other))
    if isinstance(value, tuple) and isinstance(other, tuple):
        pairs = [pair for pair in zip(value, other) if pair[0] != pair[1]]
        if all(isinstance(side, dict) for pair in pairs for side in pair):
            return _difference(*pairs[0])
        return tuple(", ".join(f"'{pair[side]}'" for pair in pairs[:3]) for side in (0, 1))
    return f"'{value}'", f"'{other}'"


def check_labels(labels: Iterable[tuple[str, str]], known: Collection[str]) -> None:
    """Stop at a label that a corpus is not known to have, rather than lose its utterances.

    Args:
        labels: label and place of each row.
        known: the labels of the corpus.

    Raises:
        CorpusError: one is not known; it, its row, how many more and the known ones are named.
    """
    wrong = [(label, place) for label, place in labels if label not in known]
    if wrong:
        label, place = wrong[0]
        more = f" (and {len(wrong) - 1:,} more rows with such labels)" if len(wrong) > 1 else ""
        raise CorpusError(f"{place}: unknown label '{label}'{more}. {choices(label, known)} Mend "
                          "the row, or put the published table there.")
