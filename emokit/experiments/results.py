"""What an experiment found: corpora down, methods across, every test against one reference."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.evaluation import corpora as over_corpora
from emokit.evaluation.comparison import Comparison, compare_all
from emokit.evaluation.counts import macro_f1, uar, wa
from emokit.evaluation.systems import System, align
from emokit.evaluation.tables import NOTHING, Column, best_in_row, render
from emokit.experiments import legend
from emokit.experiments.grid import Entry, Grid
from emokit.experiments.partitions import known_partitions, partition_name
from emokit.experiments.totals import line_of
from emokit.experiments.systems import with_repeats


@dataclasses.dataclass(frozen=True)
class Results:
    """Scores of several methods on the same corpora.

    Args:
        methods: names in the order of the columns; one may have no system, where all failed.
        reference: what the others are compared with; empty without one.
        headline: the method whose difference to the reference is printed.
        runs: a row per corpus, method and seed.
        rows: a row per corpus: partition, `<method>`, `<method>_sd`, `<method>_marks`, `delta` of
            the headline with limits, `marks`.
        lines: a row per method: means over the corpora that all methods have, counts of better
            and worse before and after correction, sign test, parameters.
        systems, comparisons: what the rows were made of.
        word: what a method is called in tables.
    """

    methods: list[str]
    reference: str
    headline: str
    runs: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    systems: dict[str, System]
    comparisons: dict[str, Comparison]
    word: str = "regime"

    def columns(self, chance: bool = True) -> list[Column]:
        """Columns for people, see `shown`."""
        columns = [Column("corpus", "Corpus"), Column("partition_name", "Partition"),
                   Column("n", "N", "count"), Column("speakers", "Spk", "count"),
                   Column("k", "K", "count")]
        columns += [Column("chance", "Chance", "percent")] if chance else []
        columns += [Column(name, name) for name in self.methods]
        if self.headline in self.comparisons:
            columns += [Column("delta", f"{self.headline} − {self.reference} [{self.level} %]",
                               "points_interval"), Column("marks", "Marks")]
        return columns

    def shown(self) -> tuple[list[dict[str, Any]], set[tuple[int, str]]]:
        """Give rows whose cells read `71.2 ± 1.1 +`, the mean last, and the best of each row."""
        rows = [*self.rows, *self._mean()]
        return [{**row, "partition_name": partition_name(
            {"kind": row["partition_kind"], "speaker_disjoint": row["speaker_disjoint"]}) or None,
            **{name: self._cell(row, name) for name in self.methods}}
            for row in rows], best_in_row(rows, self.methods)

    @property
    def level(self) -> str:
        """What share of intervals covers the truth, in percent."""
        one = next(iter(self.comparisons.values()), None)
        return "" if one is None else f"{100 * (1 - one.config.alpha):g}"

    @property
    def has_mean(self) -> bool:
        """Whether the last row of `shown` is the mean over corpora."""
        return max((line["corpora"] for line in self.lines), default=0) > 1

    def _mean(self) -> list[dict[str, Any]]:
        """Give the mean over the corpora that all methods have, if there are several."""
        if not self.has_mean:
            return []
        n = max(line["corpora"] for line in self.lines)
        words = f"mean of {n}" + (f" that all {self.word}s have" if n < len(self.rows) else "")
        row: dict[str, Any] = {"corpus": words, "partition_kind": "", "speaker_disjoint": None}
        for line in self.lines:
            name = line["method"]
            row |= {name: line["uar"], f"{name}_sd": line["uar_sd"], f"{name}_marks": ""}
        headline = self.comparisons.get(self.headline)
        if headline is not None:
            row["delta"] = row[self.headline] - row[self.reference]
            if len(headline.rows) == n and not math.isnan(headline.overall["mean_low"]):
                row |= {"delta_low": headline.overall["mean_low"],
                        "delta_high": headline.overall["mean_high"]}
        return [row]

    def _cell(self, row: Mapping[str, Any], name: str) -> str:
        if math.isnan(row[name]):
            return NOTHING
        words = f"{100 * row[name]:.1f}"
        if not math.isnan(row[f"{name}_sd"]):
            words += f" ± {100 * row[f'{name}_sd']:.1f}"
        return f"{words} {row[f'{name}_marks']}".rstrip()

    def table(self, format: str = "table") -> str:
        """Give the paper's table; csv and json hold every number at full precision."""
        if format in ("csv", "json"):
            return render(self.rows, format)
        rows, best = self.shown()
        return render(rows, format, self.columns(), best)

    def line_columns(self) -> list[Column]:
        """Columns of the table with a row per method."""
        columns = [Column("method", self.word.capitalize()), Column("corpora", "Corpora", "count"),
                   Column("dev_uar", "Dev UAR", "percent"), Column("uar", "Test UAR", "percent"),
                   Column("uar_sd", "± seeds", "percent")]
        if self.reference:
            bounded = any(not math.isnan(line.get("mean_delta_low", math.nan))
                          for line in self.lines)
            columns += [Column("mean_delta", f"Mean Δ to {self.reference}"
                               + (f" [{self.level} %]" if bounded else ""),
                               "points_interval" if bounded else "points"),
                        Column("better", "Better"), Column("worse", "Worse"),
                        Column("sign_p", "Sign p", "p"), Column("uncorrected", "Primary +/-"),
                        Column("holm", "Primary, Holm +/-"), Column("mcnemar", "McNemar +/-"),
                        Column("mcnemar_holm", "McNemar, Holm +/-"), Column("aso", "ASO +/-")]
        return [*columns, Column("stored", "Stored", "count"),
                Column("ratio", "× single", "number"),
                Column("per_further_corpus", "× a further corpus", "number")]

    def line_table(self, format: str = "table") -> str:
        """Give the table with a row per method."""
        if format in ("csv", "json"):
            return render(self.named(self.lines), format)
        return render(self.lines, format, self.line_columns(), self.best_line())

    def named(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Give rows for files, where `method` is called by `word`."""
        return [{self.word if key == "method" else key: value for key, value in row.items()}
                for row in rows]

    def best_line(self) -> set[tuple[int, str]]:
        """Find the method with the best dev UAR, which is the one to choose."""
        values = [-math.inf if line["dev_uar"] is None or math.isnan(line["dev_uar"])
                  else line["dev_uar"] for line in self.lines]
        top = max(values, default=-math.inf)
        return {(index, "dev_uar") for index, value in enumerate(values)
                if value == top > -math.inf}

    def notes(self) -> list[str]:
        """Say what the tables rest on, see `emokit.experiments.legend`."""
        return legend.notes(self)


def make_results(systems: Mapping[str, System | None], reference: str, headline: str,
                 dev: Mapping[str, Mapping[str, Mapping[int, float]]],
                 stored: Mapping[str, Mapping[str, Any]], word: str = "regime",
                 **settings: Any) -> Results:
    """Score and compare.

    The headline is the one comparison that was planned: its correction covers the corpora. The
    other columns are corrected together, over methods × corpora, since any of them might have won.

    Args:
        systems: method to its predictions; None where nothing is complete.
        dev: method to corpus to seed to dev UAR.
        stored: method to `stored`, `ratio`, `per_further_corpus`.
        settings: of `emokit.evaluation.comparison.compare`.
    """
    names = list(systems)
    found = {system.name: system for system in with_repeats(
        [dataclasses.replace(system, name=name) for name, system in systems.items() if system])}
    reference = reference if reference in found and len(found) > 1 else ""
    comparisons: dict[str, Comparison] = {}
    if reference:
        others = [system for name, system in found.items() if name != reference
                  and set(system.cells) & set(found[reference].cells)]
        for some in ([one for one in others if one.name == headline],
                     [one for one in others if one.name != headline]):
            found_here = compare_all(some, found[reference], **settings) if some else []
            _adjust_mcnemar(found_here)
            comparisons |= {one.first: one for one in found_here}
    originals = {name: system for name, system in systems.items() if system}
    runs = [row for name, system in originals.items()
            for row in _run_rows(name, system, dev.get(name, {}))]
    facts = known_partitions(originals.values())
    for row in runs:
        row["partition_kind"] = facts.get(row["corpus"], {}).get("kind", "")
    corpora = sorted({row["corpus"] for row in runs})
    rows = [_row(corpus, names, [row for row in runs if row["corpus"] == corpus], comparisons,
                 headline, facts.get(corpus, {})) for corpus in corpora]
    full = [corpus for corpus in corpora
            if all(corpus in system.cells for system in found.values())]
    lines = [line_of(name, [row for row in runs if row["method"] == name], full,
                     comparisons.get(name), stored.get(name, {}), facts) for name in names]
    return Results(names, reference, headline, runs, rows, lines, found, comparisons, word)


def _adjust_mcnemar(comparisons: Sequence[Comparison]) -> None:
    """Add McNemar's p corrected as the primary test's, over the same comparisons together."""
    rows = [row for comparison in comparisons for row in comparison.rows]
    adjusted = over_corpora.adjust([row["mcnemar_p"] for row in rows],
                                   comparisons[0].config.correction) if rows else []
    for row, value in zip(rows, adjusted):
        row["mcnemar_p_adjusted"] = float(value)


def _run_rows(name: str, system: System, dev) -> list[dict[str, Any]]:
    rows = []
    for corpus, cells in system.cells.items():
        aligned = align(corpus, [cells], "speaker", [name])
        totals = aligned.counts(0).sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            scores = [measure(totals) for measure in (uar, wa, macro_f1)]
        for index, seed in enumerate(sorted(cells)):
            rows.append({
                "corpus": corpus, "method": name, "seed": seed,
                "partition": cells[seed].partition, "n": len(aligned.truth),
                "k": len(aligned.labels), "speakers": aligned.speakers or None,
                **{key: float(values[index])
                   for key, values in zip(("uar", "wa", "macro_f1"), scores)},
                "dev_uar": dev.get(corpus, {}).get(seed)})
    return rows


def _row(corpus, names, runs, comparisons, headline, facts) -> dict[str, Any]:
    first = runs[0]
    row: dict[str, Any] = {
        "corpus": corpus, "partition": first["partition"],
        "partition_kind": facts.get("kind", ""), "partition_words": facts.get("words", ""),
        "speaker_disjoint": facts.get("speaker_disjoint"), "n": first["n"],
        "speakers": first["speakers"], "k": first["k"], "chance": 1 / first["k"]}
    for name in names:
        values = [run["uar"] for run in runs if run["method"] == name]
        found = _of(comparisons.get(name), corpus)
        marks = found["marks"].split() if found else []
        row |= {name: float(np.mean(values)) if values else math.nan,
                f"{name}_sd": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
                f"{name}_seeds": len(values),
                f"{name}_marks": " ".join(mark for mark in marks if mark in legend.IN_CELL)}
    found = _of(comparisons.get(headline), corpus)
    row |= {"delta": found["delta"] if found else math.nan,
            "delta_low": found["delta_low"] if found else math.nan,
            "delta_high": found["delta_high"] if found else math.nan,
            "p": found["p"] if found else math.nan,
            "p_adjusted": found["p_adjusted"] if found else math.nan,
            "mcnemar_p": found["mcnemar_p"] if found else math.nan,
            "aso": found["aso"] if found else math.nan,
            "marks": found["marks"] if found else ""}
    return row


def _of(comparison: Comparison | None, corpus: str) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return next((row for row in comparison.rows if row["corpus"] == corpus), None)


def dev_uars(grid: Grid, entries: Sequence[Entry]) -> dict[str, dict[int, float]]:
    """Give corpus to seed to dev UAR, a mean over folds, as training measured it."""
    found: dict[str, dict[int, list[float]]] = {}
    for entry in entries:
        for corpus, figures in entry.cell.metrics()["dev"].items():
            found.setdefault(corpus, {}).setdefault(entry.seed, []).append(figures["uar"])
    return {corpus: {seed: float(np.mean(values)) for seed, values in seeds.items()}
            for corpus, seeds in found.items()}
