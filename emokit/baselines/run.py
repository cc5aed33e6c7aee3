"""A baseline as a group of runs: the same partitions, the same predictions tables."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from emokit import __version__
from emokit.baselines import fitting
from emokit.baselines.config import BaselineConfig
from emokit.baselines.features import Progress, count_missing, describe, extractor, identity
from emokit.core.config import from_mapping, signature, to_mapping
from emokit.core.errors import ConfigError, EmokitError
from emokit.core.files import read_yaml, write_bytes, write_csv, write_json, write_yaml
from emokit.corpora.store import BuiltCorpus, open_emoset
from emokit.corpora.views import split_target
from emokit.loading.source import Source, folds_of, make_source
from emokit.training.predict import Scores, on_own_answers, prediction_table
from emokit.training.run import BEST, METRICS, Cell, Group, cell_name, environment, start_cell
from emokit.training.selection import figures, in_words

log = logging.getLogger("emokit")


ASIDE = ("corpora", "folds", "jobs")
"""Settings that a group does not depend on."""


def run_baseline(config: BaselineConfig, emoset: str | Path, runs: str | Path,
                 progress: Progress | None = None) -> tuple[Group, list[Cell]]:
    """Fit a baseline on every corpus and fold; write dev and test predictions.

    A linear model has no seed; its cells are named as seed 0.

    Args:
        progress: called with (what, utterances described, of how many) where features are slow.

    Raises:
        EmokitError: a corpus cannot be used, or the features cannot be computed.
    """
    if config.classifier is not None and not split_target(config.target)[0]:
        raise ConfigError(f"classifier is '{config.classifier}', but --target {config.target} has "
                          "no classes: dimensions are learnt by ridge regression. Leave it out.")
    corpora = open_emoset(emoset, config.corpora)
    extract = extractor(config.name, config.path)
    if getattr(extract, "notice", ""):
        log.warning(extract.notice)
    if config.classifier is None:
        config = dataclasses.replace(config, classifier=getattr(extract, "classifier", "svm"))
    # weights count by their bytes, wherever they lie
    kept = {key: value for key, value in to_mapping(config).items() if key not in (*ASIDE, "path")}
    if identity(extract):
        kept["identity"] = identity(extract)
    folds = {corpus.name: folds_of([corpus], config.folds) for corpus in corpora}
    folded = any(several != [None] for several in folds.values())
    name = "-".join(["baseline", config.name, *([config.target] if config.target != "emotion"
                                                else []), *(["folds"] if folded else [])])
    group = Group(Path(runs) / f"{name}-{signature([kept, folded])}")
    cells = []
    for corpus in corpora:
        features = None
        for fold in folds[corpus.name]:
            cell = group.cell(cell_name(corpus.name, fold, 0))
            cells.append(cell)
            if not _is_current(cell, corpus):
                source = make_source(corpus, config.target, fold)
                features = features or describe(corpus, config.name, extract, config.jobs, progress)
                _fit_cell(cell, source, config, extract, features)
    return group, cells


def _is_current(cell: Cell, corpus: BuiltCorpus) -> bool:
    """Whether the cell is complete and of this build; seconds are cheap, so others are redone."""
    return cell.is_complete and read_facts(cell)["manifests"] == {corpus.name: corpus.signature}


def _scores(models: fitting.Models, source: Source, partition: str, features: np.ndarray) -> Scores:
    return on_own_answers(source, partition, models.answers(features))


def _fit_cell(cell: Cell, source: Source, config: BaselineConfig, extract,
              features: Callable[[np.ndarray], np.ndarray]) -> None:
    started = time.monotonic()
    parts = {name: features(rows) for name, rows in source.rows.items()}
    chosen, fitted = getattr(extract, "fit", fitting.fit)(source, parts, config)
    settings = {**to_mapping(config), "corpora": [source.name], "regime": "baseline"}
    group = cell.folder.parent / "group.yaml"
    if not group.is_file():
        write_yaml(group, {key: value for key, value in settings.items() if key not in ASIDE})
    stored = sum(value.size for name, value in fitted.tensors().items()
                 if name.rpartition(".")[2] not in ("median", "penalty"))
    start_cell(cell, settings, {"stored": int(stored)},
               environment("cpu", "float64", "linear model"))
    _save(cell, fitted, source, config, identity(extract))
    # of dev the model that was chosen there speaks, before it saw the answers
    for partition, speaker in (("dev", chosen), ("test", fitted)):
        if len(source.rows[partition]):
            write_csv(cell.predictions(source.name, partition), prediction_table(
                source, partition, _scores(speaker, source, partition, parts[partition])))
    dev = figures(source, _scores(chosen, source, "dev", parts["dev"]))
    missing = count_missing(list(parts.values()))
    write_json(cell.folder / METRICS, {
        "dev": {source.name: dev},
        **{f"dev_{name}": dev[name] for name in ("uar", "ccc", "score") if name in dev},
        "penalty": _penalties(fitted), "missing": missing, "epoch": 0, "epochs": 0,
        "stopped": "fitted", "seconds": round(time.monotonic() - started, 1)})
    if missing["values"]:
        log.warning("%s: %d of %d utterances have features that are undefined (%d values); the "
                    "median of train stands for them", cell.name, missing["utterances"],
                    sum(len(rows) for rows in source.rows.values()), missing["values"])
    log.info("%s: dev %s", cell.name, in_words(dev))


def _penalties(models: fitting.Models) -> float | list[float]:
    """Give C of the classes, otherwise the ridge penalty of each dimension."""
    if models.classes is not None:
        return models.classes.penalty
    return models.dimensions.penalty.tolist()


def _save(cell: Cell, models: fitting.Models, source: Source, config: BaselineConfig,
          weights: str) -> None:
    from safetensors.numpy import save as to_bytes

    facts = {"version": __version__, "regime": "baseline", "target": config.target, "seed": 0,
             "fold": source.fold, "manifests": {source.name: source.corpus.signature},
             "corpora": {source.name: {"head": source.head, "labels": list(source.labels),
                                       "dimensions": list(source.dimensions)}}}
    meta = {"schema": 1, "kind": "linear", "features": config.name, "weights": weights,
            "facts": facts, "labels": {source.name: list(source.labels)},
            "penalty": None if models.classes is None else models.classes.penalty}
    write_bytes(cell.folder / BEST,
                to_bytes(models.tensors(), {"emokit": json.dumps(meta, sort_keys=True)}))


def read_facts(cell: Cell) -> dict[str, Any]:
    """Read what a baseline's file says of itself."""
    from emokit.training.checkpoint import read_meta

    return read_meta(cell.folder / BEST)["facts"]


def score_cell(cell: Cell, emoset: str | Path, partition: str) -> None:
    """Write the predictions of a fitted baseline on one partition.

    Raises:
        EmokitError: the corpus was built anew since, or the encoder's file is gone or another.
    """
    from safetensors.numpy import load_file

    from emokit.training.checkpoint import read_meta

    meta = read_meta(cell.folder / BEST)
    config = from_mapping(BaselineConfig, {
        key: value for key, value in read_yaml(cell.folder / "config.yaml")[0].items()
        if key != "regime"})
    (name, built), = meta["facts"]["manifests"].items()
    corpus, = open_emoset(emoset, [name])
    if corpus.signature != built:
        raise EmokitError(
            f"'{cell.folder}' was fitted to another build of '{name}'. Run: emokit baseline "
            f"{config.name}"
        )
    if partition == "dev" and config.refit_on == "train+dev":
        raise EmokitError(
            f"'{cell.folder}' is fitted on dev too, so it has nothing to say of dev. Remove that "
            "folder and run emokit baseline again: that scores dev before the second fit."
        )
    extract = extractor(config.name, config.path)
    if identity(extract) != meta.get("weights", ""):
        raise EmokitError(
            f"'{cell.folder}' was fitted to other weights than '{config.path}' holds now. Run: "
            f"emokit baseline {config.name}:{config.path}"
        )
    models = fitting.from_tensors(load_file(cell.folder / BEST), meta["penalty"])
    source = make_source(corpus, config.target, meta["facts"]["fold"])
    rows = source.rows[partition]
    features = describe(corpus, config.name, extract, config.jobs)(rows)
    write_csv(cell.predictions(name, partition), prediction_table(
        source, partition, _scores(models, source, partition, features)))
