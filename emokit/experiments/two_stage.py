"""The protocol `two-stage`: acted speech first, then natural speech from those very weights."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.errors import ConfigError, choices
from emokit.core.files import read_json, write_text
from emokit.corpora.utterance import DIMENSIONS
from emokit.evaluation.tables import Column, render
from emokit.experiments.config import ExperimentConfig
from emokit.experiments.emonet import baseline_variants
from emokit.experiments.grid import Grid, Variant
from emokit.experiments.protocol import Report, Request, dry, nothing, report_of
from emokit.experiments.report import Section, table, write_results
from emokit.experiments.results import dev_figures, make_results
from emokit.experiments.stages import FORGETTING, Step, stage_rows
from emokit.training.config import TrainConfig
from emokit.training.run import PARAMETERS
from emokit.training.stages import refuse_labels, refuse_speakers
from emokit.training.train import Task, effective, sources_of

ALONE, SOURCE, BOTH = "alone", "source", "two stages"
COMBINATION = "bottleneck+lora+weighted_sum+gate"
"""Of Lashkarashvili et al. 2024, for speech transformers."""
FREEZABLE = ("lora.a", "lora.b", "bottleneck", "gate")
"""What their second stage may freeze, each by a flag of its own."""

_STAGES = (
    Column("recipe", "Way"), Column("stage", "After stage"), Column("corpus", "Corpus"),
    Column("n", "N", "count"), Column("k", "K", "count"), Column("seeds", "Seeds", "count"),
    Column("uar", "UAR", "percent"), Column("uar_sd", "± seeds", "percent"),
    *(Column(f"ccc_{name}", f"CCC {name}", "number") for name in DIMENSIONS),
    Column("forgetting", "Forgetting", "points"))


def stage_columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Columns for people: UAR, CCC, or both; forgetting is of UAR where there is one."""
    classes = any(row["k"] for row in rows)
    return [dataclasses.replace(column, kind="change")
            if column.name == "forgetting" and not classes else column for column in _STAGES
            if (classes or column.name not in ("k", "uar", "uar_sd"))
            and (column.name[:4] != "ccc_" or any(column.name in row for row in rows))]


def recipes(config: TrainConfig, which: str) -> dict[str, list[str]]:
    """Give {name: parts that the second stage freezes}, "freeze nothing" first.

    Args:
        which: `none` or `all`, every combination of the freezable parts that the adapters have.

    Raises:
        ConfigError: `all`, where there is nothing to freeze.

    Example:
        >>> list(recipes(TrainConfig(adapters=["gate"]), "all"))
        ['two stages', 'two stages, gate frozen']
    """
    names = [item["name"] for item in config.adapters]
    there = [part for part in FREEZABLE if part.partition(".")[0] in names]
    if which == "all" and not there:
        raise ConfigError(f"--recipes all freezes {', '.join(FREEZABLE)} in turn, and the adapters "
                          f"are {', '.join(names) or 'none'}. Add one of these, or leave out "
                          "--recipes.")
    found = {BOTH: []}
    if which == "all":
        for n in range(1, len(there) + 1):
            for some in itertools.combinations(there, n):
                found[f"{BOTH}, {' '.join(some)} frozen"] = list(some)
    return found


def variants(config: TrainConfig, explicit: Mapping[str, Any], options: ExperimentConfig
             ) -> list[Variant]:
    """Lay out the columns: the target alone, the source, and the target from the source."""
    own = (options.onto,)
    later = dataclasses.replace(config, mode="adapters" if config.adapters else "finetune",
                                copy_from=options.source)
    return [
        *(dataclasses.replace(one, corpora=own)
          for one in baseline_variants(options.baselines or [], config.target)),
        Variant(ALONE, config, explicit, corpora=own),
        Variant(SOURCE, config, explicit, corpora=(options.source,)),
        *(Variant(name, dataclasses.replace(later, freeze=[*config.freeze, *parts]), explicit,
                  SOURCE, corpora=own)
          for name, parts in recipes(config, options.recipes).items())]


def two_stage(grid: Grid, request: Request) -> Report:
    """Run the protocol: every recipe against the target alone, and what the source forgets."""
    options = request.options
    grid.add(variants(request.config, request.explicit, options))
    names = [name for name in grid.variants if name != SOURCE]
    for flag, name in (("--against", options.against), ("--headline", options.headline)):
        if name is not None and name not in names:
            raise ConfigError(f"{flag} is '{name}'. {choices(name, names)}")
    _refuse_speakers(grid, request.config)
    if request.dry_run:
        return dry(grid)
    grid.run()
    systems = {name: grid.system(name) for name in names}
    figures = {name: _stored(grid, name) for name in names if grid.complete(name)}
    results = make_results(
        systems, options.against or ALONE, options.headline or BOTH,
        {name: dev_figures(grid, grid.complete(name)) for name in names}, figures, word="way",
        **request.settings)
    if not results.rows:
        raise nothing(grid)
    rows = _stages(grid)
    columns = stage_columns(rows)
    write_text(Path(request.folder) / "stages.csv", render(rows, "csv") + "\n")
    write_results(request.folder, f"From {options.source} to {options.onto}", results,
                  cells=grid.rows(), failures=grid.failures(), methods_first=True,
                  parameters=figures, settings=request.asked(grid), facts={"stages": rows},
                  sections=[Section("Stage by stage", table(rows, columns), FORGETTING)])
    report = report_of(request.folder, results, grid.failures(), True)
    return dataclasses.replace(
        report, text=lambda format: report.text(format) if format in ("csv", "json") else
        f"{report.text(format)}\n\n{render(rows, format, columns)}",
        notes=(*report.notes, FORGETTING))


def _stages(grid: Grid) -> list[dict[str, Any]]:
    """Score both corpora after each stage of each recipe."""
    first, rows = _step(grid, SOURCE, "source"), []
    for name in grid.variants:
        if grid.variants[name].base != SOURCE or not grid.complete(name) or not first.cells:
            continue
        found = stage_rows([first, _step(grid, name, "target")], grid.emoset, "test", grid.device)
        rows += [{"recipe": name, **row} for row in found]
    return rows


def _step(grid: Grid, name: str, stage: str) -> Step:
    names = {corpus for entry in grid.entries[name] for corpus in entry.corpora}
    return Step(stage, {corpus.name: corpus for corpus in grid.corpora if corpus.name in names},
                {(entry.fold, entry.seed): entry.cell for entry in grid.complete(name)})


def _refuse_speakers(grid: Grid, config: TrainConfig) -> None:
    """Hold the folds of both corpora to each other before anything is fitted."""
    by_name = {corpus.name: corpus for corpus in grid.corpora}

    def task(entry) -> Task:
        return Task(entry.cell, entry.who, entry.fold, entry.seed,
                    tuple(by_name[name] for name in entry.corpora))

    config = effective(dataclasses.replace(config, corpora=list(by_name)))
    for later in grid.entries[BOTH]:
        if later.seed != grid.seeds[0]:
            continue
        for former in grid.entries[SOURCE]:
            if former.seed == later.seed and former.fold in (later.fold, None):
                (theirs,), (ours,) = (sources_of(config, one.corpora, one.fold)
                                      for one in map(task, (former, later)))
                refuse_labels(theirs, ours, "",
                              "such as arousal-valence, or 'classes' in corpora.yaml")
                refuse_speakers(config, task(former), task(later))
                refuse_speakers(config, task(later), task(former))
                break
        else:
            raise ConfigError(
                f"'{later.who}' has a fold {later.fold} and the source has not the same. Give both "
                "corpora the same folds in corpora.yaml, such as partitions: {rule: folds, by: "
                "session}, or take --folds none.")


def _stored(grid: Grid, name: str) -> dict[str, Any]:
    """Give the numbers of one cell; a base and its copy for a further corpus stand in one file."""
    counts = read_json(grid.complete(name)[0].cell.folder / PARAMETERS)
    single = counts.get("single", {}).get("stored")
    return {"stored": counts["stored"],
            "ratio": counts["stored"] / single if single else None, "per_further_corpus": None}


def settle(flags: Mapping[str, Any], options: ExperimentConfig, adapters_named: bool
           ) -> dict[str, Any]:
    """Give the flags of training that the protocol implies.

    Args:
        adapters_named: by a flag or a file; otherwise the paper's combination is taken.

    Raises:
        ConfigError: no source or target, or one corpus as both.
    """
    if not options.source or not options.onto or options.source == options.onto:
        raise ConfigError("Experiment 'two-stage' goes from one corpus to another. Name both: "
                          "--source NAME --onto NAME.")
    if "corpora" in flags:
        raise ConfigError("Experiment 'two-stage' has the corpora of --source and --onto; leave "
                          "out --corpora.")
    settled = {**flags, "corpora": [options.source, options.onto]}
    return settled if adapters_named else {"adapters": COMBINATION, **settled}
