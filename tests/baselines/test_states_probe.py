"""The probe of frozen states: what it describes, which layer it keeps, what it refuses."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import recall_score

from emokit.baselines import fitting
from emokit.baselines.config import BaselineConfig
from emokit.baselines.features import extractor
from emokit.baselines.run import run_baseline, score_cell
from emokit.baselines.states import PIECE
from emokit.core.errors import ConfigError
from emokit.corpora.store import open_emoset
from emokit.loading.dataset import to_float
from emokit.loading.source import make_source
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.testing import TINY_TRANSFORMERS


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
    """A copy of the built corpora."""
    shutil.copytree(emoset, tmp_path / "emoset", ignore=shutil.ignore_patterns("features"))
    return tmp_path / "emoset"


def test_features_are_mean_and_deviation_of_the_states_of_each_layer(folder, rng):
    extract = extractor("states", str(folder))
    wave = 0.1 * rng.standard_normal(9000).astype(np.float32)
    with torch.inference_mode():
        states, _ = extract.backbone.states(torch.from_numpy(wave)[None], torch.tensor([9000]))
    found = extract(wave).reshape(extract.backbone.n_states, 2, extract.backbone.dim)
    for layer, frames in enumerate(states[0].double().numpy()):
        np.testing.assert_allclose(found[layer, 0], frames.mean(0), atol=1e-5)
        np.testing.assert_allclose(found[layer, 1], frames.std(0), atol=1e-5)
    assert extract.dim == found.size


def test_a_long_utterance_is_described_over_all_its_pieces(folder, rng):
    extract = extractor("states", f"hf:{folder}")
    wave = 0.1 * rng.standard_normal(2 * PIECE - 4000).astype(np.float32)
    halves = [extract(half).reshape(-1, 2, extract.backbone.dim)
              for half in np.array_split(wave, 2)]
    whole = extract(wave).reshape(-1, 2, extract.backbone.dim)
    np.testing.assert_allclose(whole[:, 0], (halves[0][:, 0] + halves[1][:, 0]) / 2, atol=1e-4)


def test_the_layer_with_the_best_dev_uar_answers_and_can_be_scored_again(folder, own, tmp_path):
    config = BaselineConfig(name="states", path=str(folder), corpora=["ravdess"], jobs=1)
    _, (cell,) = run_baseline(config, own, tmp_path / "runs")
    corpus, = open_emoset(own, ["ravdess"])
    source, extract = make_source(corpus, "emotion", None), extractor("states", str(folder))
    parts = {name: np.stack([extract(to_float(corpus.audio.read(int(row)))) for row in rows])
             for name, rows in source.rows.items()}
    scores, answers = [], []
    for layer in range(extract.backbone.n_states):
        block = {name: values[:, layer * extract.layer_dim:(layer + 1) * extract.layer_dim]
                 for name, values in parts.items()}
        _, model = fitting.fit(source, block, BaselineConfig(classifier="logistic"))
        truth = source.classes[source.rows["dev"]]
        scores.append(recall_score(truth, model.answers(block["dev"]).argmax(1), average="macro"))
        answers.append(model.answers(block["test"]))
    assert cell.metrics()["dev_uar"] == pytest.approx(max(scores))
    table = pd.read_csv(cell.predictions("ravdess", "test"))
    columns = [f"p_{label}" for label in corpus.classes]
    np.testing.assert_allclose(table[columns], answers[int(np.argmax(scores))], atol=1e-6)
    path = cell.predictions("ravdess", "test")
    before = path.read_bytes()
    path.unlink()
    score_cell(cell, own, "test")
    assert path.read_bytes() == before


@pytest.mark.parametrize("path, words", [
    ("byols:x.pth", "'byols' has no states of layers.*embedding:PATH"),
    ("hf:no/such/folder/here", "no/such/folder/here"),
])
def test_what_has_no_states_is_refused(path, words):
    with pytest.raises(ConfigError, match=words):
        extractor("states", path)
