"""Frozen states: computed once, the same scores to the last bit, kept and removed by rules."""

import concurrent.futures
import logging
import shutil

import numpy as np
import pytest
import torch

from emokit.core.errors import ConfigError, EmokitError
from emokit.core.files import read_csv
from emokit.corpora.store import open_emoset
from emokit.loading.batch import Batch
from emokit.loading.sampler import EpochSampler
from emokit.loading.source import make_source
from emokit.models.backbones.resnet import ResNet
from emokit.models.model import EmotionModel
from emokit.models.settings import ModelSettings
from emokit.training import checkpoint
from emokit.training.feed import ThroughModel
from emokit.training.frozen import StateBatches, frozen_level
from emokit.training.predict import on_own_answers, score
from emokit.training.settings import resolve
from emokit.training.states import TooManyStates, encoder_signature, states
from emokit.training.train import score_cell, train

SMALL = {"backbone": {"name": "resnet", "width": 4, "blocks": 1, "stem_stride": 2},
         "frontend": {"name": "logmel", "bands": 16}}


def model_of(**settings):
    torch.manual_seed(0)
    labels = {"emodb": "abc", "ravdess": "abcd"}
    model = EmotionModel(ModelSettings(**{**SMALL, **settings}), labels)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval()


@pytest.fixture
def emodb(emoset):
    corpus, = open_emoset(emoset, ["emodb"])
    return make_source(corpus)


@pytest.fixture
def ran(monkeypatch):
    """Count the rows that go through the backbone."""
    rows = []
    forward = ResNet.forward

    def counted(self, frames, lengths):
        rows.append(len(frames))
        return forward(self, frames, lengths)

    monkeypatch.setattr(ResNet, "forward", counted)
    return rows


@pytest.fixture
def own(emoset, tmp_path):
    """A copy of the built corpora whose states no other test has computed."""
    shutil.copytree(emoset, tmp_path / "emoset", ignore=shutil.ignore_patterns("states"))
    return tmp_path / "emoset"


@pytest.mark.parametrize("window, rule", [(0.1, "multi"), (0.1, "center"), (None, "multi")])
@pytest.mark.parametrize("settings", [
    {}, {"pooling": "statistics", "head": "dense"},
    {"adapters": ["residual"], "shared_pooling": False}, {"normalisation": "batchnorm"}])
def test_scores_from_states_are_those_of_the_whole_model_to_the_last_bit(
        emodb, tmp_path, settings, window, rule):
    model = model_of(**settings)
    kept = states(model, emodb, emodb.rows["train"], window, rule, tmp_path)
    found = on_own_answers(emodb, "train", kept.answers(model))
    expected = score(model, emodb, "train", window, rule)
    assert np.array_equal(found.probabilities, expected.probabilities)
    assert np.array_equal(found.truth, expected.truth)
    assert isinstance(kept.values, np.memmap)


def test_head_mode_runs_backbone_once(own, joint, configure, tmp_path, ran):
    shutil.copytree(joint.folder, tmp_path / "runs" / joint.name)
    flags = dict(regime="single", corpora="emodb", mode="head", init=joint.name, window=0.2)

    def rows_of(**more):
        ran.clear()
        train(*configure(**flags, **more), own, tmp_path / "runs")
        return sum(ran)

    corpus, = open_emoset(own, ["emodb"])
    rows, window = make_source(corpus).rows, 3200
    crops = {name: sum(1 + int(np.ceil((length - window) / (window / 2)))
                       for length in corpus.audio.lengths[rows[name]]) for name in rows}
    # dev once more, for the best weights
    assert rows_of(epochs=4) == crops["train"] + 2 * crops["dev"]
    # another seed, another length of training and another head find the states there
    for other in (dict(epochs=4, seeds=[1]), dict(epochs=9), dict(head="dense")):
        assert rows_of(**other) == crops["dev"]
    # other scoring crops are other states
    assert rows_of(scoring="center") == 9 + 3 + 3


HEADS = {
    "linear": {}, "dense": dict(head="dense"), "averaged": dict(average_share=0.5),
    "adapters": dict(adapters="residual"), "through the model": dict(augment="noise+specaugment"),
    "mixup": dict(mixup=0.5),
}


@pytest.mark.parametrize("name", HEADS)
def test_train_uar_equals_evaluate_uar_where_the_head_alone_learns(trained, joint, emoset, name):
    group = trained(regime="single", mode="head", init=joint.name, window=0.2, epochs=3,
                    **HEADS[name])
    for cell in group.cells():
        metrics, history = cell.metrics(), cell.history()
        figures = metrics["dev"][cell.who]
        path = cell.predictions(cell.who, "dev")
        first = path.read_bytes()
        path.unlink()
        score_cell(cell, emoset, "dev", "cpu")
        assert path.read_bytes() == first
        best = history[metrics["epoch"] - 1]["corpora"][cell.who]
        assert (best["dev_uar"], best["dev_loss"]) == (figures["uar"], figures["loss"])
        table = read_csv(path)
        hits = (table["truth"] == table["prediction"]).groupby(table["truth"]).mean()
        assert hits.mean() == pytest.approx(figures["uar"], abs=1e-12)


def test_states_train_the_head_that_the_whole_model_trains(joint, configure, own, tmp_path,
                                                           monkeypatch):
    # utterances are shorter than the window, so both see the same crops
    shutil.copytree(joint.folder, tmp_path / "runs" / joint.name)
    config = configure(regime="single", corpora="emodb", mode="head", init=joint.name, epochs=3)
    weights = []
    for whole in (False, True):
        if whole:
            monkeypatch.setattr("emokit.training.loop.make_feed",
                                lambda model, *rest: ThroughModel(*rest))
        _, tasks = train(*config, own, tmp_path / "runs")
        weights.append(checkpoint.read_tensors(tasks[0].cell.folder / "last.safetensors"))
        shutil.rmtree(tasks[0].cell.folder)
    start = checkpoint.read_tensors(joint.folder / "joint-s0" / "best.safetensors")
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=1e-5, rtol=1e-4)
    name = "private.corpus_emodb.head.weight"
    assert not torch.allclose(weights[0][name], start[name], atol=1e-3)


def test_a_killed_head_run_resumes_to_identical_weights(joint, configure, own, tmp_path):
    from emokit.training.loop import _Trainer

    config = configure(regime="single", corpora="emodb", mode="head", init=joint.name, epochs=4,
                       window=0.1, head="dense", average_share=0.5)
    files = []
    for name in ("whole", "broken"):
        runs = tmp_path / name
        shutil.copytree(joint.folder, runs / joint.name)
        if name == "broken":
            with pytest.MonkeyPatch.context() as patch:
                epoch = _Trainer.epoch

                def dies(self, bar):
                    if self.state.epoch == 2:
                        raise KeyboardInterrupt
                    epoch(self, bar)

                patch.setattr(_Trainer, "epoch", dies)
                with pytest.raises(KeyboardInterrupt):
                    train(*config, own, runs)
        _, tasks = train(*config, own, runs)
        files.append([(tasks[0].cell.folder / name).read_bytes()
                      for name in ("best.safetensors", "last.safetensors")])
    assert files[0] == files[1]


def test_an_interrupted_computation_goes_on_and_gives_the_same_bytes(emodb, tmp_path, monkeypatch,
                                                                     ran):
    model, rows = model_of(), emodb.rows["train"]
    # some 270 crops, five batches
    whole = states(model, emodb, rows, 0.02, folder=tmp_path / "whole")
    n_crops = sum(ran)
    embed, calls = EmotionModel.embed, []

    def dies(self, *args):
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(EmotionModel, "embed", dies)
        with pytest.raises(KeyboardInterrupt):
            states(model, emodb, rows, 0.02, folder=tmp_path / "broken")
    partial, = (tmp_path / "broken").glob("*/values.bin.partial")
    lengths, = (tmp_path / "broken").glob("*/lengths.i64.partial")
    # the kill may have hit between the two files, or in the middle of a write
    with open(partial, "ab") as file:
        file.write(b"half a state")
    with open(lengths, "ab") as file:
        file.write(np.ones(3, "<i8").tobytes() + b"half")
    ran.clear()
    again = states(model, emodb, rows, 0.02, folder=tmp_path / "broken")
    assert sum(ran) == n_crops - 2 * 64
    assert np.array_equal(again.values, whole.values)
    assert not list(tmp_path.rglob("*.partial"))


def test_the_key_is_made_of_all_that_states_depend_on(emodb, tmp_path):
    model = model_of(adapters=["residual"])
    before = encoder_signature(model, "emodb")

    def after(change):
        other = model_of(adapters=["residual"])
        with torch.no_grad():
            change(other)
        return encoder_signature(other, "emodb")

    assert after(lambda other: None) == before
    own, theirs = model.part("emodb"), model.part("ravdess")
    free = [f"private.corpus_emodb.head.{name}" for name in own.head.state_dict()] + [
        f"private.corpus_ravdess.{name}" for name in theirs.state_dict()]
    for name in model.state_for_checkpoint():
        changed = after(lambda other: other.state_dict()[name].add_(0.125))
        assert (changed == before) == (name in free), name
    assert after(lambda other: other.labels) == before
    assert encoder_signature(model_of(adapters=["residual"], pooling="average"), "emodb") != before
    # frames do not depend on the pooling
    frames = encoder_signature(model, "emodb", "frames")
    with torch.no_grad():
        model.pooling.weight.add_(1)
    assert encoder_signature(model, "emodb", "frames") == frames
    assert encoder_signature(model, "emodb") != before


def test_other_crops_rows_and_builds_lie_elsewhere(emodb, emoset, tmp_path):
    import dataclasses

    model, rows = model_of(), emodb.rows["dev"]
    rebuilt = dataclasses.replace(emodb, corpus=dataclasses.replace(
        emodb.corpus, build={**emodb.corpus.build, "signature": "another"}))
    for source, *what in ((emodb, rows, 0.1, "multi"), (emodb, rows, 0.1, "multi"),
                          (emodb, rows, 0.2, "multi"), (emodb, rows, 0.1, "center"),
                          (emodb, rows[:2], 0.1, "multi"), (rebuilt, rows, 0.1, "multi")):
        states(model, source, *what, tmp_path)
    places = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(places) == 5
    assert {tuple(sorted(file.name for file in place.iterdir())) for place in places} == {
        ("lengths.i64", "states.json", "values.bin")}


def test_frames_are_pooled_to_the_embeddings_up_to_their_rounding(emodb, tmp_path):
    model = model_of(frontend={"name": "logmel", "bands": 16, "hop": 64})
    rows = emodb.rows["train"]
    frames = states(model, emodb, rows, None, folder=tmp_path, level="frames")
    pooled = states(model, emodb, rows, None, folder=tmp_path)
    assert np.array_equal(frames.crops, pooled.crops) and frames.values.dtype == np.float16
    crops = np.arange(len(frames.crops))
    inputs, lengths = frames.inputs(crops)
    assert lengths.tolist() == frames.lengths.tolist() and lengths.min() < lengths.max()
    with torch.inference_mode():
        found = model.pool("emodb", inputs, lengths)
        # the whole utterances of the first crop, without any states
        index, start, stop = frames.crops[0]
        wave = torch.from_numpy(np.array(emodb.corpus.audio.read(int(rows[index]), start, stop)))
        alone = model.embed(Batch(wave[None], torch.tensor([len(wave)]), "emodb"))
    torch.testing.assert_close(found, torch.tensor(np.array(pooled.values)), atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(found[:1], alone, atol=2e-3, rtol=2e-3)
    np.testing.assert_allclose(frames.answers(model), pooled.answers(model), atol=1e-3)


def test_each_scoring_crop_is_drawn_and_the_size_of_batches_moves_none(emodb, tmp_path):
    kept = states(model_of(), emodb, emodb.rows["train"], 0.1, folder=tmp_path)

    def drawn(epoch, batch_size):
        sampler = EpochSampler([("emodb", emodb.classes, emodb.rows["train"])], batch_size)
        data = StateBatches([emodb], [kept], sampler.plans(epoch), 5)
        batches = [data[number] for number in range(len(data))]
        assert all((kept.values[:, None] == batch.inputs.numpy()).all(2).any(0).all()
                   for batch in batches)
        for plan, batch in zip(sampler.plans(epoch), batches):
            assert batch.targets.classes.tolist() == emodb.classes[plan.rows].tolist()
        return {name: tuple(state.tolist()) for batch in batches
                for name, state in zip(batch.utterances, batch.inputs)}

    assert drawn(3, 9) == drawn(3, 4) and drawn(3, 9) != drawn(4, 9)
    everything = {state for epoch in range(40) for state in drawn(epoch, 9).values()}
    assert everything == {tuple(state.tolist()) for state in kept.values}


def test_states_take_no_more_than_the_limit_and_the_oldest_go(emodb, tmp_path):
    import os

    model, rows = model_of(), emodb.rows["train"]
    for window in (0.1, 0.05):
        states(model, emodb, rows, window, folder=tmp_path / "two")
    two = sum(path.stat().st_size for path in tmp_path.rglob("two/*/*"))
    folder = tmp_path / "kept"

    def keep(window, limit=two):
        states(model, emodb, rows, window, folder=folder, limit=limit)

    def places():
        return {path.name for path in folder.iterdir() if path.is_dir()}

    keep(0.1)
    first = places()
    keep(None)
    second = places() - first
    for age, name in ((200, *second), (100, *first)):
        os.utime(folder / name / "states.json", (1e9 - age, 1e9 - age))
    keep(0.1)  # used again, so the other is older now
    keep(0.05)
    assert first < places() and not second & places()
    with pytest.raises(EmokitError, match=r"states of 'emodb' take more than .* GB. Keep embeddin"):
        keep(0.03, limit=100)
    assert first < places() and not list(folder.rglob("*.partial"))


def test_states_that_are_needed_at_once_must_fit_the_limit_together(emodb, tmp_path):
    model, rows = model_of(), emodb.rows["train"]
    size = states(model, emodb, rows, 0.1, folder=tmp_path / "free").values.nbytes
    with pytest.raises(TooManyStates, match="states of 'emodb' take more than"):
        states(model, emodb, rows, 0.1, folder=tmp_path / "kept", limit=size, beside=1)
    assert states(model, emodb, rows, 0.1, folder=tmp_path / "kept", limit=size + 1,
                  beside=1).values.nbytes == size


def test_damaged_states_are_told_and_computed_again(emodb, tmp_path, caplog):
    model, rows = model_of(), emodb.rows["dev"]
    expected = np.array(states(model, emodb, rows, 0.1, folder=tmp_path).values)
    path, = tmp_path.glob("*/values.bin")
    path.write_bytes(path.read_bytes()[:-4])
    with caplog.at_level(logging.WARNING, "emokit"):
        again = states(model, emodb, rows, 0.1, folder=tmp_path)
    assert "are damaged and computed again" in caplog.text
    assert np.array_equal(again.values, expected)


def test_two_that_want_the_same_states_compute_them_once(emodb, tmp_path, ran):
    models = [model_of() for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda model: np.array(
            states(model, emodb, emodb.rows["dev"], 0.1, folder=tmp_path).values), models))
    assert all(np.array_equal(one, found[0]) for one in found)
    assert sum(ran) == len(found[0])


def test_states_that_are_no_numbers_are_refused(emodb, tmp_path):
    model = model_of()
    with torch.no_grad():
        model.backbone.norm.bias.fill_(torch.nan)
    with pytest.raises(EmokitError, match="states of 'emodb' are no finite numbers. .*--init"):
        states(model, emodb, emodb.rows["dev"], 0.1, folder=tmp_path)
    with pytest.raises(ConfigError, match="Unknown level 'frame' of states"):
        states(model, emodb, emodb.rows["dev"], 0.1, folder=tmp_path, level="frame")


def test_a_full_disk_is_told_in_words_and_the_states_go_on(emodb, tmp_path):
    import resource

    model, rows = model_of(), emodb.rows["train"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(EmokitError, match="Cannot write '.*values.bin.partial': it grew"):
            states(model, emodb, rows, 0.02, folder=tmp_path / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    found = states(model, emodb, rows, 0.02, folder=tmp_path / "full")
    expected = states(model, emodb, rows, 0.02, folder=tmp_path / "whole")
    assert np.array_equal(found.values, expected.values)


def test_a_folder_that_cannot_be_written_keeps_nothing(joint, configure, own, tmp_path,
                                                       monkeypatch, caplog):
    import os

    # the administrator may write everywhere, so the answer is given for him
    monkeypatch.setattr(os, "access", lambda path, how: False)
    shutil.copytree(joint.folder, tmp_path / "runs" / joint.name)
    with caplog.at_level(logging.WARNING, "emokit"):
        _, tasks = train(*configure(regime="single", corpora="emodb", mode="head",
                                    init=joint.name), own, tmp_path / "runs")
    assert "cannot be written, so frozen states are kept for this run only" in caplog.text
    assert tasks[0].cell.is_complete and not (own / "emodb" / "states").exists()


def test_the_recipes_augmentation_is_not_for_a_frozen_encoder(joint, caplog):
    flags = {"regime": "single", "init": "x"}
    assert resolve({**flags, "mode": "finetune"})[0].augment
    assert resolve({**flags, "mode": "head"})[0].augment == []
    named, _ = resolve({**flags, "mode": "head", "augment": "noise"}, ["mixup=0.2"])
    assert [item["name"] for item in named.augment] == ["noise"] and named.mixup == 0.2


def test_whoever_asks_for_augmentation_hears_what_it_costs(trained, joint, caplog):
    with caplog.at_level(logging.WARNING, "emokit"):
        trained(regime="single", mode="head", init=joint.name, augment="gain", corpora="emodb")
    assert "augment changes what the frozen part gives, so every epoch runs" in caplog.text


def test_only_heads_that_learn_make_the_rest_frozen():
    from emokit.models.modes import apply_mode

    model = model_of(adapters=["residual"])
    for mode, frozen in (("head", True), ("adapters", False), ("joint", False)):
        apply_mode(model, mode)
        assert frozen_level(model) == ("embedding" if frozen else None)
    model.requires_grad_(False)
    assert frozen_level(model) is None
