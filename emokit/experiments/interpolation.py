"""Models between a joint one and a corpus's own: weights are mixed, dev says how far."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emokit.core.config import signature
from emokit.core.files import file_digest, read_yaml, write_csv, write_json, write_yaml
from emokit.experiments.grid import Entry, Grid
from emokit.training.run import (
    BEST, CONFIG, METRICS, Cell, Group, environment, start_cell,
)
from emokit.training.train import device_of, sources_of

log = logging.getLogger("emokit")

SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Shares of the joint model that are tried; ties go to the larger one."""


def interpolate(grid: Grid, own: Entry, joint: Path) -> Cell:
    """Give the best model on the line between a joint model and one finetuned from it.

    theta = a joint + (1 - a) own, for every weight and running statistic; a in 1, .75, .5, .25, 0
    is chosen by dev UAR, ties by dev loss, then to the larger a. Both have to be of one descent,
    otherwise nothing good lies between them; so `own` is a finetuned copy of `joint`, whose
    adapters and norms of the corpus are merged into its backbone as they were when it began.

    Args:
        own: a complete cell of mode finetune.
        joint: checkpoint that it began from.

    Returns:
        A cell like any other, in a group of its own; what is there already is kept.

    Source:
        Wortsman et al. 2022, robust fine-tuning of zero-shot models (weight-space ensembles).
        Deviation: both ends are trained on the corpus, and a is chosen on its dev.
    """
    from emokit.models.budget import budget
    from emokit.models.merging import merge
    from emokit.training import checkpoint
    from emokit.training.predict import place, prediction_table, score
    from emokit.training.selection import figures

    origin = Group(own.cell.folder.parent)
    group = Group(grid.runs / f"interpolated-{signature([origin.name, 'interpolated'])}")
    cell = group.cell(own.cell.name)
    facts: dict[str, Any] = {"joint_weights": file_digest(joint),
                             "own_weights": file_digest(own.cell.folder / BEST)}
    if cell.is_complete and {name: checkpoint.inspect(cell.folder / BEST).facts.get(name)
                             for name in facts} == facts:
        return cell
    variant = grid.variants[own.variant]
    corpora = [corpus for corpus in grid.corpora if corpus.name in own.corpora]
    source, = sources_of(variant.config, corpora, own.fold)
    model, found = checkpoint.load(own.cell.folder / BEST)
    ends = [merge(checkpoint.load(joint)[0], own.who).state_for_checkpoint(),
            {key: value.clone() for key, value in model.state_for_checkpoint().items()}]
    device = device_of(grid.device)
    best: tuple | None = None
    for share in SHARES:
        model.load_checkpoint_state(_between(*ends, share))
        place(model, device)
        scored = score(model, source, "dev", found.facts["window"], found.facts["scoring"])
        found_here = figures(source, scored)
        if best is None or _rank(found_here) > _rank(best[0]):
            best = found_here, share, scored
    dev, share, scored = best
    model.load_checkpoint_state(_between(*ends, share))
    config = read_yaml(own.cell.folder / CONFIG)[0]
    with cell.alone():
        if not (group.folder / "group.yaml").is_file():
            write_yaml(group.folder / "group.yaml", origin.config())
        start_cell(cell, config, budget(model),
                   environment(str(device), "float32", "interpolated, nothing trained"))
        checkpoint.save(cell.folder / BEST, model, {
            **found.facts, **facts, "joint_share": share, "dev_uar": dev["uar"]})
        write_csv(cell.predictions(source.name, "dev"), prediction_table(source, "dev", scored))
        write_json(cell.folder / METRICS, {
            "dev": {source.name: dev}, "dev_uar": dev["uar"],
            "joint_share": share, "epoch": 0, "epochs": 0, "stopped": "interpolated",
            "seconds": 0.0, "utterances_per_second": 0.0})
    log.info("%s: share of the joint model %g, dev UAR %.3f", cell.name, share, dev["uar"])
    return cell


def _rank(dev: Mapping[str, float]) -> tuple[float, float]:
    return dev["score"], -dev["loss"]


def _between(joint, own, share: float):
    """Mix two states; counters and the like are the own model's."""
    return {name: share * joint[name].to(value.device) + (1 - share) * value
            if value.is_floating_point() else value for name, value in own.items()}


def entry_of(own: Entry, cell: Cell) -> Entry:
    """Give the entry of an interpolated cell."""
    return dataclasses.replace(own, variant="interpolated", cell=cell, error="")
