"""A grid of one's own: settings that vary, from a YAML file."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emokit.core.config import format_spec, merge, to_mapping
from emokit.core.errors import ConfigError, choices
from emokit.core.files import read_yaml
from emokit.experiments.emonet import baseline_variants
from emokit.experiments.grid import Grid, Variant
from emokit.experiments.protocol import Report, Request, dry, fitted, nothing, report_of
from emokit.experiments.report import write_results
from emokit.experiments.results import make_results
from emokit.training.settings import resolve

KEYS = {
    "name": "of the report, default: that of the file",
    "base": "settings of training that all variants share",
    "vary": "setting to a list of values; every combination is a variant",
    "variants": "name to settings, instead of vary",
    "baselines": "linear baselines beside them",
    "against": "the variant that the others are compared with, default: the first",
    "seeds": "list of seeds", "corpora": "list of built corpora", "folds": "none, all, auto or J",
}
"""What a file may hold."""


@dataclasses.dataclass(frozen=True)
class OwnGrid:
    """What a file says.

    Args:
        variants: name to settings of training beside `base`.
    """

    name: str
    base: dict[str, Any]
    variants: dict[str, dict[str, Any]]
    baselines: list[str]
    against: str | None
    flags: dict[str, Any]


def read_grid(path: str | Path) -> OwnGrid:
    """Read and check a file.

    Raises:
        ConfigError: unknown keys, no variant, both `vary` and `variants`, values that are no
            list; with file and line.
    """
    content, lines = read_yaml(path)
    if not isinstance(content, dict):
        raise ConfigError(f"'{path}' holds no grid; expected base, vary or variants, seeds ….")

    def at(*keys) -> str:
        return f"{path}:{lines.get(keys, 1)}"

    for key in content:
        if key not in KEYS:
            raise ConfigError(f"{at(key)}: unknown key '{key}'. {choices(key, KEYS)}")
    for key, kind, words in (("base", dict, "settings as 'key: value'"),
                             ("vary", dict, "a setting and its list of values each"),
                             ("variants", dict, "a name and its settings each"),
                             ("baselines", list, "a list"), ("seeds", list, "a list"),
                             ("corpora", list, "a list"), ("against", str, "a name"),
                             ("name", str, "a name")):
        if key in content and not isinstance(content[key], kind):
            raise ConfigError(f"{at(key)}: '{key}' is {content[key]!r}; expected {words}.")
    if ("vary" in content) == ("variants" in content):
        raise ConfigError(f"{path}: give 'vary' (every combination) or 'variants' (each by name), "
                          "one of the two.")
    if "vary" in content:
        for key, values in content["vary"].items():
            if not isinstance(values, list) or not values:
                raise ConfigError(f"{at('vary', key)}: '{key}' is {values!r}; expected a list of "
                                  "values, e.g. [0.001, 0.003].")
            if len({_words(value) for value in values}) < len(values):
                raise ConfigError(f"{at('vary', key)}: '{key}' has a value twice. Name each once.")
        variants = dict(_combinations(content["vary"]))
    else:
        for key, values in content["variants"].items():
            if not isinstance(values, dict):
                raise ConfigError(f"{at('variants', key)}: '{key}' is {values!r}; expected "
                                  "settings as 'key: value', {} for the base itself.")
        variants = {str(key): values for key, values in content["variants"].items()}
    if not variants:
        raise ConfigError(f"{path}: there is no variant. Name one under 'variants'.")
    flags = {key: content[key] for key in ("seeds", "corpora", "folds") if key in content}
    if "folds" in flags:
        flags["folds"] = str(flags["folds"])
    name = content.get("name", Path(path).stem)
    if name != Path(name).name:
        raise ConfigError(f"{at('name')}: 'name' is '{name}', but a report is one folder.")
    return OwnGrid(name, content.get("base", {}), variants, content.get("baselines", []),
                   content.get("against"), flags)


def _combinations(vary: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for values in itertools.product(*vary.values()):
        settings = dict(zip(vary, values))
        yield " ".join(f"{key}={_words(value)}" for key, value in settings.items()), settings


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return format_spec([value]) if "name" in value else str(dict(value))
    if isinstance(value, list):
        return "+".join(map(_words, value)) or "none"
    return "none" if value is None else str(value)


def own_variants(grid: OwnGrid, flags: Mapping[str, Any], sets: Sequence[str],
                 path: str | Path) -> list[Variant]:
    """Make the variants: the base, then what varies, then --set and flags, which win.

    Raises:
        ConfigError: settings that cannot be, with the variant's name, or two variants that are the
            same.
    """
    made: list[Variant] = []
    for name, settings in grid.variants.items():
        for key in ("seeds", "corpora", "folds"):
            if key in settings or key in grid.base:
                raise ConfigError(f"{path}: '{key}' belongs to the whole grid, not to a variant. "
                                  "Put it at the left margin.")
        together = merge(grid.base, settings)
        plain = {key: value for key, value in together.items() if "." not in key}
        # dotted keys reach into a part, as --set does
        dotted = [f"{key}={_scalar(value)}" for key, value in together.items() if "." in key]
        try:
            config, explicit = resolve(flags, [*dotted, *sets], plan=plain)
        except ConfigError as error:
            raise ConfigError(f"{path}, variant '{name}': {error}") from None
        for other in made:
            if other.config == config:
                raise ConfigError(f"{path}: variants '{other.name}' and '{name}' have the same "
                                  "settings. Leave one out.")
        made.append(Variant(name, config, explicit))
    return made


def _scalar(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(map(_scalar, value))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) \
        else str(value)


def own_grid(grid: Grid, request: Request, own: OwnGrid, variants: Sequence[Variant],
             path: str | Path) -> Report:
    """Run a grid of one's own: a table of variants with dev and test UAR, to choose by dev."""
    named = own.baselines if request.options.baselines is None else request.options.baselines
    grid.add([*baseline_variants(named, request.config.target), *variants])
    against = request.options.against or own.against or variants[0].name
    if against not in grid.variants:
        raise ConfigError(f"{path}: 'against' is '{against}'. {choices(against, grid.variants)}")
    headline = request.options.headline
    if headline is not None and headline not in grid.variants:
        raise ConfigError(f"--headline is '{headline}'. {choices(headline, grid.variants)}")
    if request.dry_run:
        return dry(grid)
    grid.run()
    systems, dev, parts = fitted(grid, list(grid.variants))
    best = _best_by_dev(dev, [one.name for one in variants if one.name != against])
    figures = {name: one.figures() for name, one in parts.items()}
    results = make_results(systems, against, headline or best, dev, figures,
                           word="variant", **request.settings)
    if not results.rows:
        raise nothing(grid)
    write_results(request.folder, f"Experiment {request.folder.name}", results, cells=grid.rows(),
                  failures=grid.failures(), methods_first=True, parameters=figures,
                  settings={"file": str(path), "variants": {
                      one.name: to_mapping(one.config) for one in variants}})
    return report_of(request.folder, results, grid.failures(), True)


def _best_by_dev(dev, names: Sequence[str]) -> str:
    """Name the variant with the best mean dev score: the one to look at is not chosen on test."""
    def mean(name: str) -> float:
        values = [figures["score"] for seeds in dev[name].values() for figures in seeds.values()
                  if "score" in figures]
        return float(np.mean(values)) if values else -math.inf

    return max(names, key=mean) if names else ""
