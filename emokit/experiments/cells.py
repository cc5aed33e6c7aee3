"""What a grid is made of: variants of the settings, and the cells of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from emokit.baselines.config import BaselineConfig
from emokit.training.config import TrainConfig
from emokit.training.run import Cell

Place = tuple[str, "int | None", int]
"""Who, fold and seed: where a cell stands within a variant."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One column of a table: settings, fitted on every corpus, fold and seed.

    Args:
        name: as tables print it.
        config: of `train` or of `baseline`; seeds, corpora and folds are the grid's.
        explicit: what the user named, see `emokit.training.settings.resolve`.
        base: variant that this one starts from; empty for random weights.
        chosen: the base is the model of another corpus, chosen for each cell by `choose`.
        corpora: those it is fitted on; all of the grid if empty.
        places: only these cells; all if None.
        folded: false for a model on the default partitions in a grid of folds.
    """

    name: str
    config: TrainConfig | BaselineConfig
    explicit: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    base: str = ""
    chosen: bool = False
    corpora: tuple[str, ...] = ()
    places: frozenset[Place] | None = None
    folded: bool = True

    @property
    def is_baseline(self) -> bool:
        """Whether it is a linear baseline, which has no seeds."""
        return isinstance(self.config, BaselineConfig)


@dataclasses.dataclass
class Entry:
    """One cell of a variant.

    Args:
        cell: its folder; None while nobody knows which base it will start from.
        corpora: names of the corpora it is fitted on.
        base: corpus whose model it starts from, if that was chosen.
        error: why it is not complete, in words.
    """

    variant: str
    who: str
    fold: int | None
    seed: int
    cell: Cell | None
    corpora: tuple[str, ...]
    base: str = ""
    error: str = ""

    @property
    def place(self) -> Place:
        """Who, fold and seed."""
        return self.who, self.fold, self.seed

    @property
    def is_complete(self) -> bool:
        """Whether the model is fitted."""
        return not self.error and self.cell is not None and self.cell.is_complete

    @property
    def state(self) -> str:
        """State of the cell; `undecided` where it depends on what is not fitted yet."""
        return "undecided" if self.cell is None else self.cell.state
