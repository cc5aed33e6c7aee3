"""Models on corpora that they never saw: cross-corpus matrices and leaving one corpus out."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.core.errors import ConfigError, culprits
from emokit.core.files import write_csv
from emokit.corpora.store import BuiltCorpus
from emokit.evaluation import predictions as tables
from emokit.evaluation.counts import RIGHT, TRUE, uar, wa
from emokit.evaluation.predictions import Predictions
from emokit.evaluation.systems import System, align, collect
from emokit.experiments.emonet import baseline_variants
from emokit.experiments.grid import Entry, Grid, Variant
from emokit.experiments.partitions import partition_facts, partition_name
from emokit.loading.source import Source, count_folds, make_source
from emokit.training.config import TrainConfig
from emokit.training.run import BEST, PREDICTIONS, Cell
from emokit.training.train import device_of

log = logging.getLogger("emokit")


def foreign_source(corpus: BuiltCorpus, target: str, fold: int | None, head: str,
                   labels: Sequence[str]) -> Source | None:
    """Read a corpus through the head of a model of other corpora.

    Only classes that both know are scored, since the corpus's own class list is known; the
    model's other classes are left out and the rest scaled, as for pooled heads.

    Args:
        head, labels: of the model.

    Returns:
        None with fewer than two classes in common.
    """
    own = make_source(corpus, target, fold)
    index = {label: number for number, label in enumerate(labels)}
    common = tuple(label for label in own.labels if label in index)
    if len(common) < 2:
        return None
    there = np.array([index.get(label, -1) for label in own.head_labels])
    classes = np.where(own.classes >= 0, there[own.classes], -1)
    rows = {partition: some[classes[some] >= 0] for partition, some in own.rows.items()}
    return dataclasses.replace(own, head=head, labels=common, head_labels=tuple(labels),
                               classes=classes, rows=rows)


def foreign_predictions(cell: Cell, corpus: BuiltCorpus, fold: int | None, partition: str = "test",
                        device: str = "auto") -> Predictions | None:
    """Score a corpus with the model of another; kept below the cell, by the corpus's build.

    Args:
        cell: complete, of regime single or pooled.
        fold: the corpus's own fold.

    Returns:
        None with fewer than two classes in common.

    Raises:
        EmokitError: the model cannot be read, or the corpus has nothing in that partition.
    """
    from emokit.training import checkpoint
    from emokit.training.predict import place, prediction_table, score

    name = f"{corpus.name}{'' if fold is None else f'-f{fold}'}"
    path = cell.folder / PREDICTIONS / "transfer" / f"{name}.{partition}-{corpus.signature[:8]}.csv"
    facts = checkpoint.inspect(cell.folder / BEST)
    head, = facts.labels
    source = foreign_source(corpus, facts.facts["target"], fold, head, facts.labels[head])
    if source is None:
        return None
    if not len(source.rows[partition]):
        raise ConfigError(f"Corpus '{corpus.name}' has no {partition} utterance of the classes "
                          f"{', '.join(source.labels)}. Leave it out with --corpora.")
    if not path.is_file():
        log.info("scoring %s with %s", name, cell.name)
        model, _ = checkpoint.load(cell.folder / BEST)
        place(model, device_of(device))
        write_csv(path, prediction_table(source, partition, score(
            model, source, partition, facts.facts["window"], facts.facts["scoring"])))
    one, = tables.read(path)
    return dataclasses.replace(one, seed=cell.seed)


# train on one, test on another

def cross_variants(config: TrainConfig, explicit: Mapping[str, Any]) -> list[Variant]:
    """Give the one variant of a cross-corpus matrix: a single model of each corpus."""
    return [Variant("scratch", dataclasses.replace(
        config, regime="single", mode="scratch", init=None, adapters=[]), explicit)]


def cross_rows(grid: Grid, name: str = "scratch") -> list[dict[str, Any]]:
    """Score every model on the test partition of every corpus.

    Folds: fold j of the tested corpus is scored by the model of fold j of the other corpus
    (modulo its number of folds), so the diagonal is the ordinary result within the corpus, and
    each utterance is scored once.

    Returns:
        A row per pair and seed: `train, test, partition` (that test comes from)`, seed, n,
        speakers, k` (classes in common)`, classes, uar, wa, chance, above_chance` = (uar - 1/k) /
        (1 - 1/k); NaN and k < 2 where nothing is in common.
    """
    cells = {(entry.who, entry.fold, entry.seed): entry.cell for entry in grid.complete(name)}
    missing, facts = grid.missing_folds(name), tested_partitions(grid)
    rows = []
    for trained in grid.corpora:
        for tested in grid.corpora:
            for seed in grid.seeds:
                if (trained.name, seed) in missing:
                    continue
                parts = _pair(grid, cells, trained, tested, seed)
                rows.append({"train": trained.name, "test": tested.name,
                             "partition": partition_name(facts[tested.name]), "seed": seed,
                             **_scores(parts)})
    return rows


def tested_partitions(grid: Grid) -> dict[str, dict[str, Any]]:
    """Say of each corpus what its test utterances are in this grid."""
    return {corpus.name: partition_facts(corpus.build, grid.folds_of(corpus))
            for corpus in grid.corpora}


def _pair(grid: Grid, cells, trained: BuiltCorpus, tested: BuiltCorpus, seed: int
          ) -> list[Predictions]:
    n_folds = count_folds(trained) if grid.folded else 0
    found = []
    for fold in grid.folds_of(tested):
        theirs = None if not n_folds else (fold or 0) % n_folds
        if grid.only_fold is not None and n_folds:
            theirs = grid.only_fold % n_folds
        one = foreign_predictions(cells[trained.name, theirs, seed], tested, fold,
                                  device=grid.device)
        found += [] if one is None else [one]
    return found


def _scores(parts: Sequence[Predictions]) -> dict[str, Any]:
    if not parts:
        return {"n": 0, "speakers": 0, "k": 0, "classes": "", "uar": math.nan,
                "wa": math.nan, "chance": math.nan, "above_chance": math.nan}
    system = collect("one", [dataclasses.replace(one, seed=0) for one in parts])
    (corpus, one), = system.cells.items()
    aligned = align(corpus, [one])
    totals = aligned.counts(0).sum(1)
    k = totals.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        value, plain = float(uar(totals)[0]), float(wa(totals)[0])
    return {"n": int(totals[0, TRUE].sum()), "speakers": aligned.speakers or None, "k": k,
            "classes": " ".join(parts[0].labels), "uar": value, "wa": plain, "chance": 1 / k,
            "above_chance": (value - 1 / k) / (1 - 1 / k)}


def recall_rows(system: System) -> list[dict[str, Any]]:
    """Give recall by corpus and class, a mean over seeds: `corpus, class, n, recall`."""
    rows = []
    for corpus, cells in system.cells.items():
        aligned = align(corpus, [cells])
        totals = aligned.counts(0).sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            recalls = (totals[:, RIGHT] / totals[:, TRUE]).mean(0)
        rows += [{"corpus": corpus, "class": label, "n": int(n), "recall": float(recall)}
                 for label, n, recall in zip(aligned.labels, totals[0, TRUE], recalls)]
    return rows


# leave one corpus out

ZERO_SHOT, ADAPTERS, OWN = "zero-shot", "adapters", "scratch"


def without(corpus: str) -> str:
    """Name the variant that never sees a corpus."""
    return f"without-{corpus}"


def leave_out_variants(config: TrainConfig, explicit: Mapping[str, Any], grid: Grid,
                       baselines: Sequence[str]) -> list[Variant]:
    """Lay out leave-one-corpus-out: a pooled model without each corpus, and what stands on it.

    The pooled models are trained on the default partitions, since the corpus that they leave out
    has no part in them; what is trained on that corpus follows the grid's folds.

    Raises:
        ConfigError: fewer than two corpora, or a target without one label list for all.
    """
    names = [corpus.name for corpus in grid.corpora]
    if len(names) < 2:
        raise ConfigError(f"Leaving one corpus out needs two at least; there is {culprits(names)}.")
    if config.target == "emotion":
        raise ConfigError("leave-one-corpus-out scores a corpus with the head of others, so it "
                          "needs one label list: choose a --target such as canonical4.")
    base = dataclasses.replace(config, regime="pooled", mode="scratch", init=None, adapters=[])
    own = dataclasses.replace(config, regime="single", mode="scratch", init=None, adapters=[])
    on_top = dataclasses.replace(own, mode="adapters", adapters=config.adapters)
    result = baseline_variants(baselines, config.target)
    result.append(Variant(OWN, own, explicit))
    for name in names:
        result.append(Variant(without(name), base, explicit, folded=False,
                              corpora=tuple(other for other in names if other != name)))
        result.append(Variant(f"{ADAPTERS}-{name}", on_top, explicit, without(name),
                              corpora=(name,)))
    return result


def leave_out_systems(grid: Grid) -> dict[str, System | None]:
    """Give the columns of leave-one-corpus-out, each over all corpora."""
    found: dict[str, System | None] = {
        name: grid.system(name) for name, one in grid.variants.items() if one.is_baseline}
    zero_shot: list[Predictions] = []
    for corpus in grid.corpora:
        for entry in grid.complete(without(corpus.name)):
            parts = [foreign_predictions(entry.cell, corpus, fold, device=grid.device)
                     for fold in grid.folds_of(corpus)]
            zero_shot += [one for one in parts if one is not None]
    found[ZERO_SHOT] = collect(ZERO_SHOT, zero_shot, {
        "partitions": tested_partitions(grid)}) if zero_shot else None
    grid.score(on_top_entries(grid))
    adapters = on_top_entries(grid)
    skip = {pair for corpus in grid.corpora
            for pair in grid.missing_folds(f"{ADAPTERS}-{corpus.name}")}
    found[ADAPTERS] = grid.system_of(ADAPTERS, adapters, skip)
    found[OWN] = grid.system(OWN)
    return found


def on_top_entries(grid: Grid) -> list[Entry]:
    """Give the complete cells with adapters on models that never saw their corpus."""
    return [entry for corpus in grid.corpora
            for entry in grid.complete(f"{ADAPTERS}-{corpus.name}")]
