"""Probes: who is asked, what they find in vectors that are known, and the command."""

import json

import numpy as np
import pandas as pd
import pytest

from emokit.pretraining.probes.linear import Question, probe, questions, without_speakers
from emokit.pretraining.probes.picture import shares_by
from emokit.pretraining.probes.run import above_chance, in_words, summary
from emokit.pretraining.probes.vectors import Vectors


def people():
    """Six utterances of each of six speakers in two corpora; two of them are in dev."""
    rows = []
    for number in range(6):
        for take in range(6):
            rows.append({"utterance": f"u{number}{take}", "corpus": "ab"[number % 2],
                         "partition": "dev" if number > 3 else "train",
                         "emotion": ["anger", "neutral"][take % 2], "speaker": f"s{number}",
                         "gender": ["female", "male", ""][number % 3]})
    return pd.DataFrame(rows)


def test_all_but_speakers_are_asked_of_other_speakers():
    table = people()
    speakers = table["speaker"].to_numpy()
    asked = {(one.name, one.of): one for one in questions(table, 0)}
    # in dev only one gender is known
    assert set(asked) == {("emotion", "a"), ("emotion", "b"), ("speaker", "all"),
                          ("corpus", "all")}
    for (name, _), one in asked.items():
        shared = set(speakers[one.fit]) & set(speakers[one.ask])
        assert not set(one.fit) & set(one.ask)
        assert bool(shared) == (name == "speaker")
        assert ("by utterance" in one.division) == (name == "speaker")
    speaker = asked["speaker", "all"]
    assert len(speaker.ask) == 4 * 2 and set(table["partition"][speaker.ask]) == {"train"}
    assert set(table["corpus"][asked["emotion", "a"].ask]) == {"a"}


def test_gender_is_asked_where_both_are_known_on_both_sides():
    table = people()
    table["gender"] = np.where(table["speaker"].isin(["s0", "s2", "s4"]), "female", "male")
    one = next(one for one in questions(table, 0) if one.name == "gender")
    assert len(one.fit) == 24 and len(one.ask) == 12


def test_a_probe_finds_what_is_there_and_nothing_where_nothing_is(rng):
    words = np.array(["x", "y"] * 100, dtype=object)
    vectors = rng.normal(size=(200, 5))
    question = Question("emotion", "a", np.arange(100), np.arange(100, 200), words, "")
    nothing = probe(vectors, question, 1.0)
    vectors[:, 3] += 6 * (words == "x")
    found = probe(vectors, question, 1.0)
    assert found["uar"] > 0.98 and 0.3 < nothing["uar"] < 0.7
    assert found["chance"] == 0.5 and found["n"] == 100 and found["classes"] == 2
    assert above_chance({"uar": 0.75, "chance": 0.5}) == 0.5


def test_without_speaker_means_nobody_can_be_told_by_them(rng):
    speakers = np.array(["s", "t"] * 20)
    vectors = rng.normal(size=(40, 3)) + 5 * (speakers == "s")[:, None]
    found = without_speakers(vectors, speakers)
    assert np.abs(found[speakers == "s"].mean(0)).max() < 1e-12
    assert np.abs(found[speakers == "t"].mean(0)).max() < 1e-12


class Set:
    """Frames of three crops, of which the last two are of one utterance."""

    lengths = np.array([2, 1, 3])


def test_means_and_histograms_join_the_crops_of_an_utterance():
    vectors = Vectors([Set()], [np.array([1, 0, 0])], 2, 1)
    frames = np.array([[1], [3], [10], [20], [30], [40]], np.float32)
    np.testing.assert_allclose(vectors.means([frames]), [[25], [2]])
    ids = np.array([0, 2, 1, 1, 1, 2])
    np.testing.assert_allclose(vectors.histograms([ids], 3), [[0, .75, .25], [.5, 0, .5]])
    assert vectors.owner_of_frames(0).tolist() == [1, 1, 0, 0, 0, 0]


def test_shares_are_told_against_all_frames():
    words = np.array(["a", "a", "b", "b", ""])
    known, ratios = shares_by(words, np.array([0, 0, 0, 1, 2]), 3)
    assert known == ["a", "b"]
    np.testing.assert_allclose(ratios[:, :2], [[4 / 3, 0], [2 / 3, 2]])
    assert np.isnan(ratios[:, 2]).all()


def test_the_verdict_names_voices_only_where_speakers_are_told_better():
    rows = [{"what": "9 attributes, histogram", "question": name, "uar": value, "chance": 0.0}
            for name, value in (("emotion", 0.2), ("emotion", 0.4), ("speaker", 0.9))]
    assert "emotion 30% and speaker 90%" in in_words(rows, ["9 attributes"])
    assert "voices" in in_words(rows, ["9 attributes"])
    rows[2]["uar"] = 0.5
    assert "voices" not in in_words(rows, ["9 attributes"])
    assert summary(rows)[0]["emotion"] == pytest.approx(0.3)


def test_the_command_writes_table_and_picture(cli, refused, emoset, folders, tmp_path):
    import shutil

    own = shutil.copytree(emoset, tmp_path / "emoset")
    encoder = f"hf:{folders('whisper')}"
    runs = tmp_path / "runs"
    learnt = cli("pretrain", "local-attributes", "--backbone", encoder, "--emoset", own, "--runs",
                 runs, "--width", 8, "--hidden", 12, "--depth", 1, "--attributes", 5,
                 "--mask-span", 3, "--epochs", 1, "--device", "cpu")
    assert learnt.exit_code == 0, learnt.output
    start, = runs.iterdir()
    words = ["pretrain", "probe", "--backbone", encoder, "--emoset", own, "--reports",
             tmp_path / "reports", "--start", start, "--clusters", 5, "--device", "cpu"]
    result = cli(*words)
    assert result.exit_code == 0, result.output
    for line in ("state 0", "state 3 (last)", "WAP-Transformer", "5 attributes, histogram",
                 "5 clusters of k-means, histogram", "5 random clusters, histogram",
                 "5 attributes, speaker means off"):
        assert f"\n{line} " in result.stdout
    assert "Mutual information" in result.stdout and "Histograms of 5 attributes" in result.stderr
    folder, = (tmp_path / "reports").iterdir()
    assert (folder / "usage.png").read_bytes()[:4] == b"\x89PNG"
    table = pd.read_csv(folder / "probes.csv")
    assert set(table["question"]) >= {"emotion", "speaker", "corpus"}
    assert table["uar"].between(0, 1).all()
    assert set(table.loc[table["question"] == "speaker", "division"]) == {
        "by utterance within train"}
    rows = json.loads(cli(*words, "--format", "json").stdout)
    assert len(rows) == len(table)
    assert "states of another encoder" in refused(
        *words[:2], "--backbone", f"hf:{folders('wav2vec2')}", *words[4:])
    assert "Name fewer" in refused(*words[:8], "--clusters", 100_000, "--device", "cpu")
    assert "Name one: --backbone" in refused("pretrain", "probe", "--emoset", own)
