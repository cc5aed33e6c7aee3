"""What ends a pre-training that goes nowhere, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from emokit.core.errors import EmokitError, culprits
from emokit.pretraining.config import PretrainConfig

MOST_SKIPPED = 10
"""Steps in a row without a finite loss that end a run."""


class Skipped:
    """Counts steps whose loss or gradient is no finite number; ten in a row end the run.

    Args:
        total, in_a_row: where a resumed run stands.
    """

    def __init__(self, total: int = 0, in_a_row: int = 0):
        self.total, self.in_a_row = total, in_a_row

    def admit(self, numbers: Sequence[float], step: int, utterances: Sequence[str]) -> bool:
        """Say whether the optimiser may step; otherwise count.

        Raises:
            EmokitError: the tenth refusal in a row, with the batch's utterances.
        """
        if all(map(math.isfinite, numbers)):
            self.in_a_row = 0
            return True
        self.total += 1
        self.in_a_row += 1
        if self.in_a_row >= MOST_SKIPPED:
            raise EmokitError(
                f"Neither loss nor gradient was finite in {self.in_a_row} steps in a row, up to "
                f"step {step} with {culprits(utterances)}. Lower --learning-rate, take "
                "--precision float32, or look at these utterances.")
        return False


def refuse_collapse(record: Mapping[str, Any], config: PretrainConfig, what: str) -> None:
    """Stop where codes, answers or states have become nearly one.

    Args:
        record: of the history: `step`, `perplexity` (a number for each codebook or clustering)
            and `spread`.
        what: the cell.

    Raises:
        EmokitError: a monitor is below its limit: which, its value, what to try.
    """
    contrastive = "gumbel_temperature" in record
    for number, value in enumerate(record["perplexity"]):
        if not value >= config.lowest_perplexity:  # not a number is no better
            where = f"codebook {number + 1}" if contrastive else f"clustering {number + 1}"
            cure = ("Raise contrastive.diversity, lower --learning-rate, or keep "
                    "contrastive.gumbel_end higher." if contrastive else
                    "Lower --learning-rate, or take other --clusters or another --teacher.")
            raise EmokitError(
                f"{what} has collapsed: the perplexity of {where} is {value:.2f} at step "
                f"{record['step']}, below lowest_perplexity {config.lowest_perplexity:g}: nearly "
                f"always the same {'code' if contrastive else 'answer'}. {cure}")
    if not record["spread"] >= config.lowest_spread:
        raise EmokitError(
            f"{what} has collapsed: the spread of states is {record['spread']:.4f} at step "
            f"{record['step']}, below lowest_spread {config.lowest_spread:g}: all hidden frames "
            "look alike. Lower --learning-rate, raise --warmup, or take --precision float32.")
