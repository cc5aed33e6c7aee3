"""Contract of all parsers, and what is special about each."""

import functools
import os
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from emokit.core.errors import CorpusError
from emokit.corpora.discovery import CROWD, discover, recognise
from emokit.corpora.labels import assign_classes
from emokit.corpora.parsers import LISTED, PARSERS, names
from emokit.corpora.parsing import parse
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.utterance import Misfit, Utterance
from emokit.corpora.words import CANONICAL

PUBLISHED = {"crema_d": 7442, "emodb": 535, "emogator": 32130, "nemo": 4481, "ravdess": 1440,
             "tess": 2800,
             "asvp_esd": 13963, "castro_lima": 368, "eesc": 1234, "emns": 1181, "emota": 936,
             "emouerj": 377, "emov_db": 6887, "esd": 35000, "jl_corpus": 2400, "mead": 32160,
             "mess": 1800, "savee": 480, "thorsten": 2400, "vivae": 1085}
PUBLISHED |= {"aesdd": 605, "cafe": 936, "emovo": 588, "emozionalmente": 6902, "mesd": 862,
              "oreau": 434, "pavoque": 7334, "polish_emotions": 450, "resd": 1396}
PUBLISHED |= {"ased": 2474, "baved": 1935, "casia": 1200, "demos": 9697, "emofilm": 1115,
              "enterface": 1263, "fau_aibo": 18216, "shemo": 3000, "smartkom": 3823,
              "subesco": 7000, "susas": 3593, "turev_db": 1735, "urdu": 400}
PUBLISHED |= {"emorynlp": 9489, "iemocap": 10039, "m3ed": 24449, "meld": 13708, "mer2023": 5030,
              "msp_improv": 8438, "msp_podcast": 149307}
# those read from lists under their own names are in test_listed.py
NATIVE = [name for name in PARSERS if name not in LISTED]
REAL = os.environ.get("EMOKIT_CORPORA")
needs_real = pytest.mark.skipif(not REAL, reason="EMOKIT_CORPORA is not set")


PRIMES = (7, 11, 17, 29, 53, 97, 199, 397, 797)
"""Steps that no layout repeats itself in."""


@functools.cache
def thinned(name):
    """Some 400 published files spread over all of them, and the misspelt ones."""
    items = list(PARSERS[name].stand_ins())
    step = next(prime for prime in PRIMES if len(items) / prime <= 420)
    odd = [item for item in items if re.search(r"_X\.|/OA_", item.path)]
    return sorted({item.path: item for item in items[::step] + odd}.values(),
                  key=lambda item: item.path)


def lay_out(root, items, name=None):
    """Create the files of some stand-ins, empty: parsers open no audio."""
    for item in items:
        path = Path(root) / item.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return lay_tables(root, items, name)


def lay_tables(root, items, name):
    """Write the corpus's own tables for some stand-ins, where it has any."""
    tables = getattr(PARSERS[name], "stand_in_tables", None) if name else None
    for path, text in (tables(items) if tables else {}).items():
        (Path(root) / path).parent.mkdir(parents=True, exist_ok=True)
        (Path(root) / path).write_text(text, encoding="utf-8")
    return Path(root)


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


@pytest.mark.parametrize("name", NATIVE)
def test_stand_ins_are_the_published_list(name):
    items = list(PARSERS[name].stand_ins())
    assert len(items) == len({item.path for item in items}) == PUBLISHED[name]
    if name != "emogator":
        assert {item.emotion for item in items} <= set(CANONICAL)


@pytest.mark.parametrize("name", NATIVE)
def test_parser_reads_its_own_layout(name, tmp_path):
    items = thinned(name)
    root = lay_out(tmp_path / "some folder", items, name)
    parser = PARSERS[name]
    assert parser.recognises(root) is True
    utterances = list(parser.parse(root))
    assert all(isinstance(item, Utterance) for item in utterances)
    assert [item.path for item in utterances] == [item.file for item in items]
    assert len({item.id for item in utterances}) == len(items)
    assert {item.emotion for item in utterances} <= set(parser.EMOTIONS.values())
    assert [item.speaker for item in utterances] == [item.speaker for item in items]
    for utterance, item in zip(utterances, items):
        if item.gender:
            assert utterance.extra["gender"] == item.gender
    assert "http" in parser.SOURCE


@pytest.mark.parametrize("name", [name for name in NATIVE if name != "emogator"])
def test_classes_of_stand_ins_are_the_parsers_classes(name, tmp_path):
    items = thinned(name)
    root = lay_out(tmp_path, items, name)
    utterances = list(PARSERS[name].parse(root))
    _, mapping = assign_classes(CorpusSpec(name=name, parser=name),
                                [item.emotion for item in utterances])
    assert [mapping[item.emotion] for item in utterances] == [item.emotion for item in items]


@pytest.mark.parametrize("name", NATIVE)
def test_no_parser_claims_the_folder_of_another(name, tmp_path):
    root = lay_out(tmp_path, thinned(name), name)
    assert [other for other in PARSERS if PARSERS[other].recognises(root)] == [name]


@pytest.mark.parametrize("name", NATIVE)
def test_extension_and_its_case_do_not_matter(name, tmp_path):
    items = thinned(name)[:5]
    for item in items:
        touch(tmp_path, os.path.splitext(item.file)[0] + ".FLAC")
    lay_tables(tmp_path, items, name)
    assert PARSERS[name].recognises(tmp_path)
    found = [item for item in PARSERS[name].parse(tmp_path) if isinstance(item, Utterance)]
    assert [item.speaker for item in found] == [item.speaker for item in items]


@pytest.mark.parametrize("name", NATIVE)
def test_foreign_files_are_misfits_and_hidden_ones_unseen(name, tmp_path):
    items = thinned(name)[:4]
    lay_out(tmp_path, items, name)
    folder = Path(items[0].file).parent
    touch(tmp_path, folder / "holiday.wav", folder / f"._{Path(items[0].file).name}",
          folder / ".DS_Store", ".hidden/03a01Fa.wav", "readme.txt")
    misfits = [item for item in PARSERS[name].parse(tmp_path) if isinstance(item, Misfit)]
    assert [Path(item.path).name for item in misfits] == ["holiday.wav"]
    assert "form" in misfits[0].reason


@pytest.mark.parametrize("name", NATIVE)
def test_a_tree_that_is_there_twice_is_read_once(name, tmp_path):
    items = thinned(name)[:6]
    lay_out(tmp_path, items, name)
    for item in items:
        touch(tmp_path, "copy/" + item.file)
    results = list(PARSERS[name].parse(tmp_path))
    assert [r.path for r in results if isinstance(r, Utterance)] == [i.file for i in items]
    copies = [r for r in results if isinstance(r, Misfit)]
    assert len(copies) == len({item.file for item in items})
    assert copies[0].reason.startswith("a copy of ")


@pytest.mark.parametrize("name", NATIVE)
def test_an_empty_or_missing_folder_is_not_recognised(name, tmp_path):
    assert PARSERS[name].recognises(tmp_path) is False
    assert PARSERS[name].recognises(tmp_path / "missing") is False


def test_ravdess_published_counts_and_its_mirror():
    counts = Counter(item.emotion for item in PARSERS["ravdess"].stand_ins())
    assert counts.pop("neutral") == 96
    assert set(counts.values()) == {192}


def test_ravdess_mirror_with_the_tree_twice(tmp_path):
    name = "Actor_01/03-01-05-02-01-02-01.wav"
    touch(tmp_path, "Audio_Speech_Actors_01-24/" + name,
          "audio_speech_actors_01-24/" + name, name)
    assert PARSERS["ravdess"].recognises(tmp_path)
    utterances = [u for u in PARSERS["ravdess"].parse(tmp_path) if isinstance(u, Utterance)]
    assert [u.path for u in utterances] == [name]
    assert utterances[0].emotion == "angry"
    assert utterances[0].extra == {
        "text": "Kids are talking by the door", "gender": "male", "language": "en",
        "intensity": "strong", "repetition": "02"}


def test_ravdess_song_and_video_are_misfits(tmp_path):
    touch(tmp_path, "Actor_02/03-02-01-01-01-01-02.wav", "Actor_02/01-01-01-01-01-01-02.mp4",
          "Actor_02/03-01-09-01-01-01-02.wav", "Actor_02/03-01-01-01-01-01-02.wav")
    reasons = [item.reason for item in PARSERS["ravdess"].parse(tmp_path)
               if isinstance(item, Misfit)]
    assert [reason.split()[:2] for reason in reasons] == [
        ["a", "video"], ["unknown", "emotion"], ["song;", "only"]]


def test_ravdess_in_one_folder_is_recognised_but_one_actor_is_not(tmp_path):
    touch(tmp_path, "flat/03-01-05-02-01-02-01.wav", "flat/03-01-05-02-01-02-24.wav",
          "x/Actor_01/03-01-05-02-01-02-01.wav", "y/03-01-05-02-01-02-34.wav")
    assert PARSERS["ravdess"].recognises(tmp_path / "flat")
    assert not PARSERS["ravdess"].recognises(tmp_path / "x/Actor_01")
    assert not PARSERS["ravdess"].recognises(tmp_path / "y")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_listed_is_named(tmp_path):
    touch(tmp_path, "wav/03a01Fa.wav")
    (tmp_path / "wav").chmod(0)
    try:
        with pytest.raises(CorpusError, match="Cannot list the folder '.*wav': permission denied"):
            names.audio_files(tmp_path)
    finally:
        (tmp_path / "wav").chmod(0o755)


def test_a_scheme_like_ravdess_with_other_actors_is_not_ravdess(tmp_path):
    touch(tmp_path, "Actor_01/03-01-05-02-01-02-01.wav", "Actor_34/03-01-05-02-01-02-34.wav")
    assert not PARSERS["ravdess"].recognises(tmp_path)


def test_emodb_published_counts_per_class():
    counts = Counter(item.emotion for item in PARSERS["emodb"].stand_ins())
    assert counts == {"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71,
                      "sadness": 62, "neutral": 79}


def test_emodb_agreement_comes_from_the_listening_test(tmp_path):
    touch(tmp_path, "wav/03a01Fa.wav", "wav/03a01Nc.wav")
    (tmp_path / "erkennung.txt").write_bytes(
        b"Nr.\tSatz\terkannt\tnatuerlich\n1  \t03a01Fa.wav\t92,50\xa0\xa0\t75,00   \n")
    first, second = PARSERS["emodb"].parse(tmp_path)
    assert first.extra["agreement"] == 0.925 and first.extra["naturalness"] == 0.75
    assert first.extra["age"] == 31 and first.extra["gender"] == "male"
    assert "agreement" not in second.extra


def test_emodb_damaged_table_names_its_line(tmp_path):
    touch(tmp_path, "wav/03a01Fa.wav")
    (tmp_path / "erkennung.txt").write_text("Nr.\n1\t03a01Fa.wav\tmany\t1\n")
    with pytest.raises(CorpusError, match=r"erkennung\.txt:2: .*many"):
        list(PARSERS["emodb"].parse(tmp_path))


def test_tess_trusts_names_not_folders(tmp_path):
    touch(tmp_path, "OAF_neutral/OA_bite_neutral.wav", "OAF_Fear/OAF_back_ps.wav",
          "YAF_pleasant_surprised/YAF_bar_ps.WAV")
    found = list(PARSERS["tess"].parse(tmp_path))
    assert [(u.id, u.speaker, u.emotion) for u in found] == [
        ("OAF_back_ps", "OAF", "pleasant surprise"), ("OAF_bite_neutral", "OAF", "neutral"),
        ("YAF_bar_ps", "YAF", "pleasant surprise")]
    assert found[2].extra["text"] == "Say the word bar"


def test_tess_flat_copy_and_nested_mirror_are_recognised(tmp_path):
    flat = touch(tmp_path / "flat", "OAF_back_angry.wav", "YAF_back_sad.wav")
    outer = "TESS Toronto emotional speech set data/"
    nested = touch(tmp_path / "nested", outer + "OAF_angry/OAF_back_angry.wav",
                   outer + outer + "OAF_angry/OAF_back_angry.wav")
    assert PARSERS["tess"].recognises(flat) and PARSERS["tess"].recognises(nested)
    assert [type(item) for item in PARSERS["tess"].parse(nested)] == [Utterance, Misfit]


def test_nemo_strips_the_blanks_of_its_table_and_keeps_quotes(tmp_path):
    touch(tmp_path, "samples/EB0_fear_2.wav", "samples/ZZ0_fear_3.wav")
    (tmp_path / "data.tsv").write_text(
        "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
        'EB0_fear_2.wav\tfear\t"Tak" mówi.\ttak\t        EB0\tfemale\t27\n', encoding="utf-8")
    first, other = PARSERS["nemo"].parse(tmp_path)
    assert first.extra["text"] == '"Tak" mówi.' and first.speaker == "EB0"
    assert first.extra["gender"] == "female" and first.extra["age"] == 27.0
    assert other.speaker == "ZZ0" and "gender" not in other.extra


def test_nemo_table_without_its_columns_is_named(tmp_path):
    touch(tmp_path, "samples/EB0_fear_2.wav")
    (tmp_path / "data.tsv").write_text("file\n1\n")
    with pytest.raises(CorpusError, match="data.tsv' lacks column file_id"):
        list(PARSERS["nemo"].parse(tmp_path))


def test_emogator_foreign_category_table_is_an_error(tmp_path):
    touch(tmp_path, "data/mp3/000001-01-1.mp3")
    (tmp_path / "category_names.txt").write_text("01\tAnger\n")
    with pytest.raises(CorpusError, match="category_names.txt:1: .*'01' is Adoration"):
        list(PARSERS["emogator"].parse(tmp_path))


def test_crema_d_published_counts_per_class():
    counts = Counter(item.emotion for item in PARSERS["crema_d"].stand_ins())
    assert counts.pop("neutral") == 1087
    assert set(counts.values()) == {1271} and len(counts) == 5
    genders = {item.speaker: item.gender for item in PARSERS["crema_d"].stand_ins()}
    assert Counter(genders.values()) == {"male": 48, "female": 43}


def test_crema_d_soft_labels_are_the_votes_on_the_voice(tmp_path):
    touch(tmp_path, "AudioWAV/1001_IEO_HAP_LO.wav", "AudioWAV/1040_ITH_SAD_X.wav")
    touch(tmp_path, "AudioMP3/1001_IEO_HAP_LO.mp3")
    (tmp_path / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex"\n1001,51,"Male"\n1040,30,"Female"\n')
    (tmp_path / "processedResults").mkdir()
    (tmp_path / "processedResults/tabulatedVotes.csv").write_text(
        '"","A","D","F","H","N","S","fileName"\n"100002",0,0,0,3,6,0,"1001_IEO_HAP_LO"\n'
        '"100009",2,0,0,0,0,2,"1040_ITH_SAD_XX"\n"300002",0,0,0,9,0,0,"1001_IEO_HAP_LO"\n')
    results = list(PARSERS["crema_d"].parse(tmp_path))
    assert isinstance(results[0], Misfit) and "copy of AudioWAV" in results[0].reason
    happy, sad = results[1:]
    assert happy.emotion == "happiness" and happy.extra["intensity"] == "low"
    assert happy.extra["agreement"] == 3 / 9 and happy.extra["n_ratings"] == 9
    assert happy.extra["perceived"] == "neutral" and happy.extra["p_neutral"] == 6 / 9
    assert happy.extra["gender"] == "male" and happy.extra["age"] == 51.0
    assert sad.id == "1040_ITH_SAD_XX" and sad.extra["perceived"] == "anger:sadness"
    assert "1076_MTI_SAD_XX" in PARSERS["crema_d"].DAMAGED


def test_names_compare_after_unicode_composition(tmp_path):
    touch(tmp_path, unicodedata.normalize("NFD", "Colère/é.wav"))
    file, = names.audio_files(tmp_path)
    assert (file.stem, file.folders) == ("é", ("Colère",))
    assert (tmp_path / file.path).is_file()


def test_a_link_to_a_parent_folder_ends(tmp_path):
    touch(tmp_path, "wav/03a01Fa.wav")
    (tmp_path / "wav" / "loop").symlink_to(tmp_path)
    assert [file.path for file in names.audio_files(tmp_path)] == ["wav/03a01Fa.wav"]


def test_discovery_finds_each_corpus_and_reports_tables_without_audio(tmp_path):
    for name in ("emodb", "ravdess"):
        lay_out(tmp_path / name.upper(), thinned(name), name)
    lay_out(tmp_path / "more" / "nEMO", thinned("nemo")[:9], "nemo")
    touch(tmp_path / "holiday", "a.wav")
    (tmp_path / "CREMA").mkdir()
    for table in ("VideoDemographics.csv", "SentenceFilenames.csv"):
        (tmp_path / "CREMA" / table).touch()
    found = [(item.name, item.folder.name, item.state) for item in discover(tmp_path)]
    assert found == [("crema_d", "CREMA", "no audio"), ("emodb", "EMODB", "found"),
                     ("nemo", "nEMO", "found"), ("ravdess", "RAVDESS", "found")]
    assert discover(tmp_path / "missing") == []


def test_a_folder_of_very_many_folders_is_not_searched_for_corpora(tmp_path):
    lay_out(tmp_path / "many/emodb", thinned("emodb")[:3])
    assert [item.name for item in discover(tmp_path)] == ["emodb"]
    for number in range(CROWD):
        (tmp_path / "many" / f"speaker{number}").mkdir()
    assert discover(tmp_path) == []


@pytest.mark.parametrize("name", NATIVE)
def test_a_folder_of_one_corpus_only_is_still_told_from_the_corpus(name, tmp_path):
    lay_out(tmp_path / name, thinned(name), name)
    found, = discover(tmp_path)
    assert found.folder == tmp_path / name
    assert discover(tmp_path / name) == [found]


@pytest.mark.real
@needs_real
def test_real_folders_are_recognised_and_fully_read():
    expected = {"RAVDESS": ("ravdess", 1440), "EmoDB": ("emodb", 339), "TESS": ("tess", 420),
                "nEMO": ("nemo", 530), "EmoGator": ("emogator", 420)}
    for folder, (name, count) in expected.items():
        root = Path(REAL) / folder
        assert recognise(root) == name
        items = list(parse(CorpusSpec(name=name, parser=name, root=str(root))))
        assert len(items) == count
        assert all(isinstance(item, Utterance) for item in items)


@pytest.mark.real
@needs_real
def test_real_crema_d_voice_majorities_are_the_published_counts():
    from emokit.corpora.parsers import crema_d

    votes = crema_d._voice_votes(Path(REAL) / "CREMA-D")
    majorities = [crema_d._soft_label(row, "anger")["perceived"] for row in votes.values()]
    assert Counter("tie" if ":" in word else word for word in majorities) == {
        "neutral": 3897, "anger": 986, "fear": 645, "disgust": 547, "sadness": 370,
        "happiness": 353, "tie": 644}
    people = crema_d._demographics(Path(REAL) / "CREMA-D")
    assert Counter(person["gender"] for person in people.values()) == {"male": 48, "female": 43}


@pytest.mark.real
@needs_real
@pytest.mark.parametrize("tree, name", [("ravdess", "ravdess"), ("tess", "tess"),
                                        ("cremad", "crema_d"), ("emodb", "emodb")])
def test_stand_ins_have_the_stems_of_the_real_lists(tree, name):
    import csv
    import gzip

    with gzip.open(Path(REAL) / "_trees" / f"{tree}.tsv.gz", "rt", encoding="utf-8") as file:
        real = {Path(row["path"]).stem for row in csv.DictReader(file, delimiter="\t")}
    mine = {Path(item.path).stem for item in PARSERS[name].stand_ins()}
    # the list spells these two regularly
    assert {stem.replace("SAD_XX", "SAD_X").replace("OA_", "OAF_") for stem in real ^ mine} <= {
        "1040_ITH_SAD_X", "OAF_bite_neutral"}
