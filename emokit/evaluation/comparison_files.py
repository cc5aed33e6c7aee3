"""What a comparison leaves behind: its files, and its corpora-level block in words."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from emokit.core.files import write_json, write_text
from emokit.evaluation.comparison import Comparison
from emokit.evaluation.contrast import CCC, MARKS, explain
from emokit.evaluation.summary import versions
from emokit.evaluation.tables import render


def write_comparison(folder: str | Path, *comparisons: Comparison) -> list[Path]:
    """Write comparison.csv, comparison.json and comparison.md.

    Args:
        comparisons: of the same systems: of classes (a row per corpus), of dimensions (a row per
            corpus and dimension), or both.
    """
    folder = Path(folder)
    rows = [row for one in comparisons for row in one.rows]
    return [
        write_text(folder / "comparison.csv", render(rows, "csv") + "\n"),
        write_json(folder / "comparison.json", _facts(comparisons[0]) | (
            {"dimensions": _facts(comparisons[1])} if len(comparisons) > 1 else {})),
        write_text(folder / "comparison.md", "\n\n".join(
            f"{one.text('markdown')}\n\n{overall_text(one)}" for one in comparisons) + "\n"),
    ]


def _facts(c: Comparison) -> dict[str, Any]:
    return {
        "first": c.first, "second": c.second, "metric": c.metric, "sentence": c.sentence,
        "rows": c.rows, "overall": c.overall, "left_out": c.left_out, "notes": c.notes,
        "legend": explain(MARKS, c.second, c.config),
        "settings": dataclasses.asdict(c.config), "versions": versions(),
        "tests": {"primary": c.primary, "swap": "cluster swap test",
                  "combined": "t over cluster jackknife and seeds",
                  **({} if c.metric == CCC else {"mcnemar": c.config.mcnemar_form}),
                  "correction": c.config.correction,
                  "corpora": "sign test, Wilcoxon signed rank"},
    }


def overall_text(comparison: Comparison) -> str:
    """Say the corpora-level block in words."""
    over, plain = comparison.overall, comparison.metric == CCC

    def p(value):
        return "–" if math.isnan(value) else f"{value:.4g}"

    def gap(value):
        return f"{value:+.3f}" if plain else f"{100 * value:+.1f}"

    mean = "–" if math.isnan(over["mean_delta"]) else (
        f"{gap(over['mean_delta'])}{'' if plain else ' points'}")
    if not math.isnan(over["mean_low"]):
        mean += f" [{gap(over['mean_low'])}, {gap(over['mean_high'])}]"
    name = {"uar": "UAR", "wa": "WA", "macro_f1": "macro F1",
            CCC: "mean CCC of their dimensions"}[over["metric"]]
    text = (f"Over corpora like these: {over['better']} with higher {name}, {over['worse']} with "
            f"lower, {over['ties']} tied (sign test p {p(over['sign_p'])}, Wilcoxon p "
            f"{p(over['wilcoxon_p'])}); mean difference {mean}.")
    return text + (f" {over['notes'][0].upper()}{over['notes'][1:]}." if over["notes"] else "")
