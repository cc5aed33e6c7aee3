"""The guard: decided on dev, by the rule; interpolation lies between its ends."""

import dataclasses

import numpy as np
import pytest
import torch

from emokit.evaluation.systems import Aligned
from emokit.experiments import emonet
from emokit.experiments.config import ExperimentConfig
from emokit.experiments.grid import Grid
from emokit.experiments.guard import (
    BETWEEN, FINETUNE, FULL, Decision, _share_negative, _weigh, guard,
)


@pytest.fixture
def grid(emonet, emoset, experiments, configure):
    """Give the grid of the experiment `emonet`, everything in it fitted."""
    from emokit.experiments.emonet import variants

    config, explicit = configure(adapters="residual")
    made = Grid(emoset, experiments / "runs", (), [0, 1], "none", "cpu")
    made.add(variants(config, explicit, ExperimentConfig(
        regimes=["scratch", "joint", "joint+adapters"], baselines=[]), 2))
    made.run()
    return made


def aligned(truth, clusters, shared, scratch):
    """Give two systems' answers, one seed each, as the guard sees them."""
    truth, n = np.array(truth), len(set(clusters))
    return Aligned(tuple("ab"[:truth.max() + 1]), np.arange(len(truth)).astype(str), truth,
                   (np.array([shared]), np.array([scratch])), np.array(clusters),
                   tuple(map(str, range(n))), "speaker", False, n, ())


def test_share_of_resamples_is_that_of_the_binomial_over_speakers():
    # worse on the first speaker, better by as much on the second: negative if the first is drawn
    # twice, one time in four
    share = _share_negative(aligned([0] * 8, [0] * 4 + [1] * 4, [1] * 4 + [0] * 4,
                                    [0] * 4 + [1] * 4), np.random.default_rng(0))
    assert share == pytest.approx(0.25, abs=0.05)


def test_one_speaker_alone_does_not_make_a_difference_certain():
    # one wrong of twenty: negative if it is drawn at all, 1 - .95^20 = .64
    truth = [0, 1] * 10
    share = _share_negative(aligned(truth, [0] * 20, [1] + truth[1:], truth),
                            np.random.default_rng(0))
    assert share == pytest.approx(0.64, abs=0.05)
    everything = _share_negative(aligned(truth, [0] * 20, [1 - one for one in truth], truth),
                                 np.random.default_rng(0))
    assert everything == 1


@pytest.mark.parametrize("delta, share, harmed", [
    (-0.03, 0.95, True), (-0.02, 0.95, False), (-0.03, 0.89, False), (0.1, 0.0, False),
])
def test_harm_needs_two_points_and_nine_of_ten_resamples(delta, share, harmed):
    assert Decision("emodb", None, delta, share, {}, "joint").is_harmed is harmed


def test_the_first_way_that_reaches_scratch_on_dev_is_taken(grid):
    scratch = {entry.seed: entry for entry in grid.complete("scratch") if entry.who == "emodb"}
    truth = np.mean([one.cell.metrics()["dev"]["emodb"]["uar"] for one in scratch.values()])
    decision = Decision("emodb", None, -0.1, 1.0, {"scratch": float(truth)}, "scratch")
    _weigh(decision, FULL, {}, scratch, "scratch")
    assert decision.chosen == "scratch" and FULL not in decision.dev  # a seed is missing
    _weigh(decision, FINETUNE, scratch, scratch, "scratch")
    assert decision.chosen == FINETUNE and decision.dev[FINETUNE] == pytest.approx(truth)


def test_an_unharmed_corpus_keeps_the_shared_model(grid, monkeypatch):
    monkeypatch.setattr("emokit.experiments.guard.HARM", -2.0)
    found = guard(grid, "joint+adapters", "scratch")
    assert {one.chosen for one in found.decisions} == {"joint+adapters"}
    shared = grid.system("joint+adapters")
    for corpus, cells in found.system.cells.items():
        for seed, one in cells.items():
            assert one.table.equals(shared.cells[corpus][seed].table)
    assert FULL not in grid.variants and FINETUNE not in grid.variants


def test_a_harmed_corpus_gets_what_dev_says_and_whole_copies_count(grid, monkeypatch):
    # every corpus counts as harmed, and nothing reaches scratch: all ways are tried
    monkeypatch.setattr("emokit.experiments.guard.HARM", 2.0)
    monkeypatch.setattr("emokit.experiments.guard.CERTAINTY", -1.0)
    found = guard(grid, "joint+adapters", "scratch")
    for one in found.decisions:
        assert one.is_harmed and one.chosen != "joint+adapters"
        tried = [name for name in (FULL, FINETUNE, BETWEEN) if name in one.dev]
        if one.chosen == "scratch":
            assert tried == [FULL, FINETUNE, BETWEEN]
            assert all(one.dev[name] < one.dev["scratch"] for name in tried)
        else:
            # the first that is as good as scratch, and none after it was tried
            assert one.chosen == tried[-1] and one.dev[one.chosen] >= one.dev["scratch"]
            assert all(one.dev[name] < one.dev["scratch"] for name in tried[:-1])
    assert set(found.system.cells) == {"emodb", "ravdess"}
    copies = [one for one in found.decisions if one.chosen in (FINETUNE, BETWEEN, "scratch")]
    if len(copies) == 2:
        assert found.stored.figures()["ratio"] == pytest.approx(2.0, abs=0.05)


def test_weights_between_two_models_are_mixed_and_dev_says_how_far(grid):
    from emokit.experiments.interpolation import SHARES, interpolate
    from emokit.models.merging import merge
    from emokit.training import checkpoint
    from emokit.training.start import init_checkpoint

    base = grid.variants["joint"]
    grid.add([dataclasses.replace(
        base, name="own", base="joint", config=dataclasses.replace(
            base.config, regime="single", mode="finetune", adapters=[]),
        places=frozenset({("emodb", None, 0)}))])
    grid.run_variant("own")
    own, = grid.complete("own")
    path = init_checkpoint(grid.runs, grid.group_name("joint"), "emodb", 0, None)
    cell = interpolate(grid, own, path)
    facts = checkpoint.inspect(cell.folder / "best.safetensors").facts
    share = facts["joint_share"]
    assert share in SHARES and cell.metrics()["dev_uar"] == facts["dev_uar"]
    ends = [merge(checkpoint.load(path)[0], "emodb").state_for_checkpoint(),
            checkpoint.read_tensors(own.cell.folder / "best.safetensors")]
    mixed = checkpoint.read_tensors(cell.folder / "best.safetensors")
    for name, tensor in mixed.items():
        torch.testing.assert_close(tensor, share * ends[0][name] + (1 - share) * ends[1][name])
    # neither end is better on dev
    assert cell.metrics()["dev_uar"] >= own.cell.metrics()["dev_uar"]
    time = (cell.folder / "metrics.json").stat().st_mtime_ns
    interpolate(grid, own, path)
    assert (cell.folder / "metrics.json").stat().st_mtime_ns == time


def test_guarded_rows_name_what_was_tried(grid):
    row = Decision("emodb", 2, -0.1, 1.0, {"scratch": 0.5}, "scratch").row()
    assert row["harmed"] == 1 and row["dev_scratch"] == 0.5 and row["fold"] == 2
    assert emonet.GUARDED not in grid.variants
