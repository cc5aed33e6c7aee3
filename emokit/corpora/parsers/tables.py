"""A corpus's own tables, read with the culprit named when a column is missing."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError, culprits


def read_table(
    path: Path, columns: Iterable[str], separator: str = ",", encoding: str = "utf-8-sig"
) -> Iterator[dict[str, str]]:
    """Give the rows of a table as text, blanks around cells stripped.

    Args:
        columns: those the parser needs; further ones are given too.

    Raises:
        CorpusError: the file is no such table, or lacks a column.
    """
    try:
        with open(path, encoding=encoding, newline="") as file:
            # a tab-separated corpus table has free quotes in its texts
            quoting = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
            reader = csv.DictReader(file, delimiter=separator, quoting=quoting)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise CorpusError(
                    f"'{path}' lacks column {culprits(missing)}. Put the published table there."
                )
            for row in reader:
                yield {key: (value or "").strip() for key, value in row.items()
                       if isinstance(key, str) and not isinstance(value, list)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"Cannot read '{path}' ({error}). Put the published table there."
        ) from None
