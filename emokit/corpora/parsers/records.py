"""What the importers share: cells of other tools' tables become facts of utterances."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.errors import CorpusError, ManifestError, choices, culprits
from emokit.corpora.parsers import names
from emokit.corpora.parsers.csv_list import _RESERVED, NUMBERS

USUAL = {
    "transcription": "text", "transcript": "text", "sentence": "text", "sex": "gender",
    "lang": "language", "emotion.agreement": "agreement",
}
"""Columns of other tools to the manifest's name for the same."""

_OWN = ("utterance", "start", "end", "partition")


def column(columns: Sequence[str], chosen: str, usual: Sequence[str], setting: str,
           where: str) -> str:
    """Choose the column for a purpose: the one set, otherwise the first usual one that is there.

    Args:
        columns: those of the table.
        chosen: by the experimenter, or empty.
        usual: names to look for, the likeliest first; empty if the column may be missing.
        setting: key in corpora.yaml that chooses it.
        where: the table, for messages.

    Returns:
        The column, or empty if it may be missing.

    Raises:
        ManifestError: no such column, or none of the usual ones.
    """
    if chosen:
        if chosen not in columns:
            raise ManifestError(f"{where} has no column '{chosen}'. {choices(chosen, columns)}")
        return chosen
    found = next((name for name in usual if name in columns), "")
    if not found:
        raise ManifestError(
            f"{where} has no column {' or '.join(usual)}; its columns are "
            f"{', '.join(columns) or 'none'}. Set '{setting}' to one of them."
        )
    return found


def optional(columns: Sequence[str], chosen: str, usual: Sequence[str], where: str) -> str:
    """Choose like `column`, or give "" if none of the usual ones is there."""
    if not chosen and not any(name in columns for name in usual):
        return ""
    return column(columns, chosen, usual, "", where)


def text(value: Any) -> str:
    """Give a cell as text; empty for what means unknown (None, NaN, NaT).

    Example:
        >>> text(None), text(float("nan")), text(3.0), text(" Joy ")
        ('', '', '3', 'Joy')
    """
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def extra(row: Mapping[str, Any], taken: Iterable[str], renamed: Mapping[str, str],
          where: str) -> dict[str, str | float]:
    """Give the further facts of an utterance by manifest column.

    Unknown cells and nested ones (lists, times) are left out. Columns named like those that
    emokit fills are kept as `listed_…`.

    Args:
        row: cell by column.
        taken: columns that were used for something else.
        renamed: column to manifest column, of the experimenter; goes before `USUAL`.
        where: the row, for messages.

    Raises:
        ManifestError: text where the manifest has a number.
    """
    taken, result = set(taken), {}
    for name, value in row.items():
        if name in taken or not isinstance(value, (str, bool, int, float)):
            continue
        target = renamed.get(name, USUAL.get(name, name))
        if not text(value) or target in _OWN:
            continue
        if target in NUMBERS or target.startswith("p_"):
            value = _number(value, name, where)
        elif not isinstance(value, float):
            value = text(value)
        result.setdefault("listed_" + target if target in _RESERVED else target, value)
    return result


def identity(path: str, start: float | None, end: float | None) -> str:
    """Name an utterance by its file, and by its times if it is a stretch of it.

    Example:
        >>> identity("wav/a.wav", None, None), identity("wav/a.wav", 1.5, 2.25)
        ('wav/a', 'wav/a@1.5-2.25')
    """
    stem = names.nfc(os.path.splitext(path)[0])
    if start is None and end is None:
        return stem
    return f"{stem}@{start or 0:.10g}-{'' if end is None else format(end, '.10g')}"


def require(root: Path, paths: Iterable[str], mend: str) -> dict[str, str]:
    """Find every listed file below the root, see `names.Index`.

    Returns:
        Each path as listed, and as it is spelt on disk.

    Raises:
        CorpusError: files are missing, counted, the first named; or several could be meant.
        ManifestError: a path leaves the root.
    """
    index = names.Index(root)
    found = {path: index.find(path) for path in dict.fromkeys(paths)}
    missing = [path for path, file in found.items() if file is None]
    if missing:
        raise CorpusError(
            f"{len(missing)} of {len(found)} listed files are not below '{root}': "
            f"{culprits(missing)}. {mend}"
        )
    return {path: file for path, file in found.items() if file is not None}


def _number(value: Any, name: str, where: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ManifestError(f"{where}: '{name}' is '{value}', not a number.")
    return number
