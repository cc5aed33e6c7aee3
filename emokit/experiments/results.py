"""What an experiment found: corpora down, methods across, every test against one reference."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.evaluation.comparison import Comparison, compare_all
from emokit.evaluation.counts import macro_f1, uar, wa
from emokit.evaluation.systems import System, align
from emokit.evaluation.tables import NOTHING, Column, best_in_row, render
from emokit.experiments.grid import Entry, Grid
from emokit.experiments.systems import with_repeats

_IN_CELL = ("+", "-", "(+)", "(-)", "a", "-a")
"""Marks that say which of two is better; the others speak of the partition."""
MARKS = {
    "+": "better than {} by the primary test, Holm-adjusted",
    "-": "worse than {} by the primary test, Holm-adjusted",
    "(+)": "better by McNemar's test alone, uncorrected, which takes utterances as independent",
    "(-)": "worse by McNemar's test alone",
    "a": "almost stochastically better over seeds (ASO below .2)",
    "-a": "almost stochastically worse over seeds",
    "s": "too few test speakers for the primary test",
    "u": "no speaker known, utterances taken as independent",
    "o": "the partition shares speakers with training",
}


@dataclasses.dataclass(frozen=True)
class Results:
    """Scores of several methods on the same corpora.

    Args:
        methods: names in the order of the columns; one may have no system, where all failed.
        reference: what the others are compared with; empty without one.
        headline: the method whose difference to the reference is printed.
        runs: a row per corpus, method and seed.
        rows: a row per corpus: `<method>`, `<method>_sd`, `<method>_marks`, `delta` of the
            headline with limits, `marks`.
        lines: a row per method: means over the corpora that all methods have, counts of better
            and worse, sign test, parameters.
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
        columns = [Column("corpus", "Corpus"), Column("n", "N", "count"),
                   Column("speakers", "Spk", "count"), Column("k", "K", "count")]
        columns += [Column("chance", "Chance", "percent")] if chance else []
        columns += [Column(name, name) for name in self.methods]
        if self.headline in self.comparisons:
            columns += [Column("delta", f"{self.headline} − {self.reference} [95 %]",
                               "points_interval"), Column("marks", "Marks")]
        return columns

    def shown(self) -> tuple[list[dict[str, Any]], set[tuple[int, str]]]:
        """Give rows whose cells read `71.2 ± 1.1 +`, and which are the best of their row."""
        best = best_in_row(self.rows, self.methods)
        return [{**row, **{name: self._cell(row, name) for name in self.methods}}
                for row in self.rows], best

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
            columns += [Column("mean_delta", f"Mean Δ to {self.reference}", "points"),
                        Column("better", "Better"), Column("sign_p", "Sign p", "p"),
                        Column("holm", "Holm +/-"), Column("mcnemar", "McNemar +/-"),
                        Column("aso", "ASO +/-")]
        return [*columns, Column("stored", "Stored", "count"),
                Column("ratio", "× single", "number")]

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
        """Say what the tables rest on: the tests, the marks that occur, what is undefined."""
        lines = []
        used = {mark for row in self.rows for name in (*self.methods, "")
                for mark in row.get(f"{name}_marks" if name else "marks", "").split()}
        lines += [f"{mark} {words.format(self.reference)}"
                  for mark, words in MARKS.items() if mark in used]
        for comparison in self.comparisons.values():
            lines += [f"{comparison.first}: {note}" for note in comparison.notes
                      if comparison.first == self.headline]
        headline = self.comparisons.get(self.headline)
        if headline is not None:
            lines.insert(0, headline.sentence)
            lines += [f"{row['corpus']}: {row['notes']}" for row in headline.rows if row["notes"]]
        return lines


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
            comparisons |= {one.first: one for one in found_here}
    originals = {name: system for name, system in systems.items() if system}
    runs = [row for name, system in originals.items()
            for row in _run_rows(name, system, dev.get(name, {}))]
    corpora = sorted({row["corpus"] for row in runs})
    rows = [_row(corpus, names, [row for row in runs if row["corpus"] == corpus], comparisons,
                 headline) for corpus in corpora]
    full = [corpus for corpus in corpora
            if all(corpus in system.cells for system in found.values())]
    lines = [_line(name, [row for row in runs if row["method"] == name], full,
                   comparisons.get(name), stored.get(name, {})) for name in names]
    return Results(names, reference, headline, runs, rows, lines, found, comparisons, word)


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


def _row(corpus, names, runs, comparisons, headline) -> dict[str, Any]:
    first = runs[0]
    row: dict[str, Any] = {"corpus": corpus, "n": first["n"], "speakers": first["speakers"],
                           "k": first["k"], "chance": 1 / first["k"]}
    for name in names:
        values = [run["uar"] for run in runs if run["method"] == name]
        found = _of(comparisons.get(name), corpus)
        marks = found["marks"].split() if found else []
        row |= {name: float(np.mean(values)) if values else math.nan,
                f"{name}_sd": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
                f"{name}_seeds": len(values),
                f"{name}_marks": " ".join(mark for mark in marks if mark in _IN_CELL)}
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


def _line(name, runs, full, comparison: Comparison | None, stored) -> dict[str, Any]:
    """Sum up one method over the corpora that every method has."""
    chosen = [run for run in runs if run["corpus"] in full]
    seeds = sorted({run["seed"] for run in chosen})
    # the mean over corpora of each seed, so that the deviation is one of seeds
    means = [np.mean([run["uar"] for run in chosen if run["seed"] == seed]) for seed in seeds]
    dev = [run["dev_uar"] for run in chosen if run["dev_uar"] is not None]
    line: dict[str, Any] = {
        "method": name, "corpora": len({run["corpus"] for run in chosen}), "seeds": len(seeds),
        "dev_uar": float(np.mean(dev)) if dev else math.nan,
        "uar": float(np.mean([np.mean([run["uar"] for run in chosen if run["corpus"] == corpus])
                              for corpus in full])) if chosen else math.nan,
        "uar_sd": float(np.std(means, ddof=1)) if len(means) > 1 else math.nan,
    }
    if comparison is not None:
        over, marks = comparison.overall, [row["marks"].split() for row in comparison.rows]

        def pair(*signs):
            return "/".join(str(sum(sign(row, each) for row, each in zip(comparison.rows, marks)))
                            for sign in signs)

        alpha = comparison.config.alpha
        line |= {
            "mean_delta": over["mean_delta"], "better": f"{over['better']}/{over['corpora']}",
            "sign_p": over["sign_p"],
            "holm": pair(lambda _, each: "+" in each, lambda _, each: "-" in each),
            "mcnemar": pair(lambda row, _: row["mcnemar_p"] < alpha and row["b"] > row["c"],
                            lambda row, _: row["mcnemar_p"] < alpha and row["b"] < row["c"]),
            "aso": pair(lambda _, each: "a" in each, lambda _, each: "-a" in each),
        }
    return line | {key: stored.get(key) for key in ("stored", "ratio", "per_further_corpus")}


def dev_uars(grid: Grid, entries: Sequence[Entry]) -> dict[str, dict[int, float]]:
    """Give corpus to seed to dev UAR, a mean over folds, as training measured it."""
    found: dict[str, dict[int, list[float]]] = {}
    for entry in entries:
        for corpus, figures in entry.cell.metrics()["dev"].items():
            found.setdefault(corpus, {}).setdefault(entry.seed, []).append(figures["uar"])
    return {corpus: {seed: float(np.mean(values)) for seed, values in seeds.items()}
            for corpus, seeds in found.items()}
