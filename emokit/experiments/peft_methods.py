"""The rows of the protocol `peft`: what learns in each, and the learning rates it is tried at."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emokit.core.config import format_spec, parse_spec
from emokit.core.errors import ConfigError, choices, culprits
from emokit.experiments.config import ExperimentConfig
from emokit.models.adapters import ADAPTERS
from emokit.training.config import TrainConfig
from emokit.training.train import effective

HEAD, MIX, FINETUNE, COMBINATION = "head", "weighted_sum", "finetune", "combination"
REGIMES = ("single", "joint")

SPECS: dict[str, tuple[str, ...]] = {
    "residual": ("residual", "residual(where=ffn,norm=shared)"),
    **{name: (name, f"{name}(where=ffn)") for name in ("bottleneck", "gate", "lora", "dora")},
    "lora-all": ("lora(where=all)",),
    "combination-qv": ("bottleneck+lora+weighted_sum+gate",),
    COMBINATION: ("bottleneck+lora(where=all)+weighted_sum+gate",),
}
"""Rows by name, where that is not an adapter with its defaults: the first that the backbone can
take. The combination is that of Lashkarashvili et al. 2024, for speech transformers."""

FEW = frozenset(("bias", "gate", "ia3", "norm", "prefix", "prompt", "weighted_sum"))
"""Adapters of scales, shifts and vectors. One step of Adam moves each number by about the learning
rate, and these have far to go: a mixture of layers from uniform to one layer takes 3."""
OWN_ENCODERS = frozenset(("wap",))
"""Adapters that are encoders of their own, in the table only if named."""
RATES = {HEAD: 1e-3, FEW: 3e-3}
"""Learning rates where the recipe's is not taken, unless somebody names others; the head's is that
of the reference code of Lashkarashvili et al., the other emokit's own choice."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Args:
        name: as tables print it.
        spec: its adapters as one line; empty without.
        regime: `single` or `joint`.
        tried: (learning rate, config, what was named) of each rate it is tried at.
        size: numbers that learn besides the head.
    """

    name: str
    spec: str
    regime: str
    tried: tuple[tuple[float, TrainConfig, Mapping[str, Any]], ...]
    size: int

    @property
    def config(self) -> TrainConfig:
        """Settings at the first of its rates."""
        return self.tried[0][1]


def row_names() -> list[str]:
    """Name the rows that there are without naming any, the references aside."""
    others = [name for name in ADAPTERS if name != MIX and name not in OWN_ENCODERS]
    return [*others, *(name for name in SPECS if name not in others)]


def lay_out(options: ExperimentConfig, base: TrainConfig,
            resolve: Callable[[Mapping[str, Any]], tuple[TrainConfig, dict[str, Any]]],
            count: Callable[[TrainConfig], int]) -> tuple[list[Row], list[str]]:
    """Lay out the rows: head, weighted sum, the methods asked for, finetune; then those of joint.

    In regime joint a method's adapters are shared by all corpora unless its spec says otherwise: on
    a frozen encoder private ones would learn what they learn alone. For that reason the head has
    no joint row.

    Args:
        base: settings without a method.
        resolve: further flags -> config and what was named.
        count: config -> numbers that learn besides the head; ConfigError where the backbone cannot
            take its adapters.

    Returns:
        The rows, and a line for each row that was not asked for by name and cannot be.

    Raises:
        ConfigError: no pretrained backbone, unknown methods or regimes, one that the backbone
            cannot take, learning rates that are none.
    """
    if base.backbone.get("path") is None:
        raise ConfigError(
            "Experiment 'peft' adapts a pretrained encoder, and backbone "
            f"'{base.backbone['name']}' has no weights of its own here. Name one: --backbone "
            "hf:PATH_OR_ID, torchaudio:BUNDLE or byols:PATH.")
    regimes = options.regimes or ["single"]
    for name in regimes:
        if name not in REGIMES:
            raise ConfigError(f"--regimes is '{name}', but experiment 'peft' has others. "
                              f"{choices(name, REGIMES)}")
    if len(set(regimes)) < len(regimes):
        raise ConfigError(f"--regimes names one twice: {', '.join(regimes)}.")
    _check_rates(options.learning_rates, resolve({})[1])
    rows, left = [], []
    for regime in regimes:
        asked = dict.fromkeys(options.methods or row_names())
        for name in (HEAD, MIX, FINETUNE):
            asked.pop(name, None)
        for name in (*((HEAD,) if regime == "single" else ()), MIX, *asked, FINETUNE):
            named = bool(options.methods) and name in asked
            row = _row(name, regime, options, resolve, count, left if not named else None)
            same = [] if row is None or named else [
                other.name for other in rows if other.spec and _alike(row, other)]
            if same:
                left.append(f"{name} is left out: on this encoder it is {same[0]}.")
            elif row is not None:
                rows.append(row)
    _refuse_equal(rows)
    return rows, list(dict.fromkeys(left))


def _check_rates(rates: Sequence[float], explicit: Mapping[str, Any]) -> None:
    if rates and "learning_rate" in explicit:
        raise ConfigError("--learning-rate is one for all methods, --learning-rates are tried for "
                          "each. Leave out one of them.")
    for rate in rates:
        if not 0 < rate < float("inf"):
            raise ConfigError(f"--learning-rates has {rate:g}; each must be above 0.")
    if len(set(rates)) < len(rates):
        raise ConfigError(f"--learning-rates names one twice: {', '.join(map(str, rates))}.")


def _row(name, regime, options, resolve, count, left: list[str] | None) -> Row | None:
    """Make a row; None, with a line in `left`, where the backbone cannot take it."""
    reason: ConfigError | None = None
    for spec in _specs(name):
        flags = _flags(name, spec, regime)
        config, explicit = resolve(flags)
        try:
            size = count(config)
        except ConfigError as error:
            if not spec:
                raise  # it is the encoder itself that cannot be
            reason = error
            continue
        rates = options.learning_rates or [_rate(name, spec, config, explicit)]
        tried = tuple((rate, *resolve({**flags, "learning_rate": rate})) for rate in rates)
        return Row(name if regime == "single" else f"joint {name}", spec, regime, tried, size)
    if left is None:
        raise ConfigError(f"Method '{name}' cannot be on this backbone: {reason}")
    left.append(f"{name} is left out: {reason}")
    return None


def _alike(row: Row, other: Row) -> bool:
    """Say whether two rows have the same adapters at as many sites, so the same ones."""
    names = [[item["name"] for item in one.config.adapters] for one in (row, other)]
    return (row.regime, row.size, names[0]) == (other.regime, other.size, names[1])


def _specs(name: str) -> tuple[str, ...]:
    """Give what a method's name may mean, in the order of preference.

    Raises:
        ConfigError: neither the name of a row nor a spec of adapters.
    """
    if name in (HEAD, FINETUNE):
        return ("",)
    if name in SPECS:
        return SPECS[name]
    words = [*(one for one in (HEAD, FINETUNE)), *ADAPTERS, *SPECS]
    for item in parse_spec(name):
        if item["name"] not in ADAPTERS:
            raise ConfigError(f"--methods names '{item['name']}', which is no method. "
                              f"{choices(item['name'], dict.fromkeys(words))} Or write adapters "
                              "with settings, such as lora(where=all)+gate.")
    return (name,)


def _flags(name: str, spec: str, regime: str) -> dict[str, Any]:
    if name == HEAD:
        return {"regime": regime, "mode": "head"}
    if name == FINETUNE:
        # each encoder is finetuned as emokit train would: byols with one rate for everything
        return {"regime": regime}
    items = parse_spec(spec)
    if regime == "joint":
        items = [{"shared": True, **item} for item in items]
    return {"regime": regime, "mode": "adapters", "adapters": items}


def _rate(name: str, spec: str, config: TrainConfig, explicit: Mapping[str, Any]) -> float:
    if "learning_rate" in explicit:
        return config.learning_rate
    if name == HEAD:
        return RATES[HEAD]
    names = {item["name"] for item in parse_spec(spec)} if spec else set()
    return RATES[FEW] if names and names <= FEW else config.learning_rate


def _refuse_equal(rows: Sequence[Row]) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        key = f"{row.regime} {row.config.mode} {format_spec(effective(row.config).adapters)}"
        if key in seen:
            raise ConfigError(f"--methods '{seen[key]}' and '{row.name}' are the same. Leave one "
                              "out.")
        seen[key] = row.name


def for_method(sets: Sequence[str], flags: Mapping[str, Any]) -> list[str]:
    """Give those of `--set` that concern a method: of adapters only those it has."""
    names = {item["name"] for item in flags.get("adapters", ())}
    return [text for text in sets if _adapter_of(text) is None or _adapter_of(text) in names]


def _adapter_of(text: str) -> str | None:
    parts = text.partition("=")[0].split(".")
    return parts[1].strip() if parts[0].strip() == "adapters" and len(parts) > 1 else None


def check_sets(sets: Sequence[str], rows: Sequence[Row]) -> None:
    """Refuse `--set adapters.NAME…` where no method has that adapter.

    Raises:
        ConfigError: naming it.
    """
    there = {item["name"] for row in rows for item in row.config.adapters}
    idle = [text for text in sets if _adapter_of(text) not in (None, *there)]
    if idle:
        raise ConfigError(f"--set {idle[0]}: no method has that adapter; there are "
                          f"{culprits(sorted(there), 30)}.")
