"""A copy of a corpus is compared with what was published."""

import gzip
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from emokit.cli import group
from emokit.core.errors import CorpusError, EmokitError
from emokit.corpora.audit import audit, own_folder
from emokit.corpora.audit_list import Published, of_parser, read_list
from emokit.corpora.audit_names import match
from emokit.corpora.catalogue import rows
from emokit.corpora.discovery import Found
from emokit.corpora.parsers import PARSERS
from emokit.corpora.parsers.names import AudioFile, audio_files

TREES = Path(os.environ.get("EMOKIT_CORPORA", "nowhere")) / "_trees"


def write(path, n=160, rate=16_000, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(n, 0.1), rate, **how)


def copy_of(root, name, rate):
    """Write a whole copy with the published names, every file of another length."""
    for number, item in enumerate(of_parser(PARSERS[name])):
        write(root / item.path, 500 + 17 * number, rate)
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return copy_of(tmp_path_factory.mktemp("whole") / "emodb", "emodb", 16_000)


@pytest.fixture
def emodb(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "emodb"))


def found(folder, name="emodb", listing=None):
    """Give check to deviation, and see that the table and the words agree with it."""
    result = audit(name, folder, listing)
    assert [row["check"] for row in result.rows()] == [item.check for item in result.deviations]
    assert all(item.words.endswith(".") and item.mend.endswith(".") for item in result.deviations)
    checks = {item.check: item for item in result.deviations}
    assert len(checks) == len(result.deviations)
    return checks


def test_a_whole_copy_is_as_published(whole):
    result = audit("emodb", whole)
    assert result.as_published and not result.deviations
    assert (result.n_here, result.n_published) == (535, 535)


def test_outer_folders_capitals_flac_and_hidden_files_are_no_deviation(emodb, tmp_path):
    outer = tmp_path / "outer"
    shutil.move(emodb / "wav", outer / "download" / "EmoDB" / "wav")
    for path in sorted((outer / "download/EmoDB/wav").iterdir())[:40]:
        path.rename(path.with_suffix(".WAV"))
    for path in sorted((outer / "download/EmoDB/wav").glob("*.wav"))[:40]:
        samples, rate = soundfile.read(path)
        path.unlink()
        soundfile.write(path.with_suffix(".flac"), samples, rate)
    (outer / "download/EmoDB/wav/._03a01Fa.wav").write_bytes(b"x")
    (outer / "__MACOSX").mkdir()
    (outer / "__MACOSX/03a01Fa.wav").write_bytes(b"x")
    assert not found(outer)


def test_missing_and_further_files_are_named(emodb):
    (emodb / "wav/03a01Fa.wav").unlink()
    (emodb / "wav/03a02Nc.wav").unlink()
    write(emodb / "wav/quite_another_thing.wav")
    checks = found(emodb)
    assert set(checks) == {"missing", "extra"}
    assert checks["missing"].culprits == ("wav/03a01Fa.wav", "wav/03a02Nc.wav")
    assert "quite_another_thing.wav (the name is not of the form" in checks["extra"].words


def test_names_spelt_otherwise_are_matched(tmp_path):
    root = copy_of(tmp_path / "tess", "tess", 24_414)
    (root / "YAF_sad/YAF_back_sad.wav").rename(root / "YAF_sad/yaf_Back-sad.wav")
    (root / "YAF_sad/YAF_chalk_sad.wav").rename(root / "YAF_sad/YAF_chalkk_sad.wav")
    checks = found(root, "tess")
    assert set(checks) == {"misnamed"}
    assert checks["misnamed"].culprits == (
        "YAF_sad/YAF_chalkk_sad.wav (published: YAF_sad/YAF_chalk_sad.wav)",
        "YAF_sad/yaf_Back-sad.wav (published: YAF_sad/YAF_back_sad.wav)")


def test_broken_files_are_told_apart(emodb):
    wav = emodb / "wav"
    (wav / "03a01Fa.wav").write_bytes(b"")
    (wav / "03a01Nc.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    data = (wav / "03a01Wa.wav").read_bytes()
    (wav / "03a01Wa.wav").write_bytes(data[:len(data) // 2])
    (wav / "03a02Fc.wav").write_text("<html>404</html>")
    checks = found(emodb)
    assert {name: item.count for name, item in checks.items()} == {
        "empty": 1, "lfs-pointer": 1, "truncated": 1, "unreadable": 1}
    assert "git lfs pull" in checks["lfs-pointer"].mend


def test_files_damaged_in_the_release_are_no_fault_of_the_copy(tmp_path):
    root = copy_of(tmp_path / "aesdd", "aesdd", 44_100)
    (root / "sadness/s05 (3).wav").write_bytes(b"RIFF")
    result = audit("aesdd", root)
    assert result.as_published and [item.check for item in result.deviations] == ["damaged"]


def test_a_resampled_and_cut_copy_is_found_without_a_list(tmp_path):
    for item in of_parser(PARSERS["emodb"]):
        write(tmp_path / item.path, 4410, 22_050)
    checks = found(tmp_path)
    assert set(checks) == {"resampled", "cut"}
    assert "22050 Hz where most were published at 16000 Hz" in checks["resampled"].words
    assert "one and the same length, 0.20 s" in checks["cut"].words


def test_a_lossy_copy_is_found(tmp_path):
    for number, item in enumerate(of_parser(PARSERS["urdu"])):
        write((tmp_path / item.path).with_suffix(".mp3"), 4410 + 200 * number, 44_100)
    assert set(found(tmp_path, "urdu")) == {"recoded"}


def test_rates_and_lengths_are_compared_with_a_list(emodb, tmp_path):
    lines = ["path\tlabel\tsample_rate\tseconds"]
    for number, item in enumerate(of_parser(PARSERS["emodb"])):
        lines.append(f"{item.path}\tx\t16000\t{(500 + 17 * number) / 16_000:.3f}")
    listing = tmp_path / "list.tsv.gz"
    listing.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert not found(emodb, listing=listing)
    write(emodb / "wav/16b10Wb.wav", 5000)
    write(emodb / "wav/16b10Wa.wav", 20_000)
    write(emodb / "wav/16b10Tb.wav", 4786, 8000)
    checks = found(emodb, listing=listing)
    assert {name: item.culprits[0].split()[0] for name, item in checks.items()} == {
        "cut": "wav/16b10Wb.wav", "longer": "wav/16b10Wa.wav", "resampled": "wav/16b10Tb.wav"}


def test_two_copies_under_one_root_are_both_named(emodb):
    shutil.copytree(emodb / "wav", emodb / "backup/wav")
    checks = found(emodb)
    assert set(checks) == {"duplicate-trees"}
    assert checks["duplicate-trees"].culprits == ("'wav' and 'backup/wav' (535 files)",)


def test_the_same_recording_in_two_formats_is_harmless(emodb):
    for path in sorted((emodb / "wav").glob("03*.wav")):
        samples, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".flac"), samples, rate)
    result = audit("emodb", emodb)
    assert result.as_published and [item.check for item in result.deviations] == ["two-formats"]


def test_a_mixture_of_flat_and_foldered_names_is_found(emodb):
    for path in sorted((emodb / "wav").glob("16*.wav")):
        path.rename(emodb / path.name)
    checks = found(emodb)
    assert set(checks) == {"mixed-releases"}
    assert checks["mixed-releases"].count == len(list(emodb.glob("16*.wav")))


def test_a_flat_copy_of_a_mirror_is_no_deviation(emodb, tmp_path):
    shutil.move(emodb / "wav", tmp_path / "flat")
    assert not found(tmp_path / "flat")
    for number, item in enumerate(of_parser(PARSERS["savee"])):
        write(tmp_path / "savee/ALL" / "_".join(item.path.split("/")[-2:]), 900 + number, 44_100)
    assert not found(tmp_path / "savee", "savee")


@pytest.mark.parametrize("lost", ["ColŠre", "ColÃ¨re", "Col\udce8re", "Col�re"])
def test_accents_lost_in_unpacking_are_found(tmp_path, lost):
    files = [AudioFile(item.path.replace("Colère", lost), "")
             for item in of_parser(PARSERS["cafe"])]
    matched = match(of_parser(PARSERS["cafe"]), files)
    assert matched.undecoded == ((lost, "Colère"),)
    assert not matched.missing and not matched.more and not matched.misnamed


def test_decomposed_accents_are_harmless(tmp_path):
    for number, item in enumerate(of_parser(PARSERS["cafe"])):
        write(tmp_path / unicodedata.normalize("NFD", item.path), 900 + number, 48_000)
    result = audit("cafe", tmp_path)
    assert result.as_published
    assert [item.check for item in result.deviations] == ["decomposed-accents"]


def test_where_names_follow_no_rule_utterances_are_counted(tmp_path):
    for number in range(4400):
        path = tmp_path / "samples" / f"KD0_anger_{number}.wav"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    result = audit("nemo", tmp_path, jobs=2)
    checks = {item.check: item for item in result.deviations}
    assert "81 of 4,481 published utterances are missing" in checks["missing"].words
    assert checks["empty"].count == 4400
    assert "names are not known" in result.words and not result.as_published


def test_a_table_that_cannot_be_read_is_a_deviation(emodb):
    (emodb / "erkennung.txt").write_text("head\nnonsense\n", encoding="latin-1")
    checks = found(emodb)
    assert "erkennung.txt:2" in checks["tables"].words


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_file_is_matched_extra_or_a_copy(data):
    published = [Published(f"s{index % 3}/a{index}.wav") for index in range(12)]
    names = st.sampled_from([item.path for item in published] + ["x.wav", "s1/b.wav"])
    prefix = st.sampled_from(["", "outer/", "copy/"])
    paths = data.draw(st.sets(st.builds(str.__add__, prefix, names), min_size=1))
    files = [AudioFile(path, "") for path in sorted(paths)]
    matched = match(published, files)
    told = [file.path for file in matched.files.values()] + list(matched.more) + [
        path for path, _ in (*matched.copies, *matched.formats)]
    assert sorted(told) == sorted(paths)
    assert len(matched.files) + len(matched.missing) == len(published)


def test_lists_are_read_in_every_form(tmp_path):
    (tmp_path / "a.csv").write_text("path;seconds\nb.wav;1,5\n")
    with pytest.raises(CorpusError, match="a.csv:2: '1,5' is no number"):
        read_list(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("path,sample_rate,seconds\nb.wav,8000,\na.wav,,1.5\n")
    assert read_list(tmp_path / "a.csv") == [
        Published("a.wav", None, 1.5), Published("b.wav", 8000, None)]
    (tmp_path / "a.tsv").write_text("path\tseconds\tstart\tend\nb.flac\t1\t0\t1\nb.flac\t2\t1\t3\n")
    assert read_list(tmp_path / "a.tsv") == [Published("b.flac")]
    (tmp_path / "a.jsonl").write_text(
        '{"key": "k", "wav": "downloads/emodb/wav/a.wav", "sample_rate": 16000, "length": 2.5}\n')
    assert read_list(tmp_path / "a.jsonl") == [Published("emodb/wav/a.wav", 16_000, 2.5)]
    for text, words in (("file,label\na,b\n", "no 'path'"), ("path\n", "names no file"),
                        ('{"wav": 1}\n', "no record of EmoBox")):
        (tmp_path / "bad").write_text(text)
        with pytest.raises(CorpusError, match=words):
            read_list(tmp_path / "bad")
    (tmp_path / "bad").write_bytes("path\ncafé.wav\n".encode("latin-1"))
    with pytest.raises(CorpusError, match="UTF-8"):
        read_list(tmp_path / "bad")
    (tmp_path / "bad.gz").write_bytes(b"no gzip")
    with pytest.raises(CorpusError, match="Cannot read the list"):
        read_list(tmp_path / "bad.gz")


@pytest.mark.parametrize("name,folder,words", [
    ("emodbb", "x", "Did you mean 'emodb'"), ("emodb", "nowhere", "is no folder"),
    ("emodb", "empty", "holds no audio file"), ("ea_act", "empty", "holds no audio file")])
def test_what_cannot_be_compared_is_an_error_in_words(tmp_path, name, folder, words):
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmokitError, match=words):
        audit(name, tmp_path / folder)


def test_the_folder_is_found_below_the_root(emodb, tmp_path):
    assert own_folder("emodb", str(tmp_path)) == emodb
    shutil.copytree(emodb, tmp_path / "again")
    with pytest.raises(CorpusError, match="2 folders look like 'emodb': .*again, .*emodb"):
        own_folder("emodb", str(tmp_path))
    with pytest.raises(CorpusError, match="looks like 'tess'"):
        own_folder("tess", str(tmp_path))


def test_the_command_exits_with_what_it_found(emodb, tmp_path):
    run = CliRunner().invoke
    line = ["corpora", "check", "emodb"]
    result = run(group, line, env={"EMOKIT_CORPORA": str(tmp_path)})
    assert result.exit_code == 0 and "535 of 535" in result.output
    (emodb / "wav/03a01Fa.wav").unlink()
    result = run(group, [*line, str(emodb), "--format", "json"])
    assert result.exit_code == 1 and '"check": "missing"' in result.output
    result = run(group, [*line, str(emodb)])
    assert result.exit_code == 1 and "wav/03a01Fa.wav" in result.output
    result = run(group, ["corpora", "list", "--found", "--format", "csv"],
                 env={"EMOKIT_CORPORA": str(tmp_path)})
    assert "partial 534/535" in result.output
    result = run(group, line, env={"EMOKIT_CORPORA": ""})
    assert result.exit_code == 1 and "EMOKIT_CORPORA is not set" in result.output


def test_states_count_files_where_utterances_share_them(tmp_path):
    here = [Found("pavoque", tmp_path, 6, "found"), Found("emodb", tmp_path, 536, "found"),
            Found("tess", tmp_path, 20, "found"), Found("crema_d", tmp_path, 0, "no audio")]
    states = {row["name"]: row["state"] for row in rows(here)}
    assert [states[name] for name in ("pavoque", "emodb", "tess", "crema_d", "savee")] == [
        "found", "found", "partial 20/2800", "tables only", "missing"]


@pytest.mark.real
@pytest.mark.skipif("EMOKIT_CORPORA" not in os.environ, reason="needs EMOKIT_CORPORA")
@pytest.mark.parametrize("tree,name,missing", [
    ("aesdd", "aesdd", 1), ("ased", "ased", 0), ("cafe", "cafe", 0), ("casia", "casia", 0),
    ("cremad", "crema_d", 0), ("emodb", "emodb", 0), ("emovo", "emovo", 0),
    ("enterface", "enterface", 0), ("jlcorpus", "jl_corpus", 0), ("polish", "polish_emotions", 0),
    ("ravdess", "ravdess", 0), ("savee", "savee", 0), ("shemo", "shemo", 162),
    ("subesco", "subesco", 0), ("tess", "tess", 0), ("turevdb", "turev_db", 0),
    ("urdu", "urdu", 0)])
def test_names_that_are_called_exact_are_those_of_the_real_list(tree, name, missing):
    """One name each of CREMA-D and TESS is spelt in the list as it should be, not as it is."""
    assert PARSERS[name].EXACT
    listed = read_list(TREES / f"{tree}.tsv.gz")
    matched = match(of_parser(PARSERS[name]), [AudioFile(item.path, "") for item in listed])
    assert (len(matched.missing), matched.more, matched.copies) == (missing, (), ())
    assert len(matched.misnamed) == (name in ("crema_d", "tess"))


@pytest.mark.real
@pytest.mark.skipif("EMOKIT_CORPORA" not in os.environ, reason="needs EMOKIT_CORPORA")
def test_real_excerpts_differ_from_the_release_in_what_was_cut_from_them():
    root = Path(os.environ["EMOKIT_CORPORA"])
    for name, folder, wanted in (
        ("ravdess", "RAVDESS", {"resampled": 1440}), ("emodb", "EmoDB", {"missing": 196}),
        ("tess", "TESS", {"missing": 2380}), ("nemo", "nEMO", {"missing": 3951, "resampled": 530}),
        ("emogator", "EmoGator", {"missing": 31_710}),
    ):
        assert {check: item.count for check, item in found(root / folder, name).items()} == wanted
    listed = found(root / "TESS", "tess", TREES / "tess.tsv.gz")
    assert {check: item.count for check, item in listed.items()} == {"missing": 2380}
    assert audio_files(root / "RAVDESS")[0].path.endswith(".flac")


def test_a_corpus_read_from_lists_is_compared_with_them(tmp_path):
    for number in range(4):
        write(tmp_path / f"wav/{number}.wav", 900 + number)
    (tmp_path / "train.csv").write_text("file,label\nwav/0.wav,anger\nwav\\1.wav,neutral\n")
    (tmp_path / "test.csv").write_text("file,label\nwav/2.wav,anger\n")
    result = audit("des", tmp_path)
    assert result.basis == "its own lists" and (result.n_here, result.n_published) == (3, 3)
    assert result.as_published
    assert [(item.check, item.culprits) for item in result.deviations] == [
        ("extra", ("wav/3.wav",))]
    (tmp_path / "wav/0.wav").unlink()
    checks = found(tmp_path, "des")
    assert checks["missing"].culprits == ("wav/0.wav",)
    assert "1 files that its lists name are missing: wav/0.wav." == checks["missing"].words
    (tmp_path / "test.csv").write_text("file,label\nwav/2.wav,pondering\n")
    (tmp_path / "train.csv").unlink()
    assert "labels that 'des' does not have" in found(tmp_path, "des")["tables"].words


def test_a_corpus_read_from_lists_without_lists_says_what_is_expected(tmp_path):
    write(tmp_path / "0.wav")
    with pytest.raises(CorpusError, match="no CSV files where one list is expected"):
        audit("des", tmp_path)
