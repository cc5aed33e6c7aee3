"""What files say of themselves against what was published: broken, resampled, cut, recoded."""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

from emokit.core import processes
from emokit.core.errors import CorpusError

FILMS = (".mp4", ".avi", ".webm", ".m4a")
"""Their sound is only looked at by build-corpus, through ffmpeg."""

PARALLEL_FROM = 2000
_AT_ONCE = 200


@dataclasses.dataclass(frozen=True)
class Look:
    """What one file says of itself; rate 0 is unknown, `problem` why it cannot be read."""

    rate: int = 0
    seconds: float = 0.0
    format: str = ""
    problem: str = ""


def look_at_all(root: str | os.PathLike, paths: Sequence[str], jobs: int,
                progress: Callable[[int], None] | None = None) -> dict[str, Look]:
    """Read the headers of files, on several processes if there are many; no samples are read."""
    cuts = [tuple(paths[first:first + _AT_ONCE]) for first in range(0, len(paths), _AT_ONCE)]
    looks: dict[str, Look] = {}
    work = functools.partial(_look_at, os.fspath(root))
    for cut, answers in processes.run(work, cuts, jobs if len(paths) > PARALLEL_FROM else 1,
                                      "process that reads headers"):
        looks.update(zip(cut, answers))
        if progress:
            progress(len(looks))
    return looks


def _look_at(root: str, paths: tuple[str, ...]) -> list[Look]:
    return [look(os.path.join(root, path)) for path in paths]


def look(path: str) -> Look:
    """Read the header of one file; of a film only whether there is anything in it."""
    from emokit.audio.read import probe

    if os.path.splitext(path)[1].lower() in FILMS:
        return Look(problem=_film(path))
    try:
        header = probe(path)
    except CorpusError as error:
        return Look(problem=str(error).partition("': ")[2].rstrip("."))
    if not header.frames:
        return Look(problem="0 samples")
    return Look(header.rate, header.duration, header.format)


def _film(path: str) -> str:
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError as error:
        return error.strerror or str(error)
    if not head:
        return "0 bytes"
    return "a git-lfs pointer" if head.startswith(b"version https://git-lfs") else ""


def usual_rate(looks: Sequence[Look]) -> int:
    """Give the sample rate that most files have; 0 if none is known."""
    rates = collections.Counter(look.rate for look in looks if look.rate)
    return rates.most_common(1)[0][0] if rates else 0


def one_length(seconds: Sequence[float], share: float = 0.98, least: int = 20) -> float | None:
    """Give the length that nearly all files have to a hundredth of a second, or None.

    Args:
        share: of files that must have it.
        least: files without which it says nothing.

    Example:
        >>> one_length([2.0] * 20), one_length([2.0, 3.0] * 20)
        (2.0, None)
    """
    lengths = collections.Counter(round(value, 2) for value in seconds if value)
    if sum(lengths.values()) < least:
        return None
    value, count = lengths.most_common(1)[0]
    return value if count >= share * sum(lengths.values()) else None
