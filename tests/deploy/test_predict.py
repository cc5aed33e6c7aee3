"""Answers for any audio, equal to what training and evaluation say."""

import numpy as np
import pandas as pd
import pytest

from emokit.core.errors import CheckpointError, ConfigError, EmokitError
from emokit.corpora.store import open_emoset
from emokit.deploy.predict import Predictor, expand, find_checkpoint, predict_files
from emokit.loading.source import make_source
from emokit.testing import write_wav


@pytest.fixture(scope="module")
def best(joint):
    return joint.folder / "joint-s0" / "best.safetensors"


def test_answers_equal_the_predictions_of_evaluate(best, joint, emoset):
    corpus, = open_emoset(emoset, ["ravdess"])
    predictor = Predictor(best, "ravdess")
    table = pd.read_csv(joint.folder / "joint-s0" / "predictions" / "ravdess.dev.csv")
    for number, row in enumerate(make_source(corpus).rows["dev"]):
        answer = predictor(corpus.audio.read(int(row)))
        assert answer["prediction"] == table["prediction"][number]
        for label, value in answer["probabilities"].items():
            assert value == pytest.approx(table[f"p_{label}"][number], abs=2e-6)


def test_without_a_corpus_the_mean_over_heads_answers(best, rng):
    waveform = rng.uniform(-0.2, 0.2, 9000).astype(np.float32)
    answer = Predictor(best)(waveform)
    heads = {name: Predictor(best, name)(waveform) for name in ("emodb", "ravdess")}
    assert answer["heads"].keys() == heads.keys()
    assert set(answer["probabilities"]) == {"anger", "neutral", "sadness", "calm"}
    for word, value in answer["probabilities"].items():
        mean = np.mean([heads[name]["probabilities"].get(word, 0.0) for name in heads])
        assert value == pytest.approx(mean, abs=2e-6)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert answer["probability"] == max(answer["probabilities"].values())


def test_a_pooled_model_answers_with_its_one_head(trained, rng):
    group = trained(regime="pooled", target="arousal-valence")
    answer = Predictor(group.folder / "pooled-s0" / "best.safetensors")(
        rng.uniform(-0.2, 0.2, 9000).astype(np.float32))
    assert answer["corpus"] == "pooled" and len(answer["probabilities"]) == 6
    assert "heads" not in answer


def test_change_in_the_last_second_changes_scores(best, rng):
    # 10 s of a model with 3 s windows: every sample is scored
    waveform = rng.uniform(-0.2, 0.2, 160_000).astype(np.float32)
    changed = waveform.copy()
    changed[-8000:] = 0
    predictor = Predictor(best, "emodb")
    assert predictor(waveform)["probabilities"] != predictor(changed)["probabilities"]


def test_clip_of_one_sample_scores(best):
    for waveform in (np.zeros(1, np.float32), np.full(1, 20, np.int16), np.zeros(0, np.float32)):
        values = Predictor(best)(waveform)["probabilities"].values()
        assert sum(values) == pytest.approx(1, abs=1e-5)


def test_int16_and_float32_of_one_sound_answer_alike(best, rng):
    whole = rng.integers(-9000, 9000, 20_000).astype(np.int16)
    predictor = Predictor(best)
    assert predictor(whole) == predictor(whole.astype(np.float32) / np.float32(32768))


def test_unknown_corpora_are_refused_with_the_choices(best):
    with pytest.raises(ConfigError, match="no corpus 'emdb'. Did you mean 'emodb'. Choices: "
                                          "emodb, ravdess"):
        Predictor(best, "emdb")


def test_a_file_that_cannot_be_read_is_an_answer_too(best, tmp_path, rng):
    write_wav(tmp_path / "a.wav", rng.uniform(-0.1, 0.1, 4410), 44_100)
    (tmp_path / "b.wav").write_bytes(b"\0" * 99)
    one, two, three = predict_files(Predictor(best, "emodb"), [
        str(tmp_path / name) for name in ("b.wav", "a.wav", "c.wav")])
    assert "b.wav" in one["error"] and "c.wav" in three["error"]
    assert two["seconds"] == 0.1 and two["prediction"] in two["probabilities"]


def test_folders_are_searched_in_order_and_files_stay_as_given(tmp_path):
    for name in ("b/x.WAV", "a.flac", "b/notes.txt", ".hidden.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(expand(["no.wav", str(tmp_path)])) == [
        "no.wav", str(tmp_path / "a.flac"), str(tmp_path / "b/x.WAV")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmokitError, match="There is no audio file below"):
        list(expand([str(tmp_path / "empty")]))


def test_a_group_of_seeds_is_answered_by_the_lowest(trained, runs):
    group = trained(regime="single", corpora=["emodb"], seeds=[3, 2], epochs=2)
    for name in (group.name, str(group.folder)):
        assert find_checkpoint(runs, name) == group.folder / "emodb-s2" / "best.safetensors"
    assert find_checkpoint(runs, f"{group.name}/emodb-s3").parent.name == "emodb-s3"


def test_several_models_or_none_are_refused(trained, single, runs):
    with pytest.raises(CheckpointError, match="has the cells .*emodb-s0.*ravdess-s0"):
        find_checkpoint(runs, single.name)
    with pytest.raises(CheckpointError, match="There is no run 'nothing' below"):
        find_checkpoint(runs, "nothing")
    with pytest.raises(CheckpointError, match="There is no "):
        find_checkpoint(runs, "/no/such/file.safetensors")
