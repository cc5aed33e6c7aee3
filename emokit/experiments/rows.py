"""The rows of an experiment's tables: by corpus, method and seed, and by corpus."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.corpora.utterance import DIMENSIONS
from emokit.evaluation import metrics
from emokit.evaluation.comparison import Comparison
from emokit.evaluation.contrast import CCC, IN_CELL
from emokit.evaluation.counts import macro_f1, uar, wa
from emokit.evaluation.systems import System, align

Dev = Mapping[str, Mapping[int, Mapping[str, float]]]
"""Corpus to seed to figures of dev: `uar`, `ccc`, `ccc_<dimension>`, each where it is known."""


def run_rows(name: str, system: System, dev: Dev, metric: str) -> list[dict[str, Any]]:
    """Give a row per corpus and seed of a method; of dimensions per corpus, dimension and seed.

    Args:
        metric: `uar` for the classes, `ccc` for the dimensions.
    """
    rows = []
    for corpus, cells in system.cells.items():
        known = dev.get(corpus, {})
        if metric == CCC:
            first = next(iter(cells.values()))
            for dimension in (one for one in DIMENSIONS if one in first.dimensions):
                rows += _of_values(name, corpus, dimension, cells, known)
        elif all(one.labels for one in cells.values()):
            rows += _of_classes(name, corpus, cells, known)
    return rows


def _of_classes(name, corpus, cells, dev) -> list[dict[str, Any]]:
    aligned = align(corpus, [cells], "speaker", [name])
    totals = aligned.counts(0).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = [measure(totals) for measure in (uar, wa, macro_f1)]
    return [{"corpus": corpus, "method": name, "seed": seed,
             "partition": cells[seed].partition, "n": len(aligned.truth),
             "k": len(aligned.labels), "speakers": aligned.speakers or None,
             **{key: float(values[index])
                for key, values in zip(("uar", "wa", "macro_f1"), scores)},
             "dev_uar": dev.get(seed, {}).get("uar")}
            for index, seed in enumerate(sorted(cells))]


def _of_values(name, corpus, dimension, cells, dev) -> list[dict[str, Any]]:
    aligned = align(corpus, [cells], "speaker", [name], dimension)
    return [{"corpus": corpus, "dimension": dimension, "method": name, "seed": seed,
             "partition": cells[seed].partition, "n": len(aligned.truth),
             "speakers": aligned.speakers or None,
             "ccc": metrics.ccc(aligned.truth, aligned.answers[0][index]),
             "rmse": metrics.rmse(aligned.truth, aligned.answers[0][index]),
             "dev_ccc": dev.get(seed, {}).get(f"ccc_{dimension}")}
            for index, seed in enumerate(sorted(cells))]


def unit_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Give what a row of a table stands for: corpus and dimension, which is empty for classes."""
    return row["corpus"], row.get("dimension", "")


def corpus_row(metric: str, names: Sequence[str], runs: Sequence[Mapping[str, Any]],
               comparisons: Mapping[str, Comparison], headline: str, facts: Mapping[str, Any]
               ) -> dict[str, Any]:
    """Sum up one corpus, or one dimension of it, over the seeds of every method.

    Args:
        runs: its rows by method and seed.
        facts: what its partition is.
    """
    first = runs[0]
    row: dict[str, Any] = {
        "corpus": first["corpus"], "partition": first["partition"],
        "partition_kind": facts.get("kind", ""), "partition_words": facts.get("words", ""),
        "speaker_disjoint": facts.get("speaker_disjoint")}
    row |= {"dimension": first["dimension"]} if metric == CCC else {}
    row |= {"n": first["n"], "speakers": first["speakers"]}
    row |= {} if metric == CCC else {"k": first["k"], "chance": 1 / first["k"]}
    for name in names:
        values = [run[metric] for run in runs if run["method"] == name]
        found = _of(comparisons.get(name), unit_of(first))
        marks = found["marks"].split() if found else []
        row |= {name: float(np.mean(values)) if values else math.nan,
                f"{name}_sd": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
                f"{name}_seeds": len(values),
                f"{name}_marks": " ".join(mark for mark in marks if mark in IN_CELL)}
    found = _of(comparisons.get(headline), unit_of(first)) or {}
    shown = ["delta", "delta_low", "delta_high", "p", "p_adjusted",
             *([] if metric == CCC else ["mcnemar_p"]), "aso"]
    return row | {key: found.get(key, math.nan) for key in shown} | {
        "marks": found.get("marks", "")}


def _of(comparison: Comparison | None, unit: tuple[str, str]) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return next((row for row in comparison.rows if unit_of(row) == unit), None)
