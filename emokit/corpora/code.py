"""Which of emokit's own modules decide what a build holds, read off their imports."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
DECIDING = ("audio", "corpora")
LAYS_DOWN_ONLY = frozenset({
    "build", "catalogue", "code", "discovery", "index", "inputs", "report", "speaking",
    "store", "swap", "synthetic"})
"""Modules of `emokit.corpora` that a build or its parsers import, but that change nothing in it."""

WORDS = PACKAGE / "corpora" / "facts" / "emotion_words.csv"


def deciding(build: Path, parser: Path) -> list[Path]:
    """Give the code and data of emokit that decide what a parser's corpus is built to."""
    return [*(path for path in closure([build, parser]) if path != build), WORDS]


def closure(start: Iterable[Path]) -> list[Path]:
    """Give modules and all that they import from `emokit.audio` and `emokit.corpora`, sorted.

    Imports inside functions count. What only lays down, finds or speaks files is left out, with
    what it alone imports.

    Example:
        >>> from emokit.corpora.parsers import nemo
        >>> sorted(path.stem for path in closure([Path(nemo.__file__)]))
        ['conversation', 'names', 'nemo', 'tables', 'utterance']
    """
    waiting, found = list(start), set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path)
    return sorted(found)


@functools.cache
def _imported(path: Path) -> tuple[Path, ...]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = (_file(name) for name in names)
    return tuple(sorted(file for file in files if file is not None))


def _file(name: str) -> Path | None:
    """Give the file of a module that may decide something, or None."""
    parts = name.split(".")
    if parts[0] != "emokit" or len(parts) < 3 or parts[1] not in DECIDING:
        return None
    if parts[1] == "corpora" and len(parts) == 3 and parts[2] in LAYS_DOWN_ONLY:
        return None
    file = PACKAGE.joinpath(*parts[1:]).with_suffix(".py")
    return file if file.is_file() else None
