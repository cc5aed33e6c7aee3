"""The same code on CUDA: precision, memory layout, scores, and a step that waits for nothing."""

import json

import numpy as np
import pytest
import torch

from emokit.core.errors import EmokitError
from emokit.core.files import read_csv
from emokit.corpora.store import open_emoset
from emokit.loading.source import make_source
from emokit.training import checkpoint
from emokit.training.loop import _Trainer
from emokit.training.predict import place, score
from emokit.training.run import Cell
from emokit.training.start import make_model
from emokit.training.states import states
from emokit.training.train import effective, score_cell, sources_of, train

pytestmark = [pytest.mark.gpu,
              pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

REGIMES = {
    "joint": dict(adapters="residual"),
    "single": dict(regime="single", average_share=0.0),
    "dense private": dict(adapters="residual(rank=full)", head="dense", shared_pooling=False),
    "window": dict(adapters="residual", window=0.2),
}


@pytest.fixture(scope="module")
def fitted(emoset, tmp_path_factory, configure):
    """Train on the GPU into a folder of its own: a group's name does not tell the device."""
    runs = tmp_path_factory.mktemp("gpu") / "runs"

    def run(**flags):
        return train(*configure(**{"epochs": 2, **flags, "device": "cuda"}), emoset, runs)[0]

    return run


@pytest.mark.parametrize("name", REGIMES)
def test_train_uar_equals_evaluate_uar_on_the_gpu(fitted, emoset, name):
    group = fitted(**REGIMES[name])
    for cell in group.cells():
        metrics = cell.metrics()
        best = cell.history()[metrics["epoch"] - 1]["corpora"]
        for corpus, figures in metrics["dev"].items():
            path = cell.predictions(corpus, "dev")
            first = path.read_bytes()
            path.unlink()
            score_cell(cell, emoset, "dev", "cuda")
            assert path.read_bytes() == first
            assert best[corpus]["dev_uar"] == figures["uar"]


def test_head_mode_on_states_scores_as_the_whole_model_on_the_gpu(fitted, emoset):
    base = fitted(adapters="residual")
    group = fitted(epochs=3, regime="single", mode="head", init=base.name,
                   window=0.2)
    for cell in group.cells():
        metrics = cell.metrics()
        best = cell.history()[metrics["epoch"] - 1]["corpora"][cell.who]
        figures = metrics["dev"][cell.who]
        assert (best["dev_uar"], best["dev_loss"]) == (figures["uar"], figures["loss"])


def test_auto_trains_in_bf16_channels_last_and_keeps_float32_weights(fitted):
    cell, = fitted(adapters="residual").cells()
    surroundings = json.loads((cell.folder / "environment.json").read_text())
    wanted = "bf16" if torch.cuda.is_bf16_supported() else "float32"
    assert surroundings["device"] == "cuda" and surroundings["precision"] == wanted
    model, _ = checkpoint.load(cell.folder / "best.safetensors")
    assert {tensor.dtype for tensor in model.state_dict().values()
            if tensor.is_floating_point()} == {torch.float32}
    place(model, "cuda")
    convolution = model.backbone.stages[1][0].second.conv.weight
    assert convolution.is_contiguous(memory_format=torch.channels_last)


def test_the_gpu_scores_and_keeps_states_as_the_cpu_up_to_rounding(fitted, emoset, tmp_path):
    cell, = fitted(adapters="residual").cells()
    for corpus in open_emoset(emoset):
        source = make_source(corpus)
        found, kept = [], []
        for device in ("cpu", "cuda"):
            model, _ = checkpoint.load(cell.folder / "best.safetensors")
            place(model, device)
            found.append(score(model, source, "dev", 0.2).probabilities)
            kept.append(states(model, source, source.rows["dev"], 0.2, folder=tmp_path))
        np.testing.assert_allclose(*found, atol=1e-4)
        np.testing.assert_allclose(kept[0].values, kept[1].values, atol=1e-3, rtol=1e-3)
        # what a GPU computed is not taken for what a CPU would
        assert kept[0].values.filename != kept[1].values.filename


def test_a_checkpoint_of_the_gpu_is_scored_on_the_cpu(fitted, emoset):
    cell, = fitted(adapters="residual").cells()
    for corpus in cell.metrics()["dev"]:
        path = cell.predictions(corpus, "dev")
        before = read_csv(path)
        score_cell(cell, emoset, "dev", "cpu")
        after = read_csv(path)
        words = [name for name in after if name.startswith("p_")]
        np.testing.assert_allclose(before[words].astype(float), after[words].astype(float),
                                   atol=1e-4)


def test_a_compiled_backbone_answers_as_the_plain_one(fitted, emoset):
    cell, = fitted(adapters="residual").cells()
    answers = []
    for compiled in (False, True):
        model, _ = checkpoint.load(cell.folder / "best.safetensors")
        place(model, "cuda")
        if compiled:
            model.backbone.compile()
        answers.append([score(model, make_source(corpus), "dev", 0.2).probabilities
                        for corpus in open_emoset(emoset)])
    for plain, other in zip(*answers):
        np.testing.assert_allclose(plain, other, atol=1e-4)


@pytest.mark.parametrize("flags", [
    dict(), dict(augment="specaugment+equaliser", mixup=0.3), dict(head="dense"),
    dict(optimizer="sgd"), dict(clip_norm=1.0)])
def test_a_step_waits_for_nothing_on_the_device(configure, emoset, tmp_path, flags):
    config = effective(configure(adapters="residual", **{**flags, "device": "cuda"})[0])
    sources = sources_of(config, open_emoset(emoset), None)
    model, _ = make_model(config.model_settings(), sources, 0)
    trainer = _Trainer(place(model, "cuda").train(), sources, config, 0,
                       Cell(tmp_path / "joint-s0"), {})
    plans = [plan for epoch in range(3) for plan in trainer.sampler.plans(epoch)]

    def step(plan, batch):
        trainer.optimizer.zero_grad(set_to_none=True)
        trainer._loss(batch.to(trainer.device), trainer.sources[plan.source]).backward()
        trainer._step()

    pairs = list(zip(plans, trainer.feed.batches(plans)))
    for pair in pairs[:-1]:
        step(*pair)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(*pairs[-1])
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_more_than_the_gpu_holds_is_said_in_words(configure, emoset, tmp_path):
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-4)
    try:
        with pytest.raises(EmokitError, match="not enough memory.*Lower batch_size"):
            train(*configure("backbone.width=64", adapters="residual", device="cuda"), emoset,
                  tmp_path / "runs")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
