"""Every corpus of a stage plan, scored after every stage: what was gained, what forgotten."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emokit.core.files import write_csv
from emokit.corpora.store import BuiltCorpus
from emokit.evaluation import predictions as tables
from emokit.evaluation.predictions import Predictions
from emokit.evaluation.summary import summarise
from emokit.evaluation.systems import collect
from emokit.evaluation.tables import NOTHING, Column, render
from emokit.experiments.systems import score_missing
from emokit.experiments.transfer import foreign_source
from emokit.loading.source import Source, fold_of, make_source
from emokit.training.run import BEST, PREDICTIONS, Cell
from emokit.training.stages import Laid
from emokit.training.train import device_of

log = logging.getLogger("emokit")

FORGETTING = ("Forgetting: what a corpus scored after the stage that learnt it, minus what it "
              "scores after the last stage, with that stage's adapters and head. Its own adapters "
              "and head are kept: where the backbone is frozen, nothing is forgotten with them.")


@dataclasses.dataclass(frozen=True)
class Step:
    """The cells of one stage.

    Args:
        corpora: what the stage learnt, by name.
        cells: complete ones, by (fold, seed).
    """

    name: str
    corpora: Mapping[str, BuiltCorpus]
    cells: Mapping[tuple[int | None, int], Cell]


def steps_of(laid: Sequence[Laid]) -> list[Step]:
    """Give the steps of a plan that is fitted."""
    return [Step(one.stage.name, {corpus.name: corpus for corpus in one.corpora},
                 {(task.fold, task.seed): task.cell for task in one.tasks
                  if task.cell.is_complete}) for one in laid]


def stage_rows(steps: Sequence[Step], emoset: str | Path, partition: str = "test",
               device: str = "auto") -> list[dict[str, Any]]:
    """Score every corpus after every stage, by the function that training scores with.

    A corpus that a stage did not learn is read through that stage's adapters, norms and head; its
    frames are normalised by its own train partition, as everywhere. Folds of one seed are joined;
    where a corpus has none, models of several folds are averaged.

    Returns:
        A row per stage and corpus: `stage, corpus, learnt` (by that stage)`, partition, n, k,
        seeds, uar, uar_sd, ccc_<dimension>, ccc_<dimension>_sd, forgetting` (of UAR, otherwise of
        the mean CCC; in the rows of the last stage, of corpora that earlier ones learnt). NaN with
        fewer than two classes in common.

    Raises:
        EmokitError: a model cannot be read, or a corpus was built anew since.
    """
    corpora = {name: corpus for step in steps for name, corpus in step.corpora.items()}
    folds = {name: {fold for step in steps if name in step.corpora for fold, _ in step.cells}
             for name in corpora}
    rows = []
    for step in steps:
        for name, corpus in corpora.items():
            row = {"stage": step.name, "corpus": name, "learnt": int(name in step.corpora),
                   "partition": partition,
                   **_figures(step, corpus, folds[name], emoset, partition, device)}
            rows.append(row)
    last = steps[-1].name
    for row in rows:
        row["forgetting"] = math.nan
        learnt = [_one(other) for other in rows if other["learnt"]
                  and other["corpus"] == row["corpus"] and other["stage"] != last]
        if row["stage"] == last and learnt:
            row["forgetting"] = learnt[-1] - _one(row)
    return rows


def _one(row: Mapping[str, Any]) -> float:
    """Give the number by which a row is compared."""
    if not math.isnan(row["uar"]):
        return row["uar"]
    values = [value for key, value in row.items()
              if key.startswith("ccc_") and not key.endswith("_sd")]
    return float(np.mean(values)) if values else math.nan


def _figures(step: Step, corpus: BuiltCorpus, folds, emoset, partition, device
             ) -> dict[str, Any]:
    by_seed: dict[int, list[Predictions]] = {}
    for (fold, seed), cell in sorted(step.cells.items(), key=lambda item: (item[0][0] or 0,
                                                                           item[0][1])):
        # one model that saw no fold of a corpus is tested on all that other stages have
        tested = sorted(folds, key=lambda one: one or 0) if fold is None else [fold]
        for here in [fold] if corpus.name in step.corpora else tested:
            one = _predictions(step, cell, corpus, fold_of(corpus, here), emoset, partition,
                               device)
            if one is not None:
                by_seed.setdefault(seed, []).append(one)
    found: dict[str, list[float]] = {}
    n = k = 0
    for parts in by_seed.values():
        joined = [parts] if len({frozenset(one.utterances) for one in parts}) == len(parts) else (
            [[one] for one in parts])
        scores = [_scores(some) for some in joined]
        n, k = scores[0]["n"], scores[0]["k"]
        for key in scores[0]:
            if key not in ("n", "k"):
                found.setdefault(key, []).append(float(np.mean([one[key] for one in scores])))
    figures: dict[str, Any] = {"n": n, "k": k, "seeds": len(by_seed), "uar": math.nan,
                               "uar_sd": math.nan}
    for key, values in found.items():
        figures[key] = float(np.mean(values))
        figures[f"{key}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return figures


def _scores(parts: Sequence[Predictions]) -> dict[str, float]:
    system = collect("one", [dataclasses.replace(one, seed=0) for one in parts])
    row, = summarise(system).rows
    return {"n": row["n"], "k": row["k"], "uar": row.get("uar", math.nan),
            **{key: value for key, value in row.items() if key.startswith("ccc_")
               and not key.endswith(("_sd", "_low", "_high"))}}


def _predictions(step: Step, cell: Cell, corpus: BuiltCorpus, fold: int | None, emoset, partition,
                 device) -> Predictions | None:
    if corpus.name in step.corpora:
        score_missing(cell, partition, emoset, device, (corpus.name,))
        path = cell.predictions(corpus.name, partition)
    else:
        path = _read_through(cell, corpus, fold, partition, device)
    if path is None:
        return None
    one, = tables.read(path)
    return dataclasses.replace(one, seed=cell.seed)


def _read_through(cell: Cell, corpus: BuiltCorpus, fold: int | None, partition: str, device: str
                  ) -> Path | None:
    """Score a corpus that a cell did not learn, kept below the cell by the corpus's build."""
    from emokit.training import checkpoint
    from emokit.training.predict import place, prediction_table, score
    from emokit.training.normalisation import normalise

    facts = checkpoint.inspect(cell.folder / BEST)
    learnt = facts.facts["corpora"]
    if len(learnt) > 1:
        # of a joint stage nobody says whose adapters a further corpus would use
        return None
    head, = (one["head"] for one in learnt.values())
    source = _source(corpus, facts, fold, head)
    if source is None or not len(source.rows[partition]):
        return None
    name = f"{corpus.name}{'' if fold is None else f'-f{fold}'}"
    path = cell.folder / PREDICTIONS / "stages" / f"{name}.{partition}-{corpus.signature[:8]}.csv"
    if not path.is_file():
        log.info("scoring %s of %s with %s", partition, name, cell.folder)
        model, _ = checkpoint.load(cell.folder / BEST)
        normalise(model, [source], {head})
        place(model, device_of(device))
        write_csv(path, prediction_table(source, partition, score(
            model, source, partition, facts.facts["window"], facts.facts["scoring"])))
    return path


def _source(corpus: BuiltCorpus, facts, fold: int | None, head: str) -> Source | None:
    """Read a corpus through a head; where both answer the same, all of it."""
    target, labels = facts.facts["target"], facts.labels[head]
    own = make_source(corpus, target, fold)
    if own.head_labels == labels and own.head_dimensions == facts.dimensions.get(head, ()):
        return dataclasses.replace(own, head=head)
    if facts.dimensions.get(head) or own.head_dimensions:
        return None
    return foreign_source(corpus, target, fold, head, labels)


def stage_table(rows: Sequence[Mapping[str, Any]], format: str = "table") -> str:
    """Give stages down and corpora across for people, every number for programs."""
    if format in ("csv", "json"):
        return render(rows, format)
    shown, columns = wide_rows(rows)
    return render(shown, format, columns)


def wide_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[Column]]:
    """Give a row per stage, a column per corpus and measure, and a last row of forgetting."""
    corpora = list(dict.fromkeys(row["corpus"] for row in rows))
    measures = [key for key in dict.fromkeys(key for row in rows for key in row)
                if (key == "uar" or key.startswith("ccc_")) and not key.endswith("_sd")
                and any(not math.isnan(row.get(key, math.nan)) for row in rows)]
    columns = [Column("stage", "After stage")]
    shown: dict[str, dict[str, Any]] = {}
    for row in rows:
        line = shown.setdefault(row["stage"], {"stage": row["stage"]})
        for key in measures:
            line[f"{row['corpus']} {key}"] = _cell(row, key)
    forgotten = {f"{row['corpus']} {measures[0]}": _number(row["forgetting"], measures[0])
                 for row in rows if not math.isnan(row["forgetting"])} if measures else {}
    for corpus in corpora:
        n = max(row["n"] for row in rows if row["corpus"] == corpus)
        columns += [Column(f"{corpus} {key}", f"{corpus}, {_words(key)} (N {n})")
                    for key in measures]
    lines = [*shown.values(), *([{"stage": "forgetting", **forgotten}] if forgotten else [])]
    return [{column.name: line.get(column.name, NOTHING) for column in columns}
            for line in lines], columns


def _words(key: str) -> str:
    return "UAR %" if key == "uar" else f"CCC {key.removeprefix('ccc_')}"


def _number(value: float, key: str) -> str:
    return f"{100 * value:.1f}" if key == "uar" else f"{value:.3f}"


def _cell(row: Mapping[str, Any], key: str) -> str:
    value, spread = row.get(key, math.nan), row.get(f"{key}_sd", math.nan)
    if math.isnan(value):
        return NOTHING
    return _number(value, key) + ("" if math.isnan(spread) else f" ± {_number(spread, key)}")
