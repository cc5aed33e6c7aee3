"""Adapters in the top layers alone: what the layers below give is computed once."""

import shutil

import numpy as np
import pytest
import torch

from emokit.core.config import parse_spec
from emokit.corpora.store import open_emoset
from emokit.loading.batch import Batch
from emokit.loading.dataset import collate
from emokit.loading.source import make_source
from emokit.models.backbones.transformer import SpeechTransformer
from emokit.models.model import EmotionModel
from emokit.models.modes import apply_mode
from emokit.models.settings import ModelSettings
from emokit.testing import TINY_TRANSFORMERS
from emokit.training import frozen
from emokit.training.frozen import frozen_level
from emokit.training.predict import on_own_answers, score
from emokit.training.settings import resolve
from emokit.training.states import encoder_signature, states
from emokit.training.train import train

FAMILIES = ("wav2vec2", "wav2vec2 large", "wavlm", "whisper")
TOP = "bottleneck(width=4,layers=last2)+lora(rank=2,layers=last2)+gate(layers=last1)"


def model_of(spec, family="wav2vec2", mode="adapters", **backbone):
    torch.manual_seed(0)
    model = EmotionModel(ModelSettings(
        backbone={"name": "hf", "architecture": TINY_TRANSFORMERS[family], **backbone},
        normalisation="none", pooling="average", adapters=parse_spec(spec)),
        {"emodb": "abc", "ravdess": "abcd"})
    apply_mode(model, mode)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


@pytest.fixture
def emodb(emoset):
    return make_source(open_emoset(emoset, ["emodb"])[0])


@pytest.mark.parametrize("spec, settings, level", [
    ("lora(layers=last2)", {}, "state1"), ("lora(layers=last1)", {}, "state2"),
    ("lora(layers=last1)+bottleneck(layers=last2)", {}, "state1"),
    ("lora(layers=last2)+weighted_sum", {}, "states1"),
    ("lora(layers=last2)", {"layer": "mean"}, "states1"), ("prompt(layers=last1)", {}, "state2"),
    ("lora", {}, None), ("lora(layers=last2)+conv_lora", {}, None),
    ("lora(layers=last2)", {"family": "whisper", "padded": True}, None),
    ("lora(layers=last2)", {"mode": "finetune"}, None), ("norm(layers=last2)", {}, "state1")])
def test_the_lowest_adapter_says_what_can_be_kept(spec, settings, level):
    assert frozen_level(model_of(spec, **settings)) == level


@pytest.mark.parametrize("more", ["", "+weighted_sum"])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_and_gradients_from_states_are_those_of_the_whole_model(
        emodb, tmp_path, family, more):
    model = model_of(TOP + more, family)
    level = frozen_level(model)
    assert level == ("states1" if more else "state1")
    kept = states(model, emodb, emodb.rows["train"], None, folder=tmp_path, level=level)
    assert kept.values.dtype == np.float16
    assert kept.values.shape[1] == 24 * (2 if more else 1)
    expected = score(model, emodb, "train", None)
    found = on_own_answers(emodb, "train", kept.answers(model))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=2e-3)

    def gradients(answers):
        model.zero_grad()
        answers.square().sum().backward()
        return {name: parameter.grad.clone() for name, parameter in model.named_parameters()
                if parameter.grad is not None}

    rows = emodb.rows["train"][:4]
    shares = np.zeros(4)
    whole = gradients(model(collate([emodb.corpus.audio.read(int(row)) for row in rows], "emodb")))
    inputs, lengths = kept.inputs(kept.draw(rows, shares))
    assert len(set(lengths.tolist())) > 1  # some of it is padding
    top = gradients(frozen.logits(model, Batch(inputs, lengths, "emodb"), level))
    assert set(top) == set(whole)
    for name, gradient in whole.items():
        torch.testing.assert_close(top[name], gradient, atol=5e-3 * float(gradient.abs().max())
                                   + 1e-6, rtol=0.02, msg=name)


def test_states_below_depend_on_what_lies_there_alone():
    model = model_of("lora(rank=2)+gate(layers=last1)")
    before = encoder_signature(model, "emodb", "state2")
    part = model.part("emodb")
    key = next(key for key in part.groups["lora"] if "layers/2" in key)
    with torch.no_grad():
        for parameter in (*part.groups["gate"].parameters(), *part.head.parameters(),
                          *part.groups["lora"][key].parameters()):
            parameter.add_(1)
    assert encoder_signature(model, "emodb", "state2") == before
    with torch.no_grad():
        next(part.groups["lora"].parameters()).add_(1)  # in layer 0
    assert encoder_signature(model, "emodb", "state2") != before


def test_training_runs_the_layers_below_once(emoset, tmp_path, monkeypatch):
    shutil.copytree(emoset, tmp_path / "emoset", ignore=shutil.ignore_patterns("states"))
    heard, resumed = [], []
    run, resume = SpeechTransformer._run, SpeechTransformer.resume

    def counted(self, waveform, *rest):
        heard.append(len(waveform))
        return run(self, waveform, *rest)

    def counted_again(self, inputs, *rest):
        resumed.append(len(inputs))
        return resume(self, inputs, *rest)

    monkeypatch.setattr(SpeechTransformer, "_run", counted)
    monkeypatch.setattr(SpeechTransformer, "resume", counted_again)
    n_train, n_dev = (len(make_source(open_emoset(emoset, ["emodb"])[0]).rows[name])
                      for name in ("train", "dev"))
    architecture = TINY_TRANSFORMERS["whisper"]
    config, explicit = resolve({
        "regime": "single", "backbone": {"name": "hf", "architecture": architecture},
        "adapters": "lora(rank=2,layers=last1)", "corpora": ["emodb"], "epochs": 3,
        "batch_size": 4, "device": "cpu", "preset": "transformer", "mode": "scratch",
        "freeze": ["backbone"]})
    group, (task,) = train(config, explicit, tmp_path / "emoset", tmp_path / "runs")
    assert sum(resumed) == 3 * (n_train + n_dev)
    assert sum(heard) == n_train + 2 * n_dev  # dev once more, by the model that stays
    assert task.cell.is_complete
