"""What was published of a corpus: files listed by a table, by EmoBox, or by its parser."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from emokit.core.errors import CorpusError, culprits


@dataclasses.dataclass(frozen=True)
class Published:
    """One published file; None is unknown.

    Args:
        path: relative to the corpus root, with `/`.
        rate: Hz.
        seconds: its length.
    """

    path: str
    rate: int | None = None
    seconds: float | None = None


def of_parser(module) -> list[Published]:
    """Give the files that a parser's stand-ins lie in, each once, sorted."""
    return [Published(path) for path in sorted({item.file for item in module.stand_ins()})]


def read_list(path: Path) -> list[Published]:
    """Read a list of files, sorted by path.

    Args:
        path: TSV or CSV with `path`, perhaps `sample_rate` and `seconds`, or JSON lines as EmoBox
            has them (`wav`, `sample_rate`, `length`); either may end in `.gz`. A path that several
            rows cut pieces out of (`start`, `end`) is one file of unknown length.

    Raises:
        CorpusError: it cannot be read, has no path, or a number is none.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            text = file.read().decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CorpusError(f"Cannot read the list '{path}' ({error}). Give a table in UTF-8."
                          ) from None
    lines = text.splitlines()
    if lines and lines[0].lstrip().startswith("{"):
        rows = list(_records(path, lines))
    else:
        rows = list(_table(path, lines))
    files: dict[str, Published] = {}
    for number, row in rows:
        seconds = None if row.get("end") else _number(path, number, row.get("seconds"))
        rate = _number(path, number, row.get("sample_rate"))
        item = Published(row["path"].replace("\\", "/"), None if rate is None else round(rate),
                         seconds)
        former = files.setdefault(item.path, item)
        if former != item:
            files[item.path] = dataclasses.replace(former, seconds=None)
    if not files:
        raise CorpusError(f"The list '{path}' names no file. Give one row a file.")
    return [files[name] for name in sorted(files)]


def _table(path: Path, lines: list[str]) -> Iterable[tuple[int, dict]]:
    head = lines[0] if lines else ""
    separator = "\t" if "\t" in head else ";" if ";" in head else ","
    reader = csv.DictReader(lines, delimiter=separator,
                            quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL)
    if "path" not in (reader.fieldnames or ()):
        raise CorpusError(
            f"The list '{path}' has the columns {culprits(reader.fieldnames or ['none'], 6)}, but "
            "no 'path'. Give path, and if you have them sample_rate and seconds.")
    for number, row in enumerate(reader, 2):
        if row["path"]:
            yield number, row


def _records(path: Path, lines: list[str]) -> Iterable[tuple[int, dict]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            # EmoBox names its own folder of downloads first
            name = record["wav"].partition("downloads/")[2] or record["wav"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CorpusError(f"{path}:{number}: this is no record of EmoBox with a 'wav'. Give "
                              "its JSON lines, or a table with 'path'.") from None
        yield number, {"path": name, "sample_rate": record.get("sample_rate"),
                       "seconds": record.get("length")}


def _number(path: Path, number: int, value) -> float | None:
    if value in (None, ""):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise CorpusError(f"{path}:{number}: '{value}' is no number. Leave unknown cells empty."
                          ) from None
