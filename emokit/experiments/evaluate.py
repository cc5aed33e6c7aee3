"""Groups of runs and tables of predictions as systems: scored, compared, reported."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.errors import EmokitError
from emokit.core.files import write_text
from emokit.evaluation import predictions as tables
from emokit.evaluation.comparison import (Comparison, compare, compare_dimensions,
                                          shared_classes, shared_dimensions)
from emokit.evaluation.comparison_files import write_comparison
from emokit.evaluation.report import write_report
from emokit.evaluation.summary import Config as SummaryConfig
from emokit.evaluation.summary import Summary, summarise, write_summary
from emokit.evaluation.systems import System, collect
from emokit.experiments.systems import complete_cells, facts_of, group_system, with_repeats
from emokit.training.run import Cell, Group, find_group, groups

log = logging.getLogger("emokit")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found and wrote.

    Args:
        summary: metrics of every system.
        comparisons: of the first with the reference: of classes, of dimensions, both or none.
        folder: where the files are.
        hints: lines that say what was done unasked, or what to do next.
    """

    summary: Summary
    comparisons: tuple[Comparison, ...]
    folder: Path
    hints: tuple[str, ...] = ()


def evaluate(names: Sequence[str] = (), against: str | None = None, *, find_reference: bool = False,
             partition: str = "test", emoset: str | Path = "emoset", runs: str | Path = "runs",
             reports: str | Path = "reports", labels: Sequence[str] | None = None,
             device: str = "auto", **settings: Any) -> Evaluation:
    """Score systems, compare the first with a reference, and write tables and one report.

    Args:
        names: groups of runs or CSV files of predictions; none: the group written last that is no
            baseline, joint ones first.
        against: reference, a group or a CSV.
        find_reference: without `against`, take the newest group of single models, or, if there
            is none, fit the log-mel baseline now.
        partition: `train`, `dev` or `test`.
        labels: class list of CSV files that do not carry one.
        settings: fields of the comparison's config (metric, cluster, alpha, correction, …).

    Raises:
        EmokitError: nothing to evaluate, or what is compared does not match.
    """
    runs = Path(runs)
    settings = {name: value for name, value in settings.items() if value is not None}
    sources = [_source(name, runs) for name in names] or [_default(runs)]
    hints: list[str] = []
    reference: Group | Path | None = _source(against, runs) if against else None
    if reference is None and find_reference:
        reference, hint = _reference(sources[0], runs, emoset)
        hints += hint
    systems = [_system(source, partition, emoset, labels, device) for source in sources]
    if reference is not None:
        systems.insert(1, _system(reference, partition, emoset, labels, device))
    systems = with_repeats(_distinct(systems))
    known = {field.name for field in dataclasses.fields(SummaryConfig)}
    summary = summarise(*systems, **{key: value for key, value in settings.items()
                                     if key in known})
    comparisons = () if reference is None else _comparisons(*systems[:2], settings)
    if comparisons and all(row["too_few"] for one in comparisons for row in one.rows):
        hints.append("Every corpus has too few test speakers for a test. With --folds auto, train "
                     "and baseline score every speaker once.")
    folder = Path(reports) / _report_name(sources, reference)
    _write(folder, summary, comparisons)
    return Evaluation(summary, comparisons, folder, tuple(hints))


_OF_CLASSES = ("metric", "mcnemar_form")
"""Settings of a comparison that mean nothing to dimensions."""


def _comparisons(first: System, second: System, settings: Mapping[str, Any]
                 ) -> tuple[Comparison, ...]:
    """Compare what both systems predict: classes, dimensions, or both.

    Raises:
        EmokitError: nothing in common, or a setting of classes where there are none.
    """
    classes, values = shared_classes(first, second), shared_dimensions(first, second)
    if values and not classes:
        for name in _OF_CLASSES:
            if name in settings:
                raise EmokitError(f"--{name.replace('_', '-')} is of classes, and these are "
                                  "dimensions, which are compared by CCC. Leave it out.")
        return tuple(compare_dimensions([first], second, **settings))
    found = [compare(first, second, **settings)]
    return tuple([*found, *compare_dimensions([first], second, **settings)] if values else found)


def _write(folder: Path, summary, comparisons) -> None:
    write_summary(folder, summary)
    if comparisons:
        write_comparison(folder, *comparisons)
    write_report(folder / "report.html", summary, *comparisons)
    write_text(folder / "confusion.csv", _confusion_csv(summary))


def _confusion_csv(summary: Summary) -> str:
    """Give all confusion matrices as one long table: system, corpus, truth, prediction, count."""
    from emokit.evaluation.tables import render

    rows = []
    for row, detail in zip(summary.rows, summary.details):
        words = [*detail.get("labels", ()), "(other)"]
        for truth, counts in zip(words, detail.get("confusion", ())):
            rows += [{"system": row["system"], "corpus": row["corpus"], "truth": truth,
                      "prediction": word, "count": int(count)}
                     for word, count in zip(words, counts)]
    return render(rows, "csv") + "\n"


def _source(name: str, runs: Path) -> Group | Path:
    path = Path(name)
    if path.suffix == ".csv":
        if not path.is_file():
            raise EmokitError(f"There is no table '{name}'.")
        return path
    return find_group(runs, name)


def _default(runs: Path) -> Group:
    found = [group for group in groups(runs) if any(cell.is_complete for cell in group.cells())]
    if not found:
        raise EmokitError(
            f"Nothing is trained in '{runs}' yet. Run: emokit train --adapters residual"
        )

    def rank(numbered: tuple[int, Group]) -> tuple[int, int]:
        index, group = numbered
        regime = group.config()["regime"]
        return {"baseline": 0, "single": 1}.get(regime, 2), index

    return max(enumerate(found), key=rank)[1]


def _reference(subject: Group | Path, runs: Path, emoset) -> tuple[Group, list[str]]:
    """Find the newest single models with the subject's folds and target, or fit the baseline."""
    cells = complete_cells(subject) if isinstance(subject, Group) else []
    facts = [facts_of(cell) for cell in cells]
    target = facts[0]["target"] if facts else None
    folds = _folds(cells)
    for group in reversed(groups(runs)):
        if isinstance(subject, Group) and group.folder == subject.folder:
            continue
        config = group.config()
        if (config["regime"] == "single" and config["mode"] == "scratch"
                and target in (None, config["target"])):
            complete = [cell for cell in group.cells() if cell.is_complete]
            if complete and _folds(complete) == folds:
                return group, [f"compared with {group.name}"]
    from emokit.baselines.config import BaselineConfig
    from emokit.baselines.run import run_baseline

    log.info("No single-corpus models to compare with: fitting the linear log-mel baseline")
    group, _ = run_baseline(BaselineConfig(
        target=target or "emotion",
        folds="none" if not folds else "all" if len(folds) > 1 else str(min(folds)),
        corpora=sorted({corpus for one in facts for corpus in one["corpora"]})), emoset, runs)
    return group, [
        "There are no single-corpus models to compare with, so the linear log-mel baseline was "
        "fitted and is the reference. Train them with: emokit train --regime single"]


def _folds(cells: Sequence[Cell]) -> set[int]:
    """Give the folds of cells; corpora with official partitions may have none beside others."""
    return {cell.fold for cell in cells} - {None}


def _system(source: Group | Path, partition: str, emoset, labels, device) -> System:
    if isinstance(source, Group):
        return group_system(source, partition, emoset, device)
    found = [one for one in tables.read(source, labels)
             if one.partition in ("", partition)]
    if not found:
        raise EmokitError(f"'{source}' has no row of partition '{partition}'. Use --partition.")
    return collect(source.stem, found, {"command": f"table {source.name}"})


def _distinct(systems: list[System]) -> list[System]:
    """Give systems the shortest names that still differ: without signature where possible.

    What has one name all the same, a group and itself or tables of two folders, is numbered.
    """
    names = [re.sub(r"(?<=.)-[0-9a-f]{8}$", "", system.name) for system in systems]
    if len(set(names)) < len(names):
        names = [system.name for system in systems]
    if len(set(names)) < len(names):
        names = [name if name not in names[:index] else f"{name} ({index + 1})"
                 for index, name in enumerate(names)]
    return [dataclasses.replace(system, name=name) for system, name in zip(systems, names)]


def _report_name(sources, reference) -> str:
    def text(source):
        return source.name if isinstance(source, Group) else source.stem

    name = "+".join(text(source) for source in sources)
    return name if reference is None else f"{name}-vs-{text(reference)}"
