"""Label views, held to the established binary table of multi-corpus work (ASRU 2009 and later)."""

import csv
from importlib import resources

import pytest

from emokit.core.errors import ConfigError, ManifestError
from emokit.corpora.parsers import PARSERS
from emokit.corpora.labels import class_word
from emokit.corpora.views import VIEWS, apply_view, version, view_classes

BINARY = {
    "abc": ("neutral tired", "aggressive cheerful intoxicated nervous",
            "aggressive nervous tired", "cheerful intoxicated neutral"),
    "des": ("neutral sad", "anger happy surprise", "anger sad", "happy neutral surprise"),
    "emodb": ("boredom disgust neutral sadness", "anger fear happiness",
              "anger boredom disgust fear sadness", "happiness neutral"),
    "enterface": ("disgust sadness", "anger fear joy surprise",
                  "anger disgust fear sadness", "joy surprise"),
    "smartkom": ("neutral pondering unidentifiable", "anger helplessness joy surprise",
                 "anger helplessness", "joy neutral pondering surprise unidentifiable"),
    "susas": ("neutral", "high_stress medium_stress screaming",
              "high_stress screaming", "medium_stress neutral"),
}
"""Low arousal, high arousal, negative, positive."""

CELLS = {"abc": 5, "des": 5, "emodb": 4, "enterface": 4, "smartkom": 4, "susas": 3}
"""How many of the six classes each corpus has."""


@pytest.mark.parametrize("corpus", BINARY)
def test_binary_tasks_equal_the_established_table(corpus):
    low, high, negative, positive = (words.split() for words in BINARY[corpus])
    classes = [class_word(word) for word in low + high]
    arousal = apply_view("arousal", corpus, classes)
    valence = apply_view("valence", corpus, classes)
    assert arousal == {class_word(word): "low" for word in low} | {
        class_word(word): "high" for word in high}
    assert valence == {class_word(word): "negative" for word in negative} | {
        class_word(word): "positive" for word in positive}


@pytest.mark.parametrize("corpus", CELLS)
def test_number_of_arousal_valence_classes_per_corpus(corpus):
    words = [class_word(word) for word in " ".join(BINARY[corpus][:2]).split()]
    assert len(set(apply_view("arousal-valence", corpus, words).values())) == CELLS[corpus]


def test_a_corpus_row_beats_a_general_one():
    assert apply_view("arousal-valence", "tess", ["surprise"])["surprise"] == "high_positive"
    assert apply_view("arousal-valence", "ravdess", ["surprise"])["surprise"] == "high_neutral"
    assert apply_view("arousal-valence", "gemep", ["sadness", "anxiety"]) == {
        "sadness": "low_negative", "anxiety": "low_negative"}


@pytest.mark.parametrize("name", [name for name in PARSERS if name != "emogator"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_covers_every_speech_corpus_with_a_parser(view, name):
    classes = [class_word(word) for word in PARSERS[name].EMOTIONS.values()]
    mapping = apply_view(view, name, classes)
    assert list(mapping) == classes
    assert {word for word in mapping.values() if word} <= set(view_classes(view))


def test_left_out_words_are_none_and_unknown_ones_an_error():
    assert apply_view("arousal", "mine", ["other", "anger"]) == {"other": None, "anger": "high"}
    with pytest.raises(ManifestError, match="2 classes of 'mine': 'zorn', 'eile'"):
        apply_view("arousal", "mine", ["zorn", "anger", "eile"])
    with pytest.raises(ManifestError, match="canonical7.* says nothing of 1 classes"):
        apply_view("canonical7", "mine", ["zorn"])


def test_canonical_views_leave_other_canonical_words_out():
    classes = ["anger", "boredom", "calm", "happiness", "excitement"]
    assert apply_view("canonical7", "iemocap", classes) == {
        "anger": "anger", "boredom": None, "calm": None, "happiness": "happiness",
        "excitement": None}
    assert apply_view("canonical4", "iemocap", classes)["excitement"] == "happiness"
    assert apply_view("canonical4", "emns", classes)["excitement"] is None


def test_an_unknown_view_names_the_nearest():
    with pytest.raises(ConfigError, match="Unknown view 'canonical8'. Did you mean 'canonical"):
        view_classes("canonical8")


def test_table_has_one_version_and_only_known_values():
    facts = resources.files("emokit.corpora.facts").joinpath("arousal_valence.csv")
    rows = list(csv.DictReader(facts.read_text("utf-8").splitlines()))
    assert {row["version"] for row in rows} == {str(version())}
    assert {row["arousal"] for row in rows} == {"low", "high", "-"}
    assert {row["valence"] for row in rows} == {"negative", "neutral", "positive", "-"}
    assert {row["confidence"] for row in rows} <= {"high", "low", "unconfirmed"}
    assert len({(row["corpus"], row["label"]) for row in rows}) == len(rows)
