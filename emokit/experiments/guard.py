"""The guard against negative transfer: where sharing hurts on dev, something else takes over."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emokit.core.errors import EmokitError
from emokit.core.seeding import generator
from emokit.evaluation import predictions as tables
from emokit.evaluation.counts import uar_present
from emokit.evaluation.systems import Aligned, System, align
from emokit.experiments.grid import Entry, Grid, Variant
from emokit.experiments.interpolation import entry_of, interpolate
from emokit.experiments.parameters import Stored, stored
from emokit.experiments.systems import cells_system
from emokit.loading.source import fold_of
from emokit.training.start import init_checkpoint
from emokit.training.train import effective

log = logging.getLogger("emokit")

HARM, CERTAINTY, DRAWS = -0.02, 0.9, 1000
FULL, FINETUNE, BETWEEN = "guard-full", "guard-finetune", "interpolated"
Unit = tuple[str, "int | None"]
"""Corpus and its own fold, on whose dev one decision is made."""


@dataclasses.dataclass
class Decision:
    """What the guard found on the dev partition of one corpus and fold, and did about it.

    Args:
        delta: dev UAR of the shared model minus that of scratch, each a mean over seeds.
        share: share of resamples of dev in which that is negative.
        dev: way of training to its dev UAR, of what was tried.
        chosen: the way that is taken.
    """

    corpus: str
    fold: int | None
    delta: float
    share: float
    dev: dict[str, float]
    chosen: str

    @property
    def is_harmed(self) -> bool:
        """Whether the rule sees negative transfer."""
        return self.delta < HARM and self.share >= CERTAINTY

    def row(self) -> dict[str, Any]:
        """Give a flat row for tables."""
        return {"corpus": self.corpus, "fold": self.fold, "delta": self.delta,
                "share_negative": self.share, "harmed": int(self.is_harmed),
                "chosen": self.chosen,
                **{f"dev_{name}": value for name, value in self.dev.items()}}


@dataclasses.dataclass(frozen=True)
class Guarded:
    """The guarded column: its decisions, predictions, cost, and dev UAR by corpus and seed."""

    decisions: list[Decision]
    system: System | None
    stored: Stored
    dev: dict[str, dict[int, float]]


def guard(grid: Grid, shared: str, scratch: str, name: str = "guarded") -> Guarded:
    """Replace a shared model where it hurts, decided on dev alone for each corpus and fold.

    delta = mean over seeds of dev UAR(shared) - dev UAR(scratch). If delta < -0.02 and at least
    90 % of 1000 resamples of dev, speakers and then utterances within them, are negative, these
    are tried in turn: (1) full-rank adapters and a private pooling on the joint base, (2) the joint
    model finetuned, (3) weights between the joint and the finetuned one, (4) the scratch model; the
    first whose dev UAR is at least that of scratch is taken. Only what is tried is fitted.

    Args:
        shared, scratch: variants of the grid that are fitted.

    Raises:
        EmokitError: no cell of theirs is complete.

    Source:
        multi-corpus method, negative-transfer guard; (3) is emokit's addition. Deviations:
        decided for each fold on that fold's dev, because one fold's dev is another's test;
        utterances are resampled, too, because dev often has a single speaker.
    """
    entries = {one: _by_unit(grid, one) for one in (shared, scratch)}
    common = [unit for unit in entries[shared] if unit in entries[scratch]]
    if not common:
        raise EmokitError(f"The guard finds no complete cells of '{shared}' and '{scratch}' with "
                          "the same corpus and fold. Fit both first.")
    decisions = {unit: _examine(unit, entries, shared, scratch) for unit in common}
    joint = grid.variants[shared].base or shared
    for step in (FULL, FINETUNE, BETWEEN):
        open_units = [unit for unit, one in decisions.items()
                      if one.is_harmed and one.chosen == scratch]
        if not open_units:
            break
        log.info("guard: %s hurts %d corpora or folds, trying %s", shared, len(open_units), step)
        entries[step] = _try(grid, step, joint, open_units, entries)
        for unit in open_units:
            _weigh(decisions[unit], step, entries[step].get(unit, {}), entries[scratch][unit],
                   scratch)
    only: dict[Path, set[str]] = {}
    cells: dict[Path, Any] = {}
    dev: dict[str, dict[int, list[float]]] = {}
    for unit, one in decisions.items():
        for seed, entry in entries[one.chosen][unit].items():
            cells[entry.cell.folder] = entry.cell
            only.setdefault(entry.cell.folder, set()).add(unit[0])
            uar = entry.cell.metrics()["dev"][unit[0]]["uar"]
            dev.setdefault(unit[0], {}).setdefault(seed, []).append(uar)
    skip = grid.missing_folds(shared) | grid.missing_folds(scratch)
    system = cells_system(name, list(cells.values()), "test", grid.emoset, grid.device, skip, only)
    return Guarded(list(decisions.values()), system if system.cells else None,
                   _stored(grid, list(decisions.values()), shared),
                   {corpus: {seed: float(np.mean(values)) for seed, values in seeds.items()}
                    for corpus, seeds in dev.items()})


def _by_unit(grid: Grid, name: str) -> dict[Unit, dict[int, Entry]]:
    """Give {(corpus, own fold): {seed: entry}} of the complete cells of a variant."""
    found: dict[Unit, dict[int, Entry]] = {}
    corpora = {corpus.name: corpus for corpus in grid.corpora}
    for entry in grid.complete(name):
        for corpus in entry.corpora:
            unit = corpus, fold_of(corpora[corpus], entry.fold)
            found.setdefault(unit, {}).setdefault(entry.seed, entry)
    return found


def _examine(unit: Unit, entries, shared: str, scratch: str) -> Decision:
    """Compare two ways on the dev partition of one corpus and fold."""
    corpus = unit[0]
    sides = []
    for name in (shared, scratch):
        side = {}
        for seed, entry in entries[name][unit].items():
            side[seed], = tables.read(entry.cell.predictions(corpus, "dev"))
        sides.append(side)
    aligned = align(corpus, sides, "speaker", [shared, scratch])
    counts = [aligned.counts(0), aligned.counts(1)]
    scores = [float(uar_present(side.sum(1)).mean()) for side in counts]
    share = _share_negative(aligned, generator(0, "guard", corpus, str(unit[1])))
    decision = Decision(corpus, unit[1], scores[0] - scores[1], share,
                        dict(zip((shared, scratch), scores)), shared)
    if decision.is_harmed:
        decision.chosen = scratch
    return decision


def _share_negative(aligned: Aligned, rng: np.random.Generator) -> float:
    """Give the share of resamples of dev in which the first of two systems is worse.

    Speakers are drawn with replacement, then utterances within each drawn speaker: where dev has
    one speaker, or two, speakers alone would make every difference look certain.
    """
    speakers, n_classes = len(aligned.cluster_names), len(aligned.labels)
    times = rng.multinomial(speakers, np.full(speakers, 1 / speakers), DRAWS)  # [draws, S]
    weights = np.zeros((DRAWS, len(aligned.truth)), np.float32)
    for speaker in range(speakers):
        own = np.flatnonzero(aligned.clusters == speaker)
        weights[:, own] = rng.multinomial(times[:, speaker] * len(own),
                                          np.full(len(own), 1 / len(own)))
    classes = np.eye(n_classes, dtype=np.float32)[aligned.truth]  # [N, K]
    drawn = weights @ classes
    scores = []
    for answers in aligned.answers:
        right = (answers == aligned.truth).mean(0, dtype=np.float32)  # over seeds
        recalls = np.divide(weights @ (classes * right[:, None]), drawn,
                            out=np.full(drawn.shape, np.nan, np.float32), where=drawn > 0)
        scores.append(np.nanmean(recalls, axis=1))
    # equal sums may differ in their last digits
    return float(np.mean(scores[0] - scores[1] < -1e-6))


def _try(grid: Grid, step: str, joint: str, units: Sequence[Unit], entries
         ) -> dict[Unit, dict[int, Entry]]:
    """Fit one way for the units that need it; give its complete entries."""
    if step == BETWEEN:
        return _interpolated(grid, joint, units, entries[FINETUNE])
    settings = _candidate(grid, step, joint)
    if settings is None:
        return {}
    wanted = frozenset((corpus, fold, seed) for corpus, fold in units for seed in grid.seeds)
    grid.add([dataclasses.replace(settings, places=wanted)])
    grid.run_variant(step)
    return _by_unit(grid, step)


def _candidate(grid: Grid, step: str, joint: str) -> Variant | None:
    base = grid.variants[joint]
    config = dataclasses.replace(base.config, regime="single", mode="finetune", adapters=[])
    if step == FINETUNE:
        return Variant(step, config, base.explicit, joint)
    adapters = [{**item, "rank": "full"} for item in effective(base.config).adapters
                if item["name"] == "residual"]
    if not adapters:
        return None
    plain = next((name for name, one in grid.variants.items() if not one.is_baseline
                  and one.config.regime == "joint" and not one.config.adapters), joint)
    return Variant(step, dataclasses.replace(config, mode="adapters", adapters=adapters,
                                             shared_pooling=False),
                   {**base.explicit, "shared_pooling": False}, plain)


def _interpolated(grid: Grid, joint: str, units, finetuned: Mapping[Unit, Mapping[int, Entry]]
                  ) -> dict[Unit, dict[int, Entry]]:
    group, found = grid.group_name(joint), {}
    for unit in units:
        for seed, own in finetuned.get(unit, {}).items():
            base = init_checkpoint(grid.runs, group, own.who, seed, own.fold)
            found.setdefault(unit, {})[seed] = entry_of(own, interpolate(grid, own, base))
    return found


def _weigh(decision: Decision, step: str, tried: Mapping[int, Entry],
           scratch: Mapping[int, Entry], name: str) -> None:
    """Take a way whose dev UAR is at least that of scratch; one that lacks a seed is no choice."""
    if set(tried) < set(scratch):
        return
    decision.dev[step] = float(np.mean([
        entry.cell.metrics()["dev"][decision.corpus]["uar"] for entry in tried.values()]))
    if decision.dev[step] >= decision.dev[name]:
        decision.chosen = step


def _stored(grid: Grid, decisions: Sequence[Decision], shared: str) -> Stored:
    """Count what is stored: shared parts once, copies in full, a mean over a corpus's folds."""
    counted: dict[str, Stored] = {}
    parts: dict[str, int] = {}
    own: dict[str, list[float]] = {}
    for one in decisions:
        # an interpolated model is a whole copy, just as the finetuned one
        name = FINETUNE if one.chosen == BETWEEN else one.chosen
        counted.setdefault(name, stored(grid, name))
        parts |= counted[name].shared
        own.setdefault(one.corpus, []).append(counted[name].own[one.corpus])
    counted.setdefault(shared, stored(grid, shared))
    single = {corpus: counted[shared].single[corpus] for corpus in own}
    return Stored(parts, {corpus: float(np.mean(values)) for corpus, values in own.items()},
                  single)
