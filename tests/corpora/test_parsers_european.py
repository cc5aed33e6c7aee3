"""Parsers of further European corpora, against their published lists and against bad copies."""

import collections
import csv
import gzip
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emokit import testing
from emokit.core.errors import CorpusError
from emokit.corpora import synthetic
from emokit.corpora.discovery import recognise
from emokit.corpora.parsers import PARSERS
from emokit.corpora.utterance import Misfit, Rating, Utterance
from emokit.corpora.voice import synthesise

REAL = os.environ.get("EMOKIT_CORPORA")
needs_real = pytest.mark.skipif(not REAL, reason="EMOKIT_CORPORA is not set")
TREES = {"emovo": "emovo", "aesdd": "aesdd", "cafe": "cafe", "mesd": "mesd", "oreau": "oreau",
         "emozionalmente": "emozionalmente", "resd": "resd", "pavoque": "pavoque",
         "polish": "polish_emotions"}


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def read(name, root):
    """Parse a folder into utterances by id, and misfits."""
    results = list(PARSERS[name].parse(root))
    utterances = [item for item in results if isinstance(item, Utterance)]
    assert len({item.id for item in utterances}) == len(utterances)
    return ({item.id: item for item in utterances},
            [item for item in results if isinstance(item, Misfit)])


def published(tree):
    with gzip.open(Path(REAL) / "_trees" / f"{tree}.tsv.gz", "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def lay_out_published(root, tree):
    """Lay out a published list as empty files, with the corpus's own tables."""
    rows = published(tree)
    touch(root, *{row["path"] for row in rows})
    if tree == "emozionalmente":
        shutil.copytree(Path(REAL) / "Emozionalmente/metadata", root / "metadata")
    if tree == "pavoque":
        tables = collections.defaultdict(str)
        for number, row in enumerate(rows):
            tables[row["path"].replace(".flac", ".yaml")] += (
                f"- prompt: p{number:04d}\n  text: Satz\n  style: {row['label']}\n"
                f"  start: {row['start']}\n  end: {row['end']}\n")
        for path, text in tables.items():
            (root / path).write_text(text, encoding="utf-8")
    return rows


@pytest.mark.real
@needs_real
@pytest.mark.parametrize("tree, name", TREES.items())
def test_the_published_list_is_read_whole_with_its_labels(tree, name, tmp_path):
    rows = lay_out_published(tmp_path, tree)
    assert recognise(tmp_path) == name
    assert [other for other in PARSERS if PARSERS[other].recognises(tmp_path)] == [name]
    utterances, misfits = read(name, tmp_path)
    assert misfits == [] and len(utterances) == len(rows)
    words = PARSERS[name].EMOTIONS
    folded = {code.lower(): word for code, word in words.items()}
    spelt = {**{word: word for word in words.values()}, **folded}
    assert sorted((item.path, item.emotion) for item in utterances.values()) == sorted(
        (row["path"], spelt[row["label"].lower()]) for row in rows)


@pytest.mark.real
@needs_real
@pytest.mark.parametrize("tree, name", TREES.items())
def test_stand_ins_are_as_many_for_each_speaker_and_emotion_as_published(tree, name, tmp_path):
    lay_out_published(tmp_path / "real", tree)
    real, _ = read(name, tmp_path / "real")
    items = list(PARSERS[name].stand_ins())
    touch(tmp_path / "mine", *{item.file for item in items})
    tables = getattr(PARSERS[name], "stand_in_tables", lambda items: {})(items)
    for path, text in tables.items():
        (tmp_path / "mine" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / path).write_text(text, encoding="utf-8")
    mine, misfits = read(name, tmp_path / "mine")
    damaged = set(getattr(PARSERS[name], "DAMAGED", {}))
    mine = {key: item for key, item in mine.items() if key not in damaged}
    assert misfits == [] and len(mine) == len(real)

    def cells(utterances, *fields):
        return collections.Counter(
            tuple(getattr(item, field) for field in fields) for item in utterances.values())

    if name == "emozionalmente":
        # actors are hashes and speak more or less
        assert cells(mine, "emotion") == cells(real, "emotion")
        assert len(cells(mine, "speaker")) == len(cells(real, "speaker")) == 431
    elif name == "pavoque":
        assert cells(mine, "path", "emotion") == cells(real, "path", "emotion")
    else:
        assert cells(mine, "speaker", "emotion") == cells(real, "speaker", "emotion")
    if name in ("emovo", "aesdd", "polish_emotions"):
        assert {item.path for item in mine.values()} == {item.path for item in real.values()}
    if name == "cafe":
        assert set(mine) == set(real)
    if name == "mesd":
        assert {key for key in mine if "_A_" in key} == {key for key in real if "_A_" in key}
    if name == "oreau":
        assert {key for key in mine if "z" in key} == {key for key in real if "z" in key}
    if name == "resd":
        assert cells(mine, "partition") == cells(real, "partition")
        assert {os.path.dirname(i.path).split("/")[1] for i in mine.values()} == {
            os.path.dirname(i.path).split("/")[1] for i in real.values()}


@pytest.mark.real
@needs_real
def test_resd_shares_95_of_its_100_roles_between_train_and_test(tmp_path):
    lay_out_published(tmp_path, "resd")
    utterances, _ = read("resd", tmp_path)
    roles = collections.defaultdict(set)
    for item in utterances.values():
        roles[item.speaker].add(item.partition)
    assert collections.Counter(map(len, roles.values())) == {2: 95, 1: 5}
    assert "95 of the 100" in PARSERS["resd"].PARTITIONS


@pytest.mark.real
@needs_real
def test_emozionalmente_has_five_votes_a_clip_that_agree_in_two_thirds(tmp_path):
    rows = lay_out_published(tmp_path, "emozionalmente")
    ratings = list(PARSERS["emozionalmente"].ratings(tmp_path))
    assert len(ratings) == 34510 and len({rating.rater for rating in ratings}) == 829
    assert set(collections.Counter(rating.utterance for rating in ratings).values()) == {5}
    pairs = collections.Counter((rating.utterance, rating.rater) for rating in ratings)
    assert sum(count > 1 for count in pairs.values()) == 34
    assert sum(rating.values["quality"] == 0 for rating in ratings) / 34510 == pytest.approx(
        0.038, abs=5e-4)
    utterances, _ = read("emozionalmente", tmp_path)
    shares = [item.extra["agreement"] for item in utterances.values()]
    assert np.mean(shares) == pytest.approx(0.66, abs=5e-3) and len(shares) == len(rows)
    for item in utterances.values():
        assert sum(value for key, value in item.extra.items() if key.startswith("p_")) == (
            pytest.approx(1))


# copies that differ from the publication

def test_emovo_flat_copy_with_upper_case_names(tmp_path):
    touch(tmp_path, "DIS-F1-B1.WAV", "gio-m3-n5.wav", "tri-m1-l2.wav", "gio-m4-n5.wav",
          "xyz-m3-n5.wav")
    assert recognise(tmp_path) == "emovo"
    utterances, misfits = read("emovo", tmp_path)
    assert {key: item.emotion for key, item in utterances.items()} == {
        "dis-f1-b1": "disgust", "gio-m3-n5": "joy", "tri-m1-l2": "sadness"}
    assert utterances["dis-f1-b1"].extra == {"text": "b1", "gender": "female", "language": "it"}
    assert [item.reason for item in misfits] == ["unknown speaker m4 in the name",
                                                 "unknown emotion xyz in the name"]


def test_aesdd_leading_zeros_and_letters_of_takes(tmp_path):
    touch(tmp_path, "disgust/d03 (01).wav", "anger/a06 (5).wav", "anger/a06 (5)b.wav",
          "sadness/s05 (3).wav")
    utterances, _ = read("aesdd", tmp_path)
    assert {key: item.speaker for key, item in utterances.items()} == {
        "d03 (1)": "1", "a06 (5)": "5", "a06 (5)b": "5", "s05 (3)": "3"}
    assert utterances["a06 (5)b"].extra["take"] == "b"
    assert utterances["d03 (1)"].extra["gender"] == "male"
    assert "s05 (3)" in PARSERS["aesdd"].DAMAGED


@pytest.mark.parametrize("folder", ["Colère", unicodedata.normalize("NFD", "Colère"), "ColŠre",
                                    "Col\u00c3\u00a8re"])
def test_cafe_is_known_however_its_accents_were_unpacked(tmp_path, folder):
    for root in (tmp_path / "inner", tmp_path / "outer/CaFE_48k"):
        touch(root, f"{folder}/Faible/01-C-1-1.wav")
    assert recognise(tmp_path / "inner") == recognise(tmp_path / "outer") == "cafe"
    utterances, misfits = read("cafe", tmp_path / "outer")
    assert utterances["01-C-1-1"].emotion == "anger" and misfits == []
    assert utterances["01-C-1-1"].extra == {
        "text": "sentence 1", "gender": "male", "language": "fr", "intensity": "weak"}


def test_cafe_reads_the_wav_where_the_aiff_is_there_too(tmp_path):
    touch(tmp_path, "CaFE_192k/Neutre/02-N-1-3.aiff", "CaFE_48k/Neutre/02-N-1-3.wav")
    utterances, misfits = read("cafe", tmp_path)
    assert [item.path for item in utterances.values()] == ["CaFE_48k/Neutre/02-N-1-3.wav"]
    assert "intensity" not in utterances["02-N-1-3"].extra
    assert [item.reason for item in misfits] == ["a copy of CaFE_48k/Neutre/02-N-1-3.wav by its "
                                                 "name"]


def test_mesd_words_have_blanks_and_speakers_are_unknown(tmp_path):
    touch(tmp_path, "Anger_F_A_basta ya.wav", "Fear_M_A_por_favor.wav", "Joy_C_B_boton.wav")
    utterances, misfits = read("mesd", tmp_path)
    assert [item.extra["text"] for item in utterances.values()] == ["basta ya", "por favor"]
    assert {item.speaker for item in utterances.values()} == {""}
    assert utterances["Fear_M_A_por_favor"].extra["gender"] == "male"
    assert [item.reason for item in misfits] == ["unknown emotion 'Joy' in the name"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_oreau_is_known_with_a_composed_and_a_decomposed_accent(tmp_path, form):
    outer = unicodedata.normalize(form, "OréauFR_02")
    touch(tmp_path, f"{outer}/f/sessj/13a06Ja.wav", f"{outer}/m/sesss/07z03Sa.wav")
    assert recognise(tmp_path) == recognise(tmp_path / outer) == "oreau"
    utterances, misfits = read("oreau", tmp_path)
    assert misfits == [] and utterances["13a06Ja"].emotion == "joy"
    assert utterances["13a06Ja"].extra["gender"] == "female"
    assert utterances["07z03Sa"].extra["text"] == "z03"


def test_a_folder_of_emodb_names_is_not_oreau(tmp_path):
    touch(tmp_path, "wav/08a01Na.wav", "wav/09a02Tb.wav")
    assert recognise(tmp_path) == "emodb"


def test_resd_takes_emotion_from_the_letter_and_partition_from_the_folder(tmp_path):
    touch(tmp_path, "train/disgust_happiness_36/36_disgust_happiness_d_130.wav",
          "test/11_disgust_anger/11_anger_disgust a_020.wav",
          "train/disgust_happiness_36/36_disgust_happiness_s_130.wav")
    assert recognise(tmp_path) == "resd"
    utterances, misfits = read("resd", tmp_path)
    assert [(item.emotion, item.speaker, item.partition) for item in utterances.values()] == [
        ("anger", "11_a", "test"), ("disgust", "36_d", "train")]
    assert misfits[0].reason == "letter s is none of the two emotions in the name"


def test_polish_emotions_s_is_fear(tmp_path):
    touch(tmp_path, "m1.s_nie_1.wav", "M5.A_TRZYMAJ_4.WAV", "m6.a_nie_1.wav")
    utterances, misfits = read("polish_emotions", tmp_path)
    assert {key: item.emotion for key, item in utterances.items()} == {
        "m1.s_nie_1": "fear", "m5.a_trzymaj_4": "anger"}
    assert misfits[0].reason == "unknown speaker m6 in the name"


# Emozionalmente's tables

def emozionalmente(root, samples="", evaluations="", users=""):
    touch(root, "audio/1.wav", "audio/2.wav")
    for name, header, text in (
        ("samples", "file_name,sentence,sentence_language,actor,emotion_expressed", samples),
        ("evaluations", "file_name,evaluator,audio_quality,emotion_recognized", evaluations),
        ("users", "username,gender,age,mother_tongue", users),
    ):
        (root / "metadata").mkdir(exist_ok=True)
        if text:
            (root / "metadata" / f"{name}.csv").write_text(f"{header}\n{text}", encoding="utf-8")
    return root


def test_emozionalmente_votes_become_soft_labels_and_ratings(tmp_path):
    emozionalmente(tmp_path, "1.wav,Vado in biblioteca,italian,abc,joy\n",
                   "1.wav,r1,good,joy\n1.wav,r2,bad,surprise\n1.wav,r2,good,joy\n"
                   "1.wav,r3,good,surprise\n", "abc,other,30,italian\n")
    assert recognise(tmp_path) == "emozionalmente"
    utterances, misfits = read("emozionalmente", tmp_path)
    assert [item.reason for item in misfits] == ["not listed in samples.csv"]
    extra = utterances["1"].extra
    assert extra["n_ratings"] == 4 and extra["agreement"] == 0.5
    assert extra["perceived"] == "joy:surprise" and extra["p_joy"] == extra["p_surprise"] == 0.5
    assert extra["p_anger"] == 0 and extra["age"] == 30 and "gender" not in extra
    assert list(PARSERS["emozionalmente"].ratings(tmp_path))[1] == Rating(
        "1", "r2", "surprise", {"quality": 0.0})


def test_emozionalmente_takes_an_empty_vote_and_refuses_an_unknown_one(tmp_path):
    samples = "1.wav,Ciao,italian,abc,joy\n"
    emozionalmente(tmp_path, samples, "1.wav,r1,good,joy\n1.wav,r2,good,\n")
    extra = read("emozionalmente", tmp_path)[0]["1"].extra
    assert extra["n_ratings"] == 1 and extra["agreement"] == 1
    emozionalmente(tmp_path, samples, "1.wav,r1,good,joy\n1.wav,r2,good,glee\n")
    with pytest.raises(CorpusError, match=r"evaluations\.csv:3: unknown label 'glee'"):
        read("emozionalmente", tmp_path)


def test_emozionalmente_without_its_further_tables_still_has_labels(tmp_path):
    emozionalmente(tmp_path, "1.wav,Ciao,italian,abc,anger\n2.wav,Ciao,italian,abc,joy\n")
    utterances, misfits = read("emozionalmente", tmp_path)
    assert utterances["1"].extra == {"text": "Ciao", "language": "it"} and misfits == []
    assert list(PARSERS["emozionalmente"].ratings(tmp_path)) == []


def test_emozionalmente_needs_its_samples_and_whole_tables(tmp_path):
    emozionalmente(tmp_path)
    with pytest.raises(CorpusError, match=r"no metadata/samples\.csv, which says who speaks how"):
        list(PARSERS["emozionalmente"].parse(tmp_path))
    emozionalmente(tmp_path, "1.wav,Ciao,italian,abc,anger\n")
    (tmp_path / "metadata/evaluations.csv").write_text("file_name,vote\n1.wav,anger\n")
    with pytest.raises(CorpusError, match=r"evaluations\.csv' lacks column evaluator"):
        list(PARSERS["emozionalmente"].parse(tmp_path))
    (tmp_path / "metadata/evaluations.csv").unlink()
    (tmp_path / "metadata/samples.csv").write_bytes("file_name,città\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"Cannot read .*samples\.csv.*utf-8"):
        list(PARSERS["emozionalmente"].parse(tmp_path))


# PAVOQUE: long recordings

ENTRY = "- prompt: {}\n  text: {}\n  style: {}\n  start: {}\n  end: {}\n"


def pavoque(root, text, recording="angry"):
    touch(root, f"pavoque-{recording}.flac")
    (root / f"pavoque-{recording}.yaml").write_text(text, encoding="utf-8")
    return root


def test_pavoque_is_cut_by_its_table_and_words_stay_words(tmp_path):
    segments = "  segments:\n  - {lab: H#, end: 0.41}\n  - {lab: '?', end: 0.43}\n"
    pavoque(tmp_path, ENTRY.format("m0002", "No", "angry", "2.34", "5.94") + segments
            + ENTRY.format("m0001", "Ich bin Spike.", "angry", "0.0", "2.34") + segments)
    pavoque(tmp_path, ENTRY.format("m0001a", "Ach ja?", "sad", "1", "2"), "outtakes")
    assert recognise(tmp_path) == "pavoque"
    utterances, misfits = read("pavoque", tmp_path)
    assert misfits == []
    assert [(item.id, item.start, item.end, item.extra["text"])
            for item in utterances.values()] == [
        ("angry_m0001", 0.0, 2.34, "Ich bin Spike."), ("angry_m0002", 2.34, 5.94, "No"),
        ("sad_m0001a", 1.0, 2.0, "Ach ja?")]
    assert utterances["sad_m0001a"].extra["take"] == "outtake"
    assert "take" not in utterances["angry_m0001"].extra


@pytest.mark.parametrize("text, words", [
    (ENTRY.format("m1", "a", "bored", 0, 1), "m1 has the style 'bored'. Choices"),
    (ENTRY.format("m1", "a", "sad", 2, 1), "m1 lies from 2 to 1 s"),
    (ENTRY.format("m1", "a", "sad", 2, "soon"), "entry 1 lacks prompt, style, start or end"),
    ("- prompt: m1\n", "entry 1 lacks .*style"),
    ("- m1\n", "entry 1 lacks"),
    ("prompt: m1\n", "is no list of utterances"),
    ("- prompt: 'm1\n", r"Cannot read .*pavoque-angry\.yaml"),
])
def test_pavoque_damaged_table_is_named(tmp_path, text, words):
    with pytest.raises(CorpusError, match=words):
        list(PARSERS["pavoque"].parse(pavoque(tmp_path, text)))


def test_pavoque_recording_without_its_table_or_in_another_encoding_is_named(tmp_path):
    touch(tmp_path, "pavoque-angry.flac")
    with pytest.raises(CorpusError, match=r"pavoque-angry\.flac' has no pavoque-angry\.yaml"):
        list(PARSERS["pavoque"].parse(tmp_path))
    (tmp_path / "pavoque-angry.yaml").write_bytes("- text: für\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"pavoque-angry\.yaml.*as UTF-8"):
        list(PARSERS["pavoque"].parse(tmp_path))


def test_pavoque_twice_and_foreign_recordings_are_misfits(tmp_path):
    pavoque(tmp_path, ENTRY.format("m0001", "Ja", "angry", 0, 1))
    touch(tmp_path, "audio/pavoque-angry.FLAC", "pavoque-shouting.flac", "song.flac")
    utterances, misfits = read("pavoque", tmp_path)
    assert list(utterances) == ["angry_m0001"]
    assert {item.path: item.reason for item in misfits} == {
        "audio/pavoque-angry.FLAC": "a copy of pavoque-angry.flac by its name",
        "pavoque-shouting.flac": "unknown style 'shouting' in the name",
        "song.flac": "the name is not of the form pavoque-angry"}


# stand-ins within one long recording

def few(name, per_file):
    taken = collections.Counter()
    items = []
    for item in PARSERS[name].stand_ins():
        taken[item.file] += 1
        if taken[item.file] <= per_file:
            items.append(item)
    return items


def write(folder, items, jobs=1):
    return synthetic._write_corpus(folder, "pavoque", items, PARSERS["pavoque"], 0, 1e-9, jobs,
                                   None)


def test_parts_of_a_long_recording_lie_where_its_table_says(tmp_path):
    items = few("pavoque", 3)
    write(tmp_path, items)
    found, misfits = read("pavoque", tmp_path)
    assert misfits == [] and len(found) == len(items) == 18
    samples, rate = soundfile.read(tmp_path / "pavoque-sad.flac", dtype="float32")
    here = [item for item in items if item.within == "pavoque-sad.flac"]
    assert len(here) == 3
    for item in here:
        utterance = found[item.path.rpartition("/")[2]]
        spoken, spoken_rate = synthesise(item, "pavoque", 0)
        assert spoken_rate == rate
        cut = samples[round(utterance.start * rate):round(utterance.end * rate)]
        np.testing.assert_allclose(cut, spoken, atol=2 / 32768)
    last = max(item.end for item in found.values() if item.path == "pavoque-sad.flac")
    assert round(last * rate) == len(samples)


def test_long_recordings_are_the_same_from_any_number_of_processes(tmp_path):
    items = few("pavoque", 8)
    write(tmp_path / "one", items)
    write(tmp_path / "two", items, jobs=2)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_more_parts_or_a_lost_recording_renew_them_all_and_a_rerun_none(tmp_path):
    write(tmp_path, few("pavoque", 1))
    more = few("pavoque", 2)
    assert write(tmp_path, more).n_written == len(more) == 12
    assert write(tmp_path, more).n_written == 0
    before = (tmp_path / "pavoque-sad.yaml").read_bytes()
    (tmp_path / "pavoque-angry.flac").unlink()
    assert write(tmp_path, more).n_written == 12
    assert (tmp_path / "pavoque-sad.yaml").read_bytes() == before
    assert len(read("pavoque", tmp_path)[0]) == 12


def test_a_corpus_cut_by_time_is_built_with_the_lengths_of_its_table(tmp_path):
    from emokit.corpora.store import open_emoset

    emoset = testing.tiny_emoset(tmp_path, ["pavoque"])
    (corpus,) = open_emoset(emoset)
    assert corpus.classes == ("anger", "happiness", "neutral", "poker", "sadness")
    assert len(corpus.manifest) == 20
    assert sorted(set(corpus.manifest["duration"].round(3))) == [0.3, 0.33]
    assert set(corpus.manifest["partition"]) == {"train", "dev", "test"}


def test_a_corpus_with_votes_is_built_with_its_soft_labels(tmp_path):
    from emokit.corpora.store import open_emoset

    emoset = testing.tiny_emoset(tmp_path, ["emozionalmente"])
    (corpus,) = open_emoset(emoset)
    soft = corpus.manifest[[f"p_{word}" for word in corpus.classes]]
    assert "p_happiness" in soft and "p_neutral" in soft
    np.testing.assert_allclose(soft.sum(axis=1), 1)
    assert set(corpus.manifest["n_ratings"]) == {5}
