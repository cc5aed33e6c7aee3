"""What an experiment found: corpora down, methods across, every test against one reference."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.evaluation import corpora as over_corpora
from emokit.evaluation.comparison import (Comparison, compare_all, compare_dimensions,
                                          shared_classes, shared_dimensions)
from emokit.evaluation.contrast import CCC
from emokit.evaluation.systems import System, partition_name
from emokit.evaluation.tables import NOTHING, Column, best_in_row, render
from emokit.experiments import legend
from emokit.experiments.grid import Entry, Grid
from emokit.experiments.partitions import known_partitions
from emokit.experiments.rows import Dev, corpus_row, run_rows, unit_of
from emokit.experiments.systems import with_repeats
from emokit.experiments.totals import line_of


@dataclasses.dataclass(frozen=True)
class Results:
    """Scores of several methods on the same corpora: UAR of classes, or CCC of dimensions.

    Args:
        methods: names in the order of the columns; one may have no system, where all failed.
        reference: what the others are compared with; empty without one.
        headline: the method whose difference to the reference is printed.
        runs: a row per corpus (of dimensions per corpus and dimension), method and seed.
        rows: a row per corpus (and dimension): partition, `<method>`, `<method>_sd`,
            `<method>_marks`, `delta` of the headline with limits, `marks`.
        lines: a row per method: means over the corpora that all methods have, counts of better
            and worse before and after correction, sign test, parameters.
        systems, comparisons: what the rows were made of.
        word: what a method is called in tables.
        metric: `uar`, or `ccc`.
        further: CCC of the dimensions, where the methods have both; this is then UAR.
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
    metric: str = "uar"
    further: Results | None = None

    def columns(self, chance: bool = True) -> list[Column]:
        """Columns for people, see `shown`."""
        of_values = self.metric == CCC
        columns = [Column("corpus", "Corpus"), Column("partition_name", "Partition")]
        columns += [Column("dimension", "Dimension")] if of_values else []
        columns += [Column("n", "N", "count"), Column("speakers", "Spk", "count")]
        columns += [] if of_values else [Column("k", "K", "count")]
        columns += [Column("chance", "Chance", "percent")] if chance and not of_values else []
        columns += [Column(name, name) for name in self.methods]
        if self.headline in self.comparisons:
            columns += [Column("delta", f"{self.headline} − {self.reference} [{self.level} %]",
                               "change_interval" if of_values else "points_interval"),
                        Column("marks", "Marks")]
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
        return self._n_mean > 1

    @property
    def _n_mean(self) -> int:
        """How many rows the mean covers."""
        return max((line.get("dimensions", line["corpora"]) for line in self.lines), default=0)

    def _mean(self) -> list[dict[str, Any]]:
        """Give the mean over the corpora, or dimensions, that all methods have, if several."""
        if not self.has_mean:
            return []
        n = self._n_mean
        words = f"mean of {n}" + (f" that all {self.word}s have" if n < len(self.rows) else "")
        row: dict[str, Any] = {"corpus": words, "partition_kind": "", "speaker_disjoint": None}
        for line in self.lines:
            name = line["method"]
            row |= {name: line[self.metric], f"{name}_sd": line[f"{self.metric}_sd"],
                    f"{name}_marks": ""}
        headline = self.comparisons.get(self.headline)
        if headline is not None:
            row["delta"] = row[self.headline] - row[self.reference]
            over = headline.overall
            if self.metric != CCC and len(headline.rows) == n and not math.isnan(over["mean_low"]):
                row |= {"delta_low": over["mean_low"], "delta_high": over["mean_high"]}
        return [row]

    def _cell(self, row: Mapping[str, Any], name: str) -> str:
        if math.isnan(row[name]):
            return NOTHING
        scale, digits = (1, 3) if self.metric == CCC else (100, 1)
        words = f"{scale * row[name]:.{digits}f}"
        if not math.isnan(row[f"{name}_sd"]):
            words += f" ± {scale * row[f'{name}_sd']:.{digits}f}"
        return f"{words} {row[f'{name}_marks']}".rstrip()

    def table(self, format: str = "table") -> str:
        """Give the paper's table; csv and json hold every number at full precision."""
        if format in ("csv", "json"):
            return render(self.rows, format)
        rows, best = self.shown()
        return render(rows, format, self.columns(), best)

    def line_columns(self) -> list[Column]:
        """Columns of the table with a row per method."""
        of_values, title = self.metric == CCC, self.metric.upper()
        one, gap = ("number", "change") if of_values else ("percent", "points")
        columns = [Column("method", self.word.capitalize()), Column("corpora", "Corpora", "count"),
                   Column(f"dev_{self.metric}", f"Dev {title}", one),
                   Column(self.metric, f"Test {title}", one),
                   Column(f"{self.metric}_sd", "± seeds", one)]
        if self.reference:
            bounded = any(not math.isnan(line.get("mean_delta_low", math.nan))
                          for line in self.lines)
            columns += [Column("mean_delta", f"Mean Δ to {self.reference}"
                               + (f" [{self.level} %]" if bounded else ""),
                               f"{gap}_interval" if bounded else gap),
                        Column("better", "Better"), Column("worse", "Worse"),
                        Column("sign_p", "Sign p", "p"), Column("uncorrected", "Primary +/-"),
                        Column("holm", "Primary, Holm +/-"),
                        *([] if of_values else [Column("mcnemar", "McNemar +/-"),
                                                Column("mcnemar_holm", "McNemar, Holm +/-")]),
                        Column("aso", "ASO +/-")]
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
        """Find the method with the best dev UAR or CCC, which is the one to choose."""
        name = f"dev_{self.metric}"
        values = [-math.inf if line[name] is None or math.isnan(line[name])
                  else line[name] for line in self.lines]
        top = max(values, default=-math.inf)
        return {(index, name) for index, value in enumerate(values)
                if value == top > -math.inf}

    def notes(self) -> list[str]:
        """Say what the tables rest on, see `emokit.experiments.legend`."""
        own = legend.notes(self)
        return own if self.further is None else [*own, *(
            f"Dimensions: {note}" if index == 0 else note
            for index, note in enumerate(self.further.notes()) if note not in own)]


def make_results(systems: Mapping[str, System | None], reference: str, headline: str,
                 dev: Mapping[str, Dev], stored: Mapping[str, Mapping[str, Any]],
                 word: str = "regime", **settings: Any) -> Results:
    """Score and compare: classes by UAR, dimensions by CCC, in two results where there are both.

    The headline is the one comparison that was planned: its correction covers the corpora (of
    dimensions corpora × dimensions). The other columns are corrected together, over methods too,
    since any of them might have won.

    Args:
        systems: method to its predictions; None where nothing is complete.
        dev: method to corpus to seed to figures of dev, see `dev_figures`.
        stored: method to `stored`, `ratio`, `per_further_corpus`.
        settings: of `emokit.evaluation.comparison.compare`.
    """
    predicted = [one for system in systems.values() if system
                 for cells in system.cells.values() for one in cells.values()]
    found = {name: _results(systems, reference, headline, dev, stored, word, name, settings)
             for name, there in (("uar", any(one.labels for one in predicted)),
                                 (CCC, any(one.dimensions for one in predicted)))
             if there or (name == "uar" and not predicted)}
    if len(found) == 2:
        return dataclasses.replace(found["uar"], further=found[CCC])
    return next(iter(found.values()))


def _results(systems, reference, headline, dev, stored, word, metric, settings) -> Results:
    names = list(systems)
    found = {system.name: system for system in with_repeats(
        [dataclasses.replace(system, name=name) for name, system in systems.items() if system])}
    reference = reference if reference in found and len(found) > 1 else ""
    comparisons: dict[str, Comparison] = {}
    if reference:
        shared, compare = ((shared_dimensions, compare_dimensions) if metric == CCC else
                           (shared_classes, compare_all))
        others = [system for name, system in found.items() if name != reference
                  and shared(system, found[reference])]
        for some in ([one for one in others if one.name == headline],
                     [one for one in others if one.name != headline]):
            found_here = compare(some, found[reference], **settings) if some else []
            if metric != CCC:
                _adjust_mcnemar(found_here)
            comparisons |= {one.first: one for one in found_here}
    originals = {name: system for name, system in systems.items() if system}
    runs = [row for name, system in originals.items()
            for row in run_rows(name, system, dev.get(name, {}), metric)]
    facts = known_partitions(originals.values())
    for row in runs:
        here = facts.get(row["corpus"], {})
        row |= {"partition_kind": here.get("kind", ""), "partition_name": partition_name(here)}
    units = sorted({unit_of(row) for row in runs})
    rows = [corpus_row(metric, names, [row for row in runs if unit_of(row) == unit], comparisons,
                       headline, facts.get(unit[0], {})) for unit in units]
    present = {name: {unit_of(row) for row in runs if row["method"] == name} for name in originals}
    full = [unit for unit in units if all(unit in some for some in present.values() if some)]
    lines = [line_of(name, [row for row in runs if row["method"] == name], full,
                     comparisons.get(name), stored.get(name, {}), facts, metric)
             for name in names]
    return Results(names, reference if comparisons else "", headline, runs, rows, lines, found,
                   comparisons, word, metric)


def _adjust_mcnemar(comparisons: Sequence[Comparison]) -> None:
    """Add McNemar's p corrected as the primary test's, over the same comparisons together."""
    rows = [row for comparison in comparisons for row in comparison.rows]
    adjusted = over_corpora.adjust([row["mcnemar_p"] for row in rows],
                                   comparisons[0].config.correction) if rows else []
    for row, value in zip(rows, adjusted):
        row["mcnemar_p_adjusted"] = float(value)


def dev_figures(grid: Grid, entries: Sequence[Entry]) -> Dev:
    """Give corpus to seed to figures of dev, means over folds, as training measured them."""
    found: dict[str, dict[int, dict[str, list[float]]]] = {}
    for entry in entries:
        for corpus, figures in entry.cell.metrics()["dev"].items():
            here = found.setdefault(corpus, {}).setdefault(entry.seed, {})
            for name, value in figures.items():
                here.setdefault(name, []).append(value)
    return {corpus: {seed: {name: float(np.mean(values)) for name, values in here.items()}
                     for seed, here in seeds.items()} for corpus, seeds in found.items()}


def dev_uars(grid: Grid, entries: Sequence[Entry]) -> dict[str, dict[int, float]]:
    """Give corpus to seed to dev UAR, a mean over folds, as training measured it."""
    return {corpus: {seed: here["uar"] for seed, here in seeds.items() if "uar" in here}
            for corpus, seeds in dev_figures(grid, entries).items()}
