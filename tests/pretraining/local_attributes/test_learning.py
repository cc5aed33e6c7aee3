"""Whole pre-trainings on tiny corpora, and fine-tuning from them."""

import json
import shutil

import pytest
import torch

from emokit.core.errors import CheckpointError, ConfigError, EmokitError
from emokit.corpora.store import open_emoset
from emokit.loading.source import make_source
from emokit.models.settings import ModelSettings
from emokit.pretraining.local_attributes import loop, run
from emokit.training import checkpoint, states as states_module
from emokit.training.adapter_start import FILE, find_pretrained
from emokit.training.settings import resolve as resolve_training
from emokit.training.start import make_model
from emokit.training.train import effective, plan as plan_training, train

WAP = {"name": "wap", "width": 8, "hidden": 12, "depth": 2, "heads": 2}


@pytest.fixture(scope="module")
def own(emoset, tmp_path_factory):
    """A copy of the built corpora, whose states this file computes."""
    folder = tmp_path_factory.mktemp("own") / "emoset"
    shutil.copytree(emoset, folder, ignore=shutil.ignore_patterns("states"))
    return folder


@pytest.fixture(scope="module")
def learnt(own, folders, tmp_path_factory):
    """A finished pre-training on both corpora, its settings and where it lies."""
    from emokit.pretraining.local_attributes.config import resolve

    runs = tmp_path_factory.mktemp("learnt")
    flags = {"width": 8, "hidden": 12, "depth": 2, "heads": 2, "attributes": [4], "mask_span": 3,
             "batch_seconds": 2.0, "epochs": 4, "learning_rate": 2e-3, "device": "cpu",
             "backbone": f"hf:{folders('whisper')}"}
    config = resolve(flags)
    folder, tasks = run.pretrain(config, own, runs)
    return config, folder, tasks[0].cell


def tensors(cell):
    return checkpoint.read_tensors(cell.folder / FILE)


def test_the_loss_falls_and_the_cell_says_how(learnt):
    _, _, cell = learnt
    history = cell.history()
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert history[-1]["loss_mask"] < history[0]["loss_mask"]
    assert history[-1]["loss_distillation"] < history[0]["loss_distillation"]
    assert cell.metrics()["epochs"] == 4 and not (cell.folder / "resume.pt").exists()
    assert 1 <= history[-1]["usage"]["4"] <= 4 and history[-1]["bad_steps"] == 0
    assert 0.3 < history[-1]["masked_share"] < 0.7
    for n, place in history[-1]["dev_place"].items():
        assert 0 <= place <= 1 and history[-1]["dev_accuracy"][n] >= 0
    found = tensors(cell)
    assert {name.split(".")[0] for name in found} == {"teacher", "student", "clusters"}
    changed = [name for name in found if name.startswith("teacher.")
               and not torch.equal(found[name], found[name.replace("teacher", "student")])]
    assert changed


@pytest.mark.parametrize("clustering", ["online", "offline", "frozen"])
def test_an_interrupted_run_ends_with_the_weights_of_an_unbroken_one(
        clustering, settle, own, tmp_path, monkeypatch):
    config = settle(clustering=clustering, refresh_epochs=2, epochs=3, attributes=[4, 3],
                    corpora=["emodb"])
    whole = run.pretrain(config, own, tmp_path / "whole")[1][0].cell
    epoch = loop._Learner.epoch

    def broken(self, bar):
        if self.state.epoch == 1:
            raise KeyboardInterrupt
        epoch(self, bar)

    monkeypatch.setattr(loop._Learner, "epoch", broken)
    with pytest.raises(KeyboardInterrupt):
        run.pretrain(config, own, tmp_path / "broken")
    monkeypatch.setattr(loop._Learner, "epoch", epoch)
    resumed = run.pretrain(config, own, tmp_path / "broken")[1][0].cell
    one, other = tensors(whole), tensors(resumed)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    times = ("seconds", "hours_per_hour")
    for ours, theirs in zip(whole.history(), resumed.history(), strict=True):
        assert {key: value for key, value in ours.items() if key not in times} == {
            key: value for key, value in theirs.items() if key not in times}


@pytest.mark.parametrize("flags", [
    {"target": "balanced", "distillation": "prototypes"},
    {"target": "soft", "states": "weighted_sum"},
    {"histogram_weight": 0.1, "distillation": "utterance", "precision": "bf16"},
    {"mask_weight": 0.0, "positions": "frames"},
    {"distillation": "none", "window": None, "steps": 2}],
    ids=lambda flags: " ".join(f"{key}={value}" for key, value in flags.items()))
def test_every_form_of_target_and_loss_learns(flags, settle, own, tmp_path):
    config = settle(epochs=1, corpora=["emodb"], **flags)
    cell = run.pretrain(config, own, tmp_path)[1][0].cell
    record = cell.history()[0]
    assert {name for name in record if name.startswith("loss_")} == {
        f"loss_{name}" for name, on in (
            ("mask", config.mask_weight), ("distillation", config.distillation != "none"),
            ("histogram", config.histogram_weight)) if on}
    found = tensors(cell)
    assert all(bool(value.isfinite().all()) for value in found.values())
    assert any(not torch.equal(found[name], found[name.replace("teacher", "student")])
               for name in found if name.startswith("teacher."))


def test_a_collapse_ends_in_words_and_leaves_nothing_that_looks_finished(
        settle, own, tmp_path):
    config = settle(stop_perplexity=0.99, stop_epochs=1, corpora=["emodb"], attributes=[40])
    with pytest.raises(EmokitError, match="collapsed in epoch 1: the perplexity of the use of 40"):
        run.pretrain(config, own, tmp_path)
    cell = run.plan(config, open_emoset(own, ["emodb"]), tmp_path)[1][0].cell
    assert cell.state == "failed"
    assert not (cell.folder / FILE).exists() and not (cell.folder / "resume.pt").exists()
    assert "collapsed" in json.loads((cell.folder / "failed.json").read_text())["error"]


def test_losses_that_are_no_numbers_are_counted_then_stop_it(settle, own, tmp_path):
    config = settle(learning_rate=1e30, clip_norm=1e30, bad_steps=2, epochs=20,
                    corpora=["emodb"], warmup=0.0, stop_spread=0.0, stop_perplexity=0.0)
    with pytest.raises(EmokitError, match="no finite number in 2 steps.*Lower learning_rate"):
        run.pretrain(config, own, tmp_path)


def test_an_encoder_without_states_of_layers_is_refused(settle, own, tmp_path):
    with pytest.raises(ConfigError, match="'resnet' has no states of layers"):
        run.pretrain(settle(backbone="resnet"), own, tmp_path)
    with pytest.raises(ConfigError, match="layer=mean"):
        run.pretrain(settle("backbone.layer=mean"), own, tmp_path)


# fine-tuning

def model_on(folders, learnt, own, corpora=("emodb",), fold=None, kind="whisper", **more):
    settings = ModelSettings(
        backbone={"name": "hf", "path": str(folders(kind))}, normalisation="none",
        pooling="statistics_attention", shared_pooling=False,
        adapters=[{**WAP, "path": str(learnt[1]), **more}])
    sources = [make_source(corpus, fold=fold) for corpus in open_emoset(own, list(corpora))]
    return make_model(settings, sources, 0)[0], sources


@pytest.mark.parametrize("branch", ["teacher", "student"])
def test_fine_tuning_begins_with_the_chosen_branch(branch, folders, learnt, own):
    model, _ = model_on(folders, learnt, own, branch=branch)
    adapter = model.part("emodb").adapters["wap"]["readout"]
    found = tensors(learnt[2])
    for name, value in adapter.state_dict().items():
        assert torch.equal(value, found[f"{branch}.{name}"])


def test_what_was_learnt_is_refused_where_it_does_not_fit(folders, learnt, own, tmp_path):
    corpus, = open_emoset(own, ["emodb"])
    train_rows = set(make_source(corpus).rows["train"])
    heard = next(fold for fold in range(5)
                 if train_rows & set(make_source(corpus, fold=fold).rows["dev"]))
    with pytest.raises(ConfigError, match=r"'width' is 4.*Set adapters\.wap\.width=8"):
        model_on(folders, learnt, own, width=4)
    with pytest.raises(CheckpointError, match="states of another encoder"):
        model_on(folders, learnt, own, kind="wav2vec2")
    with pytest.raises(CheckpointError, match="was trained on .* utterances of dev of 'emodb'"):
        model_on(folders, learnt, own, fold=heard)
    with pytest.raises(CheckpointError, match="no finished pre-training in"):
        find_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="knows no emotions.*--adapters wap:"):
        checkpoint.inspect(learnt[2].folder / FILE)


def test_training_takes_it_up_from_states_that_are_there(
        folders, learnt, own, tmp_path, monkeypatch):
    config, explicit = resolve_training({
        "backbone": f"hf:{folders('whisper')}", "adapters": "wap", "epochs": 1, "batch_size": 8,
        "preset": "local_attributes", "corpora": ["emodb"], "device": "cpu"},
        [f"adapters.wap.path={learnt[1]}",
         *(f"adapters.wap.{key}={value}" for key, value in WAP.items() if key != "name")])
    # of train and dev the pre-training has left all that is needed
    monkeypatch.setattr(states_module, "_compute", lambda *_: pytest.fail("computed again"))
    group, tasks = train(config, explicit, own, tmp_path)
    cell = tasks[0].cell
    model, found = checkpoint.load(cell.folder / "best.safetensors")
    assert found.facts["ancestors"] == [{
        "target": "emotion", "fold": None, "manifests": {
            corpus.name: corpus.signature for corpus in open_emoset(own)}}]
    adapter = model.part("emodb").adapters["wap"]["readout"]
    learnt_weights = tensors(learnt[2])
    assert not torch.equal(adapter.layer_weights, learnt_weights["teacher.layer_weights"])
    assert not torch.equal(adapter.project.weight, learnt_weights["teacher.project.weight"])
    # other bytes at the same path make another group
    again = plan_training(effective(config), open_emoset(own, ["emodb"]), tmp_path)[0]
    assert again.name == group.name
    copy = tmp_path / "copy"
    shutil.copytree(learnt[1], copy)
    moved, _ = resolve_training({}, [f"adapters.wap.path={copy}"], cell.folder / "config.yaml")
    assert plan_training(moved, open_emoset(own, ["emodb"]), tmp_path)[0].name == group.name
    (copy / "wap-s0" / FILE).write_bytes(b"others")
    assert plan_training(moved, open_emoset(own, ["emodb"]), tmp_path)[0].name != group.name


def test_finished_cells_are_not_learnt_again(learnt, own):
    config, folder, cell = learnt
    before = (cell.folder / FILE).stat().st_mtime_ns
    assert run.pretrain(config, own, folder.parent)[0] == folder
    assert (cell.folder / FILE).stat().st_mtime_ns == before


# the command

def test_the_command_prints_a_row_and_the_line_to_go_on_with(
        cli, refused, learnt, folders, own, tmp_path):
    _, folder, _ = learnt
    words = ["pretrain", "local-attributes", "--backbone", f"hf:{folders('whisper')}", "--emoset",
             own, "--runs", folder.parent, "--width", 8, "--hidden", 12, "--depth", 2, "--heads",
             2, "--attributes", 4, "--mask-span", 3, "--batch-seconds", 2, "--epochs", 4,
             "--learning-rate", 0.002, "--device", "cpu"]
    result = cli(*words)
    assert result.exit_code == 0, result.output
    assert "wap-s0" in result.stdout and "Dev masked acc." in result.stdout
    assert f'--adapters "wap(path={folder},width=8,hidden=12,depth=2,heads=2)"' in result.stderr
    assert json.loads(cli(*words, "--format", "json").stdout)[0]["attributes"] == 4
    assert "complete" in cli(*words, "--dry-run").stdout
    assert "Name one: --backbone" in refused("pretrain", "local-attributes", "--emoset", own)
    assert "mask_span is 500 frames" in refused(
        *words[:6], "--runs", tmp_path, "--mask-span", 500, "--device", "cpu")
    assert "There is no folder" in refused(
        "pretrain", "local-attributes", "--emoset", own, "--backbone", "hf:/nowhere")
