"""From defaults, recipe, file, `--set` and flags to one checked config; the later wins."""

from __future__ import annotations

import copy
import dataclasses
import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.config import assign, from_mapping, merge, parse_spec, to_mapping
from emokit.core.errors import ConfigError, choices, culprits
from emokit.core.files import read_yaml
from emokit.corpora.views import split_target
from emokit.models.settings import ModelSettings
from emokit.training.config import FROZEN_MODES, TrainConfig

_SPECS = ("adapters", "augment")
"""Fields that may be written as one line, name(key=value)+name."""

_PARTS = ("frontend", "backbone", "pooling", "head")
"""Fields that name one part and hold its settings."""


def recipe_names() -> list[str]:
    """Name the packaged recipes."""
    folder = importlib.resources.files("emokit.training.recipes")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir()
                  if entry.name.endswith(".yaml"))


def read_recipe(name: str) -> dict[str, Any]:
    """Read a packaged recipe, or a YAML file of the same form.

    Raises:
        ConfigError: neither, with the choices.
    """
    if name in recipe_names():
        folder = importlib.resources.files("emokit.training.recipes")
        with importlib.resources.as_file(folder / f"{name}.yaml") as path:
            return read_yaml(path)[0]
    if name.endswith((".yaml", ".yml")):
        return read_yaml(name)[0]
    raise ConfigError(
        f"Unknown preset '{name}'. {choices(name, recipe_names())} Or name a YAML file."
    )


def resolve(flags: Mapping[str, Any], sets: Sequence[str] = (), file: str | Path | None = None,
            plan: Mapping[str, Any] | None = None) -> tuple[TrainConfig, dict[str, Any]]:
    """Combine all sources of settings.

    Args:
        flags: what the command line named, by field.
        sets: `path.to.key=value` each.
        file: YAML of settings.
        plan: the same, read already: what a stage or a variant of a grid says.

    Returns:
        The checked config, and what was named by file, `--set` or flags (neither default nor
        recipe).

    Raises:
        ConfigError: unknown keys, wrong types, values out of range, with file and line.
    """
    explicit: dict[str, Any] = dict(plan or {})
    lines: dict[tuple, int] = {}
    if file is not None:
        explicit, lines = read_yaml(file)
        if not isinstance(explicit, dict):
            raise ConfigError(f"'{file}' holds no settings as 'key: value'.")
        known = {field.name for field in dataclasses.fields(TrainConfig)}
        for key in explicit:
            if key not in known:
                raise ConfigError(
                    f"{file}:{lines[(key,)]}: unknown setting '{key}'. {choices(key, known)}"
                )
    explicit = _expanded(explicit)
    named = _expanded(flags)
    # parts named by a flag must exist before --set reaches into them, yet flags win over --set
    explicit = merge(explicit, copy.deepcopy({key: named[key] for key in named
                                              if key in (*_SPECS, *_PARTS)}))
    preset = _recipe_of(explicit, named, sets)
    parts = ModelSettings()
    # the default part must be there by name before --set reaches into it
    there = {**{key: getattr(parts, key) for key in _PARTS}, **{key: [] for key in _SPECS}}
    settings = merge(there, _expanded(read_recipe(preset)))
    settings = merge(settings, explicit)
    for assignment in sets:
        assign(settings, assignment)
        key = assignment.split("=")[0].split(".")[0].strip()
        if key in _PARTS:
            # of a part only what was typed: a base must not contradict what a recipe filled
            assign(explicit, assignment)
            explicit = _expanded(explicit)
        else:
            explicit[key] = settings[key]
    settings = _over(_expanded(settings), named)
    explicit = _over(explicit, named)
    if settings.get("schedule") == "plateau" and "patience" not in explicit:
        # the patience of a recipe for another schedule; who names both is told that it cannot be
        settings["patience"] = None

    if settings.get("mode") == "head":
        # what is frozen is computed once, so a recipe's changes of what it hears do not apply
        settings |= {key: value for key, value in (("augment", []), ("mixup", 0.0))
                     if key not in explicit}

    if settings.get("target") == "dimensions":
        # without classes nothing is balanced or smoothed, whatever a recipe says
        settings |= {key: value for key, value in (("balance", "none"), ("label_smoothing", 0.0))
                     if key not in explicit}

    def where(key: str) -> str:
        return f"{file}:{lines[(key,)]}" if (key,) in lines and key not in named else ""

    config = from_mapping(TrainConfig, settings, where)
    if file is not None:
        _check_parts(config, file, lines)
    _refuse_idle(config, explicit)
    return dataclasses.replace(_checked(config), preset=preset), explicit


_OF_CLASSES = ("loss", "focal_gamma", "ordinal_order", "balance", "label_smoothing")
_OF_DIMENSIONS = ("dimensions_loss", "dimensions_weight")


def _refuse_idle(config: TrainConfig, explicit: Mapping[str, Any]) -> None:
    """Refuse settings that were named but mean nothing under the target."""
    view, regress = split_target(config.target)
    idle = (() if view else (*_OF_CLASSES, "dimensions_weight")) + (
        () if regress else _OF_DIMENSIONS)
    # a run's own config.yaml spells everything out
    inert = {**vars(TrainConfig()), "balance": "none", "label_smoothing": 0.0}
    named = [key for key in idle if key in explicit and getattr(config, key) != inert[key]]
    if named:
        raise ConfigError(
            f"'{named[0]}' means nothing for target '{config.target}'. Leave it out, or choose "
            f"another --target, e.g. {'canonical4+dimensions' if regress else 'dimensions'}.")


def _check_parts(config: TrainConfig, file: str | Path, lines: Mapping[tuple, int]) -> None:
    """Check the settings of parts that a file names, where their lines are still known."""
    from emokit.models import HEADS, POOLINGS
    from emokit.models.adapters import ADAPTERS
    from emokit.models.backbones import BACKBONES
    from emokit.models.settings import FRONT_ENDS, part

    named = [((key,), registry, getattr(config, key)) for key, registry in (
        ("frontend", FRONT_ENDS), ("backbone", BACKBONES), ("pooling", POOLINGS), ("head", HEADS))]
    named += [(("adapters", index), ADAPTERS, item) for index, item in enumerate(config.adapters)]
    for path, registry, settings in named:
        top = lines.get(path[:1])
        if top is None:
            continue
        spelt = any(len(other) > 1 and other[0] == path[0] for other in lines)
        for key in settings:
            # what the file does not spell out came from --set, unless it is one line for all
            line = lines.get((*path, key), None if spelt and key != "name" else top)
            try:
                part(registry, {"name": settings["name"], key: settings[key]})
            except ConfigError as error:
                raise ConfigError(str(error) if line is None else f"{file}:{line}: {error}"
                                  ) from None


def _expanded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read one-line compositions and bare names of parts, and wrap single values of lists."""
    result = dict(settings)
    for key in _SPECS:
        if isinstance(result.get(key), str):
            text = result[key].strip()
            result[key] = [] if text in ("", "none") else parse_spec(text)
        elif isinstance(result.get(key), list):
            result[key] = [{"name": item} if isinstance(item, str) else item
                           for item in result[key]]
    for key in _PARTS:
        if isinstance(result.get(key), str):
            result[key] = parse_spec(result[key])[0]
    for key in ("seeds", "corpora", "ordinal_order", "freeze"):
        if key in result and not isinstance(result[key], (list, tuple)):
            result[key] = [] if result[key] in (None, "none") else [result[key]]
    if isinstance(result.get("rates"), Mapping):
        # the dot of lora.a is that of --set rates.lora.a=1e-4, too
        result["rates"] = _dotted(result["rates"])
    return result


def _dotted(rates: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in rates.items():
        found |= {f"{name}.{key}": entry for key, entry in _dotted(value).items()} if isinstance(
            value, Mapping) else {name: value}
    return found


def _over(settings: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """Lay flags over settings; a part that a flag names keeps what else is said of it."""
    result = merge(settings, flags)
    for key in _SPECS:
        if key in flags:
            former = {item["name"]: item for item in settings.get(key, ())}
            result[key] = [merge(former.get(item["name"], {}), item) for item in flags[key]]
    return result


def _recipe_of(explicit: Mapping, named: Mapping, sets: Sequence[str]) -> str:
    preset = named.get("preset") or explicit.get("preset")
    for assignment in sets:
        if assignment.partition("=")[0].strip() == "preset":
            preset = assignment.partition("=")[2].strip()
    if preset:
        return preset
    from emokit.models.backbones import BACKBONES

    name = explicit.get("backbone", {}).get("name", ModelSettings().backbone["name"])
    return getattr(BACKBONES[name], "recipe", "small")


def _default_mode(config: TrainConfig, pretrained: bool) -> str:
    """Give what learns if nobody says so."""
    if config.init is None:
        from emokit.models.backbones import BACKBONES

        started = BACKBONES[config.backbone["name"]].started_mode if pretrained else "scratch"
        if started == "scratch":
            return started
    return "adapters" if config.adapters and config.regime == "single" else "finetune"


def _checked(config: TrainConfig) -> TrainConfig:
    """Hold settings to the rules that span several of them."""
    if len(set(config.seeds)) < len(config.seeds) or not config.seeds:
        raise ConfigError(f"--seeds is {config.seeds}; name each seed once, at least one.")
    if any(seed < 0 for seed in config.seeds):
        raise ConfigError(f"--seeds is {config.seeds}; seeds are whole numbers from 0.")
    if len(set(config.corpora)) < len(config.corpora):
        raise ConfigError(f"--corpora names a corpus twice: {culprits(config.corpora, 9)}.")
    for name, rate in config.rates.items():
        if not rate > 0:
            raise ConfigError(f"rates.{name} is {rate}; it must be above 0. What shall stay as "
                              "it is stands in freeze.")
    for setting in ("copy_from", "new_head"):
        if getattr(config, setting) and (config.init is None or config.regime != "single"):
            raise ConfigError(f"'{setting}' says how one corpus begins in a start. It needs --init "
                              "and --regime single; otherwise leave it out.")
    mode = config.mode
    pretrained = config.init is None and config.backbone.get("path") is not None
    if config.init is None and mode not in (None, "scratch") and not pretrained:
        raise ConfigError(f"--mode {mode} needs --init, the run to start from, or a backbone with "
                          "weights of its own, e.g. --backbone hf:PATH_OR_ID.")
    if config.init is not None and mode == "scratch":
        raise ConfigError("--mode scratch starts from random weights; leave out --init.")
    if mode is None:
        mode = _default_mode(config, pretrained)
    regimes = ("single", "joint") if pretrained else ("single",)
    if mode in FROZEN_MODES and config.regime not in regimes:
        raise ConfigError(
            f"--regime {config.regime} trains the shared weights; --mode {mode} freezes them. "
            "Use --regime single, one model per corpus on the shared base."
        )
    if config.regime == "pooled":
        if config.adapters:
            raise ConfigError("--regime pooled has nothing private; leave out --adapters.")
        if split_target(config.target)[0] == "emotion":
            raise ConfigError(
                "--regime pooled needs one label list for all corpora: choose a --target such as "
                "arousal-valence, canonical7, canonical4 or dimensions."
            )
    if config.mixed_batches and config.regime != "pooled":
        raise ConfigError(
            f"mixed_batches puts utterances of several corpora into one batch, but in --regime "
            f"{config.regime} each corpus has weights of its own. Use --regime pooled, or leave "
            "mixed_batches out.")
    if config.mixed_batches and config.bucket > 1:
        raise ConfigError(
            f"mixed_batches deals utterances at random, which undoes bucket={config.bucket}. Set "
            "bucket=1, or leave mixed_batches out.")
    if config.schedule == "plateau" and config.patience:
        raise ConfigError("schedule 'plateau' ends by itself; leave out patience.")
    return dataclasses.replace(config, mode=mode)


def table(config: TrainConfig) -> list[tuple[str, str]]:
    """Give settings and values for printing before a run."""
    from emokit.core.config import format_spec

    rows = []
    for name, value in to_mapping(config).items():
        if name in _SPECS:
            value = format_spec(value) or "none"
        elif name == "rates":
            value = ", ".join(f"{part} {rate:g}" for part, rate in value.items()) or "none"
        elif isinstance(value, dict):
            # settings of many lines, such as a foreign architecture, stand in the run folder
            value = format_spec([{key: entry for key, entry in value.items()
                                  if not isinstance(entry, dict)}])
        rows.append((name, "none" if value in (None, []) else str(value)))
    return rows
