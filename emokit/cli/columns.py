"""Columns that several commands print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def test_columns(rows: Iterable[Mapping[str, Any]]) -> list:
    """Give the columns of test figures that some row has."""
    from emokit.evaluation.tables import Column

    rows = list(rows)
    known = (Column("test_uar", "Test UAR", "percent"), Column("test_ccc", "Test CCC", "number"))
    return [column for column in known if any(row.get(column.name) is not None for row in rows)]


def dev_columns(rows: Iterable[Mapping[str, Any]]) -> list:
    """Give the columns of dev figures that some row has: UAR of classes, CCC of dimensions."""
    from emokit.evaluation.tables import Column

    rows = list(rows)
    known = (Column("dev_uar", "Dev UAR", "percent"), Column("dev_ccc", "Dev CCC", "number"))
    return [column for column in known
            if any(row.get(column.name) is not None for row in rows)] or [known[0]]
