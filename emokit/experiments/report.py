"""Files of an experiment: tables for people and programs, a summary, and one page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.files import write_json, write_text
from emokit.core.page import facts_html, page, table_html
from emokit.evaluation.contrast import CCC, MARKS
from emokit.evaluation.summary import versions
from emokit.evaluation.systems import partition_name
from emokit.evaluation.tables import NOTHING, Column, cell, render
from emokit.experiments.grid import Entry
from emokit.experiments.partitions import known_partitions
from emokit.experiments.results import Results

_TESTS = (
    Column("method", "Method"), Column("corpus", "Corpus"), Column("partition_name", "Partition"),
    Column("n", "N", "count"), Column("clusters", "Clusters", "count"),
    Column("delta", "Δ with interval", "points_interval"), Column("marks", "Marks"),
    Column("primary", "Primary"), Column("p", "p", "p"), Column("p_adjusted", "Holm", "p"),
    Column("b", "b", "count"), Column("c", "c", "count"), Column("mcnemar_p", "McNemar", "p"),
    Column("mcnemar_p_adjusted", "McNemar, Holm", "p"), Column("swap_p", "Swap", "p"),
    Column("combined_p", "Combined", "p"), Column("aso", "ASO", "number"),
    Column("aso_reverse", "ASO reverse", "number"),
)
_RUNS = (
    Column("corpus", "Corpus"), Column("partition_name", "Partition"), Column("method", "Method"),
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


def _of_values(columns: Sequence[Column]) -> list[Column]:
    """Give the columns of dimensions: CCC instead of what belongs to classes."""
    lost = ("k", "dev_uar", "uar", "wa", "macro_f1", "b", "c", "mcnemar_p", "mcnemar_p_adjusted")
    kept = [dataclasses.replace(column, kind="change_interval")
            if column.kind == "points_interval" else column
            for column in columns if column.name not in lost]
    kept.insert([column.name for column in kept].index("n"), Column("dimension", "Dimension"))
    if columns is _RUNS:
        kept += [Column("dev_ccc", "Dev CCC", "number"), Column("ccc", "CCC", "number"),
                 Column("rmse", "RMSE", "number")]
    return kept


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
                  methods_first: bool = False, first: Sequence[Section] = ()) -> Path:
    """Write runs.csv, table.csv, table.md, table.tex, methods.csv, tests.csv, parameters.json,
    summary.json and report.html; where there are classes and dimensions, those of the latter are
    runs-ccc.csv, table-ccc.csv and so on.

    Args:
        cells: a row per cell, as `Grid.rows` gives it.
        settings: what the experiment was asked for, for summary.json.
        sections: further parts of the page, after the tables.
        facts: further entries of summary.json.
        methods_first: the table with a row per method is the main one.
        first: parts of the page before the tables.
    """
    folder = Path(folder)
    every = _both(results)
    for one in every:
        end = ".csv" if one is results else "-ccc.csv"
        write_text(folder / f"runs{end}", render(results.named(one.runs), "csv") + "\n")
        write_text(folder / f"table{end}", one.table("csv") + "\n")
        write_text(folder / f"methods{end}", one.line_table("csv") + "\n")
        write_text(folder / f"tests{end}", render(results.named(test_rows(one)), "csv") + "\n")
    write_text(folder / "cells.csv", render(cells, "csv") + "\n")
    for format, name, mark in (("markdown", "table.md", "- "), ("latex", "table.tex", "% ")):
        parts = tables_of(results, format, methods_first)
        parts.append("\n".join(mark + note for note in results.notes()))
        write_text(folder / name, "\n\n".join(part for part in parts if part) + "\n")
    write_json(folder / "parameters.json", parameters)
    write_json(folder / "summary.json", summary(results, failures, settings) | dict(facts or {}))
    return write_text(folder / "report.html", _page(
        title, results, cells, failures, sections, methods_first, first))


def _both(results: Results) -> list[Results]:
    return [results, *([results.further] if results.further else [])]


def tables_of(results: Results, format: str, methods_first: bool = False) -> list[str]:
    """Give the tables for people: corpora and methods, of classes and then of dimensions."""
    pairs = [[one.table(format), one.line_table(format)] for one in _both(results)]
    return [text for pair in pairs for text in (pair[::-1] if methods_first else pair)]


def summary(results: Results, failures: Sequence[Entry], settings: Mapping[str, Any]
            ) -> dict[str, Any]:
    """Give the lines of the method page: means, better k/n, sign test, marks, parameters."""
    headline = results.comparisons.get(results.headline)
    further = {} if results.further is None else {
        "dimensions": {key: value for key, value in summary(results.further, (), {}).items()
                       if key in ("reference", "sentence", "metric", "methods", "overall")}}
    return {
        "reference": results.reference, "headline": results.headline, "metric": results.metric,
        "sentence": headline.sentence if headline else "",
        "corpora": list(dict.fromkeys(row["corpus"] for row in results.rows)),
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
        **further,
    }


def test_rows(results: Results) -> list[dict[str, Any]]:
    """Give every number of every comparison, a row per method and corpus."""
    return [{"method": name, **row} for name, comparison in results.comparisons.items()
            for row in comparison.rows]


def _page(title, results: Results, cells, failures, sections, methods_first, first) -> str:
    from markupsafe import Markup

    tables = [part for one in _both(results) for part in _tables(one, methods_first)]
    parts = [*first, *tables]
    subtitle = _subtitle(results)
    parts += [Section("What the marks and numbers mean", notes_html(
        [note for note in results.notes() if note not in subtitle]))]
    if failures:
        parts.append(Section("Cells that failed", table(
            [row for row in cells if row["error"]],
            [Column("variant", "Method"), Column("cell", "Cell"), Column("error", "Error")])))
    parts += list(sections)
    for one in _both(results):
        of_values, end = one.metric == CCC, ", dimensions" if one is not results else ""
        if one.comparisons:
            parts.append(Section(f"Every test{end}", table(
                test_rows(one), _of_values(_TESTS) if of_values else _TESTS),
                f"Each method against {one.reference}.", True))
        parts.append(Section(f"Every run{end}", table(
            one.runs, _of_values(_RUNS) if of_values else _RUNS), folded=True))
    parts += _partitions(results)
    return page(title, Markup("\n").join([facts_html(_lead(results)), *map(_section, parts)]),
                subtitle)


def _tables(results: Results, methods_first: bool) -> list[Section]:
    shown, best = results.shown()
    of_values = results.metric == CCC
    words = "CCC on test" if of_values else "UAR on test in percent"
    parts = [Section("Dimensions" if of_values else "Corpora",
                     table(shown, results.columns(), best, results.has_mean),
                     f"{words}, mean ± standard deviation over seeds; the best of a row in bold."),
             Section("Methods, dimensions" if of_values else "Methods",
                     table(results.lines, results.line_columns(), results.best_line()),
                     "Means over the corpora that every method has. The choice among methods is "
                     "made by dev, whose best is in bold; test is for telling what came of it.")]
    return parts[::-1] if methods_first else parts


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
                     if mark in MARKS else Markup("<li><span>{}</span></li>").format(line))
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def _lead(results: Results) -> dict[str, Any]:
    n = {row["corpus"]: 0 for row in results.rows}
    for row in results.rows:
        n[row["corpus"]] = max(row["n"], n[row["corpus"]])
    facts: dict[str, Any] = {
        "corpora": len(n), "utterances": sum(n.values()),
        "methods": len(results.methods),
        "seeds": max((line["seeds"] for line in results.lines), default=0)}
    for line in results.lines:
        if line["method"] in (results.reference, results.headline):
            value, plain = line[results.metric], results.metric == CCC
            facts[f"mean {results.metric.upper()}, {line['method']}"] = (
                NOTHING if math.isnan(value) else f"{value:.3f}" if plain else
                f"{100 * value:.1f} %")
    return facts


def _subtitle(results: Results) -> str:
    found = [one.comparisons[one.headline].sentence for one in _both(results)
             if one.headline in one.comparisons]
    n = len({row["corpus"] for row in results.rows})
    return " ".join(found) or (f"{len(results.methods)} methods on {n} "
                               f"{'corpus' if n == 1 else 'corpora'}.")


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
