"""What is special about each parser of acted speech: SAVEE, JL, EmoV-DB, ESD, EMNS and others."""

import csv
import gzip
import os
from collections import Counter
from pathlib import Path

import pytest

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import PARSERS
from emokit.corpora.utterance import Misfit, Utterance

REAL = os.environ.get("EMOKIT_CORPORA")
needs_real = pytest.mark.skipif(not REAL, reason="EMOKIT_CORPORA is not set")


def touch(root, *paths):
    for folder in {(root / path).parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        open(os.path.join(root, path), "wb").close()
    return root


def read(name, root):
    """Utterances and misfits of a folder."""
    results = list(PARSERS[name].parse(root))
    return ([item for item in results if isinstance(item, Utterance)],
            [item for item in results if isinstance(item, Misfit)])


def cells(name):
    """How many stand-ins each speaker and emotion has."""
    return Counter((item.speaker, item.emotion) for item in PARSERS[name].stand_ins())


ACTED = ("asvp_esd", "castro_lima", "eesc", "emns", "emota", "emouerj", "emov_db", "esd",
         "jl_corpus", "mead", "mess", "savee", "thorsten", "vivae")


@pytest.mark.parametrize("name", ACTED)
def test_a_root_one_folder_too_high_and_loud_extensions_read_the_same(name, tmp_path):
    parser, outer = PARSERS[name], "My Download (1)/"
    items = list(parser.stand_ins())[::997]
    touch(tmp_path, *(outer + os.path.splitext(item.path)[0] + ".WAV" for item in items))
    tables = parser.stand_in_tables(items) if hasattr(parser, "stand_in_tables") else {}
    for path, text in tables.items():
        (tmp_path / outer / path).write_text(text, encoding="utf-8")
    found, misfits = read(name, tmp_path)
    assert not misfits
    assert sorted(u.speaker for u in found) == sorted(item.speaker for item in items)
    assert {u.emotion for u in found} <= set(parser.EMOTIONS.values())


# SAVEE

def test_savee_tries_two_letters_before_one(tmp_path):
    touch(tmp_path, "AudioData/DC/sa01.wav", "AudioData/DC/a01.wav", "AudioData/KL/su15.WAV")
    found, misfits = read("savee", tmp_path)
    assert [(u.id, u.speaker, u.emotion) for u in found] == [
        ("DC_a01", "DC", "anger"), ("DC_sa01", "DC", "sadness"), ("KL_su15", "KL", "surprise")]
    assert not misfits and found[0].extra["gender"] == "male"


def test_savee_flat_mirror_and_official_tree_are_the_same_recordings(tmp_path):
    touch(tmp_path, "ALL/DC_n30.wav", "AudioData/DC/n30.wav", "AudioVisualClip/DC/n30.avi")
    found, misfits = read("savee", tmp_path)
    assert [u.id for u in found] == ["DC_n30"] and found[0].path.endswith(".wav")
    assert len(misfits) == 2 and all("a copy of" in item.reason for item in misfits)
    assert PARSERS["savee"].recognises(touch(tmp_path / "flat", "JE_h01.wav"))


def test_savee_without_its_folders_does_not_guess_the_speaker(tmp_path):
    found, misfits = read("savee", touch(tmp_path, "a01.wav"))
    assert not found and "speaker" in misfits[0].reason
    assert not PARSERS["savee"].recognises(tmp_path)


def test_savee_published_counts():
    counts = cells("savee")
    assert set(counts.values()) == {15, 30} and sum(counts.values()) == 480
    assert {emotion for (_, emotion), n in counts.items() if n == 30} == {"neutral"}


# JL-Corpus

def test_jl_reads_only_the_folder_with_texts_and_reads_the_texts(tmp_path):
    folder = "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/"
    touch(tmp_path, folder + "female1_angry_10a_1.wav", folder + "male2_encouraging_3b_2.WAV",
          folder + "copy of something.wav",
          "Raw JL corpus (unchecked and unannotated)/perception/female1_angry_1a_1.wav")
    (tmp_path / (folder + "female1_angry_10a_1.txt")).write_bytes(
        "\ufeffThe  rain\r\nfell.\r\n".encode())
    found, misfits = read("jl_corpus", tmp_path)
    assert [(u.id, u.speaker, u.emotion) for u in found] == [
        ("female1_angry_10a_1", "female1", "angry"),
        ("male2_encouraging_3b_2", "male2", "encouraging")]
    assert found[0].extra["text"] == "The rain fell." and found[0].extra["sentence"] == "10a"
    assert found[1].extra["text"] == "sentence 3b" and found[1].extra["gender"] == "male"
    assert [item.reason.split()[:2] for item in misfits] == [["the", "name"], ["not", "in"]]
    assert PARSERS["jl_corpus"].recognises(tmp_path)


def test_jl_flat_copies_are_read_too(tmp_path):
    found, misfits = read("jl_corpus", touch(tmp_path, "male1_sad_2b_1.flac"))
    assert len(found) == 1 and not misfits and PARSERS["jl_corpus"].recognises(tmp_path)


def test_jl_text_in_another_encoding_is_named(tmp_path):
    touch(tmp_path, "male1_sad_2b_1.wav")
    (tmp_path / "male1_sad_2b_1.txt").write_bytes(b"caf\xe9")
    with pytest.raises(CorpusError, match=r"male1_sad_2b_1\.txt.*utf-8"):
        read("jl_corpus", tmp_path)


# EmoV-DB

def test_emov_speaker_is_the_folder_and_number_the_sentence(tmp_path):
    touch(tmp_path, "bea_Amused/amused_141_168_0147.wav", "sam_Disgusted/Disgust_1-28_0003.wav",
          "jenie/sleepiness_1-28_0001.wav", "josh_Neutral/extra/neutral_1-28_0001.wav",
          "somewhere/anger_1-28_0002.wav", "bea_Amused/rage_1-28_0002.wav")
    (tmp_path / "cmuarctic.data").write_text(
        '( arctic_a0001 "Author of the danger trail." )\n( arctic_b0147 "No." )\n')
    found, misfits = read("emov_db", tmp_path)
    assert {(u.id, u.emotion) for u in found} == {
        ("bea_amused_0147", "amused"), ("sam_disgust_0003", "disgusted"),
        ("jenie_sleepiness_0001", "sleepy"), ("josh_neutral_0001", "neutral")}
    texts = {u.id: u.extra["text"] for u in found}
    assert texts["jenie_sleepiness_0001"] == "Author of the danger trail."
    assert texts["bea_amused_0147"] == "arctic_a0147"
    assert ["rage" in item.reason for item in misfits] == [True, False]
    assert "speaker" in misfits[1].reason and PARSERS["emov_db"].recognises(tmp_path)


# ESD

def test_esd_emotion_and_the_division_of_the_release_follow_from_the_number(tmp_path):
    touch(tmp_path, "0011/Angry/train/0011_000401.wav", "0011/Neutral/0011_000020.wav",
          "0001/Surprise/test/0001_001421.wav", "0001/Sad/0001_000001.wav",
          "0020/Happy/0020_001751.wav")
    found, misfits = read("esd", tmp_path)
    assert [(u.id, u.emotion, u.extra["release_partition"], u.extra["language"])
            for u in found] == [
        ("0001_001421", "surprise", "test", "zh"), ("0011_000401", "angry", "train", "en"),
        ("0011_000020", "neutral", "dev", "en")]
    # it shares all speakers, so it must not become the default
    assert {u.partition for u in found} == {""}
    assert found[0].extra["gender"] == "female" and found[1].extra["gender"] == "male"
    # the same sentence in all emotions, so that partitions share no sentence
    assert found[1].extra["sentence"] == "en051"
    assert "'Sad', but number 1 is 'Neutral'" in misfits[0].reason
    assert "1751" in misfits[1].reason


@pytest.mark.parametrize("speaker, encoding, text", [
    ("0011", "utf-8", "It's “odd”."), ("0001", "gb18030", "他说得对"), ("0003", "utf-16", "他说得对"),
    ("0016", "cp1252", "It’s odd."), ("0012", "utf-8-sig", "plain")])
def test_esd_lists_are_read_in_all_their_encodings(tmp_path, speaker, encoding, text):
    touch(tmp_path, f"{speaker}/Neutral/{speaker}_000001.wav",
          f"{speaker}/Neutral/{speaker}_000002.wav")
    (tmp_path / speaker / f"{speaker}.txt").write_bytes(
        f"{speaker}_000001\t{text}\tNeutral\r\n\r\n{speaker}_000002 damaged line\r\n".encode(
            encoding))
    found, _ = read("esd", tmp_path)
    assert [u.extra["text"] for u in found] == [text, "sentence 2"]


def test_esd_list_in_no_known_encoding_is_named(tmp_path):
    touch(tmp_path, "0001/Neutral/0001_000001.wav")
    (tmp_path / "0001/0001.txt").write_bytes(b"0001_000001\t\xff\xff\xff\tx\n")
    with pytest.raises(CorpusError, match=r"0001\.txt': it is not in utf-8-sig or gb18030"):
        read("esd", tmp_path)


def test_esd_archive_folder_is_recognised(tmp_path):
    name = "Emotion Speech Dataset/0011/Happy/0011_000701.wav"
    assert not PARSERS["esd"].recognises(touch(tmp_path / "a", "0011/Glad/0011_000701.wav"))
    assert not PARSERS["esd"].recognises(tmp_path)
    outer = touch(tmp_path / "b", name.replace("Dataset", "Data"))
    assert PARSERS["esd"].recognises(outer)
    assert PARSERS["esd"].recognises(touch(tmp_path / "c", name))


def test_esd_folders_have_the_published_sizes_in_every_cell():
    sizes = Counter((item.speaker, item.emotion, item.path.split("/")[2])
                    for item in PARSERS["esd"].stand_ins())
    assert {(folder, n) for (*_, folder), n in sizes.items()} == {
        ("evaluation", 20), ("test", 30), ("train", 300)}


# EMNS

TABLE = ("id|utterance|description|emotion|date_created|status|gender|age|level|audio_recording"
         "|user_id\n"
         '1|"Say ""hi""|now"|x|Surprised|d|Complete|Female|20s|3|wavs/recorded_audio_ab1.webm|3\n'
         "2|Old.|x|Happy|d|Needs Updating|Female|20s|0|wavs/recorded_audio.webm|3\n"
         "3|Odd.|x|Sad|d|Complete|Female|20s|0|wavs/recorded_audio_cd2.webm|3\n")


def test_emns_labels_come_from_the_table_and_audio_from_another_folder(tmp_path):
    touch(tmp_path, *(f"cleaned_webm/recorded_audio{end}.webm"
                      for end in ("_ab1", "", "_cd2", "_zz9")))
    (tmp_path / "metadata.csv").write_text(TABLE)
    found, misfits = read("emns", tmp_path)
    assert [(u.id, u.emotion, u.speaker) for u in found] == [
        ("recorded_audio_ab1", "surprised", "3"), ("recorded_audio_cd2", "sad", "3")]
    assert found[0].extra["text"] == 'Say "hi"|now' and found[0].extra["gender"] == "female"
    assert [item.reason for item in misfits] == [
        "metadata.csv marks it 'Needs Updating'", "metadata.csv has no row for it"]


def test_emns_without_its_table_or_with_another_is_an_error(tmp_path):
    touch(tmp_path, "cleaned_webm/recorded_audio.webm")
    with pytest.raises(CorpusError, match="no metadata.csv"):
        read("emns", tmp_path)
    (tmp_path / "metadata.csv").write_text("file,label\n")
    with pytest.raises(CorpusError, match="metadata.csv' lacks column utterance"):
        read("emns", tmp_path)
    (tmp_path / "metadata.csv").write_text(TABLE, encoding="utf-16")
    with pytest.raises(CorpusError, match="Cannot read.*metadata.csv"):
        read("emns", tmp_path)


# ASVP-ESD

def test_asvp_names_of_eight_to_twelve_fields_with_slips_are_read(tmp_path):
    touch(tmp_path, "Audio/actor_/03-02-13-01-01-110-02-02-02-13.wav",
          "Audio/actor_101/03-01-05-01-32-101-02-01.wav",
          "Audio/actor_19/03-02-04-01-09-19-02-03-01-14-01-77.wav",
          "Audio/actor_39/03-02-03-021-10-39-03-01-00-13.wav",
          "Bonus/actor_150/03-02-04-01-52-150-04-01-00-14 -01.wav",
          "Bonus/actor_150/03-02-04-01-52-150-04-01-00-14-01.wav")
    found, misfits = read("asvp_esd", tmp_path)
    assert not misfits and len({u.id for u in found}) == 6
    assert [(u.speaker, u.emotion, u.extra.get("gender")) for u in found] == [
        ("110", "breath", "male"), ("101", "angry", "female"), ("19", "sad", "female"),
        ("39", "happy", "female"), ("150", "sad", None), ("150", "sad", None)]
    assert found[0].extra["language"] == "en" and found[0].extra["channel"] == "non-speech"
    assert "language" not in found[1].extra and found[2].extra["language"] == "zh"
    assert "intensity" not in found[3].extra and found[5].extra["age_group"] == "baby"
    assert PARSERS["asvp_esd"].recognises(tmp_path)


def test_asvp_unknown_emotion_is_a_misfit_and_ravdess_is_not_asvp(tmp_path):
    touch(tmp_path / "a", "Bonus/actor_200/03-01-17-01-02-200-05-02-01-12.wav")
    found, misfits = read("asvp_esd", tmp_path / "a")
    assert not found and misfits[0].reason == "unknown emotion 17 in the name"
    touch(tmp_path / "b", "Actor_01/03-01-05-02-01-02-01.wav")
    assert not PARSERS["asvp_esd"].recognises(tmp_path / "b")
    touch(tmp_path / "c", "ASVP-ESD-Update/Audio/actor_3/03-01-05-02-08-03-02-03-01.wav")
    assert PARSERS["asvp_esd"].recognises(tmp_path / "c")


# MEAD

def test_mead_sound_is_read_and_video_named(tmp_path):
    touch(tmp_path, "M003/audio/angry/level_3/001.m4a", "W009/audio/neutral/level_1/040.M4A",
          "M003/video/front/angry/level_3/001.mp4", "M003/audio/bored/level_1/001.m4a",
          "M003/audio/angry/level_4/001.m4a")
    found, misfits = read("mead", tmp_path)
    assert [(u.id, u.speaker, u.emotion, u.extra["gender"], u.extra["intensity"])
            for u in found] == [
        ("M003_angry_3_001", "M003", "angry", "male", "strong"),
        ("W009_neutral_1_040", "W009", "neutral", "female", "weak")]
    assert [item.reason for item in misfits] == [
        "unknown level 4 in the path", "unknown emotion 'bored' in the path",
        "a video recording; its sound is in audio/"]


# VIVAE

def test_vivae_core_set_is_marked_and_not_read_twice(tmp_path):
    touch(tmp_path, "full_set/S01_anger_low_01.wav", "full_set/S02_pleasure_peak_04.wav",
          "core_set/S01_anger_low_01.wav", "full_set/S02_anger_loud_04.wav")
    found, misfits = read("vivae", tmp_path)
    assert [(u.path, u.emotion, u.extra["intensity"], u.extra["core"]) for u in found] == [
        ("full_set/S01_anger_low_01.wav", "anger", "low", "yes"),
        ("full_set/S02_pleasure_peak_04.wav", "pleasure", "peak", "no")]
    assert [item.reason for item in misfits] == [
        "a copy of full_set/S01_anger_low_01.wav by its name",
        "unknown intensity 'loud' in the name"]


def test_vivae_core_set_alone_is_read(tmp_path):
    found, misfits = read("vivae", touch(tmp_path, "core_set/S01_fear_peak_02.wav"))
    assert len(found) == 1 and not misfits and PARSERS["vivae"].recognises(tmp_path)


def test_vivae_counts():
    counts = Counter((item.speaker, item.emotion, item.path.split("_")[3])
                     for item in PARSERS["vivae"].stand_ins())
    assert len(counts) == 11 * 6 * 4 and set(counts.values()) == {4, 5}


# MESS, emoUERJ, EmoTa

def test_mess_letters(tmp_path):
    found, misfits = read("mess", touch(tmp_path, "AF1M01_SCR.wav", "sm3v30_scr.WAV",
                                        "BF1M01_SCR.wav"))
    assert [(u.id, u.emotion, u.speaker, u.extra["gender"], u.extra["cue"]) for u in found] == [
        ("AF1M01", "angry", "F1", "female", "M"), ("SM3V30", "sad", "M3", "male", "V")]
    assert len(misfits) == 1
    assert set(cells("mess").values()) == {75}


def test_emouerj_letters_and_published_counts(tmp_path):
    found, misfits = read("emouerj", touch(tmp_path, "m01h01.wav", "W04A11.wav", "m05h01.wav"))
    assert [(u.id, u.speaker, u.emotion, u.extra["gender"]) for u in found] == [
        ("w04a11", "w04", "anger", "female"), ("m01h01", "m01", "happiness", "male")]
    assert [item.path for item in misfits] == ["m05h01.wav"]
    counts = Counter(item.emotion for item in PARSERS["emouerj"].stand_ins())
    assert counts == {"happiness": 91, "anger": 94, "sadness": 100, "neutral": 92}


def test_emota_names(tmp_path):
    found, _ = read("emota", touch(tmp_path, "angry/19_18_ang.wav", "fear/2_7_fea.wav"))
    assert [(u.id, u.speaker, u.emotion) for u in found] == [
        ("19_18_ang", "19", "angry"), ("02_07_fea", "02", "fear")]


# Thorsten

HASH = "0123456789abcdef0123456789abcdef"


def test_thorsten_folder_is_the_style_and_the_sentence_is_shared(tmp_path):
    outer = "thorsten-emotional_v02/"
    touch(tmp_path, f"{outer}amused/{HASH}.wav", f"{outer}whisper/{HASH}.wav",
          f"{outer}loud/{HASH}.wav")
    (tmp_path / outer / "thorsten-emotional-metadata.csv").write_text(
        f"{HASH}|Mist, wieder nichts geschafft.\n", encoding="utf-8")
    found, misfits = read("thorsten", tmp_path)
    assert [(u.id, u.emotion, u.extra["text"]) for u in found] == [
        (f"amused_{HASH}", "amused", "Mist, wieder nichts geschafft."),
        (f"whisper_{HASH}", "whisper", "Mist, wieder nichts geschafft.")]
    assert "'loud' is none of amused" in misfits[0].reason
    assert PARSERS["thorsten"].recognises(tmp_path)
    assert PARSERS["thorsten"].recognises(tmp_path / outer)


def test_thorsten_foreign_table_names_its_line(tmp_path):
    touch(tmp_path, f"amused/{HASH}.wav")
    path = tmp_path / "thorsten-emotional-metadata.csv"
    path.write_text(f"{HASH}|Ja.\nfile,text\n")
    with pytest.raises(CorpusError, match="metadata.csv:2: 'file,text' is not"):
        read("thorsten", tmp_path)
    path.write_bytes("Käse|x".encode("latin-1"))
    with pytest.raises(CorpusError, match="Cannot read"):
        read("thorsten", tmp_path)


# Castro & Lima

def test_castro_lima_texts_come_from_both_tables_whatever_the_blank(tmp_path):
    folder = "Castro-BRM-2010 Sents/"
    touch(tmp_path, folder + "1sA_angry1.wav", "62pB_fear8.wav", "190sB_surprise32.wav")
    header = "a\nb\nc\nd\ne\nN\tStimulus \tContent\tAccuracy\tIntensity (1-7)\n"
    (tmp_path / folder / "Castro_2010_AppxB_Sents.txt").write_text(
        header + "1\t1sA_angry1\taTerra\t90\t5.5\n")
    (tmp_path / " Castro_2010_AppxB_Pseudosents.txt").write_text(
        header + "1\t62pB_fear8\toLao\t60\t4.0\n")
    found, misfits = read("castro_lima", tmp_path)
    facts = {u.id: (u.speaker, u.emotion, u.extra.get("text"), u.extra.get("intensity"),
                    u.extra["material"]) for u in found}
    assert facts == {
        "1sA_angry1": ("A", "angry", "A Terra é um planeta", "5.5", "sentence"),
        "62pB_fear8": ("B", "fear", "O lão droube a nóma", "4.0", "pseudosentence"),
        "190sB_surprise32": ("B", "surprise", None, None, "sentence")}
    assert not misfits


def test_castro_lima_foreign_table_is_named(tmp_path):
    touch(tmp_path, "1sA_angry1.wav")
    (tmp_path / "Castro_2010_AppxB_Sents.txt").write_text("file\tlabel\n")
    with pytest.raises(CorpusError, match="Sents.txt' is no table by tabs with columns Stimulus"):
        read("castro_lima", tmp_path)


def test_castro_lima_published_numbers():
    items = list(PARSERS["castro_lima"].stand_ins())
    assert Counter("s" in item.path.split("_")[0] for item in items) == {True: 190, False: 178}
    assert {"62pA_fear8.wav", "154sB_sad27.wav", "103pA_neutral15.wav",
            "190sB_surprise32.wav"} <= {item.path for item in items}


# EESC

SHORT = ('File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n2.1\n<exists>\n2\n'
         '"IntervalTier"\n"sentence"\n0\n2.1\n1\n0\n2.1\n"Ta ütles ""ei""."\n'
         '"IntervalTier"\n"emotion"\n0\n2.1\n2\n0\n1\n""\n1\n2.1\n"Joy"\n')


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_eesc_short_textgrids_and_blank_intervals_are_read(tmp_path, encoding):
    touch(tmp_path, "12.wav")
    (tmp_path / "12.TextGrid").write_text(SHORT, encoding=encoding)
    assert PARSERS["eesc"].recognises(tmp_path)
    touch(tmp_path, "13.wav")
    found, misfits = read("eesc", tmp_path)
    assert [(u.emotion, u.extra["text"]) for u in found] == [("joy", 'Ta ütles "ei".')]
    assert [item.path for item in misfits] == ["13.wav"]


def test_eesc_textgrids_of_another_kind_are_not_eesc(tmp_path):
    touch(tmp_path, "12.wav")
    (tmp_path / "12.TextGrid").write_text(SHORT.replace("emotion", "words"))
    assert not PARSERS["eesc"].recognises(tmp_path)
    found, misfits = read("eesc", tmp_path)
    assert not found and "no tier 'emotion'" in misfits[0].reason
    (tmp_path / "12.TextGrid").write_bytes(b"\xff\xff")
    with pytest.raises(CorpusError, match="12.TextGrid"):
        read("eesc", tmp_path)


# the published lists

def published(tree):
    with gzip.open(Path(REAL) / "_trees" / f"{tree}.tsv.gz", "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.real
@needs_real
def test_savee_list_is_read_and_stand_ins_are_it(tmp_path):
    rows = published("savee")
    found, misfits = read("savee", touch(tmp_path, *(row["path"] for row in rows)))
    codes = {word: code for code, word in PARSERS["savee"].EMOTIONS.items()}
    assert not misfits and PARSERS["savee"].recognises(tmp_path)
    assert Counter(codes[u.emotion] for u in found) == Counter(row["label"] for row in rows)
    assert {u.id for u in found} == {
        item.speaker + "_" + Path(item.path).stem for item in PARSERS["savee"].stand_ins()}


@pytest.mark.real
@needs_real
def test_jl_list_is_read_and_stand_ins_are_it(tmp_path):
    rows = published("jlcorpus")
    found, misfits = read("jl_corpus", touch(tmp_path, *(row["path"] for row in rows)))
    assert not misfits and PARSERS["jl_corpus"].recognises(tmp_path)
    assert {u.path: u.emotion for u in found} == {row["path"]: row["label"] for row in rows}
    assert {u.path for u in found} == {item.path for item in PARSERS["jl_corpus"].stand_ins()}


@pytest.mark.real
@needs_real
def test_emov_list_is_read_and_stand_ins_have_its_counts(tmp_path):
    rows = published("emovdb")
    found, misfits = read("emov_db", touch(tmp_path, *(row["path"] for row in rows)))
    words = {"amused": "Amused", "angry": "Angry", "disgusted": "Disgust", "neutral": "Neutral",
             "sleepy": "Sleepy"}
    assert not misfits and PARSERS["emov_db"].recognises(tmp_path)
    assert {u.path: words[u.emotion] for u in found} == {
        row["path"]: row["label"] for row in rows}
    assert Counter(item.path.split("/")[0] for item in PARSERS["emov_db"].stand_ins()) == Counter(
        row["path"].split("/")[0] for row in rows)


@pytest.mark.real
@needs_real
def test_emns_list_is_read_and_stand_ins_have_its_counts(tmp_path):
    rows = published("emns")
    touch(tmp_path, *(row["path"] for row in rows))
    lines = ["utterance|emotion|gender|level|audio_recording"] + [
        f"x|{row['label']}|Female|3|wavs/{Path(row['path']).name}" for row in rows]
    (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n")
    found, misfits = read("emns", tmp_path)
    assert not misfits and PARSERS["emns"].recognises(tmp_path)
    labels = {row["path"]: PARSERS["emns"].EMOTIONS[row["label"]] for row in rows}
    assert {u.path: u.emotion for u in found} == labels
    from emokit.corpora.words import class_word

    assert Counter(map(class_word, labels.values())) == Counter(
        item.emotion for item in PARSERS["emns"].stand_ins())


@pytest.mark.real
@needs_real
def test_asvp_list_is_read_but_for_one_file_and_stand_ins_have_its_counts(tmp_path):
    rows = published("asvpesd")
    found, misfits = read("asvp_esd", touch(tmp_path, *(row["path"] for row in rows)))
    assert PARSERS["asvp_esd"].recognises(tmp_path)
    assert [item.path for item in misfits] == [
        "Bonus/actor_200/03-01-17-01-02-200-05-02-01-12.wav"]
    words = PARSERS["asvp_esd"].EMOTIONS
    labels = {row["path"]: row["label"] for row in rows if row["label"] != "17"}
    assert {u.path: u.emotion for u in found} == {
        path: words[label] for path, label in labels.items()}
    assert len({u.id for u in found}) == 13963
    from emokit.corpora.words import class_word

    assert Counter((u.speaker, class_word(u.emotion)) for u in found) == cells("asvp_esd")
