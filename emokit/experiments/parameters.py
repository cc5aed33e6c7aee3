"""How many numbers a way of training stores for all corpora, against one single model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from emokit.core.files import read_json
from emokit.experiments.grid import Entry, Grid
from emokit.training.run import PARAMETERS
from emokit.training.train import effective


@dataclasses.dataclass(frozen=True)
class Stored:
    """Numbers stored, by who needs them.

    Args:
        shared: name of a shared part to its size; a part that several corpora stand on counts once.
        own: corpus to what it has for itself, a whole model where nothing is shared.
        single: corpus to the size of one model of that corpus alone.
    """

    shared: Mapping[str, int]
    own: Mapping[str, float]
    single: Mapping[str, float]

    def figures(self) -> dict[str, Any]:
        """Give `stored`, `ratio` to the mean single model, and its growth per further corpus."""
        if not self.single:
            return {"stored": None, "ratio": None, "per_further_corpus": None}
        total = sum(self.shared.values()) + sum(self.own.values())
        ratio, n = total / float(np.mean(list(self.single.values()))), len(self.own)
        return {"stored": int(round(total)), "ratio": ratio,
                "per_further_corpus": (ratio - 1) / (n - 1) if n > 1 else None}


def stored(grid: Grid, name: str) -> Stored:
    """Count a variant by the parameters.json of one cell per corpus.

    A frozen base counts once, however many corpora stand on it. What a base knew of the corpus
    itself and that was folded into a copy of it counts as that corpus's: its norms, or, where
    adapters were folded into the kernels, the whole copy.

    Returns:
        A linear baseline stores its weights for each corpus and has no single model to compare.
    """
    variant, cells = grid.variants[name], _one_per_corpus(grid.complete(name))
    counts = {who: read_json(entry.cell.folder / PARAMETERS) for who, entry in cells.items()}
    if variant.is_baseline:
        return Stored({}, {who: found["stored"] for who, found in counts.items()}, {})
    if variant.config.regime != "single":
        shared, own, single = {}, {}, {}
        for who, found in counts.items():
            own |= {corpus: part["stored"] for corpus, part in found["corpora"].items()}
            shared[f"{name}/{who}"] = found["stored"] - sum(
                part["stored"] for part in found["corpora"].values())
            single |= dict.fromkeys(found["corpora"], found["single"]["stored"])
        return Stored(shared, own, single)
    single = {who: found["single"]["stored"] for who, found in counts.items()}
    if variant.config.mode in ("scratch", "finetune") or _folded_in(grid, name):
        return Stored({}, {who: found["stored"] for who, found in counts.items()}, single)
    shared, own = {}, {}
    for who, found in counts.items():
        part = found["corpora"][who]
        norms = 0 if variant.chosen else found["parts"]["norms"] - part["norms"]
        own[who] = part["stored"] + norms
        base = cells[who].base or grid.variants[variant.base].config.regime
        shared[f"{variant.base}/{base}"] = found["stored"] - own[who]
    return Stored(shared, own, single)


def _one_per_corpus(entries: Iterable[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        found.setdefault(entry.who, entry)
    return found


def _folded_in(grid: Grid, name: str) -> bool:
    """Whether adapters of the base went into the kernels of this variant's models."""
    variant = grid.variants[name]
    base = grid.variants[variant.base]
    if variant.chosen or base.is_baseline:
        return False

    def adapters(one):
        return [item for item in effective(one.config).adapters if item["name"] != "norm"]

    return bool(adapters(base)) and adapters(base) != adapters(variant)
