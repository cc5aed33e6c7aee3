"""Many cells under one protocol: planned before, fitted one by one, none of them twice."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from emokit.core.errors import ConfigError, choices
from emokit.core.files import write_json
from emokit.corpora.store import open_emoset
from emokit.evaluation.systems import System
from emokit.experiments.cells import Entry, Place, Variant
from emokit.experiments.failures import cell_error, warnings_once
from emokit.experiments.systems import cells_system, score_missing
from emokit.loading.source import count_folds, fold_of, folds_of
from emokit.training.config import TrainConfig
from emokit.training.run import CONFIG, FAILED, cell_name
from emokit.training.train import Task, effective, fit_or_check, plan, refuse_early

log = logging.getLogger("emokit")


class Grid:
    """The cells of several variants over the same corpora, folds and seeds.

    Folds are settled once for all variants: if `auto` folds the corpora together, every variant is
    scored by folds, so that all of them are tested on the same utterances.

    Args:
        corpora: names of built corpora; all if empty.
        folds: `none`, `all`, `auto` or the number of one fold.
        choose: (grid, variant, task, measure) -> corpus whose model a `chosen` variant starts
            from, or None while that cannot be said; `measure` allows it to compute.

    Raises:
        EmokitError: no such corpora or fold, seeds named twice.
    """

    def __init__(self, emoset: str | Path, runs: str | Path, corpora: Sequence[str],
                 seeds: Sequence[int], folds: str = "none", device: str = "auto",
                 choose: Callable[[Grid, Variant, Task, bool], str | None] | None = None):
        self.emoset, self.runs, self.device = Path(emoset), Path(runs), device
        self.corpora = open_emoset(emoset, corpora)
        self.seeds, self.choose = list(seeds), choose
        if len(set(self.seeds)) < len(self.seeds) or not self.seeds:
            raise ConfigError(f"--seeds is {self.seeds}; name each seed once, at least one.")
        found = folds_of(self.corpora, folds)
        self.folded = found != [None]
        self.only_fold = found[0] if self.folded and folds.isdigit() else None
        self.variants: dict[str, Variant] = {}
        self.entries: dict[str, list[Entry]] = {}

    # ---- what there is to fit

    def add(self, variants: Iterable[Variant]) -> None:
        """Take variants in, bases before those that start from them, and hold them to the rules.

        Raises:
            EmokitError: a base that is missing, or settings that cannot be; before anything is
                fitted.
        """
        for variant in variants:
            if variant.name in self.variants:
                raise ConfigError(f"The experiment has '{variant.name}' twice. Leave one out.")
            if variant.base and variant.base not in self.variants:
                raise ConfigError(
                    f"'{variant.name}' starts from '{variant.base}', which is not part of the "
                    f"experiment. {choices(variant.base, self.variants)}")
            self.variants[variant.name] = variant
            if variant.is_baseline:
                from emokit.baselines.run import extractor

                # a package or a file that is missing shall be told now
                extractor(variant.config.name, variant.config.path)
            else:
                config = self._config(variant)
                _, tasks = self._plan(variant, config)
                refuse_early(config, tasks)
            self.entries[variant.name] = self._planned(variant)

    def _config(self, variant: Variant) -> TrainConfig:
        folds = "all" if self.folded and variant.folded else "none"
        return effective(dataclasses.replace(
            variant.config, seeds=self.seeds, folds=folds, device=self.device,
            corpora=[corpus.name for corpus in self._corpora(variant)]))

    def _corpora(self, variant: Variant):
        return [corpus for corpus in self.corpora
                if not variant.corpora or corpus.name in variant.corpora]

    def _plan(self, variant: Variant, config: TrainConfig, chosen: str = "", check: bool = True):
        """Give config and tasks of a variant, or of those cells that start from one corpus."""
        identity = None
        if variant.base:
            group = self.group_name(variant.base)
            config = dataclasses.replace(config, init=f"{group}/{chosen}" if chosen else group)
            identity = f"{group}/{chosen}"
        _, tasks = plan(config, self._corpora(variant), self.runs, identity=identity)
        sizes: dict[str, int] = {}
        for task in tasks:
            sizes[task.who] = max(sizes.get(task.who, 0), (task.fold or 0) + 1)
        kept = [task for task in tasks if (
            self.only_fold is None or task.fold in (None, self.only_fold % sizes[task.who]))]
        if variant.places is not None:
            kept = [task for task in kept if (task.who, task.fold, task.seed) in variant.places]
        return config, kept

    def group_name(self, name: str) -> str:
        """Name the group of a variant that does not start from a chosen base."""
        variant = self.variants[name]
        return self._plan(variant, self._config(variant))[1][0].cell.folder.parent.name

    def _parts(self, variant: Variant, measure: bool
               ) -> list[tuple[TrainConfig, str | None, list[Task]]]:
        """Give (config, corpus of the base, tasks) of a variant: one part for each base."""
        config, tasks = self._plan(variant, self._config(variant))
        if not variant.chosen:
            return [(config, "", tasks)]
        wanted: dict[str | None, set[Place]] = {}
        for task in tasks:
            base = self.choose(self, variant, task, measure)
            wanted.setdefault(base, set()).add((task.who, task.fold, task.seed))
        parts = []
        for base in sorted(wanted, key=str):
            settings, some = self._plan(variant, self._config(variant), base or "")
            some = [task for task in some
                    if (task.who, task.fold, task.seed) in wanted[base]]
            parts.append((settings, base, some))
        return parts

    def _planned(self, variant: Variant) -> list[Entry]:
        if variant.is_baseline:
            return [Entry(variant.name, corpus.name, fold, 0, None, (corpus.name,))
                    for corpus in self._corpora(variant) for fold in self.folds_of(corpus)]
        return _entries(variant, self._parts(variant, False))

    def folds_of(self, corpus) -> list[int | None]:
        """Give the folds of one corpus that the grid has; `[None]` on its default partitions."""
        n_folds = count_folds(corpus) if self.folded else 0
        if not n_folds:
            return [None]
        return list(range(n_folds)) if self.only_fold is None else [self.only_fold % n_folds]

    # ---- fitting

    def run(self) -> list[Entry]:
        """Fit every cell that is not complete; one that fails is noted and the rest goes on.

        Returns:
            The cells that failed.
        """
        for name in list(self.variants):
            self.run_variant(name)
        return self.failures()

    def run_variant(self, name: str) -> None:
        """Fit the cells of one variant; its base comes first."""
        with warnings_once():
            self._run_variant(self.variants[name])

    def _run_variant(self, variant: Variant) -> None:
        name = variant.name
        if variant.is_baseline:
            self._run_baseline(variant)
            return
        parts = self._parts(variant, True)
        self.entries[name] = _entries(variant, parts)
        entries = {entry.place: entry for entry in self.entries[name]}
        log.info("%s: %d cells, %d of them complete", name, len(entries),
                 sum(entry.is_complete for entry in entries.values()))
        for config, base, tasks in parts:
            for task in tasks:
                entry = entries[task.who, task.fold, task.seed]
                if base is None:
                    entry.error = "No model of another corpus is there to start from."
                    continue
                failed = self._failed_base(variant, entry)
                if failed is not None:
                    self._note([entry], f"It starts from {failed.variant}, {_name(failed)}, which "
                               "failed.")
                    continue
                self._attempt([entry], lambda task=task, config=config: fit_or_check(
                    task, config, variant.explicit, self.runs))

    def _run_baseline(self, variant: Variant) -> None:
        from emokit.baselines.run import run_baseline

        for corpus in self._corpora(variant):
            entries = [entry for entry in self.entries[variant.name] if entry.who == corpus.name]
            folds = [entry.fold for entry in entries]
            # all folds at once, so that features are computed once
            config = dataclasses.replace(
                variant.config, corpora=[corpus.name],
                folds="none" if folds == [None] else str(folds[0]) if len(folds) == 1 else "all")

            def fit(config=config, entries=entries):
                group, _ = run_baseline(config, self.emoset, self.runs)
                for entry in entries:
                    entry.cell = group.cell(cell_name(entry.who, entry.fold, 0))

            self._attempt(entries, fit)

    def _attempt(self, entries: Sequence[Entry], fit: Callable[[], None]) -> None:
        first, words = entries[0], ""
        try:
            fit()
        except Exception as error:
            words = cell_error(error, first.variant, _name(first), first.cell)
        self._note(entries, words)

    def _note(self, entries: Sequence[Entry], error: str) -> None:
        for entry in entries:
            entry.error = error
            if error and entry.cell and not (entry.cell.folder / CONFIG).is_file():
                # never begun, so nobody else has said why
                write_json(entry.cell.folder / FAILED, {"error": error})

    def _failed_base(self, variant: Variant, entry: Entry) -> Entry | None:
        """Give the cell that an entry would start from, if it failed in this run."""
        if not variant.base or variant.chosen:
            return None
        former = variant.config.copy_from or entry.who
        found = [base for base in self.entries[variant.base] if base.error
                 and base.seed == entry.seed and former in base.corpora
                 and base.fold in (entry.fold, None)]
        return found[0] if found else None

    def failures(self) -> list[Entry]:
        """Give the cells that failed in this run."""
        return [entry for entries in self.entries.values() for entry in entries if entry.error]

    # ---- what came of it

    def complete(self, name: str) -> list[Entry]:
        """Give the complete cells of a variant, lower folds first."""
        return sorted((entry for entry in self.entries[name] if entry.is_complete),
                      key=lambda entry: (entry.fold or 0, entry.seed, entry.who))

    def missing_folds(self, name: str) -> set[tuple[str, int]]:
        """Give (corpus, seed) of a variant of which a fold is not complete.

        A corpus with fewer folds than others, or none, is tested again by later cells of a joint
        run, so one complete cell for each of its own folds will do.
        """
        folds = {(corpus.name, fold): fold_of(corpus, fold) for corpus in self.corpora
                 for fold in {entry.fold for entry in self.entries[name]}}

        def pairs(entries):
            return {(corpus, entry.seed, folds[corpus, entry.fold])
                    for entry in entries for corpus in entry.corpora}

        return {(corpus, seed) for corpus, seed, _ in
                pairs(self.entries[name]) - pairs(self.complete(name))}

    def system(self, name: str, partition: str = "test") -> System | None:
        """Give the predictions of a variant, corpora and seeds with all their folds; None if none.

        Predictions that are missing are made now; a cell that cannot be scored counts as failed.
        """
        self.score(self.complete(name), partition)
        return self.system_of(name, self.complete(name), self.missing_folds(name), partition)

    def score(self, entries: Iterable[Entry], partition: str = "test") -> None:
        """Make the predictions of complete cells that are missing; one that fails is noted."""
        for entry in entries:
            self._attempt([entry], lambda entry=entry: score_missing(
                entry.cell, partition, self.emoset, self.device))

    def system_of(self, name: str, entries: Sequence[Entry], skip=(), partition: str = "test"
                  ) -> System | None:
        """Give the predictions of chosen entries as one system."""
        cells = [entry.cell for entry in entries]
        if not cells:
            return None
        found = cells_system(name, cells, partition, self.emoset, self.device, skip)
        return found if found.cells else None

    def rows(self) -> list[dict[str, Any]]:
        """Give a row per cell for `--dry-run` and reports: variant, group, cell, state, error."""
        return [{"variant": entry.variant,
                 "group": entry.cell.folder.parent.name if entry.cell else None,
                 "cell": _name(entry), "base": entry.base or None,
                 "state": entry.state if entry.cell or not self.variants[name].is_baseline
                 else "when run",
                 "error": entry.error or None}
                for name, entries in self.entries.items() for entry in entries]


def _entries(variant: Variant, parts) -> list[Entry]:
    return [Entry(variant.name, task.who, task.fold, task.seed,
                  None if base is None else task.cell,
                  tuple(corpus.name for corpus in task.corpora), base or "")
            for _, base, tasks in parts for task in tasks]


def _name(entry: Entry) -> str:
    return cell_name(entry.who, entry.fold, entry.seed)
