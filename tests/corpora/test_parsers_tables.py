"""Corpora's own tables: missing files, contradicting rows, unknown labels, wrong encodings."""

import functools
import os
from pathlib import Path

import numpy as np
import pytest

from emokit.core.errors import CorpusError
from emokit.core.files import read_csv
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.parsers import PARSERS, conversation, tables
from emokit.corpora.report import report
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.synthetic import thin
from emokit.corpora.utterance import Misfit, Utterance
from emokit.testing import write_wav

LISTED = ("emns", "emorynlp", "emozionalmente", "fau_aibo", "iemocap", "m3ed", "meld", "mer2023",
          "msp_improv", "msp_podcast", "nemo")
WIDE = ("utf-16", "utf-16-le", "utf-32")


def put(root, files=(), texts=None):
    for path in files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    for path, text in (texts or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


@functools.cache
def stand_ins(name):
    return tuple(PARSERS[name].stand_ins())


def few(name, n=12):
    items = stand_ins(name)
    return sorted(items[::len(items) // n], key=lambda item: item.path)


def parse(name, root):
    items = list(PARSERS[name].parse(root))
    return ([item for item in items if isinstance(item, Utterance)],
            [item for item in items if isinstance(item, Misfit)])


@pytest.mark.parametrize("name", LISTED)
def test_a_listed_file_that_is_missing_is_told_from_other_misfits(name, tmp_path):
    items = few(name)
    stranger = Path(items[-1].path)
    put(tmp_path, [*(item.path for item in items[1:]),
                   stranger.with_name("stranger" + stranger.suffix)],
        PARSERS[name].stand_in_tables(items))
    utterances, misfits = parse(name, tmp_path)
    (lost,) = [item for item in misfits if item.listed]
    assert len(utterances) == len(items) - 1 and len(misfits) == 2
    assert lost.listed == len(items) and Path(lost.path).stem == Path(items[0].path).stem
    assert lost.reason.startswith("listed in ") and "there is no such file" in lost.reason


def test_pavoque_table_without_its_recording_is_missing(tmp_path):
    entry = "- prompt: m1\n  text: a\n  style: {0}\n  start: 0\n  end: 1\n"
    put(tmp_path, ["pavoque-sad.FLAC"], {f"pavoque-{style}.yaml": entry.format(style)
                                         for style in ("angry", "sad")})
    utterances, misfits = parse("pavoque", tmp_path)
    assert [item.id for item in utterances] == ["sad_m1"]
    assert misfits == [Misfit("pavoque-angry.flac", "listed in pavoque-angry.yaml, but there is "
                              "no such file", 2)]


def doubled(text, old, new):
    """Give a table with one line twice, the second time with another word in it."""
    lines = text.splitlines()
    row = next(line for line in lines if old in line)
    return "\n".join([*lines, row.replace(old, new, 1)]) + "\n"


CONTRADICTIONS = {
    "crema_d": ("VideoDemographics.csv", ",\"Male\",", ",\"Female\","),
    "emns": ("metadata.csv", "|Angry|", "|Happy|"),
    "emodb": ("erkennung.txt", "50", "60"),
    "emofilm": ("f_m_corpus_it_es_en_legend.csv", ",Speaker ", ",Teller "),
    "emorynlp": ("emorynlp_train_final.csv", ",Neutral,", ",Mad,"),
    "emozionalmente": ("metadata/samples.csv", ",joy", ",anger"),
    "fau_aibo": ("labels/IS2009EmotionChallenge/chunk_labels_5cl_corpus.txt", " N ", " R "),
    "meld": ("train_sent_emo.csv", ",joy,", ",disgust,"),
    "mer2023": ("mer2023train/train-label.csv", ",angry,", ",happy,"),
    "msp_podcast": ("Labels/labels_consensus.csv", ",N,", ",A,"),
    "nemo": ("data.tsv", "sentence", "phrase"),
}


def with_tables(name, root, n=30):
    items = few(name, n)
    texts = (PARSERS[name].stand_in_tables(items) if name != "emodb" else
             {"erkennung.txt": "Nr\tSatz\terkannt\tnat\n1\t03a01Fa.wav\t50\t70\n"})
    put(root, [item.path for item in items], texts)
    return texts


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradicting_rows_stop_and_are_both_named(name, tmp_path):
    table, old, new = CONTRADICTIONS[name]
    text = with_tables(name, tmp_path)[table]
    lines = text.splitlines()
    first = next(number for number, line in enumerate(lines, 1) if old in line)
    (tmp_path / table).write_text(doubled(text, old, new))
    with pytest.raises(CorpusError) as error:
        parse(name, tmp_path)
    words = str(error.value)
    assert f"{tmp_path / table}:{len(lines) + 1}: '" in words
    assert f" in {tmp_path / table}:{first}" in words and "\n" not in words
    assert "Remove the wrong row" in words


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_equal_rows_do_no_harm(name, tmp_path):
    table, old, _ = CONTRADICTIONS[name]
    text = with_tables(name, tmp_path)[table]
    once = parse(name, tmp_path)
    (tmp_path / table).write_text(doubled(text, old, old))
    assert parse(name, tmp_path) == once and once[0]


@pytest.mark.parametrize("name, table, old, new", [
    ("iemocap", "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt", "\tang\t", "\tsad\t"),
    ("msp_improv", "Evalution.txt", "; N; A:3", "; A; A:3")])
def test_a_turn_with_two_labels_stops(name, table, old, new, tmp_path):
    text = with_tables(name, tmp_path, 400)[table]
    assert old in text
    (tmp_path / table).write_text(text + text.replace(old, new))
    with pytest.raises(CorpusError, match="Remove the wrong row"):
        parse(name, tmp_path)
    (tmp_path / table).write_text(text + text)
    assert parse(name, tmp_path)[0]


def test_the_message_names_what_differs_and_how_many_more():
    rows = [("a", {"emotion": "joy", "text": "x"}, "t:1"), ("b", {}, "t:2"),
            ("a", {"emotion": "fear", "text": "x"}, "t:3"), ("a", {"emotion": "sad"}, "t:4")]
    with pytest.raises(CorpusError, match=r"^t:3: 'a' is emotion 'fear', but emotion 'joy' in t:1 "
                                          r"\(1 more rows contradict others\)\. Remove"):
        tables.unique(rows)
    with pytest.raises(CorpusError, match=r"'a' is emotion 'fear', but emotion 'joy' in t:1\."):
        tables.unique([("a", ("train", {"emotion": "joy"}), "t:1"),
                       ("a", ("train", {"emotion": "fear"}), "t:3")])


@pytest.mark.parametrize("name, table, old, new, known", [
    ("emns", "metadata.csv", "|Angry|", "|Smug|", "Angry, .*Sarcastic"),
    ("emorynlp", "emorynlp_train_final.csv", ",Neutral,", ",Bored,", "Joyful, Mad"),
    ("emozionalmente", "metadata/samples.csv", ",joy", ",boredom", "anger, disgust"),
    ("fau_aibo", "labels/IS2009EmotionChallenge/chunk_labels_5cl_corpus.txt", " N ", " B ", "A, E"),
    ("iemocap", "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt", "\tang\t", "\tbor\t", "ang,"),
    ("meld", "train_sent_emo.csv", ",joy,", ",glee,", "neutral, joy"),
    ("mer2023", "mer2023train/train-label.csv", ",angry,", ",glee,", "neutral, angry"),
    ("msp_improv", "Evalution.txt", "; N; A:3", "; Z; A:3", "A, S, H"),
    ("msp_podcast", "Labels/labels_consensus.csv", ",N,", ",Z,", "A, S, H"),
    ("msp_podcast", "Labels/labels_consensus.csv", ",Train", ",Training", "train, development"),
    ("nemo", "data.tsv", "\tanger\t", "\tglee\t", "anger, fear"),
])
def test_an_unknown_label_in_a_table_stops(name, table, old, new, known, tmp_path):
    text = with_tables(name, tmp_path, 400)[table]
    n_rows = text.count(old)
    line = next(number for number, row in enumerate(text.splitlines(), 1) if old in row)
    (tmp_path / table).write_text(text.replace(old, new))
    label = new.strip("|,; \t").partition(";")[0]
    label = label.lower() if label == "Training" else label
    more = rf" \(and {n_rows - 1:,} more rows" if n_rows > 1 else r"\. "
    with pytest.raises(CorpusError, match=rf":{line}: unknown label '{label}'{more}.*"
                                          rf"Choices: {known}") as error:
        parse(name, tmp_path)
    assert str(tmp_path / table) in str(error.value)


def test_m3ed_unknown_emotion_names_its_turn(tmp_path):
    text = with_tables("m3ed", tmp_path)["annotation.json"]
    (tmp_path / "annotation.json").write_text(text.replace(
        '"final_main_emo": "Neutral"', '"final_main_emo": "Bored"', 1))
    with pytest.raises(CorpusError, match=r"turn [AB]_serie\d+_\d+_\d+: unknown label 'Bored'"):
        parse("m3ed", tmp_path)


@pytest.mark.parametrize("encoding", WIDE)
def test_text_of_two_bytes_a_letter_is_named_as_such(encoding, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes("name,label\na,b\n".encode(encoding))
    message = r"Cannot read '.*labels\.csv': it is UTF-(16|32).*save it as UTF-8"
    for read in (lambda: list(tables.read_table(path, ["name"])),
                 lambda: list(tables.read_table(path, ["name"], encoding="cp1252")),
                 lambda: conversation.read_text(path, "utf-8-sig", "cp1252"),
                 lambda: conversation.fitting(path, "utf-8-sig", "cp1252")):
        with pytest.raises(CorpusError, match=message):
            read()


@pytest.mark.parametrize("name, table, old, new, words", [
    ("crema_d", "VideoDemographics.csv", "1001,", "1001,old", r"csv:2: Age: 'old\d+' is not a num"),
    ("crema_d", "processedResults/tabulatedVotes.csv", ",10\n", ",10\nx,0,0,0,0,0,0,a,0\n",
     r"csv:3: first column: 'x' is not a number"),
    ("crema_d", "processedResults/tabulatedVotes.csv", ",10\n", ",10\n100001,x,0,0,0,0,0,a,0\n",
     r"csv:3: votes A: 'x' is not a number"),
    ("crema_d", "processedResults/tabulatedVotes.csv", ",10\n", ",10\n,0,0,0,0,0,0,a,0\n",
     r"csv:3: first column: '' is not a number"),
    ("nemo", "data.tsv", "\t27", "\tyoung", r"data.tsv:\d+: 'young' is not a number"),
])
def test_a_cell_that_is_no_number_names_its_row(name, table, old, new, words, tmp_path):
    text = with_tables(name, tmp_path)[table]
    assert old in text
    (tmp_path / table).write_text(text.replace(old, new, 1))
    with pytest.raises(CorpusError, match=words):
        parse(name, tmp_path)


def test_emogator_categories_in_utf_16_are_an_error_in_words(tmp_path):
    put(tmp_path, ["data/mp3/000001-01-1.mp3"],
        {"category_names.txt": "01\tAdoration\n".encode("utf-16")})
    with pytest.raises(CorpusError, match="category_names.txt': it is UTF-16"):
        parse("emogator", tmp_path)


# builds

def aibo(root, n_missing=0, n=60):
    """Write n chunks with labels, without the first few files."""
    items = thin(stand_ins("fau_aibo"), 1e-9, n)
    # silence and copies are other findings
    for seed, item in enumerate(items):
        if seed >= n_missing:
            samples = np.random.default_rng(seed).uniform(-0.3, 0.3, 3200)
            write_wav(root / item.path, samples.astype(np.float32))
    put(root, (), PARSERS["fau_aibo"].stand_in_tables(items))
    return CorpusSpec("fau_aibo", str(root), "fau_aibo"), len(items)


def build(spec, out, **flags):
    options = BuildOptions(jobs=1, report=False, allow_missing_classes=True,
                           allow_shared_speakers=True, **flags)
    return build_corpora([spec], out, options)[0]


def test_a_build_that_lacks_much_of_its_list_stops_before_decoding(tmp_path):
    spec, n = aibo(tmp_path / "raw", 8)
    with pytest.raises(CorpusError, match=rf"8 of the {n} files that its own list names are missing"
                       r": wav/\S+\.wav, .* and 5 more\..*Obtain the rest.*--skip-unreadable"):
        build(spec, tmp_path / "emoset")
    assert not (tmp_path / "emoset/.fau_aibo.building").exists()
    result = build(spec, tmp_path / "emoset", skip_unreadable=True)
    counts = result.build["counts"]
    assert (counts["missing"], counts["listed"], counts["rejected"]) == (8, n, 0)
    assert f", missing 8 of {n} listed" in result.words and "rejected" not in result.words
    waived = {row["check"]: row["flag"] for row in result.build["waivers"]}
    assert waived["missing-files"] == "--skip-unreadable"
    assert f"Missing 8 of {n} listed files" in (result.folder / "card.md").read_text()
    rejected = read_csv(result.folder / "rejected.csv")
    assert len(rejected) == 8 and set(rejected["reason"]) == {
        "listed in chunk_labels_5cl_corpus.txt, but there is no such file"}
    page = " ".join(report(tmp_path / "emoset", [result.build], []).split())
    assert f"fau_aibo: missing 8 of {n} listed files<" in page


def test_few_missing_files_are_a_warning(tmp_path):
    spec, n = aibo(tmp_path / "raw", 1)
    put(tmp_path / "raw", ["wav/stranger.wav"])
    result = build(spec, tmp_path / "emoset")
    assert [row["check"] for row in result.build["warnings"]] == ["missing-files"]
    assert f", 1 rejected, missing 1 of {n} listed" in result.words
    page = " ".join(report(tmp_path / "emoset", [result.build], []).split())
    assert f"1 files left out, missing 1 of {n} listed files<" in page


def test_a_bad_stretch_is_named_by_its_utterance_and_its_times_are_to_be_mended(tmp_path):
    entry = "- prompt: m{0}\n  text: a{0}\n  style: {1}\n  start: {2}\n  end: {3}\n"
    for seed, style in enumerate(("angry", "sad")):
        samples = np.random.default_rng(seed).uniform(-0.3, 0.3, 16_000 * 6)
        write_wav(tmp_path / f"raw/pavoque-{style}.wav", samples.astype(np.float32))
        (tmp_path / f"raw/pavoque-{style}.yaml").write_text("".join(
            entry.format(number, style, number, number + (9 if number == 5 and seed else 0.9))
            for number in range(6)))
    spec = CorpusSpec("pavoque", str(tmp_path / "raw"), "pavoque")
    with pytest.raises(CorpusError, match=r"1 of 12 utterances cannot be read; first: "
                       r"pavoque-sad\.wav \(sad_m5: a stretch from 5 s to 14 s in a file of 6\.000 "
                       r"s: its time stamps do not fit\)\. Mend their time stamps\."):
        build(spec, tmp_path / "emoset")
    result = build(spec, tmp_path / "emoset", skip_unreadable=True)
    rejected = read_csv(result.folder / "rejected.csv")
    assert list(rejected["file"]) == ["pavoque-sad.wav"]
    assert rejected["reason"][0].startswith("sad_m5: a stretch from 5 s to 14 s")


def test_a_quote_that_is_not_closed_swallows_no_rows(tmp_path):
    lines = ["file,label", "0.wav,anger", '1.wav,"ang""er', *(f"{n}.wav,joy" for n in range(2, 40))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with pytest.raises(CorpusError, match=r"t\.csv:3: this row ends in line 41: a quote in it is"):
        list(tables.read_table(tmp_path / "t.csv", ["file"]))
    (tmp_path / "t.csv").write_text('file,text\n0.wav,"two\nlines"\n1.wav,"a ""word"""\n')
    assert [row["text"] for row in tables.read_table(tmp_path / "t.csv", ["file"])] == [
        "two\nlines", 'a "word"']


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("EMOKIT_CORPORA"), reason="EMOKIT_CORPORA is not set")
@pytest.mark.parametrize("name, folder", [
    ("crema_d", "CREMA-D"), ("emodb", "EmoDB"), ("nemo", "nEMO")])
def test_published_tables_contradict_nothing(name, folder):
    utterances, _ = parse(name, Path(os.environ["EMOKIT_CORPORA"]) / folder)
    assert utterances or name == "crema_d"
