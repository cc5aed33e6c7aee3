"""One experiment from its name to its report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.errors import ConfigError, choices
from emokit.corpora.views import split_target
from emokit.experiments import PROTOCOLS, bases
from emokit.experiments.config import ExperimentConfig
from emokit.experiments.grid import Grid
from emokit.experiments.own import own_grid, own_variants, read_grid
from emokit.experiments.peft_methods import for_method
from emokit.experiments.protocol import Report, Request
from emokit.experiments.two_stage import settle
from emokit.training.config import TrainConfig
from emokit.training.settings import resolve

_COMMON = "canonical4"
"""The label view in which corpora are compared with one another unless --target says otherwise."""
_WHOLE = ("seeds", "corpora", "folds", "device")
"""Settings that belong to the whole grid."""
TWO_STAGE, PEFT = "two-stage", "peft"
_OF_CLASSES = ("within", "cross", "leave-one-corpus-out", PEFT)
"""Protocols whose tables are of UAR alone."""
_ADAPTED = ("emonet", "leave-one-corpus-out")


def run_experiment(what: str, emoset: str | Path, runs: str | Path, reports: str | Path,
                   options: ExperimentConfig | None = None, *,
                   flags: Mapping[str, Any] | None = None, sets: Sequence[str] = (),
                   file: str | Path | None = None, name: str | None = None,
                   dry_run: bool = False, **settings: Any) -> Report:
    """Fit all cells of a protocol that are not complete, and write its report.

    Args:
        what: a name in `PROTOCOLS`, or a YAML file, see `emokit.experiments.own`.
        flags, sets, file: settings of training, see `emokit.training.settings.resolve`.
        name: of the folder below `reports`.
        dry_run: only list the cells and their state.
        settings: of the comparison.

    Raises:
        EmokitError: what cannot be, before anything is fitted; or nothing could be fitted.
    """
    flags, options = dict(flags or {}), options or ExperimentConfig()
    if name is not None and name != Path(name).name:
        raise ConfigError(f"--name is '{name}', but a report is one folder. Leave out the '/'.")
    _refuse_unused(what, options)
    if what.endswith((".yaml", ".yml")):
        return _own(what, emoset, runs, reports, options, flags, sets, file, name, dry_run,
                    settings)
    if what not in PROTOCOLS:
        raise ConfigError(f"Unknown experiment '{what}'. {choices(what, PROTOCOLS)} Or name a "
                          "YAML file of variants.")
    if what == TWO_STAGE:
        flags = settle(flags, options, "adapters" in resolve(flags, (), file)[1])
    config, explicit = _resolved(what, flags, sets, file)
    if what in _OF_CLASSES and split_target(config.target)[1]:
        raise ConfigError(f"Experiment '{what}' compares UAR, and target '{config.target}' has "
                          "dimensions. Choose a --target of classes; emonet, two-stage and a grid "
                          "of one's own compare CCC, too.")
    grid = _grid(emoset, runs, config, explicit, 5 if what == "emonet" else 3)
    return PROTOCOLS[what](grid, Request(options, config, explicit,
                                         Path(reports) / (name or what), dry_run, settings,
                                         flags, sets, file))


def _own(what, emoset, runs, reports, options, flags, sets, file, name, dry_run, settings
         ) -> Report:
    if file is not None:
        raise ConfigError("A grid of one's own has its settings under 'base'; leave out --config.")
    own = read_grid(what)
    flags = {**own.flags, **flags}
    whole, explicit = resolve({key: flags[key] for key in _WHOLE if key in flags})
    variants = own_variants(own, {key: value for key, value in flags.items()
                                  if key not in _WHOLE}, sets, what)
    grid = _grid(emoset, runs, whole, explicit, 3)
    request = Request(options, variants[0].config, variants[0].explicit,
                      Path(reports) / (name or own.name), dry_run, settings)
    return own_grid(grid, request, own, variants, what)


def _refuse_unused(what: str, options: ExperimentConfig) -> None:
    """Refuse options that the experiment would not heed."""
    unused = {"--guard": options.guard} if what != "emonet" else {}
    if what not in ("emonet", PEFT):
        unused["--regimes"] = options.regimes
    if what != PEFT:
        unused |= {"--methods": options.methods, "--learning-rates": options.learning_rates}
    if what != TWO_STAGE:
        unused |= {"--source": options.source, "--onto": options.onto,
                   "--recipes": options.recipes != "none"}
    if what in ("cross", "within"):
        unused["--headline"] = options.headline
    if what == "cross":
        unused |= {"--baselines": options.baselines, "--against": options.against}
    for flag, value in unused.items():
        if value:
            raise ConfigError(f"Experiment '{what}' has no {flag}. Leave it out.")


def _grid(emoset, runs, config: TrainConfig, explicit: Mapping[str, Any], n_seeds: int) -> Grid:
    return Grid(emoset, runs, config.corpora,
                config.seeds if "seeds" in explicit else list(range(n_seeds)),
                config.folds if "folds" in explicit else "auto", config.device, bases.choose)


def _resolved(what, flags, sets, file) -> tuple[TrainConfig, Mapping[str, Any]]:
    adapted = what in _ADAPTED
    if adapted and "adapters" not in resolve(flags, (), file)[1]:
        # named before --set, which may reach into it
        flags = {"adapters": "residual", **flags}
    if what == PEFT:
        sets = for_method(sets, {})
    config, explicit = resolve(flags, sets, file)
    if what == TWO_STAGE and "regime" not in explicit:
        # what learns by default is that of one model per corpus
        config, _ = resolve({"regime": "single", **flags}, sets, file)
    if adapted and not config.adapters:
        raise ConfigError(f"Experiment '{what}' needs adapters. Leave out --adapters none; what "
                          "has none stands in columns of its own.")
    for setting in ("regime", "mode", "init", "copy_from", "new_head"):
        if setting in explicit:
            raise ConfigError(f"'{setting}' is what experiment '{what}' decides itself. Leave it "
                              "out.")
    if what == PEFT and "adapters" in explicit:
        raise ConfigError("Experiment 'peft' compares adapters by --methods; leave out --adapters.")
    if what not in ("emonet", PEFT) and "target" not in explicit:
        config = dataclasses.replace(config, target=_COMMON)
    return config, explicit
