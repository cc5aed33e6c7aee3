"""What batches tell of a pre-training, and the figures made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.pretraining.contrastive import perplexity


class Told:
    """Sums of what batches tell, kept on the device until they are read."""

    def __init__(self):
        self.sums: dict[str, Any] = {}

    def add(self, told: Mapping[str, Any]) -> None:
        """Add a batch."""
        for name, value in told.items():
            former = self.sums.get(name)
            if former is None:
                self.sums[name] = value
            elif isinstance(value, list):
                self.sums[name] = [one + other for one, other in zip(former, value)]
            else:
                self.sums[name] = former + value


def figures_of(told: Told, shares: Sequence[np.ndarray] | None) -> dict[str, Any]:
    """Give the figures of the batches that were added up.

    Args:
        shares: of a masked objective, how often each cluster is in train, by clustering; None for
            a contrastive one.

    Returns:
        Per hidden frame `loss` and `accuracy`, with `chance`: of guessing among the distractors,
        or of always naming the largest cluster; `perplexity` of each codebook, or of the answers
        to each clustering; `spread` of states; `masked_share`. With several clusterings accuracy
        and chance are lists, and the loss is their sum.
    """
    sums = told.sums
    counted, n = max(1.0, float(sums["counted"])), float(sums["batches"])
    hits = sums["hits"] / counted
    if shares is None:
        chance, accuracy = float(sums["chance"]) / counted, float(hits)
        used = [float(value) for value in perplexity(sums["shares"] / n)]
    else:
        chance, accuracy = [float(share.max()) for share in shares], hits.tolist()
        used = [float(perplexity(share / n)) for share in sums["shares"]]
    return {"loss": float(sums["nll"]) / counted, "accuracy": accuracy, "chance": chance,
            "perplexity": used, "spread": float(sums["spread"]) / n,
            "masked_share": float(sums["hidden"]) / max(1.0, float(sums["frames"]))}


def in_words(record: Mapping[str, Any]) -> str:
    """Give a record as one short line."""
    def several(values):
        values = values if isinstance(values, list) else [values]
        return "/".join(f"{value:.3f}" if value < 1 else f"{value:.0f}" for value in values)

    words = (f"loss {record['loss']:.3f} accuracy {several(record['accuracy'])} perplexity "
             f"{several(record['perplexity'])}")
    if "held_out_loss" in record:
        words += (f", held out: loss {record['held_out_loss']:.3f} accuracy "
                  f"{several(record['held_out_accuracy'])} (chance "
                  f"{several(record['held_out_chance'])})")
    return f"{words}, {record['hours_per_hour']:.0f} h/h"
