"""Private corpora of EmoSet, from lists of files under their own names."""

import collections
import logging

import pytest

from emokit.core.errors import CorpusError, ManifestError
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.catalogue import entries, entry
from emokit.corpora.discovery import discover
from emokit.corpora.words import CANONICAL, class_word
from emokit.corpora.parsers import LISTED, PARSERS
from emokit.corpora.parsing import parse
from emokit.corpora.spec import CorpusSpec, survey
from emokit.corpora.synthetic import thin
from emokit.testing import buzz, tiny_corpus, write_wav

IEMOCAP_IN_FOUR_CLASSES = 5531
UNKNOWN = ("ea_act", "ea_bmw", "ea_wsj", "ppmmk_emo")


def lay_out(root, name, items):
    for item in items:
        (root / item.path).parent.mkdir(parents=True, exist_ok=True)
        (root / item.path).touch()
    for path, text in PARSERS[name].stand_in_tables(items).items():
        (root / path).write_text(text, encoding="utf-8")
    return root


def lists(root, **tables):
    """Write lists of (file, label) and the empty files that they name."""
    root.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        for file, _ in rows:
            (root / file).touch()
        (root / f"{name}.csv").write_text(
            "file,label\n" + "".join(f"{file},{label}\n" for file, label in rows))
    return root


def test_the_26_corpora_of_emoset_have_84181_recordings():
    counts = {name: facts.utterances for name, facts in entries().items() if facts.emoset}
    assert len(counts) == 26 and set(LISTED) < set(counts)
    counts["iemocap"] = IEMOCAP_IN_FOUR_CLASSES
    assert sum(counts.values()) == 84_181


@pytest.mark.parametrize("name", LISTED)
def test_stand_ins_have_the_published_number_and_lists_that_share_no_speaker(name, tmp_path):
    parser = PARSERS[name]
    items = list(parser.stand_ins())
    assert len({item.path for item in items}) == len(items) == entry(name).utterances
    assert {item.emotion for item in items} <= set(CANONICAL)
    counts = collections.Counter(item.emotion for item in items)
    assert max(counts.values()) - min(counts.values()) <= 1
    chosen = thin(items, limit=60)
    root = lay_out(tmp_path / name, name, chosen)
    assert parser.recognises(root)
    utterances = list(parser.parse(root))
    assert [item.path for item in utterances] == sorted(item.path for item in chosen)
    spoken = collections.defaultdict(set)
    heard = collections.defaultdict(set)
    for item in utterances:
        spoken[item.partition].add(item.speaker)
        heard[item.partition].add(item.emotion)
        assert not parser.EMOTIONS or item.emotion in parser.EMOTIONS
    assert set(spoken) == {"train", "dev", "test"}
    assert not spoken["train"] & spoken["dev"] | spoken["train"] & spoken["test"]
    assert not spoken["dev"] & spoken["test"]
    assert heard["train"] == heard["dev"] == heard["test"]


@pytest.mark.parametrize("name", LISTED)
def test_a_folder_is_told_by_either_name_and_its_lists(name, tmp_path):
    parser = PARSERS[name]
    for folder in (name, name.upper(), entry(name).emoset, entry(name).emoset.lower()):
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        assert not parser.recognises(root)
    for folder in (name, name.upper(), entry(name).emoset, entry(name).emoset.lower()):
        (tmp_path / folder / "Train.csv").touch()
        assert parser.recognises(tmp_path / folder)
        assert [other for other in PARSERS if PARSERS[other].recognises(tmp_path / folder)] == [
            name]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "train.csv").touch()
    assert not parser.recognises(tmp_path / "other")


def test_facts_come_from_the_catalogue():
    for name in LISTED:
        parser, facts = PARSERS[name], entry(name)
        assert facts.citation in parser.SOURCE and facts.where in parser.SOURCE
        assert facts.parser == name and facts.emoset and facts.access in ("form", "private")
        assert list(parser.EMOTIONS) == list(facts.classes)
        assert "utterances" in facts.unconfirmed or facts.utterances
    assert {name for name in LISTED if not PARSERS[name].EMOTIONS} == set(UNKNOWN)
    sizes = {"gemep": 18, "gvess": 14, "eu_emoss": 21, "abc": 6, "emotiw_2014": 7, "bes": 6}
    assert {name: len(PARSERS[name].EMOTIONS) for name in sizes} == sizes


def test_labels_in_any_usual_form_become_the_corpuss_words(tmp_path):
    root = lists(tmp_path / "abc", train=[("a.wav", "Aggressive"), ("b.wav", "neutral")],
                 val=[("c.wav", "tired")], test=[("d.wav", "INTOXICATED")])
    found = {item.id: (item.emotion, item.partition) for item in PARSERS["abc"].parse(root)}
    assert found == {"a": ("aggression", "train"), "b": ("neutral", "train"),
                     "c": ("tiredness", "dev"), "d": ("intoxication", "test")}
    root = lists(tmp_path / "gemep", train=[("a.wav", "hot anger"), ("b.wav", "Joy")],
                 devel=[("c.wav", "panic_fear")], test=[("d.wav", "cold anger")])
    assert [item.emotion for item in PARSERS["gemep"].parse(root)] == [
        "rage", "elation", "panic", "irritation"]


def test_an_unknown_label_names_it_its_file_and_the_classes(tmp_path):
    root = lists(tmp_path / "des", train=[("a.wav", "anger"), ("b.wav", "boredom")],
                 devel=[("c.wav", "contempt")], test=[("d.wav", "boredom")])
    with pytest.raises(ManifestError, match=(
            "give 3 files labels that 'des' does not have: 'boredom', 'contempt'; first: b.wav. "
            "Its classes are anger, happiness, neutral, sadness, surprise. .*'format: csv'")):
        list(PARSERS["des"].parse(root))


def test_a_word_that_could_be_two_classes_is_refused_and_other_is_what_ad_calls_neutral(tmp_path):
    root = lists(tmp_path / "gvess", train=[("a.wav", "Joy"), ("b.wav", "elation")])
    with pytest.raises(ManifestError, match="give 1 files labels .*'Joy'; first: a.wav.*elation, "
                                            "happiness"):
        list(PARSERS["gvess"].parse(root))
    root = lists(tmp_path / "ad", train=[("a.wav", "Angry"), ("b.wav", "other"),
                                         ("c.wav", "neutral")])
    assert [item.emotion for item in PARSERS["ad"].parse(root)] == ["anger", "neutral", "neutral"]


def test_files_of_lists_are_found_in_capitals_as_flac_and_with_accents_of_macos(tmp_path):
    root = tmp_path / "des"
    for file in ("A.WAV", "b.flac", "sub/c\u0308.wav"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    (root / "train.csv").write_text("file,label\na.wav,anger\nb.wav,anger\nsub/\u010b.wav,anger\n"
                                    .replace("\u010b", "c\u0308"), encoding="utf-8")
    assert [item.path for item in PARSERS["des"].parse(root)] == [
        "A.WAV", "b.flac", "sub/c\u0308.wav"]


def test_where_classes_are_not_known_every_label_is_taken_and_that_is_said(tmp_path, caplog):
    root = lists(tmp_path / "EA-BMW", train=[("a.wav", "drowsy"), ("b.wav", "anger")],
                 devel=[("c.wav", "anger")], test=[("d.wav", "drowsy")])
    logging.getLogger("emokit").propagate = True
    with caplog.at_level(logging.WARNING, "emokit"):
        assert {item.emotion for item in PARSERS["ea_bmw"].parse(root)} == {"drowsy", "anger"}
    assert "ea_bmw: its classes are not known" in caplog.text
    assert "2 labels of the lists are taken as they are: anger, drowsy" in caplog.text


def test_a_list_that_names_missing_files_says_how_many(tmp_path):
    root = lists(tmp_path / "simis", train=[("a.wav", "anger")], devel=[("b.wav", "neutral")])
    (root / "test.csv").write_text("file,label\ngone.wav,anger\nlost.wav,neutral\n")
    with pytest.raises(CorpusError, match="2 of 4 listed files are not below"):
        list(PARSERS["simis"].parse(root))


def test_language_comes_from_the_catalogue_unless_the_list_says(tmp_path):
    root = tmp_path / "turkish_emobuee"
    lists(root, train=[("a.wav", "anger")])
    assert [item.extra["language"] for item in PARSERS["turkish_emobuee"].parse(root)] == ["tr"]
    (root / "train.csv").write_text("file,label,language\na.wav,anger,ku\n")
    assert [item.extra["language"] for item in PARSERS["turkish_emobuee"].parse(root)] == ["ku"]
    lists(tmp_path / "gemep", train=[("a.wav", "pride")])
    assert "language" not in next(PARSERS["gemep"].parse(tmp_path / "gemep")).extra


def test_they_are_found_and_built_like_any_other_corpus(tmp_path):
    for folder, name in (("AirplaneBehaviourCorpus", "abc"), ("GEMEP", "gemep")):
        tiny_corpus(tmp_path / folder, name, n_speakers=5, per_class=1)
    assert [(found.name, found.state) for found in discover(tmp_path)] == [
        ("abc", "found"), ("gemep", "found")]
    specs, _ = survey(None, [], tmp_path, {})
    results = build_corpora(specs, tmp_path / "emoset", BuildOptions(jobs=1, report=False))
    for result in results:
        assert result.build["classes"] == [class_word(word) for word in entry(result.name).classes]
        assert result.build["partitions"]["kind"] == "official"
        assert result.build["partitions"]["speaker_disjoint"]
        assert result.build["facts"]["citation"] == entry(result.name).citation
    again = build_corpora(specs, tmp_path / "emoset", BuildOptions(jobs=1, report=False))
    assert {result.state for result in again} == {"unchanged"}


def test_a_list_without_speakers_is_accepted_and_said(tmp_path):
    root = tmp_path / "mes"
    rows = {"train": [], "devel": [], "test": []}
    for number in range(18):
        word = ("anger", "fear", "sadness")[number % 3]
        write_wav(root / f"{number}.wav", buzz(word, seed=number))
        rows[("train", "devel", "test")[number // 6]].append((f"{number}.wav", word))
    for name, table in rows.items():
        (root / f"{name}.csv").write_text(
            "file,label\n" + "".join(f"{file},{label}\n" for file, label in table))
    spec = CorpusSpec(name="mes", parser="mes", root=str(root))
    assert len(list(parse(spec))) == 18
    result, = build_corpora([spec], tmp_path / "emoset", BuildOptions(jobs=1, report=False))
    assert result.build["counts"]["unknown_speakers"] == 18
    assert result.build["classes"] == ["anger", "fear", "sadness"]
