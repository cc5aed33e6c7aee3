"""The protocols that end in a matrix: within, cross, and leave one corpus out."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.core.errors import ConfigError, choices
from emokit.core.files import write_json, write_text
from emokit.core.page import facts_html, page
from emokit.evaluation.tables import NOTHING, Column, render
from emokit.experiments import transfer
from emokit.experiments.emonet import baseline_variants, linear
from emokit.experiments.grid import Grid
from emokit.experiments.heatmap import heat_map
from emokit.experiments.partitions import partition_name, partition_notes
from emokit.experiments.protocol import Report, Request, dry, fitted, nothing, report_of
from emokit.experiments.report import Section, notes_html, section_html, table, write_results
from emokit.experiments.results import dev_figures, make_results

log = logging.getLogger("emokit")


def within(grid: Grid, request: Request) -> Report:
    """Run single models on their own corpora; the matrix is recall by class."""
    grid.add([*baseline_variants(linear(request.options), request.config.target),
              *transfer.cross_variants(request.config, request.explicit)])
    if request.dry_run:
        return dry(grid)
    grid.run()
    systems, dev, parts = fitted(grid, list(grid.variants))
    reference = request.options.against or next(iter(grid.variants))
    if reference not in grid.variants:
        raise ConfigError(f"--against is '{reference}'. {choices(reference, grid.variants)}")
    results = make_results(systems, reference, transfer.OWN, dev,
                           {name: one.figures() for name, one in parts.items()},
                           **request.settings)
    if not results.rows:
        raise nothing(grid)
    sections = []
    if systems[transfer.OWN] is not None:
        rows = transfer.recall_rows(systems[transfer.OWN])
        write_text(request.folder / "matrix.csv", render(rows, "csv") + "\n")
        classes = list(dict.fromkeys(row["class"] for row in rows))
        corpora = list(dict.fromkeys(row["corpus"] for row in rows))
        known = {(row["corpus"], row["class"]): row["recall"] for row in rows}
        sections.append(Section("Recall by class", heat_map(
            [[known.get((corpus, word), math.nan) for word in classes] for corpus in corpora],
            corpora, classes, row_title="corpus", column_title="class",
            caption="Recall in percent of single models under target "
            f"{request.config.target}, mean over seeds.", alt="Recall by corpus and class")))
    write_results(request.folder, "Experiment within", results, cells=grid.rows(),
                  failures=grid.failures(), sections=sections,
                  parameters={name: one.figures() for name, one in parts.items()},
                  settings=request.asked(grid))
    return report_of(request.folder, results, grid.failures())


def leave_one_corpus_out(grid: Grid, request: Request) -> Report:
    """Leave each corpus out of a pooled model, then test on it: at once, and with adapters."""
    options = request.options
    grid.add(transfer.leave_out_variants(request.config, request.explicit, grid,
                                         linear(options)))
    names = [*(name for name, one in grid.variants.items() if one.is_baseline),
             transfer.ZERO_SHOT, transfer.ADAPTERS, transfer.OWN]
    for flag, column in (("--against", options.against), ("--headline", options.headline)):
        if column is not None and column not in names:
            raise ConfigError(f"{flag} is '{column}'. {choices(column, names)}")
    if request.dry_run:
        return dry(grid)
    grid.run()
    systems = transfer.leave_out_systems(grid)
    dev = {name: dev_figures(grid, grid.complete(name)) for name in names if name in grid.variants}
    dev[transfer.ADAPTERS] = dev_figures(grid, transfer.on_top_entries(grid))
    results = make_results(systems, options.against or transfer.OWN,
                           options.headline or transfer.ADAPTERS, dev, {}, **request.settings)
    if not results.rows:
        raise nothing(grid)
    corpora, columns = [row["corpus"] for row in results.rows], list(systems)
    write_text(request.folder / "matrix.csv", render(
        [{"corpus": row["corpus"], **{name: row[name] for name in columns}}
         for row in results.rows], "csv") + "\n")
    picture = heat_map(
        [[row[name] for name in columns] for row in results.rows], corpora, columns,
        row_title="corpus left out", column_title="method", alt="UAR by corpus and method",
        caption=f"UAR in percent under target {request.config.target}. zero-shot: a pooled model "
        "that never saw the corpus; adapters: norms, adapters and head trained on the corpus upon "
        "that model; scratch: a model of the corpus alone.")
    write_results(request.folder, "Experiment leave-one-corpus-out", results, cells=grid.rows(),
                  failures=grid.failures(), sections=[Section("Matrix", picture)], parameters={},
                  settings=request.asked(grid))
    return report_of(request.folder, results, grid.failures())


_PAIRS = (
    Column("train", "Trained on"), Column("test", "Tested on"),
    Column("partition", "Partition tested"), Column("n", "N", "count"),
    Column("speakers", "Spk", "count"), Column("k", "K", "count"),
    Column("classes", "Classes in common"),
    Column("uar", "UAR", "percent"), Column("uar_sd", "± seeds", "percent"),
    Column("chance", "Chance", "percent"), Column("above_chance", "Above chance", "percent"))


_TESTED = (
    Column("corpus", "Corpus"), Column("partition", "Partition"), Column("n", "N", "count"),
    Column("speakers", "Spk", "count"), Column("k", "K", "count"),
    Column("chance", "Chance", "percent"))


def cross(grid: Grid, request: Request) -> Report:
    """Train on one corpus, test on every other, on the classes that both have."""
    if request.config.target == "emotion":
        log.warning("Under target 'emotion' only classes of the same name count as common; a view "
                    "such as canonical4 compares more.")
    grid.add(transfer.cross_variants(request.config, request.explicit))
    if request.dry_run:
        return dry(grid)
    grid.run()
    runs = transfer.cross_rows(grid)
    if not runs:
        raise nothing(grid)
    pairs = _mean_pairs(runs)
    columns = [corpus.name for corpus in grid.corpora]
    trained = [name for name in columns if any(row["train"] == name for row in pairs)]
    known = {(row["train"], row["test"]): row for row in pairs}
    matrix = [{"train": name, **{other: known[name, other]["uar"] for other in columns}}
              for name in trained]
    write_text(request.folder / "runs.csv", render(runs, "csv") + "\n")
    write_text(request.folder / "table.csv", render(pairs, "csv") + "\n")
    write_text(request.folder / "matrix.csv", render(matrix, "csv") + "\n")
    write_text(request.folder / "cells.csv", render(grid.rows(), "csv") + "\n")
    foreign = [row for row in pairs if row["train"] != row["test"] and not math.isnan(row["uar"])]
    write_json(request.folder / "summary.json", {
        "target": request.config.target, "corpora": columns,
        "mean_within": _mean(row["uar"] for row in pairs if row["train"] == row["test"]),
        "mean_cross": _mean(row["uar"] for row in foreign),
        "mean_cross_above_chance": _mean(row["above_chance"] for row in foreign),
        "settings": request.asked(grid),
        "failures": [{"who": one.who, "fold": one.fold, "seed": one.seed, "error": one.error}
                     for one in grid.failures()]})
    notes = _notes(request.config.target, grid, foreign)
    for format, file, mark in (("markdown", "table.md", "- "), ("latex", "table.tex", "% ")):
        write_text(request.folder / file, "\n\n".join([
            _matrix(format, known, trained, columns), render(_tested(grid, known), format, _TESTED),
            "\n".join(mark + note for note in notes)]) + "\n")
    _page(request.folder, request.config.target, grid, pairs, known, trained, columns, notes)

    def text(format: str) -> str:
        return render(pairs, format) if format in ("csv", "json") else _matrix(
            format, known, trained, columns)

    return Report(request.folder, text, tuple(notes), tuple(grid.failures()))


def _matrix(format: str, known, trained: Sequence[str], columns: Sequence[str]) -> str:
    """Give the matrix for people, in cells like `61.2 (3)`: UAR and the classes in common."""
    rows = [{"train": name, **{other: _cell(known[name, other]) for other in columns}}
            for name in trained]
    return render(rows, format, [Column("train", "Trained on \\ tested on"),
                                 *(Column(name, name) for name in columns)])


def _cell(row: Mapping[str, Any]) -> str:
    return NOTHING if math.isnan(row["uar"]) else f"{100 * row['uar']:.1f} ({row['k']})"


def _tested(grid: Grid, known) -> list[dict[str, Any]]:
    """Say of each corpus what it is tested on: partition, and its own N, speakers and K."""
    facts = transfer.tested_partitions(grid)
    return [{"corpus": name, "partition": partition_name(one), **{
        key: known.get((name, name), {}).get(key) for key in ("n", "speakers", "k", "chance")}}
        for name, one in facts.items()]


def _notes(target: str, grid: Grid, foreign: Sequence[Mapping[str, Any]]) -> list[str]:
    common = "; ".join(f"{row['train']} on {row['test']}: K {row['k']}, {row['classes']}"
                       for row in foreign[:6]) + ("; …" if len(foreign) > 6 else "")
    n = len(grid.seeds)
    return [f"UAR on test in percent, mean over {n} seed{'s' if n > 1 else ''}; in "
            "brackets K, the number of classes in common. Chance is 1/K.",
            f"Target {target}; each pair is scored on the classes that both corpora have (N and K "
            f"in table.csv), so chance differs: {common}",
            *partition_notes(transfer.tested_partitions(grid))]


def _mean(values) -> float:
    values = [value for value in values if not math.isnan(value)]
    return float(np.mean(values)) if values else math.nan


def _mean_pairs(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Average the seeds of each pair."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in runs:
        found.setdefault((row["train"], row["test"]), []).append(row)
    pairs = []
    for (train, test), rows in found.items():
        values = [row["uar"] for row in rows]
        pairs.append({
            "train": train, "test": test, "seeds": len(rows),
            **{key: rows[0][key]
               for key in ("partition", "n", "speakers", "k", "classes", "chance")},
            "uar": float(np.mean(values)),
            "uar_sd": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
            "wa": float(np.mean([row["wa"] for row in rows])),
            "above_chance": float(np.mean([row["above_chance"] for row in rows]))})
    return pairs


def _page(folder, target, grid, pairs, known, trained, columns, notes) -> None:
    from markupsafe import Markup

    def value(name, other, key):
        return known[name, other][key]

    picture = heat_map(
        [[value(name, other, "above_chance") for other in columns] for name in trained],
        trained, columns,
        [[f"{100 * value(name, other, 'uar'):.0f}  K{value(name, other, 'k')}"
          for other in columns] for name in trained],
        row_title="trained on", column_title="tested on", alt="UAR by training and test corpus",
        caption="UAR in percent and the number of classes in common. The colour is the share of "
        "what is possible above chance, (UAR − 1/K) / (1 − 1/K), so that pairs with different K "
        "can be compared by eye.")
    failed = [row for row in grid.rows() if row["error"]]
    parts = [Section("Matrix", picture),
             Section("Pairs", table(pairs, _PAIRS), f"Label view {target}; only utterances of "
                     "classes that both corpora have are scored."),
             Section("Corpora tested", table(_tested(grid, known), _TESTED),
                     "N, Spk, K: utterances, speakers and classes of the corpus's own test."),
             Section("What the numbers mean", notes_html(notes))]
    if failed:
        parts.append(Section("Cells that failed", table(failed, [
            Column("cell", "Cell"), Column("error", "Error")])))
    within = _mean(row["uar"] for row in pairs if row["train"] == row["test"])
    across = _mean(row["uar"] for row in pairs if row["train"] != row["test"])
    lead = facts_html({"corpora": len(columns), "seeds": len(grid.seeds),
                       "mean UAR within": f"{100 * within:.1f} %",
                       "mean UAR across": f"{100 * across:.1f} %"})
    write_text(folder / "report.html", page(
        "Experiment cross", Markup("{}\n{}").format(lead, section_html(parts)),
        "Models of one corpus on the test partition of every other."))
