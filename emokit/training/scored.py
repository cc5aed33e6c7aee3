"""What the predictions in a cell's folder come to, without pandas: lists of runs read many."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from emokit.core.errors import EmokitError
from emokit.corpora.utterance import DIMENSIONS
from emokit.evaluation.metrics import ccc, uar
from emokit.training.run import PREDICTIONS, Cell


def scored_figures(cell: Cell, partition: str = "test") -> dict[str, float]:
    """Give UAR and CCC of what was scored, means over the corpora of a cell.

    Args:
        partition: whose tables are read; `emokit evaluate` writes those of test.

    Returns:
        `uar`, `ccc`, each where there is a table of it; NaN if a class does not occur.

    Raises:
        EmokitError: a table that is none of predictions.
    """
    sums: dict[str, list[float]] = {}
    for path in sorted((cell.folder / PREDICTIONS).glob(f"*.{partition}.csv")):
        for name, value in _figures(path).items():
            sums.setdefault(name, []).append(value)
    return {name: math.fsum(values) / len(values) for name, values in sums.items()}


def _figures(path: Path) -> dict[str, float]:
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    found = {}
    try:
        labels = tuple(name[2:] for name in columns if name.startswith("p_"))
        if labels:
            known = [row for row in rows if row["truth"]]
            found["uar"] = uar([row["truth"] for row in known],
                               [row["prediction"] for row in known], labels=labels)
        values = [_ccc(rows, name) for name in DIMENSIONS if f"truth_{name}" in columns]
    except (KeyError, ValueError, EmokitError) as error:
        raise EmokitError(f"'{path}' is no table of predictions ({error}). Remove it, then run "
                          "emokit evaluate again.") from None
    if values:
        found["ccc"] = math.fsum(values) / len(values)
    return found


def _ccc(rows: list[dict[str, str]], name: str) -> float:
    known = [row for row in rows if row[f"truth_{name}"]]
    return ccc([float(row[f"truth_{name}"]) for row in known],
               [float(row[name]) for row in known])
