"""Which corpora lie below a folder."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from emokit.corpora.parsers import PARSERS, names

CROWD = 200
"""A folder with more folders than this holds speakers or dialogues, not corpora."""


@dataclasses.dataclass(frozen=True)
class Found:
    """A folder that a parser recognises.

    Args:
        name: id of the corpus, which is its parser's name.
        folder: its root.
        n_audio: audio files below it, by name.
        state: `found`, or `no audio` if only its tables are there.
    """

    name: str
    folder: Path
    n_audio: int
    state: str


def discover(root: str | os.PathLike, levels: int = 2) -> list[Found]:
    """Find the corpora at a folder or at most `levels` below it, sorted by name and folder.

    A recognised folder is not searched further, nor is a folder below the first one that has more
    than `CROWD` folders. A folder that links lead to is one corpus, under the shortest of its
    paths. A missing folder gives an empty list.
    """
    found = sorted(_search(Path(root), levels, top=True),
                   key=lambda item: (len(item.folder.parts), str(item.folder)))
    real = {(item.name, os.path.realpath(item.folder)): item for item in reversed(found)}
    return sorted(real.values(), key=lambda item: (item.name, str(item.folder)))


def lowered(name: str, folder: Path, levels: int = 2) -> Path:
    """Give the root of a corpus: the folder, or the one below it that its parser recognises.

    The one below is taken only if the parser does not recognise the folder, if it is the only one
    at most `levels` below, and if no audio file lies beside it: nothing may be lost.

    Args:
        name: of the parser.
        folder: what the experimenter gave as root.
    """
    if not folder.is_dir() or PARSERS[name].recognises(folder):
        return folder
    found = [item for item in discover(folder, levels) if item.name == name]
    if len(found) != 1 or found[0].n_audio < len(names.audio_files(folder)):
        return folder
    return found[0].folder


def recognise(folder: Path) -> str | None:
    """Name the parser that recognises a folder, or None; the first in the table wins."""
    return next((name for name in PARSERS if PARSERS[name].recognises(folder)), None)


def _search(folder: Path, levels: int, top: bool = False) -> list[Found]:
    name = recognise(folder)
    if name is not None:
        n_audio = len(names.audio_files(folder))
        return [Found(name, folder, n_audio, "found" if n_audio else "no audio")]
    if levels == 0:
        return []
    inner = names.folders_in(folder)
    if len(inner) > CROWD and not top:
        return []
    return [item for name in inner for item in _search(folder / name, levels - 1)]
