"""Stand-ins spoken into files, side by side."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from emokit.core import processes
from emokit.core.errors import CorpusError, EmokitError
from emokit.core.files import atomic, disk_errors
from emokit.corpora.utterance import StandIn

_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"),
            ".mp3": ("MP3", "MPEG_LAYER_III")}
_WORTH_A_PROCESS = 40


def write_audio(path: str | os.PathLike, samples, rate: int) -> Path:
    """Write samples as 16-bit WAV or FLAC or as MP3, as the name asks, whole or not at all.

    Args:
        samples: [S] or [S, channels], float in [-1, 1] or int16.
        rate: Hz.

    Raises:
        CorpusError: another extension.
        EmokitError: the disk refuses.
    """
    import soundfile

    path = Path(path)
    try:
        kind, subtype = _FORMATS[path.suffix.lower()]
    except KeyError:
        raise CorpusError(
            f"Cannot write '{path}' as audio. Choices: {', '.join(_FORMATS)}."
        ) from None
    with atomic(path) as partial:
        try:
            soundfile.write(partial, samples, rate, format=kind, subtype=subtype)
            # libsndfile does not tell of a disk that filled up when it closes a file
            whole = soundfile.info(partial).frames >= len(samples)
        except soundfile.LibsndfileError:
            whole = False
        if not whole:
            # where the disk is the cause, this says so in its words
            with disk_errors(path):
                partial.write_bytes(b"\0" * 2 * len(samples))
            raise EmokitError(f"Cannot write '{path}': libsndfile gave up. Run the command again.")
    return path


def speak_all(folder: Path, name: str, items: Sequence[StandIn], seed: int,
              jobs: int = 1) -> Iterator[str]:
    """Speak stand-ins into files below `folder`, giving each path when it is there.

    Raises:
        EmokitError: a file cannot be written, or a process was killed.
    """
    say = functools.partial(_speak, Path(folder), name, seed)
    jobs = min(jobs, -(-len(items) // _WORTH_A_PROCESS))
    for item, _ in processes.run(say, items, jobs, "speaking process"):
        yield item.path


def _speak(folder: Path, name: str, seed: int, item: StandIn) -> None:
    from emokit.corpora.voice import synthesise

    samples, rate = synthesise(item, name, seed)
    write_audio(folder / item.path, samples, rate)
