"""Which other corpus's model a corpus starts from: the one with the best linear probe on dev."""

from __future__ import annotations

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
    if not found or any(uar is None for uar in found.values()):
        return None
    sizes = {corpus.name: len(corpus.manifest) for corpus in grid.corpora}
    return max(found, key=lambda name: (found[name], sizes[name], name))


def probes(grid: Grid, variant: Variant, task: Task, measure: bool) -> dict[str, float | None]:
    """Give the dev UAR of the probe on each candidate, None where nobody has made it yet."""
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
    """Give a row per cell with a chosen base and candidate: dev UAR of its probe, and whether."""
    found = {}
    for variant in grid.variants.values():
        if not variant.chosen:
            continue
        for entry in grid.entries[variant.name]:
            corpus, = (corpus for corpus in grid.corpora if corpus.name == entry.who)
            task = Task(entry.cell, entry.who, entry.fold, entry.seed, (corpus,))
            for name, uar in probes(grid, variant, task, False).items():
                found[entry.who, entry.fold or 0, entry.seed, name] = {
                    "corpus": entry.who, "fold": entry.fold, "seed": entry.seed,
                    "candidate": name, "dev_uar": uar, "chosen": int(name == entry.base)}
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
        if {name: known.get(name) for name in facts} == facts:
            return known["dev_uar"]
    if not measure:
        return None
    source, = sources_of(variant.config, task.corpora, task.fold)
    uar = probe(weights, source, device)
    log.info("probe of %s%s on %s: dev UAR %.3f", task.who, fold, entry.cell.name, uar)
    write_json(path, {**facts, "dev_uar": uar})
    return uar


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, changed: int) -> str:
    return file_digest(path)


def probe(weights: Path, source, device: str = "auto") -> float:
    """Fit a logistic regression on the frozen embeddings of a model; give its UAR on dev.

    The model starts on the corpus as training would: shared weights of the base, normalisation
    measured on the corpus's train. Each utterance gives its middle crop; C is chosen on dev.

    Args:
        weights: checkpoint of the base.
        source: the target corpus; rows beyond `PROBE_ROWS` of a partition are thinned evenly.

    Source:
        multi-corpus method, "which base"; the limits on rows and crops are ours, for speed.
    """
    from emokit.baselines import linear
    from emokit.models.settings import ModelSettings
    from emokit.training.predict import place
    from emokit.training.selection import class_figures
    from emokit.training.start import make_model

    model, found = make_model(ModelSettings(), [source], 0, weights, {}, "head")
    place(model, device_of(device))
    parts = {}
    for partition in ("train", "dev"):
        rows_ = source.rows[partition]
        if len(rows_) > PROBE_ROWS:
            rows_ = rows_[np.linspace(0, len(rows_) - 1, PROBE_ROWS).round().astype(int)]
        parts[partition] = _embeddings(model, source, rows_, found.facts["window"]), \
            source.classes[rows_]
    fitted = linear.fit(*parts["train"], *parts["dev"], len(source.head_labels), "logistic")
    return class_figures(fitted.probabilities(parts["dev"][0]), parts["dev"][1])[0]


def _embeddings(model, source, rows_, window: float | None) -> np.ndarray:
    """Give the embedding of the middle crop of each utterance, [n, D]; what is kept is `_probe`'s
    answer, not these."""
    from emokit.training.states import states

    with tempfile.TemporaryDirectory(prefix="emokit-probe-") as folder:
        found = states(model, source, rows_, window, "center", folder)
        result = np.zeros((len(rows_), found.values.shape[1]))
        result[found.crops[:, 0]] = found.values
    return result
