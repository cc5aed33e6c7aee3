"""Whole pre-trainings: they learn, resume to the same weights, and end in words."""

import dataclasses
import itertools
import json
import logging
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from emokit.core.errors import CheckpointError, ConfigError, EmokitError
from emokit.corpora.store import RATE, open_emoset
from emokit.features.base import as_waveform
from emokit.features.logmel import LogMel, LogMelConfig
from emokit.pretraining import data, loop
from emokit.pretraining.config import PretrainConfig
from emokit.pretraining.data import make_sources
from emokit.pretraining.encoder import Learner, apply_learns, make_encoder, make_head
from emokit.pretraining.clusters import make_clusters
from emokit.pretraining.figures import Told
from emokit.pretraining.optim import rate_of
from emokit.pretraining.run import pretrain
from emokit.pretraining.teachers import Spectra
from emokit.training.settings import resolve as resolve_training
from emokit.training.train import train


def weights(cell, which="last"):
    return load_file(cell.folder / which / "model.safetensors")


def equal(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first)


def figures(cell):
    """The history without what a clock says."""
    return [{key: value for key, value in record.items()
             if key not in ("seconds", "hours_per_hour")} for record in cell.history()]


OBJECTIVES = {"contrastive": {}, "masked": {"objective": "masked", "clusters": [6, 3]}}


@pytest.fixture(scope="module")
def whole(emoset, folders, settle, tmp_path_factory):
    """Give the unbroken run of an objective."""
    made = {}

    def run(objective):
        if objective not in made:
            config = settle(folders(quantiser=True), **OBJECTIVES[objective])
            made[objective] = pretrain("tapt", config, emoset, tmp_path_factory.mktemp("whole"))
        return made[objective]

    return run


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_history_tells_what_is_measured(whole, objective):
    group, (cell,) = whole(objective)
    assert cell.is_complete and (group.folder / "pretraining.yaml").is_file()
    records = cell.history()
    assert [record["step"] for record in records] == [2, 4]
    n = 1 if objective == "masked" else 2
    for record in records:
        assert record["skipped"] == 0 and 0.3 < record["masked_share"] < 0.7
        assert record["hours"] == pytest.approx(record["epochs"] * 24 * 0.3 / 3600, rel=0.3)
        for part in ("", "held_out_"):
            assert np.isfinite(record[part + "loss"])
            assert len(record[part + "perplexity"]) == 2
            assert 0 < np.max(record[part + "chance"]) < 1
    accuracy = records[-1]["held_out_accuracy"]
    assert (len(accuracy) == 2) if n == 1 else 0 <= accuracy <= 1
    assert cell.metrics()["steps"] == 4 and (cell.folder / "best" / "config.json").is_file()
    assert not (cell.folder / "resume.pt").exists()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_interrupted_run_ends_with_the_same_weights_and_history(
        emoset, folders, settle, whole, tmp_path, monkeypatch, objective):
    config = settle(folders(quantiser=True), **OBJECTIVES[objective])
    step = loop._Trainer._step

    def killed(self, batch, told):
        if self.state.step == 3:
            raise KeyboardInterrupt
        step(self, batch, told)

    monkeypatch.setattr(loop._Trainer, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain("tapt", config, emoset, tmp_path)
    monkeypatch.undo()
    group, (cell,) = pretrain("tapt", config, emoset, tmp_path)
    _, (other,) = whole(objective)
    assert group.name == whole(objective)[0].name
    for which in ("last", "best"):
        assert equal(weights(cell, which), weights(other, which))
    assert figures(cell) == figures(other)
    assert len((cell.folder / "history.jsonl").read_text().splitlines()) == 2


def test_complete_run_is_not_done_twice(emoset, folders, settle, whole, monkeypatch):
    group, (cell,) = whole("contrastive")
    monkeypatch.setattr(loop, "fit", None)
    config = settle(folders(quantiser=True))
    assert pretrain("tapt", config, emoset, group.folder.parent)[1][0].is_complete


def test_seeds_make_encoders_of_their_own(emoset, folders, settle, whole, tmp_path):
    config = settle(folders(quantiser=True), seeds=[1])
    group, (cell,) = pretrain("tapt", config, emoset, tmp_path)
    assert group.name == whole("contrastive")[0].name and cell.name == "encoder-s1"
    assert not equal(weights(cell), weights(whole("contrastive")[1][0]))


@pytest.mark.parametrize("settings", [
    {"objective": "masked", "clusters": [4], "learning_rate": 5e-3},
    {"learning_rate": 1e-2, "mask_share": 0.3, "mask_span": 4}])
def test_loss_falls_and_hidden_frames_are_told_above_chance(
        emoset, folders, settle, tmp_path, settings):
    config = settle(folders(quantiser=True), steps=90, every=30, warmup=0.1,
                    batch_seconds=4.0, **settings)
    _, (cell,) = pretrain("tapt", config, emoset, tmp_path)
    first, _, last = cell.history()
    assert last["loss"] < first["loss"]
    assert np.mean(last["accuracy"]) > np.mean(last["chance"]) + 0.07


def test_best_is_the_step_with_the_lowest_held_out_loss(emoset, folders, settle, tmp_path):
    config = settle(folders(), steps=12, every=2, learning_rate=0.02)
    _, (cell,) = pretrain("tapt", config, emoset, tmp_path)
    losses = {record["step"]: record["held_out_loss"] for record in cell.history()}
    assert cell.metrics()["step"] == min(losses, key=losses.get)
    facts = json.loads((cell.folder / "best" / "pretraining.json").read_text())
    assert facts["step"] == cell.metrics()["step"]


def test_without_held_out_speakers_the_last_weights_are_the_best(emoset, folders, settle, tmp_path):
    _, (cell,) = pretrain("tapt", settle(folders(), held_out=0.0), emoset, tmp_path)
    assert equal(weights(cell, "best"), weights(cell, "last"))
    assert "held_out_loss" not in cell.history()[0] and cell.metrics()["step"] == 4


def test_convolutions_stay_where_only_the_transformer_learns(emoset, folders, settle, tmp_path):
    _, (cell,) = pretrain("tapt", settle(folders(), learns="transformer"), emoset, tmp_path)
    start, end = load_file(folders() / "model.safetensors"), weights(cell)
    for name in start:
        same = torch.equal(start[name], end[name])
        assert same == name.startswith("feature_extractor"), name


def test_teacher_of_several_sizes_and_another_backbone(emoset, folders, settle, tmp_path):
    config = settle(folders(), kind="ptapt", teacher=f"hf:{folders('hubert')}", clusters=[5, 9],
                    mask_share=0.3, mask_span=4)
    group, (cell,) = pretrain("ptapt", config, emoset, tmp_path)
    assert group.name.startswith("ptapt-wav2vec2")
    assert len(cell.history()[-1]["held_out_accuracy"]) == 2
    assert np.load(cell.folder / "clusters" / "centres9.npy").shape == (9, 24)


def test_trained_model_teaches_and_says_that_it_saw_labels(emoset, folders, settle, tmp_path,
                                                           trained, runs, caplog):
    group = trained(adapters="residual")
    teacher = f"{group.folder}/joint-s0"
    with caplog.at_level(logging.WARNING, "emokit"):
        _, (cell,) = pretrain("ptapt", settle(folders(), kind="ptapt", teacher=teacher), emoset,
                              tmp_path)
    assert cell.is_complete and "learnt from labels of train" in caplog.text
    with pytest.raises(CheckpointError, match="was trained on .* utterances of"):
        pretrain("ptapt", settle(folders(), kind="ptapt", teacher=teacher, fold=2), emoset,
                 tmp_path)


# numbers

def trainer(config, corpora, tmp_path, seed=0):
    from emokit.training.run import Cell

    sources = make_sources(corpora, config, seed)
    torch.manual_seed(0)
    encoder, heads = make_encoder(config)
    learner = Learner(encoder, make_head(config, encoder, heads))
    apply_learns(learner, config.learns)
    made = loop._Trainer(learner, sources, None, config, seed, Cell(tmp_path / "encoder-s0"), {})
    made.resume()
    return made


def first_batch(made):
    return next(iter(made._load([next(made.plans)])))


def test_clusters_of_a_crop_are_those_of_its_own_frames(emoset, folders, settle, tmp_path):
    """Wherever a crop begins: a spectrum depends on its samples alone."""
    config = settle(folders(), teacher="logmel", window=0.1, clusters=[6])
    made = trainer(config, open_emoset(emoset), tmp_path)
    encoder = made.learner.encoder
    teacher = Spectra("logmel", encoder.shortest, encoder.hop)
    made.clusters = make_clusters(teacher, made.sources, [6], 5000, 20, 0,
                                  tmp_path / "clusters")
    frames = np.concatenate([
        values for source in made.sources
        for _, values in teacher.frames(source, source.rows["train"])])
    scale = frames.std(0) + 1e-6
    centres = np.load(tmp_path / "clusters" / "centres6.npy")
    front_end, begun = LogMel(LogMelConfig(n_fft=encoder.shortest, hop=encoder.hop, bands=40,
                                           center=False)), set()
    for batch in made._load(list(itertools.islice(made.plans, 6))):
        values, lengths = front_end(as_waveform(batch.inputs, batch.lengths), batch.lengths)
        found = made._clusters_of(batch, lengths)[..., 0]
        distance = np.square((values.numpy()[:, :, None] - centres) / scale).sum(-1)
        # frames halfway between two centres may fall either way
        assert (found.numpy() == distance.argmin(-1)).mean() > 0.995
        begun |= set(batch.first.tolist())
    assert len(begun) > 5


def test_bf16_and_float32_agree_within_tolerance(emoset, folders, settle, tmp_path):
    found = {}
    for precision in ("float32", "bf16"):
        made = trainer(settle(folders(quantiser=True), precision=precision),
                       open_emoset(emoset), tmp_path)
        torch.manual_seed(0)
        with made.autocast:
            loss, told = made._answer(first_batch(made), 0, "train", 0)
        loss.backward()
        assert told["nll"].dtype == torch.float32
        norm = torch.stack([one.grad.norm() for one in made.learning if one.grad is not None])
        found[precision] = (loss.item(), norm.norm().item())
    # bf16 has eight bits: three digits of each product
    assert found["bf16"][0] == pytest.approx(found["float32"][0], rel=0.02)
    assert found["bf16"][1] == pytest.approx(found["float32"][1], rel=0.1)
    assert found["bf16"][0] != found["float32"][0]


def test_gradient_checkpointing_changes_nothing(emoset, folders, settle, tmp_path):
    found = []
    for word in ("false", "true"):
        made = trainer(settle(folders(quantiser=True), f"backbone.gradient_checkpointing={word}"),
                       open_emoset(emoset), tmp_path)
        batch, told = first_batch(made), Told()
        made.learner.train()
        made._step(batch, told)
        found.append([one.detach().clone() for one in made.learning])
    assert all(torch.equal(*pair) for pair in zip(*found))


def test_clips_of_a_fifth_of_a_second_and_of_thirty_in_one_batch(
        emoset, folders, settle, tmp_path):
    """Each counts for its own frames, and is heard as it is alone."""
    made = trainer(settle(folders(quantiser=True)), open_emoset(emoset), tmp_path)
    made.learner.eval()
    rng = np.random.default_rng(0)
    clips = [(rng.standard_normal(int(seconds * RATE)) * 3000).astype(np.int16)
             for seconds in (0.2, 30.0)]
    from emokit.loading.dataset import collate

    batch = collate(clips, "emodb", ["emodb/short", "emodb/long"])
    with torch.no_grad():
        _, told = made._answer(batch, 0, "train", 0)
        frames = [made.learner.encoder.n_frames(len(clip)) for clip in clips]
        assert int(told["frames"]) == sum(frames)
        assert 0.4 < int(told["hidden"]) / sum(frames) < 0.6
        assert torch.isfinite(told["nll"]) and int(told["counted"]) == int(told["hidden"])
        together, lengths = made.learner.encoder(batch.inputs, batch.lengths)
        alone, _ = made.learner.encoder(batch.inputs[:1, :3200], batch.lengths[:1])
    assert lengths.tolist() == frames
    assert torch.allclose(together[0, :frames[0]], alone[0], atol=1e-5)


def test_clip_shorter_than_a_span_is_learnt_from(emoset, folders, settle, tmp_path):
    from emokit.loading.dataset import collate

    made = trainer(settle(folders(quantiser=True), "mask_span=30"), open_emoset(emoset), tmp_path)
    loss, told = made._answer(collate([np.ones(10, np.int16), np.ones(900, np.int16)], "emodb"),
                              0, "train", 0)
    loss.backward()
    # the first has a single frame, so no other to be told from
    assert told["hidden"] > told["counted"] >= 1 and torch.isfinite(loss)


# what ends a run

def broken(monkeypatch, from_step):
    answer = loop._Trainer._answer

    def wrong(self, batch, step, purpose, *rest):
        loss, told = answer(self, batch, step, purpose, *rest)
        return (loss * float("nan") if purpose == "train" and step >= from_step else loss), told

    monkeypatch.setattr(loop._Trainer, "_answer", wrong)


def test_steps_without_finite_loss_leave_the_weights_alone(
        emoset, folders, settle, tmp_path, monkeypatch):
    _, (short,) = pretrain("tapt", settle(folders(), steps=5, every=5, flat=0.9), emoset, tmp_path)
    broken(monkeypatch, 5)
    _, (cell,) = pretrain("tapt", settle(folders(), steps=8, every=8, flat=0.9), emoset, tmp_path)
    assert cell.history()[-1]["skipped"] == 3
    assert equal(weights(cell), weights(short))


def test_ten_such_steps_end_the_run_and_its_cell_tells_why(
        emoset, folders, settle, tmp_path, monkeypatch):
    broken(monkeypatch, 2)
    config = settle(folders(), steps=40, every=20)
    with pytest.raises(EmokitError, match="10 steps in a row, up to step 11 with (emodb|ravdess)/"):
        pretrain("tapt", config, emoset, tmp_path)
    cell, = [path.parent for path in tmp_path.glob("*/*/failed.json")]
    assert "Lower --learning-rate" in json.loads((cell / "failed.json").read_text())["error"]


def test_collapse_ends_the_run_at_its_first_record(emoset, folders, settle, tmp_path):
    config = settle(folders(quantiser=True), "contrastive.diversity=0", lowest_perplexity=7.99)
    with pytest.raises(EmokitError, match="collapsed: the perplexity of codebook 1 is"):
        pretrain("tapt", config, emoset, tmp_path)
    assert not list(tmp_path.glob("*/*/metrics.json"))


def test_span_longer_than_every_clip_is_refused(emoset, folders, settle, tmp_path):
    with pytest.raises(ConfigError, match="mask_span is 70 frames, but the longest clip has"):
        pretrain("tapt", settle(folders(), mask_span=70), emoset, tmp_path)
    assert not list(tmp_path.iterdir()) or not list(tmp_path.glob("*/*/config.yaml"))


def test_more_clusters_than_frames_are_refused(emoset, folders, settle, tmp_path):
    with pytest.raises(ConfigError, match=r"There are \d+ frames of train for 60000 clusters"):
        pretrain("tapt", settle(folders(), clusters=[60_000]), emoset, tmp_path)


def test_clusters_of_another_teacher_in_the_cell_are_refused(
        emoset, folders, settle, tmp_path):
    config = settle(folders())
    group, (cell,) = pretrain("tapt", config, emoset, tmp_path)
    (cell.folder / "metrics.json").unlink()
    facts = json.loads((cell.folder / "clusters" / "clusters.json").read_text())
    facts["of"]["teacher"] = "other"
    (cell.folder / "clusters" / "clusters.json").write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match="holds clusters of another teacher"):
        pretrain("tapt", config, emoset, tmp_path)


def test_damaged_resume_point_is_told(emoset, folders, settle, tmp_path):
    config = settle(folders())
    _, (cell,) = pretrain("tapt", config, emoset, tmp_path)
    (cell.folder / "metrics.json").unlink()
    (cell.folder / "resume.pt").write_bytes(b"damaged")
    with pytest.raises(EmokitError, match="resume.pt' cannot be read .* Remove it to begin anew"):
        pretrain("tapt", config, emoset, tmp_path)


# names of groups

def test_groups_are_named_by_what_changes_the_weights(emoset, folders, settle, tmp_path):
    from emokit.pretraining.run import group_of

    corpora = open_emoset(emoset)

    def name(config, some=corpora):
        return group_of("tapt", config, some, tmp_path).name

    base = settle(folders(quantiser=True))
    assert name(base) == name(dataclasses.replace(base, seeds=[3], workers=2, device="auto"))
    copy = tmp_path / "elsewhere" / folders(quantiser=True).name
    shutil.copytree(folders(quantiser=True), copy)
    assert name(base) == name(settle(copy))
    others = [dataclasses.replace(base, steps=5), settle(folders()),
              dataclasses.replace(base, fold=1), dataclasses.replace(base, teacher="logmel"),
              settle(folders(quantiser=True), "contrastive.negatives=6")]
    assert len({name(base), name(base, corpora[:1]), *map(name, others)}) == 7


# what follows

def fine_tune(emoset, runs, folder, **flags):
    return train(*resolve_training({
        "backbone": f"hf:{folder}", "regime": "single", "corpora": ["emodb"], "epochs": 1,
        "batch_size": 8, "device": "cpu", **flags}), emoset, runs)[0]


def test_fine_tuning_takes_the_folder_up(emoset, whole, tmp_path):
    _, (cell,) = whole("contrastive")
    group = fine_tune(emoset, tmp_path, cell.folder / "best")
    assert group.cell("emodb-s0").is_complete
    from emokit.training.checkpoint import inspect

    found = inspect(group.folder / "emodb-s0" / "best.safetensors")
    assert set(found.facts["ancestors"][0]["manifests"]) == {"emodb", "ravdess"}


def test_fine_tuning_on_another_fold_than_was_heard_is_refused(emoset, whole, tmp_path):
    _, (cell,) = whole("contrastive")
    with pytest.raises(CheckpointError, match="best' was trained on .* of 'emodb'"):
        fine_tune(emoset, tmp_path, cell.folder / "best", folds="all")


def test_fold_of_pre_training_is_that_of_fine_tuning(emoset, folders, settle, tmp_path):
    _, (cell,) = pretrain("tapt", settle(folders(), fold=2), emoset, tmp_path)
    assert cell.name == "encoder-f2-s0"
    assert fine_tune(emoset, tmp_path, cell.folder / "best", folds="2").cell(
        "emodb-f2-s0").is_complete
    with pytest.raises(CheckpointError, match="Use the base of the same fold"):
        fine_tune(emoset, tmp_path, cell.folder / "best", folds="1")


def test_scratch_then_continued_then_fine_tuned(emoset, settle, tmp_path):
    """Without any pretrained model: the whole branch from nothing."""
    from emokit.pretraining.config import resolve

    tiny = [f"backbone.architecture.{setting}" for setting in (
        "hidden_size=24", "num_hidden_layers=2", "num_attention_heads=2", "intermediate_size=32",
        "conv_dim=8|12|12", "conv_kernel=10|3|2", "conv_stride=5|4|4",
        "num_conv_pos_embeddings=8", "num_conv_pos_embedding_groups=4")]
    config = resolve("scratch", {"steps": 4, "every": 2, "clusters": [6], "batch_seconds": 3.0,
                                 "device": "cpu", "held_out": 0.34}, tiny)
    group, (cell,) = pretrain("scratch", config, emoset, tmp_path)
    assert group.name.startswith("scratch-")
    config = settle(cell.folder / "best", teacher="self(layer=1)", clusters=[4])
    _, (second,) = pretrain("tapt", config, emoset, tmp_path)
    facts = json.loads((second.folder / "best" / "pretraining.json").read_text())
    assert len(facts["ancestors"]) == 1 and facts["ancestors"][0]["fold"] is None
    assert fine_tune(emoset, tmp_path, second.folder / "best").cell("emodb-s0").is_complete


def test_rates_rise_stay_and_fall_to_zero():
    config = PretrainConfig(steps=200, warmup=0.1, flat=0.2, learning_rate=2.0)
    rates = [rate_of(config, step) for step in range(200)]
    assert rates[0] == pytest.approx(0.1) and rates[19:61] == [2.0] * 42
    assert rates[-1] == pytest.approx(2 / 140)
    assert np.allclose(np.diff(rates[60:]), -2 / 140)


def test_measuring_is_in_float32_and_leaves_training_as_it_was(
        emoset, folders, settle, tmp_path):
    made = trainer(settle(folders(quantiser=True), precision="bf16"), open_emoset(emoset),
                   tmp_path)
    made.learner.train()
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, second = made._measure(), made._measure()
    assert first == second and made.learner.training
    # the dropout of the next step does not depend on whether something was measured
    assert torch.equal(torch.random.get_rng_state(), state)
    assert data.HELD_OUT_SECONDS >= 60
