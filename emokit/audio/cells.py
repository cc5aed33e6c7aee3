"""Audio that lies inside another file: one cell of a Parquet table, named by a path.

`data/train.parquet::audio/17` is row 17 (from 0) of the column `audio`, whose field `bytes` holds a
whole sound file. Everything that takes the path of a recording takes such a path too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from emokit.core.errors import CorpusError

_MARK = ".parquet::"
_ROWS = 8
"""Rows decoded at a time: as many sound files are in memory at once."""


def cell(path: str, column: str, row: int) -> str:
    """Name the sound file in a cell.

    Example:
        >>> split(cell("data/train.parquet", "audio", 17))
        ('data/train.parquet', 'audio', 17)
    """
    return f"{path}::{column}/{row}"


def split(path: str | os.PathLike) -> tuple[str, str, int] | None:
    """Give file, column and row of a path into a Parquet file; None for any other path."""
    text = os.fspath(path)
    if _MARK not in text.lower():
        return None
    file, _, place = text.rpartition("::")
    column, _, row = place.rpartition("/")
    return (file, column, int(row)) if column and row.isdigit() else None


def file_of(path: str | os.PathLike) -> str:
    """Give the file on disk that holds a recording: the path itself, if it leads into no table."""
    found = split(path)
    return found[0] if found else os.fspath(path)


def parquet():
    """Import pyarrow's Parquet module.

    Raises:
        CorpusError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise CorpusError(
            "Parquet files are read with pyarrow, which is not installed. Run: "
            "pip install 'emokit[interop]'"
        ) from None
    return pyarrow.parquet


class Sources:
    """Gives the sound file that a path names; rows of one table are read on from the last one.

    Rows asked for in rising order are read once. Any other row starts again at its row group, so
    memory holds a page of the column, a row group at most, and never a whole table.
    """

    def __init__(self):
        self._place: tuple[str, str] | None = None
        self._rows: Iterator[bytes | None] = iter(())
        self._next = 0
        self._groups: list[int] = []

    def get(self, path: str) -> str | bytes:
        """Give the path itself, or the bytes of the sound file in the cell that it names.

        Raises:
            Unreadable: no such row or column, nothing in the cell, or the table is damaged.
        """
        from emokit.audio.read import Unreadable

        found = split(path)
        if not found:
            return path
        file, column, row = found
        pyarrow_parquet = parquet()
        import pyarrow

        try:
            self._go(pyarrow_parquet, file, column, row)
            data = next(self._rows)
        except StopIteration:
            raise Unreadable(f"its table has no row {row}") from None
        except FileNotFoundError:
            raise Unreadable("there is no such file") from None
        except (OSError, pyarrow.ArrowException) as error:
            self._place = None
            raise Unreadable(f"its table cannot be read ({str(error).splitlines()[0]})") from None
        self._next += 1
        if not data:
            raise Unreadable("its cell holds no audio")
        return data

    def _go(self, pyarrow_parquet, file: str, column: str, row: int) -> None:
        """Stand before a row."""
        if self._place == (file, column) and self._next <= row:
            behind = sum(self._next >= start for start in self._groups)
            if behind == sum(row >= start for start in self._groups):
                while self._next < row:
                    next(self._rows)
                    self._next += 1
                return
        table = pyarrow_parquet.ParquetFile(file, buffer_size=2**20)
        leaves = {table.schema.column(index).path for index in range(len(table.schema))}
        if f"{column}.bytes" not in leaves:
            raise OSError(f"no column '{column}' with audio")
        lengths = [table.metadata.row_group(index).num_rows
                   for index in range(table.num_row_groups)]
        self._groups = [sum(lengths[:index]) for index in range(len(lengths))]
        group = sum(row >= start for start in self._groups) - 1
        self._place, self._next = (file, column), self._groups[group] if self._groups else 0
        self._rows = _cells(table, column, range(group, len(lengths)) if lengths else [])
        while self._next < row:
            next(self._rows)
            self._next += 1


def _cells(table, column: str, groups) -> Iterator[bytes | None]:
    leaf = f"{column}.bytes"
    # one group after the other: pyarrow opens all that it is given at once
    for group in groups:
        for batch in table.iter_batches(_ROWS, row_groups=[group], columns=[leaf],
                                        use_threads=False):
            values = batch.column(0).field("bytes")
            for index in range(len(values)):
                yield values[index].as_py()
