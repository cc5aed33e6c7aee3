"""Which other corpus's model a corpus starts from: the one with the best linear probe on dev."""

from __future__ import annotations

import dataclasses
import functools
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from emokit.core.errors import EmokitError
from emokit.core.files import file_digest, read_json, write_json
from emokit.experiments.grid import Entry, Grid, Variant
from emokit.training.memory import is_out_of_memory
from emokit.training.run import BEST
from emokit.training.train import Task, device_of, sources_of

log = logging.getLogger("emokit")

PROBE_ROWS = 2000
"""Utterances of train, and of dev, that a probe takes at most, evenly spaced."""


def choose(grid: Grid, variant: Variant, task: Task, measure: bool) -> str | None:
    """Give the corpus whose model a cell starts from: the best linear probe, on dev alone.

    Candidates are the complete models of `variant.base` of all other corpora with the task's
    seed, of their first fold: none of them has seen the corpus. Ties go to the larger corpus.

    Args:
        measure: whether probes that nobody has made yet may be made now.

    Returns:
        None if no candidate is complete, or a probe is missing and must not be made.
    """
    found = probes(grid, variant, task, measure)
    if not found or any(score is None for score in found.values()):
        return None
    sizes = {corpus.name: len(corpus.manifest) for corpus in grid.corpora}
    return max(found, key=lambda name: (found[name], sizes[name], name))


def probes(grid: Grid, variant: Variant, task: Task, measure: bool) -> dict[str, float | None]:
    """Give the dev score of the probe on each candidate, None where nobody has made it yet."""
    candidates: dict[str, Entry] = {}
    for entry in grid.complete(variant.base):
        if entry.seed == task.seed and entry.who != task.who:
            candidates.setdefault(entry.who, entry)
    result: dict[str, float | None] = {}
    for name, entry in sorted(candidates.items()):
        try:
            result[name] = _probe(entry, variant, task, grid.device, measure)
        except (EmokitError, MemoryError, RuntimeError) as error:
            if not isinstance(error, EmokitError) and not is_out_of_memory(error):
                raise
            log.warning("%s cannot serve as a base of %s: %s", entry.cell.name, task.who, error)
    return result


def rows(grid: Grid) -> list[dict[str, Any]]:
    """Give a row per cell with a chosen base and candidate: dev score of its probe, and whether."""
    found = {}
    for variant in grid.variants.values():
        if not variant.chosen:
            continue
        for entry in grid.entries[variant.name]:
            corpus, = (corpus for corpus in grid.corpora if corpus.name == entry.who)
            task = Task(entry.cell, entry.who, entry.fold, entry.seed, (corpus,))
            for name, score in probes(grid, variant, task, False).items():
                found[entry.who, entry.fold or 0, entry.seed, name] = {
                    "corpus": entry.who, "fold": entry.fold, "seed": entry.seed,
                    "candidate": name, "dev_score": score, "chosen": int(name == entry.base)}
    return [found[key] for key in sorted(found)]


def _probe(entry: Entry, variant: Variant, task: Task, device: str, measure: bool
           ) -> float | None:
    weights = entry.cell.folder / BEST
    fold = "" if task.fold is None else f"-f{task.fold}"
    path = entry.cell.folder / "probes" / f"{task.who}{fold}.{variant.config.target}.json"
    facts = {"manifest": task.corpora[0].signature,
             "weights": _digest(weights, weights.stat().st_mtime_ns), "rows": PROBE_ROWS}
    if path.is_file():
        known = read_json(path)
        if "dev_score" in known and {name: known.get(name) for name in facts} == facts:
            return known["dev_score"]
    if not measure:
        return None
    source, = sources_of(variant.config, task.corpora, task.fold)
    score = probe(weights, source, device)
    log.info("probe of %s%s on %s: %.3f on dev", task.who, fold, entry.cell.name, score)
    write_json(path, {**facts, "dev_score": score})
    return score


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, changed: int) -> str:
    return file_digest(path)


def probe(weights: Path, source, device: str = "auto") -> float:
    """Fit a linear model on the frozen embeddings of another; give what selects it on dev.

    The model starts on the corpus as training would: shared weights of the base, normalisation
    measured on the corpus's train. Each utterance gives its middle crop; the penalty is chosen on
    dev. Classes are a logistic regression's, dimensions ridge regressions'.

    Args:
        weights: checkpoint of the base.
        source: the target corpus; rows beyond `PROBE_ROWS` of a partition are thinned evenly.

    Returns:
        UAR on dev, of dimensions the mean CCC, the mean of both where there are both.

    Source:
        multi-corpus method, "which base"; the limits on rows and crops are ours, for speed.
    """
    from emokit.baselines import fitting
    from emokit.baselines.config import BaselineConfig
    from emokit.models.settings import ModelSettings
    from emokit.training.predict import on_own_answers, place
    from emokit.training.selection import figures
    from emokit.training.start import make_model

    model, found = make_model(ModelSettings(), [source], 0, weights, {}, "head")
    place(model, device_of(device))
    rows_ = {partition: _thinned(source.rows[partition]) for partition in ("train", "dev")}
    source = dataclasses.replace(source, rows=rows_)
    parts = {name: _embeddings(model, source, some, found.facts["window"])
             for name, some in rows_.items()}
    fitted, _ = fitting.fit(source, parts, BaselineConfig(classifier="logistic"))
    return figures(source, on_own_answers(source, "dev", fitted.answers(parts["dev"])))["score"]


def _thinned(rows_: np.ndarray) -> np.ndarray:
    if len(rows_) <= PROBE_ROWS:
        return rows_
    return rows_[np.linspace(0, len(rows_) - 1, PROBE_ROWS).round().astype(int)]


def _embeddings(model, source, rows_, window: float | None) -> np.ndarray:
    """Give the embedding of the middle crop of each utterance, [n, D]; what is kept is `_probe`'s
    answer, not these."""
    from emokit.training.states import states

    with tempfile.TemporaryDirectory(prefix="emokit-probe-") as folder:
        found = states(model, source, rows_, window, "center", folder)
        result = np.zeros((len(rows_), found.values.shape[1]))
        result[found.crops[:, 0]] = found.values
    return result
