"""The protocol `emonet`: every way of training on every corpus, and the paper's table."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.config import from_mapping
from emokit.core.errors import ConfigError, EmokitError, choices
from emokit.core.files import write_text
from emokit.corpora.views import split_target
from emokit.evaluation.tables import Column, render
from emokit.experiments import bases
from emokit.experiments.config import REGIMES, ExperimentConfig
from emokit.experiments.grid import Grid, Variant
from emokit.experiments.guard import Guarded, guard
from emokit.experiments.protocol import Report, Request, dry, fitted, nothing, report_of
from emokit.experiments.report import Section, table, write_results
from emokit.experiments.results import make_results
from emokit.training.config import TrainConfig

log = logging.getLogger("emokit")

GUARDED = "guarded"
_GUARD = (
    Column("corpus", "Corpus"), Column("fold", "Fold"), Column("delta", "Δ on dev", "points"),
    Column("share_negative", "Resamples below 0, %", "percent"),
    Column("harmed", "Harmed", "count"), Column("chosen", "Taken"))
_GUARD_TEXT = ("Decided on dev alone: where the shared model is more than 2 points below scratch, "
               "mean over seeds, and so in at least 90 % of resamples of the dev speakers, "
               "full-rank adapters, finetuning, interpolation and the scratch model are tried in "
               "turn.")
_BASES = (
    Column("corpus", "Corpus"), Column("fold", "Fold"), Column("seed", "Seed", "count"),
    Column("candidate", "Candidate"), Column("dev_score", "On dev", "number"),
    Column("chosen", "Chosen", "count"))
_BASES_TEXT = ("UAR on dev (CCC of dimensions, the mean of both where there are both) of a linear "
               "probe on each candidate's frozen embeddings; the best becomes the base.")


def variants(config: TrainConfig, explicit: Mapping[str, Any], options: ExperimentConfig,
             n_corpora: int) -> list[Variant]:
    """Lay out the columns of the table.

    Args:
        config: as `resolve` gives it; its regime, mode and init are the experiment's own.
        explicit: what the user named.

    Raises:
        ConfigError: a regime without its base, or a base of another corpus where there is one.
    """
    wanted = options.regimes or list(REGIMES)
    for name in wanted:
        if name not in REGIMES:
            raise ConfigError(f"--regimes is '{name}', but experiment 'emonet' has others. "
                              f"{choices(name, REGIMES)}")
    _refuse(wanted, n_corpora)
    columns = baseline_variants(linear(options), config.target)
    for name, way in REGIMES.items():
        if name in wanted:
            columns.append(Variant(name, dataclasses.replace(
                config, regime=way.regime, mode=way.mode, init=None,
                adapters=config.adapters if way.adapters else []), explicit, way.base,
                way.chosen))
    return columns


def _refuse(wanted: Sequence[str], n_corpora: int) -> None:
    if len(set(wanted)) < len(wanted):
        raise ConfigError(f"--regimes names one twice: {', '.join(wanted)}.")
    for name in wanted:
        base = REGIMES[name].base
        if base and base not in wanted:
            raise ConfigError(f"Regime '{name}' starts from '{base}', which --regimes leaves out. "
                              f"Add {base}, or leave out {name}.")
        if REGIMES[name].chosen and n_corpora < 2:
            raise ConfigError(f"Regime '{name}' starts from the model of another corpus, but there "
                              "is only one. Build a second corpus, or choose other --regimes.")


def linear(options: ExperimentConfig) -> list[str]:
    """Name the baselines: log-mel statistics unless somebody says otherwise."""
    return ["logmel"] if options.baselines is None else options.baselines


def baseline_variants(names: Sequence[str], target: str) -> list[Variant]:
    """Give the linear baselines that --baselines names; some have a path, `embedding:PATH`.

    Raises:
        ConfigError: no such baseline, one named twice, or one without its path.
    """
    from emokit.baselines import BASELINES, PATHS
    from emokit.baselines.config import BaselineConfig

    result = []
    for text in names:
        name, _, path = text.partition(":")
        if name in PATHS and not path:
            raise ConfigError(f"--baselines {name} needs {PATHS[name]}: {name}:PATH.")
        if name in BASELINES and name not in PATHS and path:
            raise ConfigError(f"--baselines {text}: '{name}' takes no file.")
        result.append(Variant(name, from_mapping(
            BaselineConfig, {"name": name, "path": path or None, "target": target},
            "--baselines")))
    return result


def emonet(grid: Grid, request: Request) -> Report:
    """Run the protocol: every regime on every corpus, test scored once, and the paper's table."""
    options, folder = request.options, request.folder
    grid.add(variants(request.config, request.explicit, options, len(grid.corpora)))
    check_names(grid, options)
    if request.dry_run:
        return dry(grid)
    grid.run()
    names = list(grid.variants)
    reference = options.against or ("scratch" if "scratch" in names else names[0])
    headline = options.headline or ("joint+adapters" if "joint+adapters" in names else names[-1])
    guarded, problem = _guarded(grid, headline) if options.guard else (None, "")
    systems, dev, parts = fitted(grid, names)
    if guarded is not None:
        systems[GUARDED], parts[GUARDED] = guarded.system, guarded.stored
        dev[GUARDED] = {corpus: {seed: {"uar": uar} for seed, uar in seeds.items()}
                        for corpus, seeds in guarded.dev.items()}
    results = make_results(systems, reference, headline, dev, {
        name: one.figures() for name, one in parts.items()}, **request.settings)
    if not results.rows:
        raise nothing(grid)
    sections, facts = _sections(grid, guarded, folder)
    write_results(folder, "Experiment emonet", results, cells=grid.rows(),
                  failures=grid.failures(), sections=sections, settings=request.asked(grid),
                  facts=facts, parameters={name: {**dataclasses.asdict(one), **one.figures()}
                                           for name, one in parts.items()})
    return dataclasses.replace(report_of(folder, results, grid.failures()), problem=problem)


def _guarded(grid: Grid, headline: str) -> tuple[Guarded | None, str]:
    """Give the guarded column, or why there is none: the others are worth their table."""
    try:
        return guard(grid, headline, "scratch", GUARDED), ""
    except EmokitError as error:
        log.error("guard: %s", error)
        return None, f"The column '{GUARDED}' is missing: {error}"


def _sections(grid: Grid, guarded: Guarded | None, folder: Path):
    """Write guard.csv and bases.csv; give them as parts of the page, and for summary.json."""
    sections, facts = [], {}
    if guarded is not None:
        rows = [one.row() for one in guarded.decisions]
        write_text(folder / "guard.csv", render(rows, "csv") + "\n")
        sections.append(Section("Guard against negative transfer", table(rows, _GUARD),
                                _GUARD_TEXT))
        facts["guard"] = rows
    candidates = bases.rows(grid)
    if candidates:
        write_text(folder / "bases.csv", render(candidates, "csv") + "\n")
        sections.append(Section("Chosen bases", table(candidates, _BASES), _BASES_TEXT, True))
    return sections, facts


def check_names(grid: Grid, options: ExperimentConfig) -> None:
    """Hold --against, --headline and --guard to the columns there are.

    Raises:
        ConfigError: no such column, or nothing that the guard could guard.
    """
    for flag, name in (("--against", options.against), ("--headline", options.headline)):
        if name is not None and name not in grid.variants:
            raise ConfigError(f"{flag} is '{name}'. {choices(name, grid.variants)}")
    if not options.guard:
        return
    if any(split_target(one.config.target)[1] for one in grid.variants.values()):
        raise ConfigError("--guard decides by dev UAR, and the target has dimensions. Leave it "
                          "out.")
    shared = options.headline or "joint+adapters"
    found = grid.variants.get(shared)
    base = found and (found.base or shared)
    if (found is None or found.is_baseline or found.chosen or "scratch" not in grid.variants
            or grid.variants[base].config.regime != "joint"):
        raise ConfigError(
            "--guard compares a shared model with scratch, so --regimes needs scratch and "
            "joint+adapters (or another --headline with a joint base).")
