"""Figures of collapse."""

import numpy as np
import pytest
import torch

from emokit.pretraining.local_attributes.monitors import (
    EpochFigures, collapsed, effective_rank, perplexity, spread,
)


def test_perplexity_of_uniform_use_is_the_number_of_clusters():
    assert perplexity(np.full(16, 1 / 16)) == pytest.approx(16)
    assert perplexity(np.array([1.0, 0, 0])) == pytest.approx(1)


def test_spread_is_one_for_all_directions_and_nothing_for_constants():
    frames = torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))
    assert spread(frames) == pytest.approx(1.0, abs=0.02)
    assert spread(torch.ones(10, 4)) == pytest.approx(0, abs=1e-6)


def test_effective_rank_counts_directions():
    frames = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0))
    assert effective_rank(frames) == pytest.approx(3, abs=0.02)
    assert effective_rank(frames[:, :1].repeat(1, 3)) == pytest.approx(1, abs=1e-6)
    assert np.isnan(effective_rank(torch.ones(10, 3)))


def record(epoch, used, width):
    return {"epoch": epoch, "usage": {"4": used}, "spread": width}


def test_a_collapse_is_named_with_monitor_value_and_advice(settle):
    config = settle(stop_perplexity=0.5)
    healthy = [record(epoch, 3.0, 0.9) for epoch in range(5)]
    assert collapsed(healthy, config) is None
    assert collapsed(healthy[:2] + [record(9, 1.2, 0.9)] * 2, config) is None
    why = collapsed(healthy + [record(9, 1.2, 0.9)] * 3, config)
    assert "perplexity of the use of 4 attributes is 1.2, below 2.0 for 3 epochs" in why
    assert "target=balanced" in why and why.count("epoch 9: perplexity 1.2 of 4") == 3
    why = collapsed([record(9, 3.0, 0.02)] * 3, config)
    assert "spread of the teacher's frames is 0.020" in why and "teacher_decay" in why


def test_figures_of_an_epoch_are_sums_over_its_batches(settle):
    figures = EpochFigures(settle(attributes=[3]), 2, 4)
    frames = torch.randn(5, 8)
    for target, places in (([0, 1, 1, 2, 2], [0, 1, 2, 0, 1]), ([0, 1, 1, 1, 2], [0, 1, 2, 0, 1])):
        figures.add({"mask": torch.tensor(float(target[3]))}, frames, [torch.tensor(target)],
                    torch.tensor(places), 2, 1.0)
    found = figures.record()
    assert found["loss_mask"] == 1.5 and found["masked_share"] == 0.4
    assert found["usage"]["3"] == pytest.approx(perplexity(np.array([.2, .5, .3])))
    # of places nobody has been at the commonest of all
    assert figures.commonest()[0].tolist() == [0, 1, 1, 1]
