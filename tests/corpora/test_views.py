"""Label views, held to the established binary table of multi-corpus work (ASRU 2009 and later)."""

import csv
from importlib import resources

import pytest

from emokit.core.errors import ConfigError, ManifestError
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.catalogue import entries
from emokit.corpora.words import canonical, class_word
from emokit.corpora.parsers import PARSERS
from emokit.corpora.spec import CorpusSpec, read_specs
from emokit.corpora.store import open_corpus
from emokit.corpora.views import VIEWS, apply_view, own_rows, version, view_classes
from emokit.loading.source import make_source
from emokit.testing import buzz, write_wav

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


def classes_of(name):
    """Every class that the catalogue or the parser names, in canonical words."""
    facts = entries()[name].classes
    words = facts if isinstance(facts, list) else []
    parser = PARSERS[name].EMOTIONS.values() if name in PARSERS else []
    return list(dict.fromkeys(class_word(word) for word in [*words, *parser]))


@pytest.mark.parametrize("name", [name for name in entries() if classes_of(name)])
def test_every_view_has_a_place_for_every_class_of_every_corpus_or_drops_it_by_name(name):
    classes = classes_of(name)
    for view in VIEWS:
        mapping = apply_view(view, name, classes)
        assert list(mapping) == classes
        assert {word for word in mapping.values() if word} <= set(view_classes(view))


@pytest.mark.parametrize("name", [name for name in entries() if classes_of(name)])
def test_a_cell_agrees_with_its_halves(name):
    classes = classes_of(name)
    cells, arousal, valence = (apply_view(view, name, classes)
                               for view in ("arousal-valence", "arousal", "valence"))
    for word in classes:
        if cells[word] is None:
            assert arousal[word] is None and valence[word] is None
        else:
            high, sign = cells[word].split("_")
            assert arousal[word] == high
            assert valence[word] == ("negative" if sign == "negative" else "positive")


def test_canonical_views_are_the_canonical_words_that_they_have():
    for name in entries():
        for word, means in apply_view("canonical7", name, classes_of(name)).items():
            assert means == (canonical(word) if canonical(word) in VIEWS["canonical7"] else None)


OWN = """
mine:
  format: csv
  root: mine
  views:
    arousal-valence: {Zorn: high_negative, eile: "-"}
    canonical4: {zorn: anger, eile: "-", ruhe: neutral}
    valence: {eile: negative}
"""


def written(tmp_path, text=OWN):
    """A corpus of one's own with words that no table knows, and its corpora.yaml."""
    lines = ["file,label,speaker,partition"]
    for number in range(18):
        word = ("zorn", "eile", "ruhe")[number % 3]
        speaker = number // 6
        write_wav(tmp_path / "mine" / f"{number}.wav", buzz(word, str(speaker), seed=number))
        lines.append(f"{number}.wav,{word},s{speaker},{('train', 'dev', 'test')[speaker]}")
    (tmp_path / "mine" / "list.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "corpora.yaml").write_text(text)
    return read_specs(tmp_path / "corpora.yaml")


def test_rows_of_ones_own_stand_in_build_json_and_rule_the_target(tmp_path):
    build_corpora(written(tmp_path), tmp_path / "emoset", BuildOptions(jobs=1, report=False))
    corpus = open_corpus(tmp_path / "emoset" / "mine")
    assert corpus.build["views"]["arousal-valence"] == {"zorn": "high_negative", "eile": "-"}
    source = make_source(corpus, "canonical4")
    assert source.labels == ("anger", "neutral") and source.dropped == {"eile": 6}
    own = corpus.build["views"]
    assert apply_view("arousal", "mine", ["zorn", "eile"], own) == {"zorn": "high", "eile": None}
    # what is said of the view itself beats the half of a cell
    assert apply_view("valence", "mine", ["zorn", "eile"], own) == {
        "zorn": "negative", "eile": "negative"}
    with pytest.raises(ManifestError, match="1 classes of 'mine': 'ruhe'.*{arousal: {ruhe: low}}"):
        make_source(corpus, "arousal")


def test_other_rows_of_ones_own_are_another_corpus(tmp_path):
    signatures = set()
    for cell in ("anger", "sadness"):
        specs = written(tmp_path, OWN.replace("{zorn: anger", f"{{zorn: {cell}"))
        result, = build_corpora(specs, tmp_path / "emoset", BuildOptions(jobs=1, report=False))
        assert result.state == "built"
        signatures.add(result.build["signature"])
    assert len(signatures) == 2


@pytest.mark.parametrize("views, message", [
    ("{arousal: {zorn: hihg}}", "yaml:5: view 'arousal' has no class 'hihg'. Did you mean 'high'"),
    ("{arousl: {zorn: high}}", "yaml:5: unknown view 'arousl'. Did you mean 'arousal'"),
    ("{arousal: {zon: high}}", "yaml:5: 'mine' has no class 'zon'. Did you mean 'zorn'"),
    ("{arousal: {zorn: high, Zorn: low}}", "yaml:5: 'Zorn' stands there twice"),
    ("{arousal: high}", "yaml:5: .*arousal"),
])
def test_wrong_rows_of_ones_own_name_line_and_choices(tmp_path, views, message):
    text = f"\nmine:\n  format: csv\n  root: mine\n  views: {views}\n"
    with pytest.raises(ConfigError, match=message):
        build_corpora(written(tmp_path, text), tmp_path / "emoset",
                      BuildOptions(jobs=1, report=False))


def test_rows_of_ones_own_may_speak_of_words_that_the_tables_know():
    spec = CorpusSpec(name="mine", views={"arousal": {"Angry": "low"}})
    own = own_rows(spec, ["anger"])
    assert apply_view("arousal", "mine", ["anger"], own) == {"anger": "low"}


def test_an_entry_of_another_name_has_the_rows_of_its_corpus(tmp_path):
    from emokit.testing import tiny_corpus

    root = tiny_corpus(tmp_path / "raw", "tess")
    (tmp_path / "corpora.yaml").write_text(f"mine:\n  parser: tess\n  root: {root}\n")
    specs = read_specs(tmp_path / "corpora.yaml")
    build_corpora(specs, tmp_path / "emoset", BuildOptions(jobs=1, report=False))
    source = make_source(open_corpus(tmp_path / "emoset" / "mine"), "arousal-valence")
    # pleasant surprise of TESS; of other corpora it is high_neutral
    assert "high_positive" in source.labels and "high_neutral" not in source.labels


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
