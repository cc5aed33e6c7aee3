"""Compare groups of runs on dev, by curves instead of by their luckiest epoch.

    python benchmarks/dev_curves.py [runs/GROUP…]

For each group and corpus, means over its cells: dev UAR of the best epoch, which is too high by
what the choice of an epoch gains; dev UAR over the last third of the epochs, which is what a
recipe should be chosen by; lowest dev loss.
"""

from __future__ import annotations

import argparse
import collections
import json
from pathlib import Path

from emokit.evaluation.tables import Column, render

COLUMNS = [Column("group", "Group"), Column("corpus", "Corpus"), Column("cells", "Cells", "count"),
           Column("late", "Dev UAR, last third", "percent"),
           Column("best", "Dev UAR, best epoch", "percent"),
           Column("loss", "Lowest dev loss", "number")]


def main() -> None:
    """Print a row per group and corpus."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("groups", nargs="*", type=Path, help="Default: all below ./runs.")
    parser.add_argument("--format", default="markdown")
    options = parser.parse_args()
    rows = []
    for group in options.groups or sorted(Path("runs").glob("*")):
        curves = collections.defaultdict(list)
        # linear models have no history
        for history in sorted(group.glob("*/history.jsonl")):
            if not (history.parent / "metrics.json").is_file():
                continue
            lines = history.read_text().splitlines()
            epochs = [json.loads(line)["corpora"] for line in lines]
            for corpus in epochs[0]:
                curves[corpus].append([epoch[corpus] for epoch in epochs])
        rows += [_row(group.name, corpus, cells) for corpus, cells in sorted(curves.items())]
    print(render(rows, options.format, COLUMNS) if rows else "No complete cell with a history.")


def _row(group: str, corpus: str, cells: list) -> dict:
    def mean(figure) -> float:
        return sum(map(figure, cells)) / len(cells)

    def late(epochs) -> float:
        last = epochs[-max(1, len(epochs) // 3):]
        return sum(epoch["dev_uar"] for epoch in last) / len(last)

    return {"group": group, "corpus": corpus, "cells": len(cells), "late": mean(late),
            "best": mean(lambda epochs: max(epoch["dev_uar"] for epoch in epochs)),
            "loss": mean(lambda epochs: min(epoch["dev_loss"] for epoch in epochs))}


if __name__ == "__main__":
    main()
