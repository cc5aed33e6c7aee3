"""Stand-ins spoken into files, side by side."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from emokit.core import processes
from emokit.core.errors import CorpusError, EmokitError
from emokit.core.files import atomic, disk_errors
from emokit.corpora.utterance import StandIn

_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"),
            ".mp3": ("MP3", "MPEG_LAYER_III"), ".ogg": ("OGG", "VORBIS"),
            ".aiff": ("AIFF", "PCM_16")}
# readers go by content, so stand-ins for films need no ffmpeg and are the same everywhere
_FORMATS |= dict.fromkeys((".avi", ".mp4", ".m4a", ".webm"), ("WAV", "PCM_16"))
_WORTH_A_PROCESS = 40


def write_audio(path: str | os.PathLike, samples, rate: int) -> Path:
    """Write samples as the name asks, whole or not at all; films hold a WAV without a picture.

    Args:
        samples: [S] or [S, channels], float in [-1, 1] or int16.
        rate: Hz.

    Raises:
        CorpusError: another extension.
        EmokitError: the disk refuses.
    """
    return _write(path, [samples], rate, 1 if samples.ndim == 1 else samples.shape[1])


def _write(path: str | os.PathLike, blocks: Iterable, rate: int, channels: int = 1) -> Path:
    """Write samples that come in blocks, of which one at a time is in memory."""
    import soundfile

    path = Path(path)
    try:
        kind, subtype = _FORMATS[path.suffix.lower()]
    except KeyError:
        raise CorpusError(
            f"Cannot write '{path}' as audio. Choices: {', '.join(_FORMATS)}."
        ) from None
    length = 0
    with atomic(path) as partial:
        try:
            with soundfile.SoundFile(partial, "w", rate, channels, subtype, format=kind) as file:
                for samples in blocks:
                    file.write(samples)
                    length += len(samples)
            # libsndfile does not tell of a disk that filled up when it closes a file
            whole = soundfile.info(partial).frames >= length
        except soundfile.LibsndfileError:
            whole = False
        if not whole:
            # where the disk is the cause, this says so in its words
            with disk_errors(path):
                partial.write_bytes(b"\0" * min(2 * length, 1 << 26))
            raise EmokitError(f"Cannot write '{path}': libsndfile gave up. Run the command again.")
    return path


def speak_all(folder: Path, name: str, items: Sequence[StandIn], seed: int,
              jobs: int = 1) -> Iterator[list[StandIn]]:
    """Speak stand-ins into files below `folder`, giving those of each file when it is there.

    Those that lie `within` one long recording follow each other there, in the order given, and
    come back with their `seconds`.

    Raises:
        EmokitError: a file cannot be written, or a process was killed.
    """
    files: dict[str, list[StandIn]] = {}
    for item in items:
        files.setdefault(item.file, []).append(item)
    say = functools.partial(_speak, Path(folder), name, seed)
    jobs = min(jobs, -(-len(items) // _WORTH_A_PROCESS))
    for _, spoken in processes.run(say, list(files.values()), jobs, "speaking process"):
        yield spoken


def _speak(folder: Path, name: str, seed: int, items: list[StandIn]) -> list[StandIn]:
    from emokit.corpora.acting import channel
    from emokit.corpora.voice import synthesise

    if not items[0].within:
        samples, rate = synthesise(items[0], name, seed)
        write_audio(folder / items[0].path, samples, rate)
        return items
    spoken = []

    def parts():
        for item in items:
            samples, rate = synthesise(item, name, seed)
            spoken.append(dataclasses.replace(item, seconds=len(samples) / rate))
            yield samples

    _write(folder / items[0].within, parts(), channel(name).rate)
    return spoken
