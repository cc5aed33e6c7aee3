"""The WAP-Transformer in a model, its pooling, and the states that it is trained on."""

import math
import shutil

import numpy as np
import pytest
import torch

from emokit.core.errors import ConfigError
from emokit.corpora.store import open_emoset
from emokit.loading.source import make_source
from emokit.models import POOLINGS
from emokit.models.adapters.wap import WapConfig, positions
from emokit.models.model import EmotionModel
from emokit.models.modes import apply_mode
from emokit.models.pooling import weighted_statistics
from emokit.models.settings import ModelSettings, complete
from emokit.training.frozen import frozen_level
from emokit.training.predict import on_own_answers, score
from emokit.training.states import encoder_signature, states


@pytest.fixture
def source(emoset, tmp_path):
    folder = shutil.copytree(emoset, tmp_path / "emoset",
                             ignore=shutil.ignore_patterns("states"))
    return make_source(open_emoset(folder, ["emodb"])[0])


def model_of(folders, source, *adapters, pooling="statistics_attention"):
    torch.manual_seed(0)
    settings = complete(ModelSettings(
        backbone={"name": "hf", "path": str(folders("whisper"))}, normalisation="none",
        pooling=pooling, shared_pooling=False, adapters=list(adapters)))
    model = EmotionModel(settings, {source.head: source.head_labels})
    apply_mode(model, "adapters" if adapters else "head")
    return model.eval()


WAP = {"name": "wap", "width": 8, "hidden": 12, "depth": 2, "heads": 2}


def test_scores_from_the_last_state_are_those_of_the_whole_model(folders, source):
    model = model_of(folders, source, WAP)
    assert frozen_level(model) == "last"
    kept = states(model, source, source.rows["dev"], 15.0, level="last")
    found = on_own_answers(source, "dev", kept.answers(model))
    live = score(model, source, "dev", 15.0)
    np.testing.assert_allclose(found.probabilities, live.probabilities, atol=1e-2)
    assert np.abs(found.probabilities - 1 / 3).max() > 1e-3


def test_the_last_state_is_a_part_of_all_and_needs_no_adapter_to_be_found(folders, source):
    plain, model = model_of(folders, source, pooling="average"), model_of(folders, source, WAP)
    rows, dim = source.rows["dev"], plain.backbone.dim
    whole = states(plain, source, rows, 15.0, level="layers")
    last = states(plain, source, rows, 15.0, level="last")
    assert last.values.shape[1] == dim == whole.values.shape[1] // plain.backbone.n_states
    assert np.array_equal(last.values, whole.values[:, -dim:])
    assert encoder_signature(plain, "emodb", "last") == encoder_signature(model, "emodb", "last")


def test_a_weighted_sum_of_states_needs_all_of_them(folders, source):
    model = model_of(folders, source, {**WAP, "states": "weighted_sum"})
    assert frozen_level(model) == "layers"
    assert model_of(folders, source).part("emodb") and frozen_level(
        model_of(folders, source)) == "embedding"


def test_positions_follow_their_formula():
    found = positions(7, 6)
    for t in range(7):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert found[t, 2 * i] == pytest.approx(math.sin(angle), abs=1e-5)
            assert found[t, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-5)


def test_heads_that_do_not_divide_the_width_are_refused():
    assert WapConfig().n_heads == 4 and WapConfig(width=32).n_heads == 1
    with pytest.raises(ConfigError, match="'width' is 10, but 3 attention heads"):
        WapConfig(width=10, heads=3)


@pytest.mark.parametrize("shares, mean, deviation", [
    ([.5, .5], 1.0, 1.0), ([.25, .75], 1.5, math.sqrt(.75)), ([1.0, 0.0], 0.0, 1e-3)])
def test_statistics_under_weights_are_golden(shares, mean, deviation):
    found = weighted_statistics(torch.tensor([[[0.0], [2.0]]]), torch.tensor([shares]))
    assert found[0].tolist() == pytest.approx([mean, deviation], abs=1e-6)


def test_attentive_statistics_ignore_order_and_have_finite_gradients():
    cls = POOLINGS["statistics_attention"]
    pooling = cls(cls.Config(), 256)
    assert sum(one.numel() for one in pooling.parameters()) == 33_024
    pooling = cls(cls.Config(hidden=5), 4)
    frames, lengths = torch.randn(1, 6, 4), torch.tensor([6])
    torch.testing.assert_close(pooling(frames, lengths),
                               pooling(frames[:, torch.randperm(6)], lengths))
    for some in (torch.randn(1, 1, 4), torch.ones(1, 5, 4)):
        some.requires_grad_()
        found = pooling(some, torch.tensor([some.shape[1]]))
        found.sum().backward()
        assert bool(some.grad.isfinite().all())
        assert found[0, 4:].tolist() == pytest.approx([1e-3] * 4)
