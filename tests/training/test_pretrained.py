"""Training on a pretrained speech transformer: what learns, what is kept, what is computed once."""

import functools
import json
import logging
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emokit.core.errors import ConfigError, EmokitError
from emokit.corpora.store import open_emoset
from emokit.loading.batch import Batch
from emokit.loading.source import make_source
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.models.backbones.transformer import SpeechTransformer
from emokit.models.model import EmotionModel
from emokit.models.modes import apply_mode
from emokit.models.settings import ModelSettings
from emokit.testing import TINY_TRANSFORMERS
from emokit.training import checkpoint, feed
from emokit.training.frozen import frozen_level
from emokit.training.optim import make_optimizer
from emokit.training.predict import on_own_answers, score
from emokit.training.settings import resolve
from emokit.training.states import encoder_signature, states
from emokit.training.train import effective, score_cell, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of the transformers library with a tiny wav2vec 2.0."""
    path = tmp_path_factory.mktemp("hf")
    torch.manual_seed(0)
    backbone = HuggingFace(HuggingFaceConfig(architecture=TINY_TRANSFORMERS["wav2vec2"]))
    (path / "config.json").write_text(json.dumps(TINY_TRANSFORMERS["wav2vec2"]))
    save_file(backbone.state_dict(), path / "model.safetensors")
    return path


@pytest.fixture
def own(emoset, tmp_path):
    """A copy of the built corpora whose states no other test has computed."""
    shutil.copytree(emoset, tmp_path / "emoset", ignore=shutil.ignore_patterns("states"))
    return tmp_path / "emoset"


@pytest.fixture
def ran(monkeypatch):
    """Count the utterances that go through the layers."""
    rows = []
    run = SpeechTransformer._run

    def counted(self, waveform, *rest):
        rows.append(len(waveform))
        return run(self, waveform, *rest)

    monkeypatch.setattr(SpeechTransformer, "_run", counted)
    return rows


def settings_of(folder, *sets, **flags):
    return resolve({"backbone": f"hf:{folder}", "regime": "single", "corpora": ["emodb"],
                    "epochs": 2, "batch_size": 8, "device": "cpu", **flags}, sets)


def model_of(**settings):
    backbone = {"name": "hf", "architecture": TINY_TRANSFORMERS["wav2vec2"],
                **settings.pop("backbone", {})}
    torch.manual_seed(0)
    return EmotionModel(ModelSettings(backbone=backbone, normalisation="none", pooling="average",
                                      **settings), {"emodb": "abc", "ravdess": "abcd"})


# from the folder to the checkpoint

def test_training_starts_from_the_folder_and_the_checkpoint_needs_it_no_more(
        folder, own, tmp_path):
    path = tmp_path / "mine"
    shutil.copytree(folder, path)
    config, explicit = settings_of(path, "learning_rate=1e-9")
    assert (config.preset, config.normalisation, config.mode) == ("transformer", "none", "finetune")
    (task,) = train(config, explicit, own, tmp_path / "runs")[1]
    shutil.rmtree(path)
    model, found = checkpoint.load(task.cell.folder / "best.safetensors")
    assert found.settings.backbone["architecture"]["hidden_size"] == 24
    start = HuggingFace(HuggingFaceConfig(path=str(folder)))
    start.load_start()
    for name, parameter in start.named_parameters():
        torch.testing.assert_close(model.backbone.get_parameter(name), parameter, atol=1e-6,
                                   rtol=0)
    table = task.cell.predictions("emodb", "dev")
    before = table.read_bytes()
    table.unlink()
    score_cell(task.cell, own, "dev", "cpu")
    assert table.read_bytes() == before


def test_a_second_stage_takes_the_backbone_of_the_first(folder, own, tmp_path):
    first, _ = train(*settings_of(folder, mode="head"), own, tmp_path / "runs")
    config, explicit = resolve({
        "init": first.name, "regime": "single", "corpora": ["emodb"], "epochs": 1,
        "mode": "finetune", "device": "cpu", "preset": "transformer"}, ())
    (task,) = train(config, explicit, own, tmp_path / "runs")[1]
    _, found = checkpoint.load(task.cell.folder / "best.safetensors")
    assert found.settings.backbone["path"] == str(folder)


@pytest.mark.parametrize("flags, mode", [
    ({}, "finetune"), ({"adapters": "norm"}, "adapters"), ({"mode": "head"}, "head"),
    ({"regime": "joint"}, "finetune"), ({"regime": "joint", "adapters": "norm"}, "finetune"),
    ({"regime": "joint", "adapters": "norm", "mode": "adapters"}, "adapters"),
    ({"mode": "scratch"}, "scratch")])
def test_pretrained_weights_decide_what_learns_by_default(folder, flags, mode):
    assert settings_of(folder, **flags)[0].mode == mode


def test_other_backbones_keep_their_default_and_need_a_start_to_freeze():
    assert resolve({"backbone": "byols:x.pth"}, ())[0].mode == "scratch"
    assert resolve({"backbone": "byols:x.pth", "mode": "head", "regime": "single"}, ())
    with pytest.raises(ConfigError, match="--mode head needs --init, .*--backbone hf:PATH_OR_ID"):
        resolve({"mode": "head", "regime": "single"}, ())
    with pytest.raises(ConfigError, match="--regime pooled trains the shared weights"):
        settings_of("x", regime="pooled", mode="head", target="arousal")


def test_a_joint_model_of_heads_alone_has_no_private_norms(folder):
    for mode, adapters in (("head", []), (None, ["norm"])):
        config, _ = settings_of(folder, regime="joint", mode=mode)
        assert [item["name"] for item in effective(config).adapters] == adapters


# what learns

@pytest.mark.parametrize("setting, works", [
    ({"backbone_dropout": None}, False), ({"backbone_dropout": 0.0}, False),
    ({"backbone_dropout": 0.3}, True), ({"mask_time": 0.9, "mask_time_length": 2}, True),
    ({"mask_features": 0.9, "mask_features_length": 4}, True)])
def test_a_frozen_backbone_rests_unless_its_dropout_or_masks_are_asked_for(setting, works):
    batch = Batch(torch.randn(2, 2000), torch.tensor([2000, 900]), "emodb")
    model = model_of(backbone=setting, adapters=["norm"])
    apply_mode(model, "adapters")
    model.train()
    assert model.backbone.training == works
    assert torch.equal(model(batch), model(batch)) != works
    model.eval()
    assert not model.backbone.training and torch.equal(model(batch), model(batch))


@pytest.mark.parametrize("flags", [
    {"mode": "head"}, {"adapters": "weighted_sum"}, {"adapters": "lora"}])
def test_dropout_and_masks_of_a_frozen_encoder_change_what_is_learnt(
        folder, own, tmp_path, flags, caplog):
    def learnt(*sets):
        (task,) = train(*settings_of(folder, *sets, learning_rate=0.05, **flags), own,
                        tmp_path / "runs")[1]
        return {name: tensor for name, tensor in weights_of(task).items()
                if name.startswith("private.")}

    plain = learnt()
    for sets in (["backbone.backbone_dropout=0.3"],
                 ["backbone.mask_time=0.9", "backbone.mask_time_length=2"],
                 ["backbone.mask_features=0.9", "backbone.mask_features_length=4"]):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "emokit"):
            found = learnt(*sets)
        assert any(not torch.allclose(tensor, plain[name], atol=1e-5)
                   for name, tensor in found.items()), sets
        name = sets[0].partition("=")[0]
        assert (f"{name} changes what the frozen part gives" in caplog.text) is (
            flags != {"adapters": "lora"})


def test_convolutions_rest_while_the_layers_learn():
    model = model_of()
    apply_mode(model, "finetune")
    model.train()
    assert model.backbone.encoder.training and not model.backbone.feature_extractor.training
    assert not any(one.requires_grad for one in model.backbone.feature_extractor.parameters())
    assert all(one.requires_grad for one in model.backbone.encoder.parameters())


def test_what_the_weights_brought_learns_slower_than_what_is_new(folder):
    config, _ = settings_of(folder, adapters="lora", mode="finetune")
    model = EmotionModel(config.model_settings(), {"emodb": "abc"})
    apply_mode(model, "finetune")
    optimizer = make_optimizer(model, config, {"emodb": 10})
    slow = {id(one) for group in optimizer.param_groups if group["factor"] == 0.1
            for one in group["params"]}
    fast = {id(one) for group in optimizer.param_groups if group["factor"] == 1
            for one in group["params"]}
    own = {id(one) for one in model.part("emodb").parameters()}
    assert fast == own and slow == {id(one) for one in model.backbone.parameters()
                                    if one.requires_grad}


# what is computed once

@pytest.mark.parametrize("mode, adapters, level", [
    ("head", [], "embedding"), ("head", ["weighted_sum"], "embedding"),
    ("adapters", ["weighted_sum"], "layers"), ("adapters", ["weighted_sum", "norm"], None),
    ("finetune", ["weighted_sum"], None)])
def test_what_learns_says_what_can_be_kept(mode, adapters, level):
    model = model_of(adapters=adapters, shared_pooling=False)
    apply_mode(model, mode)
    assert frozen_level(model) == level


def test_scores_from_states_of_layers_are_those_of_the_whole_model(own, tmp_path):
    source = make_source(open_emoset(own, ["emodb"])[0])
    model = model_of(adapters=["weighted_sum"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    kept = states(model, source, source.rows["train"], 0.2, folder=tmp_path, level="layers")
    assert kept.values.dtype == np.float16 and kept.values.shape[1] == 4 * 24
    found = on_own_answers(source, "train", kept.answers(model))
    expected = score(model, source, "train", 0.2)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-3)


def test_states_of_layers_do_not_depend_on_what_mixes_them():
    model = model_of(adapters=["weighted_sum", "norm"], shared_pooling=False)
    before = {level: encoder_signature(model, "emodb", level) for level in ("layers", "frames")}
    part = model.part("emodb")
    with torch.no_grad():
        for parameter in [*part.adapters["weighted_sum"].parameters(), *part.head.parameters()]:
            parameter.add_(1)
    assert encoder_signature(model, "emodb", "layers") == before["layers"]
    assert encoder_signature(model, "emodb", "frames") != before["frames"]
    with torch.no_grad():
        next(part.adapters["norm"].parameters()).add_(1)
    assert encoder_signature(model, "emodb", "layers") != before["layers"]
    plain = encoder_signature(model_of(), "emodb", "layers")
    assert encoder_signature(model_of(adapters=["weighted_sum"]), "emodb", "layers") == plain
    assert encoder_signature(model_of(adapters=["layer_mix"], shared_pooling=False,
                                      head="dense"), "emodb", "layers") == plain


def weights_of(task):
    return checkpoint.read_tensors(task.cell.folder / "last.safetensors")


def test_a_weighted_sum_learns_the_same_from_states_as_through_the_model(
        folder, own, tmp_path, ran, monkeypatch, caplog):
    config, explicit = settings_of(folder, adapters="weighted_sum", epochs=3)
    assert config.mode == "adapters"
    (task,) = train(config, explicit, own, tmp_path / "states")[1]
    source = make_source(open_emoset(own, ["emodb"])[0])
    n_train, n_dev = len(source.rows["train"]), len(source.rows["dev"])
    # each utterance once, and dev again for the predictions of the best model
    assert sum(ran) == n_train + 2 * n_dev
    ran.clear()
    shutil.rmtree(own / "emodb" / "states")
    monkeypatch.setattr(feed, "states", functools.partial(states, limit=1000))
    with caplog.at_level(logging.WARNING, "emokit"):
        (through,) = train(config, explicit, own, tmp_path / "through")[1]
    assert "take more than 1e-06 GB. So every epoch runs through the frozen part." in caplog.text
    assert sum(ran) > 3 * n_train
    weights = weights_of(through)
    for name, tensor in weights_of(task).items():
        torch.testing.assert_close(tensor, weights[name], atol=2e-3, rtol=0)
    start = weights[next(name for name in weights if name.endswith("readout.weights"))]
    assert start.abs().max() > 1e-4


def test_states_of_dev_and_train_must_fit_together(folder, own, tmp_path, monkeypatch, caplog):
    config, explicit = settings_of(folder, adapters="weighted_sum", epochs=1)
    train(config, explicit, own, tmp_path / "free")
    sizes = [path.stat().st_size for path in own.glob("emodb/states/*/values.bin")]
    assert len(sizes) == 2
    for limit, fits in ((sum(sizes) + 1000, True), (max(sizes) + 1000, False)):
        shutil.rmtree(own / "emodb" / "states")
        monkeypatch.setattr(feed, "states", functools.partial(states, limit=limit))
        caplog.clear()
        with caplog.at_level(logging.WARNING, "emokit"):
            train(config, explicit, own, tmp_path / str(limit))
        assert ("So every epoch runs through the frozen part" in caplog.text) is not fits


def test_heads_of_several_corpora_learn_from_states_in_one_model(folder, own, tmp_path, ran):
    config, explicit = settings_of(folder, regime="joint", mode="head",
                                   corpora=["emodb", "ravdess"])
    (task,) = train(config, explicit, own, tmp_path / "runs")[1]
    sources = [make_source(corpus) for corpus in open_emoset(own, ["emodb", "ravdess"])]
    assert sum(ran) == sum(len(one.rows["train"]) + 2 * len(one.rows["dev"]) for one in sources)
    start = HuggingFace(HuggingFaceConfig(path=str(folder)))
    start.load_start()
    weights = weights_of(task)
    for name, tensor in start.state_dict().items():
        assert torch.equal(weights[f"backbone.{name}"], tensor)


def test_a_frozen_encoder_is_not_written_again_every_epoch_and_the_run_goes_on(
        folder, own, tmp_path, monkeypatch):
    from emokit.training.loop import _Trainer

    config = settings_of(folder, "average_share=0.2", adapters="lora", epochs=3)
    (task,) = train(*config, own, tmp_path / "whole")[1]
    epoch = _Trainer.epoch

    def dies(self, bar):
        if self.state.epoch == 2:
            raise KeyboardInterrupt
        epoch(self, bar)

    with monkeypatch.context() as patch:
        patch.setattr(_Trainer, "epoch", dies)
        with pytest.raises(KeyboardInterrupt):
            train(*config, own, tmp_path / "broken")
    cell = tmp_path / "broken" / task.cell.folder.parent.name / task.cell.name
    saved = torch.load(cell / "resume.pt", weights_only=True)
    for state in (saved["model"], saved["average"]):
        assert state and not any(name.startswith("backbone.") for name in state)
    (cell / "elsewhere").write_bytes((cell / "resume.pt").read_bytes())
    torch.save({**saved, "resting": "other"}, cell / "resume.pt")
    with pytest.raises(EmokitError, match="begun on other weights of what is frozen. Remove"):
        train(*config, own, tmp_path / "broken")
    del saved["model"][next(iter(saved["model"]))]
    torch.save(saved, cell / "resume.pt")
    with pytest.raises(EmokitError, match="resume.pt' is of another model .private.*Remove it"):
        train(*config, own, tmp_path / "broken")
    (cell / "elsewhere").rename(cell / "resume.pt")
    train(*config, own, tmp_path / "broken")
    for name in ("best.safetensors", "last.safetensors"):
        assert (cell / name).read_bytes() == (task.cell.folder / name).read_bytes()


# real recordings through a real encoder

@pytest.mark.slow
@pytest.mark.real
@pytest.mark.models
def test_a_real_encoder_tells_real_emotions_apart_with_a_head_alone(
        real_corpora, real_models, tmp_path):
    from emokit.core.files import read_json
    from emokit.corpora.build import BuildOptions, build_corpora
    from emokit.corpora.spec import read_specs

    emoset = tmp_path / "emoset"
    build_corpora(read_specs(None, ["emodb"], real_corpora), emoset,
                  BuildOptions(jobs=1, report=False))
    (task,) = train(*settings_of(f"{real_models}/whisper_tiny_en_encoder", mode="head", epochs=30,
                                 batch_size=32), emoset, tmp_path / "runs")[1]
    # others found .91 for a linear probe on the last state; four classes, so chance is .25
    assert read_json(task.cell.folder / "metrics.json")["dev_uar"] > 0.85
    source = make_source(open_emoset(emoset, ["emodb"])[0])
    model, _ = checkpoint.load(task.cell.folder / "best.safetensors")
    found = score(model, source, "test", 15.0)
    recalls = [np.mean(found.probabilities[found.truth == label].argmax(1) == label)
               for label in range(len(source.labels))]
    assert np.mean(recalls) > 0.75
