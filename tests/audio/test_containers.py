"""Sound out of films: exact where the coding is, in words where there is none."""

import os
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from emokit.audio.read import probe, read_int16
from emokit.core.errors import CorpusError

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


@pytest.fixture(scope="module")
def wave():
    """Two seconds of noise in a slow swell, which no coder mistakes for silence."""
    time = np.arange(32_000) / 16_000
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000) * np.sin(np.pi * time / 2)
    return (noise * 32767).astype(np.int16)


@pytest.fixture(scope="module")
def film(wave, tmp_path_factory):
    """Make a file of some container from the wave with ffmpeg, a black picture beside it."""
    folder = tmp_path_factory.mktemp("films")
    soundfile.write(folder / "source.wav", wave, 16_000)

    def make(name, *coding, sound=True, picture=True):
        path = folder / name
        inputs = ["-f", "lavfi", "-i", "color=c=black:s=32x32:d=2:r=5"] if picture else []
        inputs += ["-i", str(folder / "source.wav")] if sound else []
        subprocess.run(["ffmpeg", "-y", "-nostdin", "-v", "error", *inputs, *coding, str(path)],
                       check=True)
        return path

    return make


@needs_ffmpeg
@pytest.mark.parametrize("name, coding", [
    ("a.avi", "pcm_s16le"), ("a.mkv", "flac"), ("named as audio.wav", None)])
def test_lossless_sound_comes_out_bit_for_bit(film, wave, tmp_path, name, coding):
    if coding is None:
        path = film("b.avi", "-c:a", "pcm_s16le").rename(tmp_path / name)
    else:
        path = film(name, "-c:a", coding)
    np.testing.assert_array_equal(read_int16(path), wave)
    assert probe(path).rate == 16_000
    np.testing.assert_array_equal(read_int16(path, 0.5, 1.25), wave[8_000:20_000])


@needs_ffmpeg
@pytest.mark.parametrize("name, coding, picture", [
    ("a.mp4", "aac", True), ("a.m4a", "aac", False), ("a.webm", "libopus", True),
    ("A.MP4", "aac", True)])
def test_coded_sound_comes_out_alike(film, wave, name, coding, picture):
    samples = read_int16(film(name, "-c:a", coding, "-b:a", "128k", picture=picture))
    assert abs(len(samples) - len(wave)) <= 1024
    n = min(len(samples), len(wave))
    assert np.corrcoef(samples[:n], wave[:n])[0, 1] > 0.9


@needs_ffmpeg
def test_a_film_without_sound_is_told(film):
    with pytest.raises(CorpusError, match="silent.mp4': MP4 or M4A without a sound track"):
        read_int16(film("silent.mp4", sound=False))


@needs_ffmpeg
@pytest.mark.parametrize("name, coding", [("a.avi", "pcm_s16le"), ("a.mp4", "aac"),
                                          ("a.webm", "libopus"), ("a.mkv", "flac"),
                                          ("faststart.mp4", "aac")])
def test_a_film_cut_short_is_told(film, name, coding):
    more = ["-movflags", "faststart"] if name == "faststart.mp4" else []
    path = film(name, "-c:a", coding, *more)
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 3])
    with pytest.raises(CorpusError, match="truncated"):
        read_int16(path)


def test_without_ffmpeg_the_line_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(CorpusError, match="MP4 or M4A, which takes the ffmpeg program; install"):
        read_int16(path)


@needs_ffmpeg
@pytest.mark.parametrize("coding", [("-b:a", "64k"), ("-b:a", "64k", "-write_xing", "0"),
                                    ("-q:a", "4"), ("-q:a", "4", "-write_xing", "0")])
def test_mp3_is_read_to_its_end_whatever_it_says_of_its_length(tmp_path, wave, coding):
    # loud noise, then silence: a decoder that guesses from the first frames guesses too short
    long = np.concatenate([wave * 2, np.zeros(160_000, np.int16)])
    soundfile.write(tmp_path / "long.wav", long, 16_000)
    path = tmp_path / "a.mp3"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(tmp_path / "long.wav"), *coding,
                    str(path)], check=True)
    samples = read_int16(path)
    assert 0 <= len(samples) - len(long) <= 3 * 1152
    aligned = samples[:len(long)].astype(float)
    shift = np.argmax([np.dot(aligned[lag:lag + 30_000], long[:30_000]) for lag in range(2500)])
    assert np.corrcoef(samples[shift:shift + 30_000], long[:30_000])[0, 1] > 0.8
    assert abs(samples[-100_000:]).max() < 100
