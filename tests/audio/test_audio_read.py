import numpy as np
import pytest
import soundfile

from emokit.audio import read as audio
from emokit.core.errors import CorpusError

FORMATS = [
    # extension, subtype, largest error of a sample
    ("wav", "PCM_U8", 1 / 128), ("wav", "PCM_16", 1 / 32768), ("wav", "PCM_24", 1 / 32768),
    ("wav", "PCM_32", 1 / 32768), ("wav", "FLOAT", 1 / 32768), ("wav", "DOUBLE", 1 / 32768),
    ("flac", "PCM_16", 1 / 32768), ("flac", "PCM_24", 1 / 32768), ("aiff", "PCM_16", 1 / 32768),
    ("ogg", "VORBIS", 0.1), ("ogg", "OPUS", 0.1), ("mp3", "MPEG_LAYER_III", 0.1),
]


def sine(rate, seconds=0.5, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("extension,subtype,tolerance", FORMATS)
def test_every_format_and_width_gives_the_same_waveform(tmp_path, extension, subtype, tolerance):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, sine(16000), 16000, subtype=subtype)
    samples = audio.read_int16(path)
    assert samples.dtype == np.int16
    assert len(samples) == 8000
    # lossy codecs take some milliseconds to settle
    inner = slice(800, -800) if tolerance == 0.1 else slice(None)
    assert np.abs(samples / 32768 - sine(16000))[inner].max() <= tolerance


def test_16_bit_mono_of_the_same_rate_passes_to_the_bit(tmp_path):
    samples = np.random.default_rng(0).integers(-32768, 32768, 4000).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", samples, 16000)
    assert np.array_equal(audio.read_int16(tmp_path / "a.flac"), samples)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24414, 44100, 48000, 96000])
@pytest.mark.parametrize("frames", [1, 2, 999, 24001])
def test_length_is_the_sources_to_a_sample(tmp_path, rate, frames):
    soundfile.write(tmp_path / "a.wav", np.full(frames, 0.1), rate)
    assert len(audio.read(tmp_path / "a.wav")) == int(frames * 16000 / rate + 0.5)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24414, 44100, 48000, 96000])
@pytest.mark.parametrize("frequency", [440.0, 3000.0])
def test_sine_keeps_its_peak_at_any_rate(tmp_path, rate, frequency):
    soundfile.write(tmp_path / "a.wav", sine(rate, 1.0, frequency), rate)
    spectrum = np.abs(np.fft.rfft(audio.read(tmp_path / "a.wav")))
    assert np.argmax(spectrum) == frequency


def test_channels_are_averaged(tmp_path):
    left, right = sine(16000), np.full(8000, 0.25)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), 16000, subtype="FLOAT")
    assert np.allclose(audio.read(tmp_path / "a.wav"), (left + right) / 2, atol=1e-6)


def test_what_lies_beyond_full_scale_is_clipped_and_counted(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([2.0, -2.0, 0.5, 1.0]), 16000, subtype="FLOAT")
    decoded = audio.decode(tmp_path / "a.wav")
    assert decoded.samples.tolist() == [32767, -32768, 16384, 32767]
    assert decoded.clipped == 3


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3"])
def test_a_stretch_is_that_part_of_the_file(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 16000), 16000)
    whole = audio.read_int16(path)
    assert np.abs(audio.read_int16(path, 0.25, 0.75).astype(int) - whole[4000:12000]).max() <= 1
    assert len(audio.read_int16(path, end=0.1)) == 1600
    # annotations are written to hundredths: 4 ms past the end is the end
    assert len(audio.read_int16(path, 0.5, 1.004)) == 8000


@pytest.mark.parametrize("start,end", [(0.5, 2.0), (-0.1, 0.5), (0.5, 0.5), (0.6, 0.5), (3, None)])
def test_a_stretch_outside_the_file_is_an_error(tmp_path, start, end):
    soundfile.write(tmp_path / "a.wav", sine(16000), 16000)
    with pytest.raises(CorpusError, match="a.wav.*stretch"):
        audio.read(tmp_path / "a.wav", start, end)


def test_decoding_gives_what_there_is_of_a_stretch_past_the_end_and_says_so(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.linspace(-0.5, 0.5, 8000), 8000)
    decoded = audio.decode(tmp_path / "a.wav", 0.5, 2.0)
    assert len(decoded.samples) == 8000
    assert decoded.overrun.startswith("a stretch from 0.5 s to 2 s in a file of 1.000 s")
    assert audio.decode(tmp_path / "a.wav", 0.5, 1.01).overrun == ""
    with pytest.raises(CorpusError, match="time stamps do not fit"):
        audio.decode(tmp_path / "a.wav", 1.0, 2.0)


def test_probe_tells_the_header(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 44100, subtype="PCM_24")
    header = audio.probe(tmp_path / "a.wav")
    assert (header.rate, header.channels, header.frames) == (44100, 2, 100)
    assert header.format == "WAV PCM_24"


BROKEN = {
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n": "git-lfs pointer",
    "<!DOCTYPE html>\n<html></html>": "web page",
    "PK\x03\x04 and so on": "zip archive",
    "hello, I am a text": "text",
    "": "0 bytes",
    "\0" * 100: "zero bytes",
}


@pytest.mark.parametrize("content,words", BROKEN.items(), ids=BROKEN.values())
def test_what_is_no_audio_is_named_for_what_it_is(tmp_path, content, words):
    (tmp_path / "a.wav").write_bytes(content.encode("latin-1"))
    with pytest.raises(CorpusError, match=f"a.wav.*{words}") as caught:
        audio.read(tmp_path / "a.wav")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("extension,subtype", [
    ("wav", "PCM_16"), ("wav", "FLOAT"), ("aiff", "PCM_16"), ("flac", "PCM_16"),
    ("mp3", "MPEG_LAYER_III"), ("ogg", "VORBIS"), ("ogg", "OPUS"),
])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_files_are_found(tmp_path, extension, subtype, share):
    path = tmp_path / f"a.{extension}"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48000)
    soundfile.write(path, noise, 48000, subtype=subtype)
    data = path.read_bytes()
    path.write_bytes(data[:int(share * len(data))])
    with pytest.raises(CorpusError, match="truncated"):
        audio.read(path)


def test_a_wav_whose_writer_did_not_know_the_size_is_read(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(16000), 16000)
    data = bytearray(path.read_bytes())
    where = data.index(b"data") + 4
    data[where:where + 4] = data[4:8] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(audio.read(path)) == 8000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_an_error(tmp_path, value):
    samples = sine(16000)
    samples[17] = value
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(CorpusError, match="NaN or infinite"):
        audio.read_int16(tmp_path / "a.wav")


def test_zero_samples_are_an_error(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16000)
    with pytest.raises(CorpusError, match="0 samples"):
        audio.read(tmp_path / "a.wav")


def test_missing_files_and_folders_are_errors_in_words(tmp_path):
    with pytest.raises(CorpusError, match="there is no such file"):
        audio.read(tmp_path / "a.wav")
    with pytest.raises(CorpusError, match="folder"):
        audio.read(tmp_path)


@pytest.mark.parametrize("samples,silent", [
    ([0] * 100, True), ([500] * 100, True), ([0, 1, -1, 0], True), ([], True),
    ([0, 3, 0, 0], False), ([-32768, 32767], False),
])
def test_silence_is_a_constant_or_dither(samples, silent):
    assert audio.is_silent(np.array(samples, np.int16)) == silent
