"""Fitted cells as systems of the evaluation: their predictions and what reports say of them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.errors import EmokitError
from emokit.core.files import read_json
from emokit.corpora.store import BUILD, built_names
from emokit.evaluation import predictions as tables
from emokit.evaluation.systems import System, collect
from emokit.experiments.partitions import partition_facts
from emokit.training.run import Cell, Group

log = logging.getLogger("emokit")


def complete_cells(group: Group) -> list[Cell]:
    """Give the complete cells of a group, lower folds first."""
    cells = group.cells()
    complete = sorted((cell for cell in cells if cell.is_complete),
                      key=lambda cell: (cell.fold or 0, cell.name))
    if not complete:
        raise EmokitError(f"Group '{group.name}' has no complete cell yet. Train it first.")
    return complete


def facts_of(cell: Cell) -> Mapping[str, Any]:
    """Read what the weights of a complete cell say of themselves."""
    from emokit.training.checkpoint import read_meta

    return read_meta(cell.folder / "best.safetensors")["facts"]


def group_system(group: Group, partition: str, emoset: str | Path, device: str = "auto") -> System:
    """Read a group's predictions on a partition, making those that are missing.

    Raises:
        EmokitError: no complete cell, cells of different builds, or predictions are missing and a
            corpus was built anew since.
    """
    complete = complete_cells(group)
    missing = [cell.name for cell in group.cells() if not cell.is_complete]
    if missing:
        log.warning("%s: %d cells are not complete and left out: %s", group.name, len(missing),
                    ", ".join(missing[:3]))
    return cells_system(group.name, complete, partition, emoset, device)


def cells_system(name: str, cells: Sequence[Cell], partition: str, emoset: str | Path,
                 device: str = "auto", skip: Collection[tuple[str, int]] = (),
                 only: Mapping[Path, Collection[str]] | None = None) -> System:
    """Read the predictions of chosen cells, of one group or of several, as one system.

    Args:
        cells: complete ones, lower folds first.
        skip: (corpus, seed) that are left out, because not all of their folds are there.
        only: folder of a cell to the corpora that it speaks for; all of its corpora if None.

    Raises:
        EmokitError: cells of different builds, or predictions are missing and a corpus was built
            anew since.
    """
    found, builds, scored, folds = [], {}, set(), {}
    for cell in cells:
        facts = facts_of(cell)
        for corpus, own in facts["corpora"].items():
            if builds.setdefault(corpus, facts["manifests"][corpus]) != facts["manifests"][corpus]:
                raise EmokitError(
                    f"Cells of '{name}' were trained on different builds of '{corpus}', "
                    f"{cell.name} on another than those before it. Remove the folders of the older "
                    "ones and train them again."
                )
            # a corpus with fewer folds than others, or none, is tested again by later cells
            key = corpus, cell.seed, own.get("fold", cell.fold)
            if key in scored or (corpus, cell.seed) in skip or (
                    only is not None and corpus not in only[cell.folder]):
                continue
            scored.add(key)
            folds.setdefault(corpus, set()).add(key[2])
            score_missing(cell, partition, emoset, device, (corpus,))
            path = cell.predictions(corpus, partition)
            found += [dataclasses.replace(one, seed=cell.seed) for one in tables.read(path)]
    return collect(name, found, _facts(cells, builds, folds, emoset))


def score_missing(cell: Cell, partition: str, emoset: str | Path, device: str = "auto",
                  corpora: Collection[str] = ()) -> None:
    """Make the predictions of a complete cell on a partition, where they are missing.

    Args:
        corpora: those that are needed; all of the cell if empty.

    Raises:
        EmokitError: a corpus has no utterance there, or was built anew since.
    """
    for corpus in corpora or facts_of(cell)["corpora"]:
        if not cell.predictions(corpus, partition).is_file():
            log.info("scoring %s of %s", partition, cell.name)
            _score(cell, emoset, partition, device)
        if not cell.predictions(corpus, partition).is_file():
            raise EmokitError(
                f"'{corpus}' has no utterance in partition '{partition}' of {cell.name}. "
                "Choose another --partition."
            )


def _score(cell: Cell, emoset, partition: str, device: str) -> None:
    if _group_of(cell).config()["regime"] == "baseline":
        from emokit.baselines.run import score_cell

        score_cell(cell, emoset, partition)
    else:
        from emokit.training.train import score_cell

        score_cell(cell, emoset, partition, device)


def _group_of(cell: Cell) -> Group:
    return Group(cell.folder.parent)


def _facts(cells: Sequence[Cell], builds: Mapping[str, str], folds: Mapping[str, set[int | None]],
           emoset) -> dict[str, Any]:
    """Collect what a report says besides numbers.

    Args:
        builds: corpus to the signature of the build that was predicted.
        folds: corpus to its own folds that were scored.
    """
    partitions, waivers = {}, {}
    built = set(built_names(emoset))
    for corpus, signature in sorted(builds.items()):
        if corpus not in built:
            continue
        build = read_json(Path(emoset) / corpus / BUILD)
        if build["signature"] != signature:
            log.warning("%s: '%s' was built anew since; scores and report are of the former build",
                        _group_of(cells[0]).name, corpus)
            continue
        partitions[corpus] = partition_facts(build, folds.get(corpus, ()))
        waivers[corpus] = build.get("waivers", [])
    environment = read_json(cells[0].folder / "environment.json")
    config = _group_of(cells[0]).config()
    return {
        "partitions": partitions, "waivers": waivers,
        "scoring": _scoring_words(config), "command": " ".join(
            [Path(environment["command"][0]).name, *environment["command"][1:]]),
        "versions": {"emokit": environment["emokit"], **environment["packages"]},
        "parameters": _parameters(cells[0]), "history": _history(cells[0]),
        "deterministic": config["regime"] == "baseline",
    }


def _scoring_words(config: Mapping[str, Any]) -> str:
    if config["regime"] == "baseline":
        return "whole utterance, linear model on its statistics"
    if config["scoring"] == "multi" and config["window"] is not None:
        what = "mean" if config["target"] == "dimensions" else "mean of softmax"
        return (f"{what} over overlapping {config['window']:g} s crops that cover the "
                "utterance")
    return f"{config['scoring']}, window {config['window'] or 'none'}"


def _parameters(cell: Cell) -> dict[str, Any]:
    counted = read_json(cell.folder / "parameters.json")
    if "parts" not in counted:
        return counted
    return {**counted["parts"], "whole model, stored": counted["stored"],
            "whole model, learnt": counted["learnt"],
            "one single-corpus model, stored": counted["single"]["stored"],
            "ratio": counted["ratio"]}


def _history(cell: Cell) -> list[dict[str, Any]]:
    rows = []
    for record in cell.history():
        for corpus, figures in record["corpora"].items():
            rows.append({"epoch": record["epoch"], "corpus": corpus,
                         "loss": figures["train_loss"], "dev_uar": figures.get("dev_uar"),
                         "dev_ccc": figures.get("dev_ccc"),
                         "learning_rate": record["learning_rate"]})
    return rows


def with_repeats(systems: list[System]) -> list[System]:
    """Let a method without randomness stand for each seed of the others: it would say the same."""
    seeds = max((list(cells) for system in systems for cells in system.cells.values()), key=len,
                default=[])
    repeated = []
    for system in systems:
        if system.facts.get("deterministic") and len(seeds) > 1:
            system = dataclasses.replace(system, cells={
                corpus: {seed: dataclasses.replace(next(iter(cells.values())), seed=seed)
                         for seed in seeds} for corpus, cells in system.cells.items()})
        repeated.append(system)
    return repeated
