"""When a pre-training ends early, and in which words."""

import math

import pytest

from emokit.core.errors import EmokitError
from emokit.pretraining.config import PretrainConfig
from emokit.pretraining.guards import MOST_SKIPPED, Skipped, refuse_collapse


def test_steps_without_finite_loss_are_counted_and_ten_in_a_row_end_the_run():
    skipped = Skipped()
    for _ in range(3):
        for _ in range(MOST_SKIPPED - 1):
            assert not skipped.admit([math.nan, 1.0], 5, ["a/1"])
        assert skipped.admit([1.0, 2.0], 5, ["a/1"])
    assert skipped.total == 27 and skipped.in_a_row == 0
    with pytest.raises(EmokitError, match="10 steps in a row, up to step 8 with a/1, a/2. Lower"):
        for _ in range(MOST_SKIPPED):
            skipped.admit([1.0, math.inf], 8, ["a/1", "a/2"])


def record(**values):
    return {"step": 50, "perplexity": [30.0, 20.0], "spread": 0.4, **values}


def test_healthy_record_passes():
    refuse_collapse(record(), PretrainConfig(), "encoder-s0")


@pytest.mark.parametrize("values, words", [
    ({"perplexity": [30.0, 1.25], "gumbel_temperature": 1.0},
     "perplexity of codebook 2 is 1.25 at step 50, below lowest_perplexity 2: nearly always the "
     "same code. Raise contrastive.diversity"),
    ({"perplexity": [1.5]}, "perplexity of clustering 1 is 1.50 .* same answer. Lower "
                            "--learning-rate, or take other --clusters"),
    ({"spread": 0.004}, "spread of states is 0.0040 at step 50, below lowest_spread 0.01: all "
                        "hidden frames look alike"),
    ({"spread": math.nan}, "spread of states is nan")])
def test_collapse_is_told_with_monitor_value_and_what_to_try(values, words):
    with pytest.raises(EmokitError, match=words):
        refuse_collapse(record(**values), PretrainConfig(), "encoder-s0")
