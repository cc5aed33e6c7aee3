"""Settings of probes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from emokit.core.config import from_mapping, knob, parse_spec
from emokit.core.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class ProbeConfig:
    """Settings of one table of probes."""

    backbone: dict[str, Any] | str = knob({}, "Frozen speech transformer, e.g. hf:PATH_OR_ID.")
    start: str | None = knob(None, "What `emokit pretrain local-attributes` learnt on it: its "
                             "frames and attributes are probed too.")
    branch: str = knob("teacher", "Which of the two branches that it learnt.",
                       choices=("teacher", "student"))
    clusters: int = knob(256, "Clusters of k-means over the last state, which attributes are "
                         "compared with.", minimum=2)
    penalty: float = knob(0.1, "C of the logistic regressions: the larger, the freer.", above=0.0)
    window: float | None = knob(15.0, "Longer utterances are cut into crops of so many seconds; "
                                "whole if none.", above=0.0)
    seed: int = knob(0, "Seed of clusters and of the division into utterances.", minimum=0)
    corpora: list[str] = knob([], "Built corpora; default all.")
    device: str = knob("auto", "cpu, cuda, cuda:1, …; auto takes a GPU if there is one.",
                       cosmetic=True)

    def __post_init__(self):
        if not self.backbone:
            raise ConfigError("There is no encoder to probe. Name one: --backbone hf:PATH_OR_ID.")


def resolve(flags: Mapping[str, Any]) -> ProbeConfig:
    """Make the checked settings from what the command line named."""
    settings = dict(flags)
    if isinstance(settings.get("backbone"), str):
        settings["backbone"] = parse_spec(settings["backbone"])[0]
    return from_mapping(ProbeConfig, settings)
