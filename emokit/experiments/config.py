"""Settings of experiments beside those of training, and the ways of training that have a name."""

from __future__ import annotations

import dataclasses

from emokit.core.config import knob


@dataclasses.dataclass(frozen=True)
class Regime:
    """A way of training.

    Args:
        regime, mode: of `TrainConfig`.
        adapters: whether it has those of --adapters.
        base: regime that it starts from; empty for random weights.
        chosen: the base is another corpus's model, chosen by linear probes on dev.
    """

    regime: str
    mode: str = "scratch"
    adapters: bool = False
    base: str = ""
    chosen: bool = False


REGIMES = {
    "scratch": Regime("single"),
    "single-head": Regime("single", "head", base="scratch", chosen=True),
    "single-finetune": Regime("single", "finetune", base="scratch", chosen=True),
    "single-adapters": Regime("single", "adapters", True, "scratch", True),
    "joint-norms": Regime("joint"),
    "joint-head": Regime("single", "head", base="joint-norms"),
    "joint-finetune": Regime("single", "finetune", base="joint-norms"),
    "joint-adapters": Regime("single", "adapters", True, "joint-norms"),
    "joint": Regime("joint", adapters=True),
    "joint+adapters": Regime("single", "adapters", True, "joint"),
}
"""Bases stand before what starts from them."""


@dataclasses.dataclass(frozen=True)
class ExperimentConfig:
    """What an experiment is besides its training."""

    regimes: list[str] = knob(
        [], "emonet: ways of training, default all of scratch, single-head, single-finetune, "
        "single-adapters, joint-norms, joint-head, joint-finetune, joint-adapters, joint, "
        "joint+adapters. One that starts from another needs that one in the list. peft: single, "
        "the default, and joint.",
        choices=(*REGIMES, "single"))
    methods: list[str] = knob(
        [], "peft: rows of the table beside head, weighted_sum and finetune: adapters by name or "
        "with settings, such as lora(where=all)+gate, and lora-all, combination-qv, combination; "
        "default all that the encoder can take.")
    learning_rates: list[float] = knob(
        [], "peft: rates that each method is tried at with the first seed; dev chooses. Default: "
        "one for each kind of method.")
    source: str | None = knob(None, "two-stage: the corpus of the first stage, acted speech.")
    onto: str | None = knob(None, "two-stage: the corpus of the second stage, natural speech.")
    recipes: str = knob("none", "two-stage: what the second stage freezes: nothing (none), or each "
                        "combination of lora.a, lora.b, bottleneck and gate in turn (all).",
                        choices=("none", "all"))
    baselines: list[str] | None = knob(
        None, "Linear baselines beside them, as `emokit baseline` names them, default logmel; "
        "none for none. A grid of one's own names them in its file.")
    guard: bool = knob(False, "emonet: a further column in which corpora that sharing hurts on "
                       "dev get something else.")
    headline: str | None = knob(None, "Column whose difference to the reference is printed; "
                                "default: joint+adapters, otherwise the last of the list.")
    against: str | None = knob(None, "Reference column; default: scratch in emonet, the first "
                               "variant in a grid of one's own.")
