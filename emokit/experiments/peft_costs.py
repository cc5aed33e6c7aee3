"""What each row of the protocol `peft` costs: numbers that learn and are stored, and time."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.core.files import read_json
from emokit.experiments.cells import Entry
from emokit.experiments.grid import Grid
from emokit.experiments.peft_methods import FINETUNE, Row
from emokit.loading.source import Source
from emokit.models.budget import budget
from emokit.models.model import EmotionModel
from emokit.models.modes import apply_mode
from emokit.models.parts import freeze
from emokit.training.config import FROZEN_MODES, TrainConfig
from emokit.training.run import ENVIRONMENT
from emokit.training.train import effective


@dataclasses.dataclass(frozen=True)
class Size:
    """Numbers of one way of training one model.

    Args:
        encoder: of the backbone as it came.
        learns: that learn, head included.
        adapted: that learn, head excluded: adapters, or in full fine-tuning the backbone.
        whole: that the model stores.
        common: of these, what other models on the same frozen backbone need too; 0 where it learns.
    """

    encoder: int
    learns: int
    adapted: int
    whole: int
    common: int


def size_of(config: TrainConfig, sources: Mapping[str, tuple[Sequence[str], Sequence[str]]]
            ) -> Size:
    """Count without making any weight.

    Args:
        config: as `emokit.training.train.effective` gives it.
        sources: head to its labels and dimensions.

    Raises:
        ConfigError: adapters that the backbone cannot take.
    """
    import torch

    with torch.device("meta"):
        model = EmotionModel(config.model_settings(), {who: one[0] for who, one in sources.items()},
                             {who: one[1] for who, one in sources.items()})
    frozen = config.mode in FROZEN_MODES
    apply_mode(model, config.mode if frozen or config.regime != "joint" else "joint")
    freeze(model, config.freeze)
    heads = {id(parameter) for who in sources for parameter in model.part(who).head.parameters()}
    learning = [one for one in model.parameters() if one.requires_grad]
    common = sum(tensor.numel() for name, tensor in model.state_for_checkpoint().items()
                 if name.startswith(("backbone.", "pooling."))) if frozen else 0
    return Size(sum(tensor.numel() for tensor in model.backbone.state_dict().values()),
                sum(one.numel() for one in learning),
                sum(one.numel() for one in learning if id(one) not in heads),
                budget(model)["stored"], common)


def labels_of(sources: Sequence[Source]) -> dict[str, tuple[Sequence[str], Sequence[str]]]:
    """Give head to labels and dimensions, as `size_of` wants them."""
    return {source.head: (source.head_labels, source.head_dimensions) for source in sources}


def stored_for_all(sizes: Sequence[Size]) -> int:
    """Count what serves all corpora: a frozen backbone once, everything else of each model."""
    common = max((size.common for size in sizes), default=0)
    return common + sum(size.whole - size.common for size in sizes)


def seconds_per_utterance(entries: Sequence[Entry]) -> float | None:
    """Give the seconds of training for one utterance, dev scores aside: of each cell the median
    over epochs, of each corpus the mean over cells, and the mean over corpora."""
    found: dict[str, list[float]] = {}
    for entry in entries:
        rates = [record["utterances_per_second"] for record in entry.cell.history()]
        if rates:
            found.setdefault(entry.who, []).append(1 / statistics.median(rates))
    return statistics.mean(map(statistics.mean, found.values())) if found else None


def sizes_of(config: TrainConfig, sources: Sequence[Source]) -> list[Size]:
    """Count each model that a row fits: one a corpus, or one for all."""
    config = effective(config)
    groups = [sources] if config.regime == "joint" else [[source] for source in sources]
    return [size_of(config, labels_of(some)) for some in groups]


def facts_of(grid: Grid, rows: Sequence[Row], chosen: Mapping[str, float | None],
             sources: Sequence[Source]) -> dict[str, dict[str, Any]]:
    """Give what stands first in the rows of the table: settings, numbers, time."""
    facts = {}
    for row in rows:
        sizes = sizes_of(row.config, sources)
        entries = grid.complete(row.name) if row.name in grid.variants else []
        facts[row.name] = {
            "regime": row.regime, "adapters": row.spec or None,
            "learning_rate": chosen[row.name],
            "learns": round(np.mean([size.learns for size in sizes])),
            "adapted": round(np.mean([size.adapted for size in sizes])),
            "share": float(np.mean([size.adapted / size.encoder for size in sizes])),
            "stored": stored_for_all(sizes),
            "ran_on": " or ".join(sorted({_ran_on(entry) for entry in entries})) or None,
            "seconds_per_utterance": seconds_per_utterance(entries)}
    whole = next(row for row in rows if row.name.split()[-1] == FINETUNE)
    single = np.mean([size.whole for size in sizes_of(
        dataclasses.replace(whole.config, regime="single", adapters=[]), sources)])
    for own in facts.values():
        own["ratio"] = float(own["stored"] / single)
        own["time_ratio"] = _over(own, facts[whole.name])
    return facts


def _ran_on(entry: Entry) -> str:
    """Name device and precision of a cell: times on others cannot be compared."""
    found = read_json(entry.cell.folder / ENVIRONMENT)
    return f"{found['device']} {found['precision']}"


def _over(own: Mapping[str, Any], whole: Mapping[str, Any]) -> float | None:
    times = [one["seconds_per_utterance"] for one in (own, whole)]
    if None in times or " or " in own["ran_on"] or own["ran_on"] != whole["ran_on"]:
        return None
    return times[0] / times[1]
