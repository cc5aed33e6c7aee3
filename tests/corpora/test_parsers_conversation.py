"""Corpora of conversations: labels from their own tables, raters, official partitions."""

import csv
import gzip
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emokit.core.errors import ConfigError, CorpusError, ManifestError
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.parsers import PARSERS, conversation
from emokit.corpora.partitions import assign_partitions, shared_speakers
from emokit.corpora.spec import CorpusSpec, PartitionRule, read_specs
from emokit.corpora.store import open_corpus
from emokit.corpora.utterance import Misfit, Rating, Utterance
from emokit.testing import write_wav

NAMES = ("emorynlp", "iemocap", "m3ed", "meld", "mer2023", "msp_improv", "msp_podcast")
RATED = ("iemocap", "m3ed", "msp_improv", "msp_podcast")
REAL = os.environ.get("EMOKIT_CORPORA")


def put(root, files=(), tables=None):
    """Write empty recordings and tables (text, or bytes as they are)."""
    for path in files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    for path, text in (tables or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def read(name, root):
    """Give utterances by id and misfits by path."""
    items = list(PARSERS[name].parse(root))
    return ({item.id: item for item in items if isinstance(item, Utterance)},
            {item.path: item.reason for item in items if isinstance(item, Misfit)})


def few(name, n=12):
    items = list(PARSERS[name].stand_ins())
    return sorted(items[::len(items) // n], key=lambda item: item.path)


# every one of them

@pytest.mark.parametrize("name", NAMES)
def test_a_listed_file_that_is_not_there_is_a_misfit(name, tmp_path):
    items = few(name)
    put(tmp_path, [item.path for item in items[1:]], PARSERS[name].stand_in_tables(items))
    utterances, misfits = read(name, tmp_path)
    assert len(utterances) == len(items) - 1
    (path, reason), = misfits.items()
    assert Path(path).name == Path(items[0].path).name
    assert reason.startswith("listed in ") and reason.endswith(", but there is no such file")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_no_table_names_is_a_misfit(name, tmp_path):
    items = few(name)
    put(tmp_path, [item.path for item in items], PARSERS[name].stand_in_tables(items[1:]))
    utterances, misfits = read(name, tmp_path)
    assert len(utterances) == len(items) - 1
    assert list(misfits) == [items[0].path]


@pytest.mark.parametrize("name", NAMES)
def test_recordings_without_the_tables_are_an_error_that_names_one(name, tmp_path):
    put(tmp_path, [few(name)[0].path])
    with pytest.raises(CorpusError, match=r"has no table \S+\.(txt|csv|json)[, ].*Put"):
        list(PARSERS[name].parse(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_tables_in_another_encoding_are_an_error_that_names_the_file(name, tmp_path):
    items = few(name)
    tables = PARSERS[name].stand_in_tables(items)
    # UTF-16 is what a spreadsheet writes; 0x81 is a letter neither in UTF-8 nor in Windows-1252
    put(tmp_path, [item.path for item in items],
        {path: b"\xff\xfe\x81" + text.encode("utf-16-le") for path, text in tables.items()})
    with pytest.raises(CorpusError) as error:
        list(PARSERS[name].parse(tmp_path))
    assert any(str(tmp_path / path) in str(error.value) for path in tables)
    assert "\n" not in str(error.value) and "Put the published" in str(error.value)


@pytest.mark.parametrize("name", RATED)
def test_votes_in_the_manifest_are_those_of_the_ratings(name, tmp_path):
    items = few(name, 40)
    put(tmp_path, [item.path for item in items], PARSERS[name].stand_in_tables(items))
    utterances, _ = read(name, tmp_path)
    given = {}
    for rating in PARSERS[name].ratings(tmp_path):
        assert isinstance(rating, Rating) and rating.utterance in utterances
        if rating.emotion and not rating.rater.startswith("self"):
            given.setdefault(rating.utterance, []).append(rating.emotion.split(";"))
    for key, utterance in utterances.items():
        words = given[key]
        assert utterance.extra["n_ratings"] == len(words)
        shares = {column[2:]: value for column, value in utterance.extra.items()
                  if column.startswith("p_")}
        for word in {word for row in words for word in row}:
            mean = np.mean([row.count(word) / len(row) for row in words])
            assert shares.pop(word) == pytest.approx(mean)
        assert shares == {}
        if utterance.emotion == "no agreement":
            assert "agreement" not in utterance.extra
        else:
            assert utterance.extra["agreement"] == pytest.approx(
                np.mean([utterance.emotion in row for row in words]))


@pytest.mark.parametrize("name", ["iemocap", "msp_improv", "msp_podcast", "mer2023"])
def test_dimensions_lie_on_the_scale_that_is_named(name, tmp_path):
    items = few(name)
    put(tmp_path, [item.path for item in items], PARSERS[name].stand_in_tables(items))
    scales = PARSERS[name].SCALES
    utterances, _ = read(name, tmp_path)
    for utterance in utterances.values():
        for dimension, (low, high) in scales.items():
            assert low <= utterance.extra[dimension] <= high


@pytest.mark.parametrize("name", ["emorynlp", "m3ed", "meld", "mer2023", "msp_podcast"])
def test_official_partitions_come_with_words(name, tmp_path):
    items = few(name, 60)
    put(tmp_path, [item.path for item in items], PARSERS[name].stand_in_tables(items))
    utterances, _ = read(name, tmp_path)
    found = {item.partition for item in utterances.values()}
    assert found == ({"train", "test"} if name == "mer2023" else {"train", "dev", "test"})
    assert "speaker" in PARSERS[name].PARTITIONS or "role" in PARSERS[name].PARTITIONS
    shared = shared_speakers(*zip(*((item.speaker, item.partition)
                                    for item in utterances.values())))
    assert bool(shared) == (name in ("emorynlp", "meld"))


# IEMOCAP

TURN = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_{}.wav"
EVALUATION = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.7500, 2.0000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral;\t()
C-E4:\tAnger; Neutral;\t(a; b)
C-F1:\tExcited;\t(curious)
A-E3:\tval 3; act 2; dom  2;\t()
A-E4:\tval 2; act 3; dom  ;\t(mildly aggravated but staying polite, attitude)
A-F1:\tval 3; act 2; dom  1;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M001\txxx\t[2.0000, 3.0000, 2.5000]
C-E2:\tFrustration;\t()
C-E3:\t;\t()
C-E4:\tAnger;\t()
"""


def iemocap(root, evaluation=EVALUATION, **tables):
    return put(root, [TURN.format("F000"), TURN.format("M001")], {
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": evaluation,
        "Session1/dialog/transcriptions/Ses01F_impro01.txt":
            "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\nM: You're up.\n", **tables})


def test_iemocap_label_raters_and_speaker_of_a_turn(tmp_path):
    first, second = read("iemocap", iemocap(tmp_path))[0].values()
    assert (first.emotion, first.speaker, first.start) == ("neutral", "Ses01F", None)
    extra = dict(first.extra)
    assert extra.pop("p_neutral") == pytest.approx(2.5 / 3)
    assert extra.pop("p_anger") == pytest.approx(0.5 / 3)
    assert extra == {
        "session": "1", "dialogue": "Ses01F_impro01", "language": "en", "gender": "female",
        "style": "improvised", "valence": 2.5, "arousal": 2.75, "dominance": 2.0,
        "n_ratings": 3, "agreement": 1.0, "text": "Excuse me."}
    # the speaker is the letter of the turn, not that of the dialogue
    assert (second.emotion, second.speaker) == ("no agreement", "Ses01M")
    assert second.extra["n_ratings"] == 2 and "text" not in second.extra


def test_iemocap_ratings_mark_what_speakers_say_of_themselves(tmp_path):
    ratings = {(item.utterance[-4:], item.rater): item
               for item in PARSERS["iemocap"].ratings(iemocap(tmp_path))}
    assert set(ratings) == {("F000", "E2"), ("F000", "E3"), ("F000", "E4"), ("F000", "self_F1"),
                            ("M001", "E2"), ("M001", "E4")}
    assert ratings["F000", "E4"].emotion == "anger;neutral"
    assert ratings["F000", "E4"].values == {"valence": 2.0, "arousal": 3.0}
    assert ratings["F000", "self_F1"].emotion == "excited"
    assert ratings["F000", "self_F1"].values["dominance"] == 1.0


def test_iemocap_passes_over_dialogues_hidden_files_and_the_folders_of_single_raters(tmp_path):
    iemocap(tmp_path, **{
        "Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt": b"\x00\x05\x16\x07",
        "Session1/dialog/EmoEvaluation/Categorical/Ses01F_impro01_e2_cat.txt": "nothing"})
    put(tmp_path, ["Session1/dialog/wav/Ses01F_impro01.wav", "Session1/dialog/avi/DivX/"
                   "Ses01F_impro01.avi", "Session1/sentences/wav/Ses01F_impro01/._x.wav"])
    utterances, misfits = read("iemocap", tmp_path)
    assert len(utterances) == 2 and misfits == {}


def test_iemocap_below_one_more_folder_is_read_all_the_same(tmp_path):
    iemocap(tmp_path / "IEMOCAP_full_release")
    assert len(read("iemocap", tmp_path)[0]) == 2


@pytest.mark.parametrize("line, message", [
    ("[1 - 2]\tSes01F_impro01_F000\tneu\t[2.5, 2.5]", r"impro01.txt:1: .* is not '\[start"),
    ("[1 - 2]\tSes01F_impro01_F000\tneu\t[2.5, x, 1]", r"impro01.txt:1: 'x' is not a number"),
])
def test_iemocap_broken_evaluation_names_its_line(line, message, tmp_path):
    with pytest.raises(CorpusError, match=message):
        read("iemocap", iemocap(tmp_path, line + "\n"))


def test_iemocap_reads_the_151_dialogues_of_the_release(tmp_path):
    items = list(PARSERS["iemocap"].stand_ins())
    first = {item.path.rpartition("/")[0]: item for item in reversed(items)}
    dialogues = [folder.rpartition("/")[2] for folder in first]
    assert [sum(name[4] == session for name in dialogues) for session in "12345"] == [
        28, 30, 32, 30, 31]
    assert {"Ses03M_impro05a", "Ses03M_impro05b", "Ses03M_impro08a", "Ses03M_impro08b",
            "Ses05M_script01_1b", "Ses05F_script01_1"} < set(dialogues)
    assert not {"Ses03M_impro05", "Ses03M_impro08", "Ses01F_impro08"} & set(dialogues)
    put(tmp_path, [item.path for item in first.values()],
        PARSERS["iemocap"].stand_in_tables(first.values()))
    put(tmp_path, [f"Session3/dialog/wav/{name}.wav" for name in dialogues if name[4] == "3"])
    utterances, misfits = read("iemocap", tmp_path)
    assert {item.extra["dialogue"] for item in utterances.values()} == set(dialogues)
    assert len(dialogues) == 151 and misfits == {}
    assert all(item.extra["text"] for item in utterances.values())


def test_iemocap_published_counts():
    counts = Counter(item.emotion for item in PARSERS["iemocap"].stand_ins())
    assert counts["no_agreement"] == 2507 and counts["frustration"] == 1849
    four = [counts[word] for word in ("anger", "sadness", "neutral")]
    assert four == [1103, 1084, 1708] and counts["happiness"] + counts["excitement"] == 1636
    assert sum(four) + 1636 == 5531


def test_iemocap_folds_by_session_leave_one_session_out():
    rows = pd.DataFrame([
        {"utterance": f"iemocap/{item.path}", "corpus": "iemocap", "emotion": item.emotion,
         "speaker": f"iemocap/{item.speaker}", "session": item.path[7], "partition": ""}
        for item in PARSERS["iemocap"].stand_ins()])
    partition, fold, info = assign_partitions(rows, PartitionRule("folds", by="session"))
    assert (info.kind, info.n_folds, info.speaker_disjoint) == ("folds", 5, True)
    assert dict(zip(rows["session"], fold)) == {str(n): str(n - 1) for n in range(1, 6)}
    assert set(rows["session"][partition == "test"]) == {"1"}
    assert set(rows["session"][partition == "dev"]) == {"2"}
    assert info.words.startswith("5 folds, one for each session; the single split tests session 1")


# folds by a column

def sessions(**columns):
    rows = [{"utterance": f"mine/{session}{letter}{take}", "corpus": "mine", "emotion": "a",
             "speaker": f"mine/{session}{letter}", "session": session, "partition": ""}
            for session in ("1", "2", "10") for letter in "fm" for take in range(2)]
    return pd.DataFrame(rows).assign(**columns)


def test_folds_by_a_column_are_in_the_order_of_numbers():
    _, fold, _ = assign_partitions(sessions(), PartitionRule("folds", by="session"))
    assert fold.tolist() == ["0"] * 4 + ["1"] * 4 + ["2"] * 4


@pytest.mark.parametrize("rows, column, error, message", [
    (sessions(), "sesion", ConfigError, "no column 'sesion'.*Did you mean 'session'"),
    (sessions(session=["1"] * 11 + [""]), "session", ManifestError,
     "1 of 12 utterances have no 'session'.*mine/10m1"),
    (sessions(session=["1", "2"] * 6), "session", ConfigError, "has 2 values"),
    (sessions(session=["1", "2", "3"] * 4), "session", ManifestError,
     r"speakers \(6\) stand under several values of 'session': mine/10f"),
])
def test_a_column_that_makes_no_folds_is_an_error(rows, column, error, message):
    with pytest.raises(error, match=message):
        assign_partitions(rows, PartitionRule("folds", by=column), where="corpora.yaml:3")


def test_by_belongs_to_folds_and_excludes_k(tmp_path):
    path = tmp_path / "corpora.yaml"
    for rule, message in (("{rule: auto, by: session}", "'by' belongs to the rule 'folds'"),
                          ("{rule: folds, by: session, k: 5}", "Remove 'k' or 'by'")):
        path.write_text(f"emodb:\n  root: x\n  partitions: {rule}\n")
        with pytest.raises(ConfigError, match=message):
            read_specs(path)


def test_crema_d_has_the_five_speaker_folds_of_emo_superb(tmp_path):
    items = few("crema_d", 700)
    put(tmp_path, [item.path for item in items])
    folds = {}
    for item in PARSERS["crema_d"].parse(tmp_path):
        folds.setdefault(item.extra["emo_superb"], set()).add(int(item.speaker))
    assert {fold: (min(actors), max(actors), len(actors)) for fold, actors in folds.items()} == {
        "1": (1037, 1054, 18), "2": (1001, 1018, 18), "3": (1073, 1091, 19),
        "4": (1055, 1072, 18), "5": (1019, 1036, 18)}
    rows = pd.DataFrame([{"utterance": item.path, "corpus": "crema_d", "emotion": item.emotion,
                          "speaker": item.speaker, "partition": "",
                          "emo_superb": item.extra["emo_superb"]}
                         for item in PARSERS["crema_d"].parse(tmp_path)])
    _, fold, info = assign_partitions(rows, PartitionRule("folds", by="emo_superb"))
    assert info.speaker_disjoint and set(rows["speaker"][fold == "0"]) == {
        str(actor) for actor in range(1037, 1055)}


# MSP-Podcast

CONSENSUS = ("FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
             "MSP-PODCAST_0001_0008.wav,N,4.2,3.6,4.4,127,Female,Train\n"
             "MSP-PODCAST_0002_0033.wav,X,5.0,3.0,4.0,Unknown,Unknown,Test2\n"
             "MSP-PODCAST_0003_0001.wav,H,5.0,6.0,4.0,9,Male,Development\n")
TURNS = [f"Audios/MSP-PODCAST_{name}.wav" for name in ("0001_0008", "0002_0033", "0003_0001")]
DETAIL = ("FileName,EmoDetail\n"
          'MSP-PODCAST_0001_0008.wav,"WORKER00000001; Neutral; Neutral,Concerned; A:4.0; V:3.0; '
          'D:5.0;"\n'
          'MSP-PODCAST_0001_0008.wav,"WORKER00000002; Other-Curious; A:5.0; V:4.0; D:4.0;"\n')
BY_COLUMN = ("FileName,{},EmoClass_Major,EmoClass_Second,EmoAct,EmoVal,EmoDom\n"
             'MSP-PODCAST_0001_0008.wav,WORKER00000001,Neutral,"Neutral,Concerned",4,3,5\n'
             "MSP-PODCAST_0001_0008.wav,WORKER00000002,Other-Curious,Other,5,4,4\n")
JSON = json.dumps({"MSP-PODCAST_0001_0008.wav": {
    "WORKER00000001": {"EmoClass_Major": "Neutral", "EmoClass_Second": "Neutral,Concerned",
                       "EmoAct": "4", "EmoVal": "3", "EmoDom": "5"},
    "WORKER00000002": {"EmoClass_Major": "Other-Curious", "EmoAct": "5", "EmoVal": "4",
                       "EmoDom": "4"}}})


@pytest.mark.parametrize("consensus", ["Labels/labels_consensus.csv",
                                       "Labels/labels_concensus.csv"])
@pytest.mark.parametrize("detailed, text", [
    ("Labels/labels_detailed.csv", DETAIL),
    ("Labels/labels_detailed.csv", BY_COLUMN.format("Workers")),
    ("Labels/labels_detailed.csv", BY_COLUMN.format("WorkerID")),
    ("Labels/labels_detailed.json", JSON)])
def test_msp_podcast_reads_every_release_alike(consensus, detailed, text, tmp_path):
    put(tmp_path, TURNS, {consensus: CONSENSUS, detailed: text,
                          "Transcripts/MSP-PODCAST_0001_0008.txt": "so I said\n"})
    utterances, misfits = read("msp_podcast", tmp_path)
    first, second, third = utterances.values()
    assert misfits == {} and PARSERS["msp_podcast"].recognises(tmp_path)
    assert (first.emotion, first.speaker, first.partition) == ("neutral", "127", "train")
    assert first.extra == {
        "language": "en", "split": "Train", "arousal": 4.2, "valence": 3.6, "dominance": 4.4,
        "n_ratings": 2, "p_neutral": 0.5, "p_other": 0.5, "agreement": 0.5, "gender": "female",
        "text": "so I said"}
    assert (second.emotion, second.speaker, second.partition) == ("no agreement", "", "test")
    assert second.extra["split"] == "Test2" and "gender" not in second.extra
    assert third.partition == "dev"
    assert list(PARSERS["msp_podcast"].ratings(tmp_path)) == [
        Rating("MSP-PODCAST_0001_0008", "WORKER00000001", "neutral",
               {"arousal": 4.0, "valence": 3.0, "dominance": 5.0}),
        Rating("MSP-PODCAST_0001_0008", "WORKER00000002", "other",
               {"arousal": 5.0, "valence": 4.0, "dominance": 4.0})]


def test_msp_podcast_hidden_labels_are_named_not_guessed(tmp_path):
    put(tmp_path, [*TURNS, "Audios/MSP-PODCAST_0009_0001.wav", "Audios/MSP-PODCAST_0009_0002.wav"],
        {"Labels/labels_consensus.csv": CONSENSUS, "Partitions.txt":
            "Test3; MSP-PODCAST_0009_0001.wav\nTrain; MSP-PODCAST_0001_0008.wav\n"})
    utterances, misfits = read("msp_podcast", tmp_path)
    assert len(utterances) == 3
    assert misfits == {
        "Audios/MSP-PODCAST_0009_0001.wav": "its label is hidden (Test3)",
        "Audios/MSP-PODCAST_0009_0002.wav": "labels_consensus.csv has no label of it"}


def test_msp_podcast_early_releases_have_partitions_and_speakers_beside(tmp_path):
    put(tmp_path, ["Audio/MSP-PODCAST_0001_0008.wav"], {
        "Labels/labels_concensus.csv": "FileName,EmoClass\nMSP-PODCAST_0001_0008.wav,N\n",
        "Partitions.txt": "Validation; MSP-PODCAST_0001_0008.wav\n",
        "Speaker_ids.txt": "MSP-PODCAST_0001_0008.wav; 23\n"})
    utterance, = read("msp_podcast", tmp_path)[0].values()
    assert (utterance.partition, utterance.speaker) == ("dev", "23")


@pytest.mark.parametrize("table, text, message", [
    ("labels_consensus.csv", CONSENSUS.replace("4.2", "high"), "EmoAct of MSP.*'high' is not a"),
    ("labels_consensus.csv", "FileName,Emotion\n", "lacks column EmoClass"),
    ("labels_detailed.csv", "FileName,Worker\nMSP-PODCAST_0001_0008.wav,1\n", "neither EmoDetail"),
    ("labels_detailed.csv", "FileName,EmoDetail\nMSP-PODCAST_0001_0008.wav,x\n", "'x' is not"),
    ("labels_detailed.json", '{"MSP-PODCAST_0001_0008.wav": {"WORKER1": {}}}', "EmoClass_Major"),
    ("labels_detailed.json", "not json", "labels_detailed.json' is not"),
])
def test_msp_podcast_broken_tables_are_named(table, text, message, tmp_path):
    put(tmp_path, TURNS, {"Labels/labels_consensus.csv": CONSENSUS, f"Labels/{table}": text})
    with pytest.raises(CorpusError, match=message):
        read("msp_podcast", tmp_path)


# MSP-IMPROV

IMPROV = """UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:3.000000; V:3.500000; D:3.000000; N:4.000000;
w-p1; Neutral; A:3; V:4; D:3; N:4;
w-p2; Neutral,Happy; A:3; V:3; D:3;

UTD-IMPROV-S01A-F01-P-FM02.avi; Z; A:1.000000; V:1.500000; D:3.000000; N:4.000000;
"""


@pytest.mark.parametrize("table", ["Evaluation.txt", "Evalution.txt", "evaluation.csv"])
def test_msp_improv_joins_clips_and_recordings(table, tmp_path):
    files = [f"Audio/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM0{number}.wav" for number in (1, 2)]
    put(tmp_path, files, {table: IMPROV.partition("\n\n")[0]})
    assert PARSERS["msp_improv"].recognises(tmp_path)
    utterances, misfits = read("msp_improv", tmp_path)
    (key, utterance), = utterances.items()
    assert (key, utterance.speaker) == ("MSP-IMPROV-S01A-F01-P-FM01", "F01")
    assert utterance.extra == {
        "session": "1", "language": "en", "style": "natural", "gender": "female", "scene": "S01",
        "target": "angry", "arousal": 3.0, "valence": 3.5, "dominance": 3.0, "naturalness": 4.0,
        "n_ratings": 2, "p_neutral": 0.75, "p_happy": 0.25, "agreement": 1.0}
    assert misfits == {files[1]: "the table of labels does not name it"}
    first, second = PARSERS["msp_improv"].ratings(tmp_path)
    assert (second.rater, second.emotion, len(second.values)) == ("w-p2", "neutral;happy", 3)


def test_msp_improv_published_counts():
    items = list(PARSERS["msp_improv"].stand_ins())
    counts = Counter(item.emotion for item in items)
    assert (counts["happiness"], counts["neutral"], counts["sadness"], counts["anger"]) == (
        2644, 3477, 885, 792)
    assert len({item.speaker for item in items}) == 12


def test_msp_improv_rater_before_any_clip_is_an_error(tmp_path):
    put(tmp_path, ["session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav"],
        {"Evaluation.txt": "w-p1; Neutral; A:3;\n"})
    with pytest.raises(CorpusError, match="Evaluation.txt:1: .* is no line of a clip"):
        read("msp_improv", tmp_path)


# MELD and EmoryNLP

HEAD = ("Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,"
        "StartTime,EndTime\n")


def sent(rows):
    return HEAD + "".join(f'{row},8,21,"00:16:16,059","00:16:21,731"\n' for row in rows)


def meld(root, encoding="utf-8"):
    train = sent(['1,"You’ve said ""no"", twice.",Chandler,joy,positive,0,0',
                  "2,Hi!,All,surprise,positive,0,1", "3,No.,The Waiter,anger,negative,1,0"])
    return put(root, ["train/train_splits/dia0_utt0.mp4", "train/train_splits/dia0_utt1.MP4",
                      "dev_splits_complete/dia0_utt0.mp4", "train/train_splits/dia1_utt0.wav",
                      "output_repeated_splits_test/dia0_utt0.mp4",
                      "output_repeated_splits_test/final_videos_testdia0_utt0.mp4",
                      "output_repeated_splits_test/._dia0_utt0.mp4"], {
        "train_sent_emo.csv": train.encode(encoding),
        "dev_sent_emo.csv": sent(["1,Hm,Ross,fear,negative,0,0"]),
        "test_sent_emo.csv": sent(["1,Hm,Ross,neutral,neutral,0,0"])})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_meld_joins_films_and_tables_of_either_encoding(encoding, tmp_path):
    utterances, misfits = read("meld", meld(tmp_path, encoding))
    assert list(utterances) == ["dev_dia0_utt0", "test_dia0_utt0", "train_dia0_utt0",
                                "train_dia0_utt1", "train_dia1_utt0"]
    first = utterances["train_dia0_utt0"]
    assert (first.emotion, first.speaker, first.partition) == ("joy", "Chandler", "train")
    assert first.extra["text"] == 'You’ve said "no", twice.'
    assert first.extra["gender"] == "male" and first.extra["dialogue"] == "train_dia0"
    assert utterances["train_dia0_utt1"].speaker == ""
    assert "gender" not in utterances["train_dia1_utt0"].extra
    assert misfits == {"output_repeated_splits_test/final_videos_testdia0_utt0.mp4":
                       "a repeated film of the test archive"}


def test_meld_damaged_films_are_rejected_in_their_own_partition_alone():
    parser = PARSERS["meld"]
    stems = {item.path for item in parser.stand_ins()}
    for name in parser.DAMAGED:
        partition, _, stem = name.partition("_")
        assert f"{parser.FOLDERS[partition]}/{stem}.mp4" in stems
    # plan.py asks by id and by stem, and dia125_utt3 is sound elsewhere
    assert not {Path(path).stem for path in stems} & set(parser.DAMAGED)


def test_emorynlp_characters_are_a_list_in_a_cell(tmp_path):
    rows = ["Hi,['Monica Geller'],Joyful,1,1,1,15,0,0",
            'Oh,"[""Joey\'s Sisters""]",Mad,1,2,1,15,0,0',
            "\"Hm, no\",\"['Ross Geller', 'Ryan']\",Powerful,1,3,1,15,0,0",
            "All!,['#ALL#'],Sad,1,4,1,15,0,0"]
    head = "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode,Start_Time,End_Time\n"
    put(tmp_path, [f"emorynlp_dev_splits/sea1_ep15_sc1_utt{turn}.mp4" for turn in (1, 2, 3, 4)], {
        "emorynlp_dev_final.csv": head + "\n".join(rows) + "\n",
        "emorynlp_train_final.csv": head, "emorynlp_test_final.csv": head})
    utterances, misfits = read("emorynlp", tmp_path)
    assert misfits == {} and {item.partition for item in utterances.values()} == {"dev"}
    assert [item.speaker for item in utterances.values()] == [
        "Monica Geller", "Joey's Sisters", "", ""]
    assert utterances["sea1_ep15_sc1_utt3"].extra["character"] == "Ross Geller, Ryan"
    assert utterances["sea1_ep15_sc1_utt1"].extra["gender"] == "female"


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="EMOKIT_CORPORA is not set")
def test_meld_reads_the_whole_real_list(tmp_path):
    with gzip.open(Path(REAL) / "_trees/meld.tsv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    lines = {partition: [] for partition in PARSERS["meld"].FOLDERS}
    for row in rows:
        folder, _, name = row["path"].rpartition("/")
        partition = next(key for key, value in PARSERS["meld"].FOLDERS.items() if value == folder)
        dialogue, turn = name.removesuffix(".mp4").removeprefix("dia").split("_utt")
        lines[partition].append(f"1,text,Ross,{row['label']},neutral,{dialogue},{turn}")
    lines["train"].append("1,text,Ross,joy,positive,125,3")
    lines["dev"].append("1,text,Ross,joy,positive,110,7")
    put(tmp_path, [row["path"] for row in rows],
        {f"{partition}_sent_emo.csv": sent(text) for partition, text in lines.items()})
    assert PARSERS["meld"].recognises(tmp_path)
    utterances, misfits = read("meld", tmp_path)
    assert len(utterances) == 13706
    assert {Path(path).stem for path in misfits} == {"dia125_utt3", "dia110_utt7"}
    labels = {row["path"]: row["label"] for row in rows}
    assert all(item.emotion == labels[item.path] for item in utterances.values())
    # the stand-ins have what the list has, and the two damaged films
    mine = Counter((item.path.rpartition("/")[0], item.emotion)
                   for item in PARSERS["meld"].stand_ins())
    real = Counter((row["path"].rpartition("/")[0],
                    "happiness" if row["label"] == "joy" else row["label"]) for row in rows)
    assert sum((mine - real).values()) == 2 and not real - mine


# M3ED and MER2023

def test_m3ed_role_raters_and_partition(tmp_path):
    turn = {"StartTime": "00:00:00:01", "EndTime": "00:00:01:03", "Text": "你先把衣服换了",
            "Speaker": "A", "EmoAnnotation": {
                "EmoAnnotator1": "Neutral", "EmoAnnotator2": "Sad,Anger", "EmoAnnotator3": "Sad",
                "final_mul_emo": "Sad,Anger", "final_main_emo": "Sad"}}
    table = {"anjia": {"anjia_1": {"SpeakerInfo": {"A": {
        "Name": "房似锦", "Age": "mid", "Gender": "female", "OtherName": []}},
        "Dialog": {"anjia_1_1": turn}}}}
    put(tmp_path, ["modality_speech/A_anjia_1_1.wav"], {
        "annotation.json": json.dumps(table, ensure_ascii=False),
        "splitInfo/movie_list_val.txt": "renmindemingyi\nanjia"})
    utterance, = read("m3ed", tmp_path)[0].values()
    assert (utterance.id, utterance.emotion, utterance.speaker, utterance.partition) == (
        "anjia_1_1", "sad", "anjia_房似锦", "dev")
    assert utterance.extra == {
        "text": "你先把衣服换了", "language": "zh", "dialogue": "anjia_1", "series": "anjia",
        "emotions": "sad;anger", "age_group": "mid", "gender": "female", "n_ratings": 3,
        "p_neutral": 1 / 3, "p_sad": 0.5, "p_anger": 0.5 / 3, "agreement": 2 / 3}
    assert [item.emotion for item in PARSERS["m3ed"].ratings(tmp_path)] == [
        "neutral", "sad;anger", "sad"]


@pytest.mark.parametrize("text", ["[]", "{", '{"anjia": {"anjia_1": {}}}'])
def test_m3ed_broken_annotation_is_named(text, tmp_path):
    put(tmp_path, ["modality_speech/A_anjia_1_1.wav"], {"annotation.json": text})
    with pytest.raises(CorpusError, match=r"annotation.json' is not \{series: .*\}\}\}\}\}"):
        read("m3ed", tmp_path)


def test_m3ed_a_key_that_stands_twice_is_named(tmp_path):
    def turn(word):
        return {"Speaker": "A", "EmoAnnotation": {"final_main_emo": word, "final_mul_emo": word}}

    text = json.dumps({"anjia": {"anjia_1": {"SpeakerInfo": {}, "Dialog": {
        "anjia_1_1": turn("Sad"), "anjia_1_2": turn("Anger")}}}})
    put(tmp_path, ["modality_speech/A_anjia_1_1.wav"],
        {"annotation.json": text.replace("anjia_1_2", "anjia_1_1")})
    with pytest.raises(CorpusError, match=r"annotation.json: the key 'anjia_1_1' stands twice"):
        read("m3ed", tmp_path)
    (tmp_path / "annotation.json").write_text(text)
    assert [item.emotion for item in read("m3ed", tmp_path)[0].values()] == ["sad"]


def test_mer2023_sets_and_unlabelled_clips(tmp_path):
    put(tmp_path, ["mer2023train/train/sample_00000001.avi", "test1/sample_00000002.avi",
                   "test3/sample_00000003.avi"], {
        "mer2023train/train-label.csv": "name,discrete,valence\nsample_00000001,worried,-2.5\n",
        "test-labels/test1-label.csv": "name,discrete,valence\nsample_00000002,happy,3\n"})
    assert PARSERS["mer2023"].recognises(tmp_path)
    utterances, misfits = read("mer2023", tmp_path)
    assert [(item.emotion, item.partition, item.extra["split"], item.extra["valence"])
            for item in utterances.values()] == [
        ("worried", "train", "train", -2.5), ("happy", "test", "test1", 3.0)]
    assert misfits == {"test3/sample_00000003.avi": "no table of labels names it"}


# what they share

def test_votes_without_raters_or_with_unknown_words():
    assert conversation.votes([[], [""]], "sad", ["sad"]) == {}
    assert conversation.votes([["gloomy"]], "sad", ["sad"]) == {}
    assert conversation.votes([["gloomy"], ["sad"]], "sad", ["sad", "other"], "other") == {
        "n_ratings": 2, "p_sad": 0.5, "p_other": 0.5, "agreement": 0.5}
    assert conversation.votes([["other"]], "sad", ["sad", "other"])["agreement"] == 0.0


def test_spread_gives_every_stretch_its_share():
    words = conversation.spread({"a": 60, "b": 30, "c": 10})
    assert Counter(words) == {"a": 60, "b": 30, "c": 10}
    for start in range(0, 100, 20):
        counts = Counter(words[start:start + 20])
        assert abs(counts["a"] - 12) <= 1 and abs(counts["b"] - 6) <= 1 and counts["c"] == 2


# through the build

def test_time_stamps_past_the_end_stop_the_build_in_words(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abc":
        write_wav(tmp_path / f"raw/{name}.wav", rng.uniform(-0.3, 0.3, 48_000).astype("float32"))
    rows = [f"{name}.wav,{label},{name},{start},{start + 0.4}"
            for name in "abc" for start, label in ((0.0, "anger"), (1.0, "sadness"))]
    rows[1] = "a.wav,sadness,a,1.0,9.5"
    (tmp_path / "raw/list.csv").write_text("\n".join(["file,label,speaker,start,end", *rows]))
    (tmp_path / "corpora.yaml").write_text("mine:\n  format: csv\n  root: raw\n")
    specs = read_specs(tmp_path / "corpora.yaml")
    with pytest.raises(CorpusError, match=r"1 of 6 utterances cannot be read; first: a.wav \(a@1-"
                       r"9.5: a stretch from 1 s to 9.5 s in a file of 3.000 s: its time stamps do "
                       r"not fit\)"):
        build_corpora(specs, tmp_path / "emoset", BuildOptions(jobs=1, report=False))


def test_iemocap_is_built_with_its_ratings_and_session_folds(tmp_path):
    chosen = [item for item in PARSERS["iemocap"].stand_ins()
              if item.emotion in ("neutral", "sadness") and "_impro01_" in item.path]
    rng = np.random.default_rng(0)
    for item in chosen:
        write_wav(tmp_path / item.path, rng.uniform(-0.3, 0.3, 1600).astype("float32"))
    put(tmp_path, tables=PARSERS["iemocap"].stand_in_tables(chosen))
    spec = CorpusSpec(name="iemocap", parser="iemocap", root=str(tmp_path),
                      partitions=PartitionRule("folds", by="session"))
    result, = build_corpora([spec], tmp_path / "emoset", BuildOptions(jobs=1, report=False))
    corpus = open_corpus(tmp_path / "emoset/iemocap")
    assert len(corpus.manifest) == len(chosen) and result.build["counts"]["single_ratings"] == (
        5 * len(chosen))
    assert result.build["scales"]["arousal"] == [1.0, 5.0]
    assert set(corpus.manifest["fold"].astype(str)) == set("01234")
    pairs = corpus.manifest[["session", "fold"]].astype(int).drop_duplicates()
    assert (pairs["session"] == pairs["fold"] + 1).all()
