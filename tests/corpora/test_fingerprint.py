"""One recording is found again in another corpus; another take of it is not."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from build_tools import build, make_corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from emokit.audio.read import read_int16, to_int16
from emokit.core.errors import CorpusError
from emokit.core.files import read_csv, read_json
from emokit.corpora.build import BuildOptions
from emokit.corpora.fingerprint import FINGERPRINT, fingerprint, rows
from emokit.corpora.recordings import WAVEFORM, candidates, likeness, shared
from emokit.corpora.utterance import StandIn
from emokit.corpora.voice import synthesise
from emokit.testing import buzz, write_wav


def voice(name="a", text="kids are talking", seed=0):
    item = StandIn(f"{name}.wav", "anger", "s1", "female", text)
    samples, rate = synthesise(item, "mine", seed)
    return soxr.resample(samples, rate, 16_000)


def int16(samples):
    return to_int16(np.asarray(samples, np.float32)).samples


def are_one(one, other):
    """Say whether two int16 recordings are found to be one, as `shared` finds it."""
    prints = rows(2)
    prints[0], prints[1] = fingerprint(one), fingerprint(other)
    if not candidates(prints, np.arange(2)):
        return False
    return likeness(one, other, tuple(prints["centre"])) >= WAVEFORM


def copies(samples):
    """Give ways in which a recording comes back, samples float32 at 16 kHz."""
    loudest = np.abs(samples).max()
    rate = {rate: soxr.resample(samples, 16_000, rate) for rate in (8000, 22_050, 44_100, 48_000)}
    yield from (soxr.resample(int16(there).astype(np.float32) / 32768, at, 16_000)
                for at, there in rate.items())
    yield from (samples * 10 ** (level / 20) for level in (-20, -6))
    yield np.clip(samples * 2 * 0.98 / loudest, -1, 1)
    yield -samples
    yield np.concatenate([np.zeros(1105), samples, np.zeros(700)])


def test_a_copy_at_another_rate_or_level_is_one_recording():
    samples = voice()
    for number, copy in enumerate(copies(samples)):
        assert are_one(int16(samples), int16(copy)), number


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg"])
def test_a_copy_in_another_coding_is_one_recording(tmp_path, kind):
    samples = voice()
    path = write_wav(tmp_path / f"a.{kind}", soxr.resample(0.3 * samples, 16_000, 44_100), 44_100)
    assert are_one(int16(samples), read_int16(path))


def test_another_take_by_the_same_voice_is_another_recording():
    takes = [int16(voice(name)) for name in "abcdefgh"]
    assert not any(are_one(one, other)
                   for index, one in enumerate(takes) for other in takes[:index])


def test_tones_noise_and_silence_are_never_one_recording():
    rng = np.random.default_rng(0)
    tones = [int16(buzz("anger", "s1", 1.0, seed=seed)) for seed in range(8)]
    hisses = [int16(rng.uniform(-0.3, 0.3, 16_000)) for _ in range(8)]
    silences = [np.zeros(16_000, np.int16), rng.integers(0, 2, 16_000).astype(np.int16)]
    sounds = [*tones, *hisses, *silences, np.zeros(0, np.int16), np.ones(200, np.int16)]
    assert not any(are_one(one, other)
                   for index, one in enumerate(sounds) for other in sounds[:index])


def test_likeness_is_the_correlation_of_its_definition():
    rng = np.random.default_rng(1)
    one, noise = rng.normal(0, 1500, (2, 16_000))
    wanted = []
    spectrum = np.fft.rfft([one, noise])
    band = (np.fft.rfftfreq(16_000, 1 / 16_000) >= 200) & (
        np.fft.rfftfreq(16_000, 1 / 16_000) < 2000)
    for share in (0.0, 0.5, 1.0):
        mixed = (1 - share) * one + share * noise
        parts = [np.fft.irfft(spectrum[0] * band), np.fft.irfft(
            ((1 - share) * spectrum[0] + share * spectrum[1]) * band)]
        # here without a shift, which the noise only needs where nothing is shared
        wanted = abs(np.dot(*parts)) / np.sqrt(np.dot(parts[0], parts[0])
                                               * np.dot(parts[1], parts[1]))
        got = likeness(one.astype(np.int16), mixed.astype(np.int16), (0.5, 0.5))
        assert got == pytest.approx(wanted, abs=0.02) if share < 1 else got < 0.2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 6000), st.integers(-12, 0))
def test_shift_and_level_leave_the_shape(shift, level):
    samples = voice()
    moved = np.concatenate([np.zeros(shift), samples * 10 ** (level / 20)])
    one, other = fingerprint(int16(samples)), fingerprint(int16(moved))
    assert other[0] - one[0] == pytest.approx(shift / 16_000, abs=0.01)
    assert other[1] == pytest.approx(one[1], rel=0.02)
    assert np.corrcoef(one[2], other[2])[0, 1] > 0.95


def test_candidates_are_pairs_of_all_with_all():
    rng = np.random.default_rng(2)
    prints = rows(300)
    base = rng.normal(size=(10, prints["shape"].shape[1]))
    shapes = base[rng.integers(0, 10, 300)] + 0.3 * rng.normal(size=(300, base.shape[1]))
    prints["shape"] = np.rint(40 * shapes / np.abs(shapes).max() * 3).clip(-127, 127)
    prints["spread"] = rng.uniform(0, 1.5, 300).round(1)
    groups = rng.integers(0, 3, 300)
    vectors = prints["shape"].astype(float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = [(i, j) for i in range(300) for j in range(i + 1, 300)
              if groups[i] != groups[j] and vectors[i] @ vectors[j] >= 0.8
              and prints["spread"][i] > 0 and prints["spread"][j] > 0
              and abs(np.log(prints["spread"][i] / prints["spread"][j])) <= 0.12]
    assert len(wanted) > 200 and candidates(prints, groups, at_once=64) == wanted
    likest = sorted(wanted, key=lambda pair: -vectors[pair[0]] @ vectors[pair[1]])[:50]
    assert candidates(prints, groups, most=50, at_once=64) == sorted(likest)


@pytest.fixture
def pair(tmp_path):
    """Two corpora of noise that share one recording, in the other at 44.1 kHz and -9 dB."""
    mine = make_corpus(tmp_path / "mine")
    yours = make_corpus(tmp_path / "yours", first_seed=1000)
    write_wav(mine / "s0" / "anger_7.wav", voice())
    write_wav(yours / "s1" / "anger_9.mp3", soxr.resample(0.35 * voice(), 16_000, 44_100), 44_100)
    return {"mine": mine, "yours": yours}


def test_one_recording_in_two_corpora_stops_the_index_until_waived(tmp_path, pair):
    with pytest.raises(CorpusError, match="mine and yours.*mine/.* = yours/.*--allow-shared-rec"):
        build(tmp_path, **pair)
    with pytest.raises(CorpusError, match="one recording stands in more than one corpus"):
        build(tmp_path, **pair)
    assert not (tmp_path / "emoset" / "index.csv").exists()
    build(tmp_path, options=BuildOptions(jobs=1, allow_shared_recordings=True), **pair)
    index = read_csv(tmp_path / "emoset" / "index.csv")
    assert list(index["waivers"]) == ["recordings-across-corpora"] * 2
    assert "recordings-across-corpora" in (tmp_path / "emoset" / "report.html").read_text()
    # other corpora are still compared to the sample, under a flag of their own
    shutil.copy(pair["mine"] / "s2" / "anger_0.wav", pair["yours"] / "s2" / "anger_0.wav")
    with pytest.raises(CorpusError, match="--allow-shared-audio"):
        build(tmp_path, options=BuildOptions(jobs=1, allow_shared_recordings=True), **pair)


def test_one_recording_in_two_partitions_of_a_corpus_stops_the_build_until_waived(tmp_path):
    raw = make_corpus(tmp_path / "raw")
    build(tmp_path, "probe", mine=raw)
    table = read_csv(tmp_path / "probe/mine/manifest.csv")
    train, test = (table.loc[table["partition"] == name, "speaker"].iloc[0].partition("/")[2]
                   for name in ("train", "test"))
    write_wav(raw / train / "anger_7.wav", voice())
    copy = soxr.resample(0.35 * voice(), 16_000, 8000)
    write_wav(raw / train / "anger_8.wav", copy, 8000)
    build(tmp_path, mine=raw)
    # within one partition a copy leaks nothing
    assert read_json(tmp_path / "emoset/mine/build.json")["waivers"] == []
    write_wav(raw / test / "anger_9.wav", copy, 8000)
    (raw / train / "anger_8.wav").unlink()
    with pytest.raises(CorpusError, match=r"more than one partition or fold, at.*\(1\): .*_[79] ="
                       r" .*_[79] \([01]\.\d\d alike\)\..*--allow-duplicates"):
        build(tmp_path, mine=raw)
    build(tmp_path, mine=raw, options=BuildOptions(jobs=1, report=False, allow_duplicates=True))
    waivers = read_json(tmp_path / "emoset/mine/build.json")["waivers"]
    assert [row["check"] for row in waivers] == ["recordings-across-partitions"]


def test_fingerprints_stand_in_the_order_of_the_manifest(tmp_path, pair):
    write_wav(pair["mine"] / "s0" / "anger_3.wav", np.zeros(0))
    build(tmp_path, mine=pair["mine"],
          options=BuildOptions(jobs=1, report=False, skip_unreadable=True))
    folder = tmp_path / "emoset" / "mine"
    prints, table = np.load(folder / "fingerprints.npy"), read_csv(folder / "manifest.csv")
    assert len(prints) == len(table) == read_json(folder / "build.json")["counts"]["utterances"]
    for row, path in zip(prints, table["path"]):
        samples, _ = soundfile.read(pair["mine"] / path, dtype="int16")
        assert row == fingerprint(samples)


def test_a_corpus_built_without_fingerprints_is_compared_too(tmp_path, pair):
    for name in pair:
        build(tmp_path, **{name: pair[name]}, out=name)
    folders = {name: tmp_path / name / name for name in pair}
    tables = {name: [(row.utterance, row.audio_hash)
                     for row in read_csv(folder / "manifest.csv").itertuples()]
              for name, folder in folders.items()}
    corpora = {name: (folders[name], tables[name]) for name in pair}
    found = shared(corpora)
    assert len(found) == 1 and found[0][2] > 0.9
    (folders["yours"] / "fingerprints.npy").unlink()
    assert shared(corpora) == found
    assert shared({"mine": corpora["mine"]}) == []


def real_recordings():
    root = Path(os.environ["EMOKIT_CORPORA"])
    for corpus in ("RAVDESS", "EmoDB", "TESS", "nEMO", "EmoGator"):
        for path in sorted((root / corpus).rglob("*")):
            if path.suffix in (".flac", ".mp3"):
                yield corpus, path


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif("EMOKIT_CORPORA" not in os.environ, reason="needs EMOKIT_CORPORA")
def test_of_all_real_recordings_only_the_published_copy_is_found():
    files = list(real_recordings())
    assert len(files) >= 2729
    audio = [read_int16(path) for _, path in files]
    prints = np.zeros(len(audio), FINGERPRINT)
    for index, samples in enumerate(audio):
        prints[index] = fingerprint(samples)
    found = [(files[i][1].stem, files[j][1].stem)
             for i, j in candidates(prints, np.arange(len(audio)))
             if likeness(audio[i], audio[j], (prints["centre"][i], prints["centre"][j]))
             >= WAVEFORM]
    # RAVDESS holds these two as the very same samples
    assert found == [("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")]


@pytest.mark.real
@pytest.mark.skipif("EMOKIT_CORPORA" not in os.environ, reason="needs EMOKIT_CORPORA")
def test_copies_of_real_recordings_are_found():
    files = list(real_recordings())[::60]
    missed, n_copies = [], 0
    for _, path in files:
        samples = read_int16(path).astype(np.float32) / 32768
        for number, copy in enumerate(copies(samples)):
            n_copies += 1
            if not are_one(int16(samples), int16(copy)):
                missed.append((path.stem, number))
    assert n_copies > 400 and len(missed) <= n_copies // 200, missed
