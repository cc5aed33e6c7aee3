"""What every protocol is asked and what it gives back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.config import to_mapping
from emokit.core.errors import EmokitError
from emokit.evaluation.systems import System
from emokit.evaluation.tables import Column, render
from emokit.experiments.config import ExperimentConfig
from emokit.experiments.failures import failure_words
from emokit.experiments.grid import Entry, Grid
from emokit.experiments.parameters import Stored, stored
from emokit.experiments.report import tables_of
from emokit.experiments.results import Results, dev_figures
from emokit.experiments.rows import Dev
from emokit.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Request:
    """What an experiment is asked for.

    Args:
        options: of the experiment.
        config, explicit: of training, see `emokit.training.settings.resolve`.
        folder: of the report.
        dry_run: only list the cells and their state.
        settings: of the comparison.
        flags, sets, file: what `config` was made of, for protocols that vary it.
    """

    options: ExperimentConfig
    config: TrainConfig
    explicit: Mapping[str, Any]
    folder: Path
    dry_run: bool = False
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sets: Sequence[str] = ()
    file: str | Path | None = None

    def asked(self, grid: Grid) -> dict[str, Any]:
        """Give all settings for summary.json."""
        return {**to_mapping(self.config), "experiment": to_mapping(self.options),
                "seeds": grid.seeds, "corpora": [corpus.name for corpus in grid.corpora],
                "folded": grid.folded}


@dataclasses.dataclass(frozen=True)
class Report:
    """What an experiment leaves behind.

    Args:
        folder: of its files; None of a dry run.
        text: format -> the tables for stdout.
        notes: lines for people below them.
        failures: cells that could not be fitted or scored.
        problem: what else is missing from the tables, and why.
    """

    folder: Path | None
    text: Callable[[str], str]
    notes: tuple[str, ...] = ()
    failures: tuple[Entry, ...] = ()
    problem: str = ""

    def raise_failures(self) -> None:
        """Raise what failed, in one line.

        Raises:
            EmokitError: a cell failed, or something else is missing.
        """
        words = [failure_words(self.failures)] if self.failures else []
        words += [self.problem] if self.problem else []
        if words:
            raise EmokitError(" ".join(words))


def dry(grid: Grid) -> Report:
    """List the cells of a grid and their state."""
    columns = [Column("variant", "Variant"), Column("group", "Group"), Column("cell", "Cell"),
               Column("state", "State"), Column("base", "Base")]
    return Report(None, lambda format: render(grid.rows(), format, columns))


def nothing(grid: Grid) -> EmokitError:
    """Give the error that says why there is nothing to report."""
    failures = grid.failures()
    return EmokitError(failure_words(failures) if failures else "No cell is complete.")


def report_of(folder: Path, results: Results, failures: Sequence[Entry],
              methods_first: bool = False) -> Report:
    """Give the report of methods × corpora; a program reads the first of its two tables."""
    def both(format: str) -> str:
        parts = tables_of(results, format, methods_first)
        return parts[0] if format in ("csv", "json") else "\n\n".join(parts)

    return Report(folder, both, tuple(results.notes()), tuple(failures))


def fitted(grid: Grid, names: Sequence[str]) -> tuple[
        dict[str, System | None], dict[str, Dev], dict[str, Stored]]:
    """Give systems, figures of dev and stored numbers of fitted variants."""
    done = [name for name in names if grid.complete(name)]
    parts = {name: stored(grid, name) for name in done}
    return ({name: grid.system(name) for name in names},
            {name: dev_figures(grid, grid.complete(name)) for name in names}, parts)
