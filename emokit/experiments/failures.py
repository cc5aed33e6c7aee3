"""Cells that could not be fitted or scored: why, and how to go on, in words."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from emokit.core.errors import EmokitError
from emokit.experiments.cells import Entry
from emokit.training.memory import is_out_of_memory
from emokit.training.run import Cell, cell_name

log = logging.getLogger("emokit")


def cell_error(error: Exception, variant: str, name: str, cell: Cell | None) -> str:
    """Say why a cell failed and how to mend it, and log that; a bug keeps its traceback.

    Args:
        cell: None where its folder is not known yet.
    """
    if isinstance(error, EmokitError):
        words = str(error)
    elif is_out_of_memory(error):
        words = (f"There is not enough memory for {name}. Choose another --device, or end what "
                 "else needs memory.")
    else:
        # a bug in one cell of hundreds: keep its traceback, let the others go on
        log.error("%s, %s", variant, name, exc_info=error)
        return f"{type(error).__name__}: {error}"
    if cell is not None and cell.is_complete and "remove" not in words.lower():
        words += f" Remove the folder '{cell.folder}' to have it fitted again."
    log.error("%s, %s: %s", variant, name, words)
    return words


def failure_words(failures: Sequence[Entry]) -> str:
    """Say what failed, the first few with their reasons, and how to go on."""
    shown = "; ".join(
        f"{entry.variant}, {cell_name(entry.who, entry.fold, entry.seed)}: {entry.error}"
        for entry in failures[:3])
    rest = f" (and {len(failures) - 3} more)" if len(failures) > 3 else ""
    noun = "cell failed and is" if len(failures) == 1 else "cells failed and are"
    return (f"{len(failures)} {noun} left out of the tables: {shown}{rest} Mend that and run the "
            "same line again; what is complete is not fitted twice.")


@contextlib.contextmanager
def warnings_once() -> Iterator[None]:
    """Let each warning through once, since every cell of a corpus would say the same."""
    seen: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if record.levelno != logging.WARNING or text not in seen:
            seen.add(text)
            return True
        return False

    log.addFilter(is_new)
    try:
        yield
    finally:
        log.removeFilter(is_new)
