"""Read audio files: any codec, width, rate and channel count to mono at one rate."""

from __future__ import annotations

import dataclasses
import io
import os
import struct
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from emokit.audio.containers import ContainerError, container, sound_of
from emokit.audio.mp3 import length_is_known
from emokit.core.errors import CorpusError

RATE = 16_000
"""Sample rate that emokit works at, Hz."""

END_TOLERANCE = 0.01
"""Seconds that an annotated end may lie past the file; annotations are written to hundredths."""

STRETCH = "a stretch from"
"""How the reason begins where the times of an utterance are wrong, not its file."""

_UNKNOWN_FRAMES = 2**62
_MP3_SLACK = 2 * 1152
_STREAMED = 0x7FFFF000
"""Data sizes from here on are what sox and ffmpeg write when they cannot know the size yet."""


class Unreadable(CorpusError):
    """Why a file cannot be read, without its name; `reason` of every message of this module."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Args:
        rate: sample rate, Hz.
        channels: number of channels.
        frames: samples per channel.
        format: container and coding, e.g. "WAV PCM_24".
    """

    rate: int
    channels: int
    frames: int
    format: str

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate


@dataclasses.dataclass(frozen=True)
class Decoded:
    """One stretch of audio as the store keeps it.

    Args:
        samples: [S] int16, mono.
        clipped: how many samples lay outside the range of int16 and were set to its ends.
        overrun: in words, that the stretch ends past its file and was cut there; empty if not.
    """

    samples: np.ndarray
    clipped: int = 0
    overrun: str = ""


def probe(path: str | os.PathLike) -> Header:
    """Read a file's header and check that the file holds what it says.

    Raises:
        CorpusError: it cannot be read; says why.
    """
    with _named(path), _opened(path) as sound:
        return Header(sound.samplerate, sound.channels, sound.frames,
                      f"{sound.format} {sound.subtype}")


def read(
    path: str | os.PathLike,
    start: float | None = None,
    end: float | None = None,
    rate: int = RATE,
) -> np.ndarray:
    """Read a file, or a stretch of it, as mono float32 in [-1, 1] at a sample rate.

    Channels are averaged, then resampled (soxr, quality HQ); the n samples of the source become
    floor(n · rate / source rate + 1/2). For exactly what the store holds, use `read_int16`.

    Args:
        path: WAV, FLAC, MP3, OGG, AIFF or whatever else libsndfile knows; AVI, MP4, M4A, WebM and
            other films through the ffmpeg program.
        start, end: seconds; None means from its start, to its end.
        rate: Hz.

    Returns:
        [S] float32.

    Raises:
        CorpusError: the file cannot be read (missing, no audio, a git-lfs pointer, empty,
            truncated, NaN) or the stretch does not lie within it; says which.
    """
    with _named(path):
        waveform, source_rate, overrun = _waveform(path, start, end, "float32")
        if overrun:
            raise Unreadable(overrun)
        return resample(waveform, source_rate, rate)


def read_int16(
    path: str | os.PathLike,
    start: float | None = None,
    end: float | None = None,
    rate: int = RATE,
) -> np.ndarray:
    """Read like `read`, rounded to 16 bits: what `build-corpus` stores.

    16-bit mono files of the same rate pass through unchanged to the bit.
    """
    with _named(path):
        decoded = decode(path, start, end, rate)
        if decoded.overrun:
            raise Unreadable(decoded.overrun)
        return decoded.samples


def decode(
    path: str | os.PathLike | bytes,
    start: float | None = None,
    end: float | None = None,
    rate: int = RATE,
) -> Decoded:
    """Read like `read_int16`, count what was clipped, and tell of a stretch past the end.

    Args:
        path: a file, or the bytes of one (see `emokit.audio.cells`).

    Returns:
        What the file holds; of a stretch that ends past it, what there is up to its end.

    Raises:
        Unreadable: as `read`, with the reason alone; the caller names the file.
    """
    waveform, source_rate, overrun = _waveform(path, start, end, "int16")
    if waveform.dtype == np.int16 and source_rate == rate:
        return Decoded(waveform, overrun=overrun)
    if waveform.dtype == np.int16:
        waveform = waveform.astype(np.float32) / 32768
    decoded = to_int16(resample(waveform, source_rate, rate))
    return dataclasses.replace(decoded, overrun=overrun) if overrun else decoded


def resample(waveform: np.ndarray, source_rate: int, rate: int) -> np.ndarray:
    """Resample [S] float32 to floor(S · rate / source_rate + 1/2) samples."""
    if source_rate == rate:
        return waveform
    length = resampled_length(len(waveform), source_rate, rate)
    result = soxr.resample(waveform, source_rate, rate, quality="HQ")
    if len(result) < length:
        result = np.pad(result, (0, length - len(result)))
    return result[:length]


def resampled_length(frames: int, source_rate: int, rate: int = RATE) -> int:
    """Give how many samples a source becomes; whole numbers only, so exact at any length.

    Example:
        >>> resampled_length(24414, 24414)
        16000
    """
    return (2 * frames * rate + source_rate) // (2 * source_rate)


def to_int16(waveform: np.ndarray) -> Decoded:
    """Round [S] float32 in [-1, 1] to int16, to the nearest, with what lies outside clipped."""
    scaled = np.rint(waveform * np.float32(32768))
    clipped = int(np.count_nonzero((scaled > 32767) | (scaled < -32768)))
    if clipped:
        np.clip(scaled, -32768, 32767, out=scaled)
    return Decoded(scaled.astype(np.int16), clipped)


def is_silent(samples: np.ndarray) -> bool:
    """Tell whether int16 samples hold nothing: a constant, or dither of one step around it."""
    return len(samples) == 0 or int(samples.max()) - int(samples.min()) <= 2


def _waveform(path, start, end, kind: str) -> tuple[np.ndarray, int, str]:
    """Give [S] mono samples, their rate, and in words whether the stretch ends past the file.

    They are int16 only if asked for and nothing is lost by it.
    """
    with _opened(path) as sound:
        first, stop, overrun = _stretch(sound, start, end)
        exact = kind == "int16" and sound.channels == 1 and sound.subtype in (
            "PCM_16", "PCM_S8", "PCM_U8")
        try:
            if first:
                sound.seek(first)
            count = -1 if stop is None else stop - first
            samples = sound.read(count, dtype="int16" if exact else "float32")
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise Unreadable(f"damaged or truncated: it cannot be decoded ({_words(error)})"
                             ) from None
        expected = (sound.frames if stop is None else stop) - first
        # computed from a bit rate, an MP3's length is right to a frame or two
        expected -= _MP3_SLACK if sound.format == "MP3" and stop == sound.frames else 0
        rate = sound.samplerate
        floating = sound.subtype in ("FLOAT", "DOUBLE")
    if stop is not None and len(samples) < expected:
        raise Unreadable(
            f"truncated: {len(samples)} samples where its header says {expected}"
        )
    if not len(samples):
        raise Unreadable("0 samples")
    if floating and not np.isfinite(samples).all():
        raise Unreadable("it has samples that are NaN or infinite")
    if samples.ndim == 2:
        samples = samples.mean(axis=1, dtype=np.float32)
    return samples, rate, overrun


def _stretch(sound: soundfile.SoundFile, start, end) -> tuple[int, int | None, str]:
    """Give the frames of a stretch, and in words whether it ends past the file.

    The stop is None where the length is not known beforehand.
    """
    frames, rate = sound.frames, sound.samplerate
    if start is None and end is None:
        return 0, None if frames >= _UNKNOWN_FRAMES else frames, ""
    length = frames / rate
    first = round((start or 0.0) * rate)
    stop = frames if end is None else round(end * rate)
    words = (f"{STRETCH} {start or 0:g} s to {length if end is None else end:g} s in a file of "
             f"{length:.3f} s: its time stamps do not fit")
    if first < 0 or first >= frames:
        raise Unreadable(words)
    if first >= stop:
        raise Unreadable(f"{STRETCH} {start or 0:g} s to {stop / rate:g} s holds no samples")
    return first, min(stop, frames), words if stop - frames > END_TOLERANCE * rate else ""


class _named:
    """Add the file's name to what is wrong with it."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, Unreadable):
            raise CorpusError(f"Cannot read '{self.path}': {error}.") from None


def _opened(path: str | os.PathLike | bytes) -> soundfile.SoundFile:
    """Open a file after looking at its first bytes, because libsndfile's errors name no cause."""
    try:
        with io.BytesIO(path) if isinstance(path, bytes) else open(path, "rb") as file:
            head = file.read(64)
            size = file.seek(0, os.SEEK_END)
            if head[:4] in (b"RIFF", b"FORM") and not container(head):
                _check_chunks(file, head, size)
            elif head[:4] == b"OggS":
                _check_last_page(file, size)
    except FileNotFoundError:
        raise Unreadable("there is no such file") from None
    except IsADirectoryError:
        raise Unreadable("it is a folder") from None
    except PermissionError:
        raise Unreadable("permission denied") from None
    except OSError as error:
        raise Unreadable(f"{error.strerror or error}") from None
    if not size:
        raise Unreadable("0 bytes")
    source = io.BytesIO(path) if isinstance(path, bytes) else os.fspath(path)
    if container(head):
        source = _film(path, head, size)
    try:
        sound = soundfile.SoundFile(source)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        suffix = "" if isinstance(path, bytes) else Path(path).suffix
        raise Unreadable(_looks_like(head, suffix, _words(error))) from None
    if sound.format == "MP3":
        with io.BytesIO(path) if isinstance(path, bytes) else open(path, "rb") as file:
            known = length_is_known(file)
        if not known:
            # libsndfile would stop at the length that it guessed
            sound.close()
            sound = soundfile.SoundFile(_film(path, head, size))
    return sound


def _film(source: str | os.PathLike | bytes, head: bytes, size: int) -> io.BytesIO:
    try:
        if not isinstance(source, bytes):
            return sound_of(source, head, size)
        # ffmpeg must seek in a film, so it needs a file
        with tempfile.NamedTemporaryFile(prefix="emokit-") as file:
            file.write(source)
            file.flush()
            return sound_of(file.name, head, size)
    except ContainerError as error:
        raise Unreadable(str(error)) from None


def _words(error: Exception) -> str:
    text = getattr(error, "error_string", "") or str(error)
    return text.strip().rstrip(".") or "the decoder gives no reason"


def _looks_like(head: bytes, suffix: str, error: str) -> str:
    """Say what a file that is no audio is instead, from its first bytes."""
    if head.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer instead of the recording; run 'git lfs pull' in its repository"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for mark, words in (
        (b"<!doctype html", "a web page (HTML)"), (b"<html", "a web page (HTML)"),
        (b"<?xml", "an XML document"), (b"pk\x03\x04", "a zip archive"),
        (b"\x1f\x8b", "a gzip archive"), (b"rar!", "a rar archive"), (b"%pdf", "a PDF"),
        (b"7z\xbc\xaf", "a 7z archive"), (b"\x89png", "a picture (PNG)"),
        (b"\xff\xd8\xff", "a picture (JPEG)"),
    ):
        if start.startswith(mark):
            return f"no audio but {words}"
    if head.startswith((b"RIFF", b"fLaC", b"OggS", b"FORM", b"ID3")) or head[:1] == b"\xff":
        return f"damaged or truncated: its header cannot be read ({error})"
    if not head.strip(b"\0"):
        return "no audio but zero bytes"
    try:
        text = head.decode("utf-8")
        if text.isprintable() or "\n" in text:
            return f"no audio but text (starting '{text.split(chr(10))[0][:30]}')"
    except UnicodeDecodeError:
        pass
    return f"no audio that libsndfile knows, despite its name '*{suffix}' ({error})"


def _check_chunks(file: BinaryIO, head: bytes, size: int) -> None:
    """Find a WAV or AIFF file cut short; libsndfile takes the shorter length without a word."""
    order, sound_chunk = ("<", b"data") if head[:4] == b"RIFF" else (">", b"SSND")
    position = 12
    while position + 8 <= size:
        if position + 8 <= len(head):
            chunk = head[position:position + 8]
        else:
            file.seek(position)
            chunk = file.read(8)
        (length,) = struct.unpack(order + "I", chunk[4:])
        if chunk[:4] == sound_chunk:
            here = size - position - 8
            if here < length < _STREAMED:
                raise Unreadable(
                    f"truncated: {here} bytes of samples where its header says {length}"
                )
            return
        position += 8 + length + length % 2


def _check_last_page(file: BinaryIO, size: int) -> None:
    """Find an Ogg file cut short: its last page must carry the mark of the end of a stream."""
    # a page has at most 65 307 bytes
    file.seek(max(0, size - 65_307))
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")):]
    whole = len(page) > 26 and len(page) >= 27 + page[26] + sum(page[27:27 + page[26]])
    if not whole or not page[5] & 4:
        raise Unreadable("truncated: its last page is not the end of the stream")
