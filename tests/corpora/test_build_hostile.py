"""What a hostile or unlucky user gives to a build: one line in words, or the right result."""

import os
import signal
import subprocess
import sys
import time

import pytest
import soundfile
from build_tools import build, contents, make_corpus, noise, specs_of

from emokit.core.errors import ConfigError, CorpusError, EmokitError, ManifestError
from emokit.core.files import read_json
from emokit.corpora.build import BuildOptions
from emokit.corpora.spec import read_specs
from emokit.corpora.store import open_corpus
from emokit.testing import write_wav


@pytest.fixture
def raw(tmp_path):
    return make_corpus(tmp_path / "raw")


def refused(tmp_path, raw, words, error=EmokitError, settings="", options=None):
    with pytest.raises(error, match=words) as caught:
        build(tmp_path, mine=(raw, settings), options=options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "emoset" / "mine").exists()
    return str(caught.value)


def test_a_corpus_may_have_the_name_of_the_index(tmp_path, raw):
    done = subprocess.run(
        [sys.executable, "-c", "import sys\nsys.path[:0] = " + repr(sys.path) + "\n"
         "from pathlib import Path\nfrom build_tools import build\n"
         f"build(Path({str(tmp_path)!r}), index=Path({str(raw)!r}))"],
        timeout=60, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert open_corpus(tmp_path / "emoset" / "index").name == "index"


def test_names_that_are_not_utf8_are_refused(tmp_path, raw):
    os.rename(raw / "s2", os.fsencode(raw) + b"/s\xff2")
    refused(tmp_path, raw, r"name of b's\\xff2/anger_0.wav' is not UTF-8. Rename", CorpusError)


def test_blanks_accents_and_line_breaks_in_paths_are_kept(tmp_path, raw):
    for old, new in (("s0", "s 0"), ("s1", "süß,\"1"), ("s2", "s\n2"), ("s3", "<b>3")):
        (raw / old).rename(raw / new)
    build(tmp_path, mine=raw)
    corpus = open_corpus(tmp_path / "emoset" / "mine")
    assert set(corpus.manifest["speaker"]) == {
        f"mine/{name}" for name in ("s 0", "süß,\"1", "s\n2", "<b>3", "s4")}
    card = (tmp_path / "emoset" / "mine" / "card.md").read_text()
    assert "s\\n2" in card and "&lt;b>3" in card and "<b>" not in card


def test_an_error_about_a_line_break_stays_one_line(tmp_path, raw):
    (raw / "s0" / "anger_a\nb.wav").write_bytes(b"")
    assert r"anger_a\nb.wav" in refused(tmp_path, raw, "1 of 31 files cannot be read")


def test_no_flag_is_offered_where_none_would_help(tmp_path, raw):
    for path in raw.rglob("*.wav"):
        path.write_bytes(b"")
    options = BuildOptions(jobs=1, report=False, skip_unreadable=True)
    assert "--" not in refused(tmp_path, raw, "30 of 30 files cannot be read", options=options)
    assert sorted(path.name for path in (tmp_path / "emoset").iterdir()) == [
        ".index.csv.lock", ".mine.building", ".mine.lock"]


def test_folders_without_audio_are_said_to_be_so(tmp_path, raw):
    for path in raw.rglob("*.wav"):
        path.unlink()
    refused(tmp_path, raw, "no audio file below", CorpusError)


@pytest.mark.parametrize("rule,words", [
    ("[auto]", r"corpora.yaml:5: 'partitions' is \['auto'\]; expected a rule"),
    ("7", "corpora.yaml:5: 'partitions' is 7; expected a rule"),
    ("offical", "'rule' is 'offical'. Did you mean 'official'.*Choices: official,"),
])
def test_a_rule_of_the_wrong_kind_is_named_with_its_line(tmp_path, raw, rule, words):
    refused(tmp_path, raw, words, ConfigError, f"partitions: {rule}")


def test_warnings_are_told_where_a_build_is_told(tmp_path, raw):
    write_wav(raw / "s0" / "anger_7.wav", noise(1))
    result, = build(tmp_path, mine=raw)
    assert "warning: duplicates-within-partition (1)" in result.words


def test_an_error_of_the_disk_is_not_put_down_to_the_lock(tmp_path, raw):
    def fail(name, done, total):
        raise NotADirectoryError(20, "Not a directory", "elsewhere")

    with pytest.raises(NotADirectoryError):
        build(tmp_path, mine=raw, progress=fail)


@pytest.mark.parametrize("plant,words", [
    (lambda path: path.mkdir(), "no CSV files where one list is expected"),
    (lambda path: path.write_bytes(b""), "list.csv' is empty. List the files in it"),
    (lambda path: path.write_text("file,label\n"), "name no file"),
    (lambda path: path.write_bytes("file,label\nä.wav,ärger\n".encode("cp1252")), "not UTF-8"),
    (lambda path: path.write_bytes(bytes(range(256)) * 2), "not UTF-8"),
])
def test_a_list_that_is_none_is_named(tmp_path, raw, plant, words):
    plant(raw / "list.csv")
    (tmp_path / "own.yaml").write_text(f"mine:\n  format: csv\n  root: {raw}\n")
    from emokit.corpora.build import build_corpora

    with pytest.raises((CorpusError, ManifestError), match=words):
        build_corpora(read_specs(tmp_path / "own.yaml"), tmp_path / "emoset")


def test_every_codec_in_one_corpus_is_built(tmp_path, raw):
    kinds = [("wav", "PCM_U8", 8000, 1), ("WAV", "PCM_24", 44100, 2), ("wav", "FLOAT", 48000, 1),
             ("OGG", "VORBIS", 48000, 2), ("mp3", "MPEG_LAYER_III", 22050, 1),
             ("aiff", "PCM_16", 44100, 1), ("FLAC", "PCM_24", 96000, 1)]
    import numpy as np

    lengths = {}
    for index, path in enumerate(sorted(raw.rglob("*.wav"))):
        suffix, subtype, rate, channels = kinds[index % len(kinds)]
        path.unlink()
        signal_ = np.random.default_rng(index).uniform(-0.3, 0.3, (rate // 4, channels))
        with open(path.with_suffix("." + suffix), "wb") as file:
            soundfile.write(file, signal_, rate, subtype=subtype, format=suffix.upper())
        lengths[path.with_suffix("." + suffix).relative_to(raw).as_posix()] = int(
            rate // 4 * 16000 / rate + 0.5)
    build(tmp_path, mine=raw)
    corpus = open_corpus(tmp_path / "emoset" / "mine")
    assert dict(zip(corpus.manifest["path"], corpus.audio.lengths)) == lengths


def test_a_corpus_in_the_catalogue_without_parser_is_not_called_unknown(tmp_path):
    with pytest.raises(CorpusError, match="no parser for 'kannada'. Describe your copy"):
        read_specs(None, ["kannada"], tmp_path)


def heed_ctrl_c():
    """Undo what a shell does to commands in the background, the tests among them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_in_one_line_and_the_rerun_gives_equal_bytes(tmp_path, number):
    raw = make_corpus(tmp_path / "raw", per_class=40)
    specs_of(tmp_path, mine=raw)
    command = [sys.executable, "-m", "emokit", "build-corpus", "--no-report", "--jobs", "2",
               "--emoset"]
    subprocess.run([*command, "whole"], cwd=tmp_path, check=True, capture_output=True)
    cut = subprocess.Popen([*command, "cut"], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
                           start_new_session=True, preexec_fn=heed_ctrl_c)
    blocks = tmp_path / "cut" / ".mine.building" / "blocks"
    while cut.poll() is None and not list(blocks.glob("*.json")):
        time.sleep(0.002)
    os.killpg(cut.pid, number)
    _, said = cut.communicate()
    assert cut.returncode == 130 and said.split() and "Run the same command again" in said
    assert "Traceback" not in said and not (tmp_path / "cut" / "mine").exists()
    subprocess.run([*command, "cut"], cwd=tmp_path, check=True, capture_output=True)
    assert contents(tmp_path / "cut" / "mine") == contents(tmp_path / "whole" / "mine")
    assert read_json(tmp_path / "cut" / "mine" / "build.json")["counts"]["utterances"] == 600


def test_a_dry_run_writes_nothing(tmp_path, raw, monkeypatch):
    from click.testing import CliRunner

    from emokit.cli import group

    monkeypatch.chdir(tmp_path)
    specs_of(tmp_path, mine=raw)
    before = contents(tmp_path)
    done = CliRunner().invoke(group, ["build-corpus", "--dry-run"])
    assert done.exit_code == 0 and done.stdout == f"mine: {raw}\n"
    done = CliRunner().invoke(group, ["build-corpus", "--dry-run", "--synthetic", "emodb"])
    assert done.exit_code == 0 and done.stdout == "emodb: stand-ins in synthetic/emodb\n"
    done = CliRunner().invoke(group, ["build-corpus", "--dry-run", "--synthetic", "emod"])
    assert done.exit_code == 1 and "Did you mean 'emodb'" in done.stderr
    assert contents(tmp_path) == before
