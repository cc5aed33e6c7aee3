"""Files of an experiment: tables for people and programs, a summary, and one page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.files import write_json, write_text
from emokit.core.page import facts_html, page, table_html
from emokit.evaluation.summary import versions
from emokit.evaluation.tables import NOTHING, Column, cell, render
from emokit.experiments import legend
from emokit.experiments.grid import Entry
from emokit.experiments.partitions import known_partitions, partition_name
from emokit.experiments.results import Results

_TESTS = (
    Column("method", "Method"), Column("corpus", "Corpus"), Column("partition_kind", "Partition"),
    Column("n", "N", "count"), Column("clusters", "Clusters", "count"),
    Column("delta", "Δ with interval", "points_interval"), Column("marks", "Marks"),
    Column("primary", "Primary"), Column("p", "p", "p"), Column("p_adjusted", "Holm", "p"),
    Column("b", "b", "count"), Column("c", "c", "count"), Column("mcnemar_p", "McNemar", "p"),
    Column("mcnemar_p_adjusted", "McNemar, Holm", "p"), Column("swap_p", "Swap", "p"),
    Column("combined_p", "Combined", "p"), Column("aso", "ASO", "number"),
    Column("aso_reverse", "ASO reverse", "number"),
)
_RUNS = (
    Column("corpus", "Corpus"), Column("partition_kind", "Partition"), Column("method", "Method"),
    Column("seed", "Seed", "count"), Column("n", "N", "count"), Column("k", "K", "count"),
    Column("dev_uar", "Dev UAR", "percent"), Column("uar", "UAR", "percent"),
    Column("wa", "WA", "percent"), Column("macro_f1", "Macro F1", "percent"),
)


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        head: heading.
        body: Markup, e.g. of `table`.
        text: a paragraph before it.
        folded: shut until somebody clicks.
    """

    head: str
    body: Any
    text: str = ""
    folded: bool = False


_BROAD = 10
"""Columns beyond which a table may spill over the page's margins."""


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column],
          best: Iterable[tuple[int, str]] = (), total: bool = False):
    """Give rows as Markup, the best cells in bold, every text escaped.

    Args:
        best: (row number, column name).
        total: the last row sums up the others.
    """
    from markupsafe import Markup, escape

    best = set(best)

    def words(index, row, column):
        text = escape(cell(row, column))
        return Markup("<b>{}</b>").format(text) if (index, column.name) in best else text

    return table_html([[words(index, row, column) for column in columns]
                       for index, row in enumerate(rows)],
                      [column.head for column in columns], wide=True, total=total,
                      broad=len(columns) > _BROAD,
                      numeric=[number for number, column in enumerate(columns)
                               if column.kind != "text"])


def write_results(folder: str | Path, title: str, results: Results, *,
                  cells: Sequence[Mapping[str, Any]], failures: Sequence[Entry],
                  parameters: Mapping[str, Any], settings: Mapping[str, Any],
                  sections: Sequence[Section] = (), facts: Mapping[str, Any] | None = None,
                  methods_first: bool = False) -> Path:
    """Write runs.csv, table.csv, table.md, table.tex, methods.csv, tests.csv, parameters.json,
    summary.json and report.html.

    Args:
        cells: a row per cell, as `Grid.rows` gives it.
        settings: what the experiment was asked for, for summary.json.
        sections: further parts of the page, after the tables.
        facts: further entries of summary.json.
        methods_first: the table with a row per method is the main one.
    """
    folder = Path(folder)
    write_text(folder / "runs.csv", render(results.named(results.runs), "csv") + "\n")
    write_text(folder / "table.csv", results.table("csv") + "\n")
    write_text(folder / "methods.csv", results.line_table("csv") + "\n")
    write_text(folder / "tests.csv", render(results.named(test_rows(results)), "csv") + "\n")
    write_text(folder / "cells.csv", render(cells, "csv") + "\n")
    for format, name, mark in (("markdown", "table.md", "- "), ("latex", "table.tex", "% ")):
        parts = [results.table(format), results.line_table(format)]
        parts = parts[::-1] if methods_first else parts
        parts.append("\n".join(mark + note for note in results.notes()))
        write_text(folder / name, "\n\n".join(part for part in parts if part) + "\n")
    write_json(folder / "parameters.json", parameters)
    write_json(folder / "summary.json", summary(results, failures, settings) | dict(facts or {}))
    return write_text(folder / "report.html", _page(
        title, results, cells, failures, sections, methods_first))


def summary(results: Results, failures: Sequence[Entry], settings: Mapping[str, Any]
            ) -> dict[str, Any]:
    """Give the lines of the method page: means, better k/n, sign test, marks, parameters."""
    headline = results.comparisons.get(results.headline)
    return {
        "reference": results.reference, "headline": results.headline,
        "sentence": headline.sentence if headline else "",
        "corpora": [row["corpus"] for row in results.rows],
        "methods": {line["method"]: {key: value for key, value in line.items() if key != "method"}
                    for line in results.lines},
        "overall": {name: one.overall for name, one in results.comparisons.items()},
        "tests": {"primary": {name: one.primary for name, one in results.comparisons.items()},
                  "correction": "Holm over corpora for the headline; over methods × corpora for "
                                "the other columns together",
                  "mcnemar": "first seed of each; mcnemar uncorrected, mcnemar_holm corrected as "
                             "the primary test", "aso": "over seeds, mark below .2"},
        "notes": results.notes(), "settings": dict(settings), "versions": versions(),
        "failures": [{"variant": entry.variant, "who": entry.who, "fold": entry.fold,
                      "seed": entry.seed, "error": entry.error} for entry in failures],
    }


def test_rows(results: Results) -> list[dict[str, Any]]:
    """Give every number of every comparison, a row per method and corpus."""
    return [{"method": name, **row} for name, comparison in results.comparisons.items()
            for row in comparison.rows]


def _page(title, results: Results, cells, failures, sections, methods_first) -> str:
    from markupsafe import Markup

    shown, best = results.shown()
    tables = [Section("Corpora", table(shown, results.columns(), best, results.has_mean),
                      "UAR on test in percent, mean ± standard deviation over seeds; the best of a "
                      "row in bold."),
              Section("Methods", table(results.lines, results.line_columns(), results.best_line()),
                      "Means over the corpora that every method has. The choice among methods is "
                      "made by dev, whose best is in bold; test is for telling what came of it.")]
    parts = tables[::-1] if methods_first else tables
    subtitle = _subtitle(results)
    parts += [Section("What the marks and numbers mean", notes_html(
        [note for note in results.notes() if note != subtitle]))]
    if failures:
        parts.append(Section("Cells that failed", table(
            [row for row in cells if row["error"]],
            [Column("variant", "Method"), Column("cell", "Cell"), Column("error", "Error")])))
    parts += list(sections)
    if results.comparisons:
        parts.append(Section("Every test", table(test_rows(results), _TESTS),
                             f"Each method against {results.reference}.", True))
    parts.append(Section("Every run", table(results.runs, _RUNS), folded=True))
    parts += _partitions(results)
    return page(title, Markup("\n").join([facts_html(_lead(results)), *map(_section, parts)]),
                subtitle)


def _section(part: Section):
    from markupsafe import Markup

    body = Markup('<div class="tight">{}</div>').format(part.body)
    if part.text:
        body = Markup('<p class="soft">{}</p>{}').format(part.text, body)
    if part.folded:
        return Markup("<details><summary>{}</summary>{}</details>").format(part.head, body)
    return Markup("<h2>{}</h2>{}").format(part.head, body)


def section_html(parts: Iterable[Section]):
    """Give sections as Markup, for pages of other experiments."""
    from markupsafe import Markup

    return Markup("\n").join(map(_section, parts))


def notes_html(lines: Sequence[str]):
    """Give notes as a list, a mark of the tables set apart from what it means."""
    from markupsafe import Markup

    items = []
    for line in lines:
        mark, _, words = line.partition(" ")
        items.append(Markup("<li><code>{}</code><span>{}</span></li>").format(mark, words)
                     if mark in legend.MARKS else Markup("<li><span>{}</span></li>").format(line))
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def _lead(results: Results) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "corpora": len(results.rows), "utterances": sum(row["n"] for row in results.rows),
        "methods": len(results.methods),
        "seeds": max((line["seeds"] for line in results.lines), default=0)}
    for line in results.lines:
        if line["method"] in (results.reference, results.headline):
            uar = line["uar"]
            facts[f"mean UAR, {line['method']}"] = (
                NOTHING if math.isnan(uar) else f"{100 * uar:.1f} %")
    return facts


def _subtitle(results: Results) -> str:
    headline = results.comparisons.get(results.headline)
    if headline is not None:
        return headline.sentence
    return f"{len(results.methods)} methods on {len(results.rows)} corpora."


def _partitions(results: Results) -> list[Section]:
    """Say what each corpus's numbers rest on, and which checks of its build were waived."""
    known = known_partitions(results.systems.values())
    waived: dict[tuple[str, str], dict[str, Any]] = {}
    for system in results.systems.values():
        for corpus, waivers in (system.facts.get("waivers") or {}).items():
            for waiver in waivers:
                waived[corpus, str(waiver.get("check"))] = {
                    "corpus": corpus, "check": waiver.get("check"), "count": waiver.get("count"),
                    "flag": waiver.get("flag")}
    rows = [{"corpus": corpus, "kind": partition_name(facts), "words": facts.get("words", "")}
            for corpus, facts in sorted(known.items())]
    parts = [Section("Partitions", table(rows, [Column("corpus", "Corpus"), Column("kind", "Kind"),
                                                Column("words", "In words")]), folded=True)]
    if waived:
        parts.append(Section("Waived checks", table(list(waived.values()), [
            Column("corpus", "Corpus"), Column("check", "Check"), Column("count", "Count"),
            Column("flag", "Flag")]), folded=True))
    return parts
