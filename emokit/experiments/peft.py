"""The protocol `peft`: every way of adapting a pretrained encoder, against full fine-tuning."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emokit.core.errors import ConfigError, choices
from emokit.core.files import write_text
from emokit.evaluation.tables import Column, render
from emokit.experiments.cells import Variant
from emokit.experiments.config import ExperimentConfig
from emokit.experiments.emonet import baseline_variants
from emokit.experiments.grid import Grid
from emokit.experiments.peft_costs import facts_of, sizes_of
from emokit.experiments.peft_methods import (
    COMBINATION, REGIMES, Row, check_sets, for_method, lay_out,
)
from emokit.experiments.peft_table import columns, rows_of, shown
from emokit.experiments.protocol import Report, Request, dry, nothing
from emokit.experiments.report import Section, notes_html, table, write_results
from emokit.experiments.results import Results, dev_figures, dev_uars, make_results
from emokit.loading.source import make_source
from emokit.training.config import TrainConfig
from emokit.training.settings import resolve

log = logging.getLogger("emokit")

_ABOVE = ("UAR on test in percent, mean ± standard deviation over seeds; time of training over "
          "full fine-tuning's; the best dev UAR in bold. What each column holds stands below.")
_FIGURES = ("stored", "ratio", "per_further_corpus")
_TRIED = (
    Column("method", "Method"), Column("learning_rate", "Rate"),
    Column("dev_uar", "Mean dev UAR", "percent"), Column("corpora", "Corpora", "count"),
    Column("chosen", "Taken"))


def peft(grid: Grid, request: Request) -> Report:
    """Run the protocol: choose rates on dev of the first seed, fit all seeds, and the table."""
    options = request.options
    sources = [make_source(corpus, request.config.target, None) for corpus in grid.corpora]

    def settings(flags: Mapping[str, Any]):
        flags = {**request.flags, **flags}
        return resolve(flags, for_method(request.sets, flags), request.file)

    def count(config: TrainConfig) -> int:
        return sizes_of(config, sources[:1])[0].adapted

    rows, left = lay_out(options, request.config, settings, count)
    check_sets(request.sets, rows)
    floor = _floor(request)
    names = [*(one.name for one in floor), *(row.name for row in rows)]
    reference, headline = _heads(options, names, rows)
    grid.add(floor)
    trials = _try(grid, rows, request.dry_run)
    chosen = _choose(grid, rows, trials)
    _add(grid, rows, chosen, request.dry_run)
    if request.dry_run:
        return dry(grid)
    for name in grid.variants:
        if name not in trials:
            grid.run_variant(name)
    facts = facts_of(grid, rows, chosen, sources)
    results = make_results(
        {name: grid.system(name) if name in grid.variants else None for name in names},
        reference, headline, {name: dev_figures(grid, grid.complete(name)) for name in names
                              if name in grid.variants},
        {name: {key: facts.get(name, {}).get(key) for key in _FIGURES} for name in names},
        word="method", **request.settings)
    if not results.rows:
        raise nothing(grid)
    return _report(grid, request, results, facts, left, _tried(grid, rows, chosen))


def _floor(request: Request) -> list[Variant]:
    """Give the linear baselines: without --baselines a probe of the encoder's frozen states."""
    named, backbone = request.options.baselines, request.config.backbone
    if named is None:
        named = [f"embedding:{backbone['path']}" if backbone["name"] == "byols" else
                 f"states:{backbone['name']}:{backbone['path']}"]
    return baseline_variants(named, request.config.target)


def _heads(options: ExperimentConfig, names: Sequence[str], rows: Sequence[Row]
           ) -> tuple[str, str]:
    """Give reference and headline: of the first regime finetune, and the combination or what else
    is the last row.

    Raises:
        ConfigError: one that is named and is no row.
    """
    for flag, name in (("--against", options.against), ("--headline", options.headline)):
        if name is not None and name not in names:
            raise ConfigError(f"{flag} is '{name}'. {choices(name, names)}")
    own = [row.name for row in rows if row.regime == rows[0].regime]
    reference = options.against or own[-1]
    others = [name for name in own if name != reference]
    combination = [name for name in others if name.split()[-1] == COMBINATION]
    return reference, options.headline or (combination or others)[-1]


# ---- learning rates, chosen on dev of the first seed

def _trial_name(row: Row, rate: float) -> str:
    return f"{row.name} @ {rate:g}"


def _try(grid: Grid, rows: Sequence[Row], dry_run: bool) -> dict[str, Row]:
    """Fit the first seed of each row at each of its rates; a single rate needs no choice."""
    places = frozenset((who, fold, grid.seeds[0])
                       for who in (*(corpus.name for corpus in grid.corpora), REGIMES[1])
                       for corpus in grid.corpora for fold in grid.folds_of(corpus))
    trials: dict[str, Row] = {}
    for row in rows:
        for rate, config, explicit in row.tried if len(row.tried) > 1 else ():
            name = _trial_name(row, rate)
            grid.add([Variant(name, config, explicit, places=places)])
            trials[name] = row
    if not dry_run:
        for name in trials:
            grid.run_variant(name)
    return trials


def _dev(grid: Grid, name: str) -> dict[str, float]:
    """Give dev UAR by corpus, of corpora whose cells of a variant are all complete."""
    missing = {corpus for entry in grid.entries[name] if not entry.is_complete
               for corpus in entry.corpora}
    found = dev_uars(grid, grid.complete(name))
    return {corpus: float(np.mean(list(seeds.values()))) for corpus, seeds in found.items()
            if corpus not in missing}


def _choose(grid: Grid, rows: Sequence[Row], trials: Mapping[str, Row]) -> dict[str, float | None]:
    """Give each row's rate: the best mean dev UAR over corpora, ties to the first that was named.

    A rate at which a corpus could not be fitted is out; None where none is left.
    """
    chosen: dict[str, float | None] = {}
    for row in rows:
        if len(row.tried) == 1:
            chosen[row.name] = row.tried[0][0]
            continue
        scores = {rate: _dev(grid, _trial_name(row, rate)) for rate, _, _ in row.tried}
        whole = {rate: np.mean(list(found.values())) for rate, found in scores.items()
                 if len(found) == len(grid.corpora)}
        chosen[row.name] = max(whole, key=whole.get) if whole else None
        if whole:
            log.info("%s: learning rate %g by mean dev UAR (%s)", row.name, chosen[row.name],
                     ", ".join(f"{rate:g}: {100 * uar:.1f}" for rate, uar in whole.items()))
    return chosen


def _add(grid: Grid, rows: Sequence[Row], chosen: Mapping[str, float | None], dry_run: bool
         ) -> None:
    """Add each row at its rate; in a dry run also those that nobody can tell yet."""
    for row in rows:
        rates = {rate: (config, explicit) for rate, config, explicit in row.tried}
        rate = chosen[row.name]
        if rate is not None:
            grid.add([Variant(row.name, *rates[rate])])
        elif dry_run:
            grid.add([Variant(row.name, *next(iter(rates.values())))])
            grid.entries[row.name] = [dataclasses.replace(entry, cell=None)
                                      for entry in grid.entries[row.name]]


def _tried(grid: Grid, rows: Sequence[Row], chosen: Mapping[str, float | None]
           ) -> list[dict[str, Any]]:
    """Give a row per method and rate, none where nothing had to be chosen."""
    found = []
    for row in rows:
        for rate, _, _ in row.tried if len(row.tried) > 1 else ():
            dev = _dev(grid, _trial_name(row, rate))
            found.append({"method": row.name, "learning_rate": f"{rate:g}",
                          "corpora": len(dev), "seed": grid.seeds[0],
                          "dev_uar": float(np.mean(list(dev.values()))) if dev else None,
                          "chosen": "taken" if chosen[row.name] == rate else ""})
    return found


# ---- what came of it

def _report(grid: Grid, request: Request, results: Results, facts, left: Sequence[str],
            tried: Sequence[Mapping[str, Any]]) -> Report:
    folder, rows = Path(request.folder), rows_of(results, facts, request.settings)
    people, best = shown(rows, results), results.best_line()
    write_text(folder / "peft.csv", render(rows, "csv") + "\n")
    own = _notes(results, left, tried, grid)
    more = [Section("What stands in the first table", notes_html(own))]
    if tried:
        write_text(folder / "rates.csv", render(tried, "csv") + "\n")
        more.append(Section("Learning rates, chosen on dev", table(tried, _TRIED), folded=True))
    write_results(folder, "Adapting a pretrained encoder", results, cells=grid.rows(),
                  failures=grid.failures(), methods_first=True, parameters=facts,
                  settings=request.asked(grid), facts={"peft": rows, "rates": tried},
                  first=[Section("What each method costs and gives",
                                 table(people, columns(results), best), _ABOVE)],
                  sections=more)

    def text(format: str) -> str:
        if format in ("csv", "json"):
            return render(rows, format)
        return render(people, format, columns(results), best)

    return Report(folder, text, (*own, *results.notes()), tuple(grid.failures()))


def _notes(results: Results, left: Sequence[str], tried: Sequence[Mapping[str, Any]], grid: Grid
           ) -> list[str]:
    """Say what stands in the columns of the table, and what is not in it."""
    lines = [
        "Rate: peak learning rate. Learns: numbers that learn for one model, head included; % of "
        "encoder: of these all but the head. Stored: numbers that serve all corpora, a frozen "
        "encoder once. Time: of training on an utterance, over full fine-tuning; where a head or a "
        "mixture of layers alone learns, states are computed once, which is not counted. Bold: the "
        "best dev UAR, the one to choose by. What training holds in memory: docs/adapters.md and "
        "benchmarks/peft_cost.py."]
    if tried:
        lines.append(f"Learning rates: of those named each method has the one with the best mean "
                     f"dev UAR over corpora with seed {grid.seeds[0]}.")
    else:
        lines.append("Learning rates: one default for each method, tried on nothing. For a "
                     "comparison to rest on let dev choose: --learning-rates 0.0005,0.003.")
    if results.comparisons:
        lines.append(
            f"Δ: mean over these corpora minus that of {results.reference}, interval and p over "
            "test speakers and seeds; it speaks of these corpora, not of others. Holm: "
            f"{results.headline} was planned, so its p stands as it is; all others are corrected "
            "together.")
    return [*lines, *left]
