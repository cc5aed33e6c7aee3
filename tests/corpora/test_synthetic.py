"""Synthetic corpora: which files, where, and what stands in the way; tiny corpora for tests."""

import collections
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emokit import testing
from emokit.core.errors import ConfigError, CorpusError
from emokit.corpora.parsers import PARSERS
from emokit.corpora.speaking import write_audio
from emokit.corpora.synthetic import (
    LEAST_PER_CELL, LEAST_SPEAKERS, MARKER, read_marker, thin, write_synthetic,
)
from emokit.corpora.utterance import Utterance

NAMES = sorted(PARSERS)
SPOKEN = [name for name in NAMES if name != "emogator"]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def published():
    return {name: list(PARSERS[name].stand_ins()) for name in NAMES}


# which files

@pytest.mark.parametrize("name", NAMES)
def test_full_scale_is_the_published_list(published, name):
    assert thin(published[name], 1.0) == published[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale, limit", [(1e-9, None), (0.1, None), (1.0, 400), (0.5, 90)])
def test_every_kept_speaker_keeps_every_emotion(published, name, scale, limit):
    full = collections.Counter((item.speaker, item.emotion) for item in published[name])
    cells = collections.Counter(
        (item.speaker, item.emotion) for item in thin(published[name], scale, limit))
    kept = {speaker for speaker, _ in cells}
    assert len(kept) >= min(4, len({speaker for speaker, _ in full}))
    for cell, n_published in full.items():
        if cell[0] in kept:
            assert cells[cell] >= min(3, n_published)


@pytest.mark.parametrize("name", SPOKEN)
def test_a_limit_is_kept_and_nearly_used(published, name):
    for limit in (200, 400):
        n_files = len(thin(published[name], 1.0, limit))
        # many classes need more for three files of each by four speakers
        least = LEAST_SPEAKERS * LEAST_PER_CELL * len({item.emotion for item in published[name]})
        assert min(0.85 * limit, len(published[name])) <= n_files <= max(limit, least)


@pytest.mark.parametrize("name", SPOKEN)
def test_a_smaller_choice_is_part_of_a_larger_one(published, name):
    former: set[str] = set()
    for limit in (1, 80, 150, 300, 301, 450, 1000):
        chosen = {item.path for item in thin(published[name], 1.0, limit)}
        assert former <= chosen
        former = chosen


@pytest.mark.parametrize("name", ["ravdess", "crema_d", "nemo"])
def test_thinning_keeps_genders_even(published, name):
    genders = {item.speaker: item.gender for item in thin(published[name], 1e-9)}
    assert collections.Counter(genders.values()) == {"female": 2, "male": 2}


def test_the_choice_keeps_the_published_order(published):
    chosen = thin(published["emodb"], 0.5)
    positions = [published["emodb"].index(item) for item in chosen]
    assert positions == sorted(positions)


# writing

@pytest.mark.parametrize("name", NAMES)
def test_the_parser_reads_back_exactly_what_was_written(tmp_path, name, published):
    chosen = thin(published[name], 1e-9)[:24]
    from emokit.corpora import synthetic

    synthetic._write_corpus(tmp_path / name, name, chosen, PARSERS[name], 0, 1e-9, 1, None)
    assert PARSERS[name].recognises(tmp_path / name)
    found = list(PARSERS[name].parse(tmp_path / name))
    assert all(isinstance(item, Utterance) for item in found)
    assert len(found) == len(chosen)
    assert {item.path for item in found} == {item.file for item in chosen}
    speakers = {item.file: item.speaker for item in chosen}
    assert all(speakers[item.path] == item.speaker for item in found)


def test_marker_tables_and_recordings_lie_where_they_are_published(tmp_path):
    for corpus in write_synthetic(tmp_path, ["nemo", "crema_d"], scale=1e-9):
        assert read_marker(corpus.folder)["state"] == "complete"
        assert read_marker(corpus.folder)["corpus"] == corpus.name
    assert (tmp_path / "nemo/data.tsv").is_file()
    assert (tmp_path / "crema_d/VideoDemographics.csv").is_file()
    assert len(list((tmp_path / "crema_d/AudioWAV").glob("*.wav"))) == 72


def test_any_number_of_processes_gives_the_same_bytes_and_a_rerun_writes_nothing(tmp_path):
    write_synthetic(tmp_path / "one", ["emodb"], scale=1e-9, jobs=1)
    written = write_synthetic(tmp_path / "two", ["emodb"], scale=1e-9, jobs=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    again = write_synthetic(tmp_path / "two", ["emodb"], scale=1e-9, jobs=2)
    assert written[0].n_written == written[0].n_files == again[0].n_files
    assert again[0].n_written == 0


def test_a_larger_scale_keeps_what_is_there_and_a_lost_file_comes_back(tmp_path):
    write_synthetic(tmp_path, ["ravdess"], limit=100)
    before = digests(tmp_path / "ravdess")
    more = write_synthetic(tmp_path, ["ravdess"], limit=130)[0]
    assert more.n_written == more.n_files - (len(before) - 1) > 0
    after = digests(tmp_path / "ravdess")
    assert {path: after[path] for path in before if path != MARKER} == {
        path: digest for path, digest in before.items() if path != MARKER}
    lost = tmp_path / "ravdess" / next(path for path in before if path != MARKER)
    lost.unlink()
    assert write_synthetic(tmp_path, ["ravdess"], limit=130)[0].n_written == 1
    assert digests(tmp_path / "ravdess") == after


def test_progress_counts_up_to_all(tmp_path):
    seen = []
    write_synthetic(tmp_path, ["tess"], scale=1e-9, progress=lambda *step: seen.append(step))
    assert seen[0] == ("tess", 0, 42) and seen[-1] == ("tess", 42, 42)
    assert [done for _, done, _ in seen] == list(range(43))


def test_a_killed_writer_is_continued_to_the_same_bytes(tmp_path):
    code = ("import sys; from emokit.corpora.synthetic import write_synthetic;"
            "write_synthetic(sys.argv[1], ['ravdess'], limit=100, jobs=2)")
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "killed")])
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "killed").rglob("*.wav"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.5)  # its writers notice with their next answer
    n_there = len(list((tmp_path / "killed").rglob("*.wav")))
    assert 5 <= n_there < 96
    assert read_marker(tmp_path / "killed/ravdess")["state"] == "writing"
    resumed = write_synthetic(tmp_path / "killed", ["ravdess"], limit=100)[0]
    assert resumed.n_written == resumed.n_files - n_there
    write_synthetic(tmp_path / "whole", ["ravdess"], limit=100)
    killed = {path: digest for path, digest in digests(tmp_path / "killed").items()
              if not path.endswith(".partial")}
    assert killed == digests(tmp_path / "whole")


# what stands in the way

def test_a_folder_with_real_files_is_refused_and_not_touched(tmp_path):
    real = tmp_path / "emodb"
    (real / "wav").mkdir(parents=True)
    (real / "wav/03a01Fa.wav").write_bytes(b"a recording")
    with pytest.raises(CorpusError, match="holds wav and no SYNTHETIC.txt.*empty folder"):
        write_synthetic(tmp_path, ["emodb"], scale=1e-9)
    assert digests(real) == {"wav/03a01Fa.wav": hashlib.sha256(b"a recording").hexdigest()}


def test_another_seed_or_fewer_recordings_are_refused(tmp_path):
    write_synthetic(tmp_path, ["tess"], limit=60)
    before = digests(tmp_path)
    with pytest.raises(CorpusError, match="seed '0', not '1'. Remove that folder"):
        write_synthetic(tmp_path, ["tess"], limit=60, seed=1)
    with pytest.raises(CorpusError, match="already holds 60 .* more than the 42"):
        write_synthetic(tmp_path, ["tess"], scale=1e-9)
    assert digests(tmp_path) == before


@pytest.mark.parametrize("setting", [{"scale": 0}, {"scale": 1.5}, {"scale": float("nan")},
                                     {"jobs": 0}, {"limit": 0}])
def test_settings_out_of_range_are_named(tmp_path, setting):
    with pytest.raises(ConfigError, match=f"{next(iter(setting))} is .* but must"):
        write_synthetic(tmp_path, ["emodb"], **setting)
    assert not list(tmp_path.iterdir())


def test_an_unknown_corpus_is_named_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="Unknown corpus 'emdb'. Did you mean 'emodb'"):
        write_synthetic(tmp_path, ["emdb"])


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".WAV"])
def test_audio_is_written_in_the_format_of_its_name(tmp_path, suffix):
    samples = testing.buzz("anger")
    path = write_audio(tmp_path / f"deep/sound{suffix}", samples, 16_000)
    header = soundfile.info(path)
    assert header.format == suffix.lstrip(".").upper() and header.samplerate == 16_000
    assert header.frames == len(samples) or suffix == ".mp3"
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_another_extension_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"Choices: \.wav, \.flac, \.mp3"):
        write_audio(tmp_path / "sound.wma", testing.buzz("anger"), 16_000)


# helpers for tests

def test_buzzes_of_one_emotion_differ_but_stay_alike():
    one, other, far = (testing.buzz(*arguments) for arguments in (
        ("anger", "s", 0.3, 16_000, 0), ("anger", "s", 0.3, 16_000, 1),
        ("surprise", "s", 0.3, 16_000, 2)))
    assert len(one) == 4800 and not np.array_equal(one, other)

    def shape(samples):
        return np.log(np.abs(np.fft.rfft(samples))[:400] + 0.1)

    assert np.corrcoef(shape(one), shape(other))[0, 1] > np.corrcoef(shape(one), shape(far))[0, 1]


@pytest.mark.parametrize("name", NAMES)
def test_a_tiny_corpus_is_what_its_parser_reads(tmp_path, name):
    root = testing.tiny_corpus(tmp_path, name, n_speakers=2, per_class=1, seconds=0.05)
    found = list(PARSERS[name].parse(root))
    assert found and all(isinstance(item, Utterance) for item in found)
    n_speakers = len({item.speaker for item in PARSERS[name].stand_ins()})
    assert len({item.speaker for item in found}) == min(2, n_speakers)


def test_a_tiny_corpus_keeps_the_classes_asked_for(tmp_path):
    root = testing.tiny_corpus(tmp_path, "ravdess", classes=["anger", "sadness"])
    assert {item.emotion for item in PARSERS["ravdess"].parse(root)} == {"angry", "sad"}
    with pytest.raises(ConfigError, match="has no 'sad'"):
        testing.tiny_corpus(tmp_path, "ravdess", classes=["sad"])


def test_a_tiny_emoset_is_built_by_production_code(tmp_path):
    from emokit.corpora.store import open_emoset

    emoset = testing.tiny_emoset(tmp_path, ["emodb"], classes=["anger", "neutral"])
    (corpus,) = open_emoset(emoset)
    assert len(corpus.manifest) == len(corpus.audio) == 12
    assert set(corpus.manifest["partition"]) == {"train", "dev", "test"}
    assert corpus.manifest.groupby("speaker")["partition"].nunique().max() == 1


def test_toy_predictions_agree_with_their_probabilities():
    table = testing.toy_predictions(n_speakers=6, per_class=40, accuracy=0.7)
    columns = [name for name in table if name.startswith("p_")]
    assert columns == ["p_anger", "p_neutral", "p_sadness"]
    assert np.allclose(table[columns].sum(axis=1), 1)
    assert ("p_" + table["prediction"] == table[columns].idxmax(axis=1)).all()
    assert (table["truth"] == table["prediction"]).mean() == pytest.approx(0.7, abs=0.06)
    other = testing.toy_predictions(n_speakers=6, per_class=40, seed=1)
    assert (other["utterance"] == table["utterance"]).all()
    assert (other["truth"] == table["truth"]).all()
    assert (other["prediction"] != table["prediction"]).any()
