"""Audio files below a root, and utterances read off their names; shared by all parsers."""

from __future__ import annotations

import dataclasses
import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError, culprits
from emokit.core.files import beneath
from emokit.corpora.utterance import Misfit, Utterance

AUDIO = (".wav", ".flac", ".aiff", ".aif", ".sph", ".ogg", ".mp3", ".m4a", ".webm", ".mp4", ".avi")
"""Extensions read as audio, the better copy of a file first."""


@dataclasses.dataclass(frozen=True)
class AudioFile:
    """One audio file by name; nothing of it has been opened.

    Args:
        path: relative to the root, with `/`, spelt as on disk.
        stem: file name without extension, Unicode NFC, so that accents compare equal
            whether the archive tool composed them or not.
    """

    path: str
    stem: str

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders between root and file, NFC, the outermost first."""
        return tuple(nfc(part) for part in self.path.split("/")[:-1])


def nfc(text: str) -> str:
    """Compose accents (Unicode NFC)."""
    return unicodedata.normalize("NFC", text)


def is_audio(name: str) -> bool:
    """Tell whether a file name is audio; hidden files and macOS's `._name.wav` are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in AUDIO


def audio_files(root: str | os.PathLike, below: str = "") -> list[AudioFile]:
    """List the audio files below a root, sorted by path; hidden folders are skipped.

    Linked folders are followed, each real folder once, so a link to a parent ends.

    Args:
        root: corpus folder; a missing one gives an empty list.
        below: look only under this folder of it.

    Raises:
        CorpusError: a folder may not be listed.
    """
    found, seen = [], set()
    top = os.path.join(os.fspath(root), below) if below else os.fspath(root)
    for folder, folders, names in os.walk(top, onerror=_refuse, followlinks=True):
        here = os.path.realpath(folder)
        if here in seen:
            folders[:] = []
            continue
        seen.add(here)
        folders[:] = sorted(name for name in folders
                            if not name.startswith(".") and name != "__MACOSX")
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if relative == "." else relative + "/"
        found += [AudioFile(prefix + name, nfc(os.path.splitext(name)[0]))
                  for name in names if is_audio(name)]
    return sorted(found, key=lambda file: file.path)


def _refuse(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise CorpusError(f"Cannot list the folder '{error.filename}': permission denied. Ask for "
                          "the right to read it.")


def parse_files(
    files: list[AudioFile], read: Callable[[AudioFile], Utterance | str]
) -> Iterator[Utterance | Misfit]:
    """Read each file's name; of several copies of one utterance keep the best.

    Mirrors hold whole trees twice, and some corpora the same recording as WAV and MP3: the copy
    whose extension stands first in `AUDIO`, then the one nearest to the root, then the first by
    path is the utterance, the others are misfits.

    Args:
        files: sorted by path.
        read: gives the utterance, or in words why the file is none.
    """
    results = [(file, read(file)) for file in files]
    best: dict[str, AudioFile] = {}
    for file, result in results:
        if isinstance(result, Utterance):
            other = best.get(result.id)
            if other is None or _preference(file) < _preference(other):
                best[result.id] = file
    for file, result in results:
        if isinstance(result, str):
            yield Misfit(file.path, result)
        elif best[result.id] is file:
            yield result
        else:
            yield Misfit(file.path, f"a copy of {best[result.id].path} by its name")


def _preference(file: AudioFile) -> tuple:
    extension = os.path.splitext(file.path)[1].lower()
    return AUDIO.index(extension), file.path.count("/"), file.path


def matches(
    root: Path, folder: str, test: Callable[[str], object], at_most: int = 60
) -> bool:
    """Tell whether most of the first audio files directly in a folder have stems that fit.

    Looks at `at_most` files, so that a folder of a hundred thousand is answered at once.

    Args:
        root: corpus folder.
        folder: folder below it, "" for itself; a missing one gives False.
        test: true for a stem of the corpus.
    """
    right = total = 0
    try:
        with os.scandir(Path(root) / folder) as entries:
            for entry in entries:
                if is_audio(entry.name):
                    total += 1
                    right += bool(test(nfc(os.path.splitext(entry.name)[0])))
                    if total == at_most:
                        break
    except OSError:
        return False
    return total > 0 and 2 * right > total


def matches_below(
    root: Path, inner: Callable[[str], object], test: Callable[[str], object]
) -> bool:
    """Tell whether stems fit in a folder itself, or in one of the folders in it.

    Args:
        root: corpus folder.
        inner: true for the name of a folder, in lower case, that holds recordings.
        test: true for a stem of the corpus, see `matches`.
    """
    folders = [name for name in folders_in(root) if inner(name.lower())]
    return any(matches(root, folder, test) for folder in ["", *folders])


def folders_in(root: Path, folder: str = "") -> list[str]:
    """Name the visible folders directly in a folder, sorted, relative to the root."""
    try:
        with os.scandir(Path(root) / folder) as entries:
            names = sorted(entry.name for entry in entries
                           if entry.is_dir() and not entry.name.startswith(".")
                           and entry.name != "__MACOSX")
    except OSError:
        return []
    return [f"{folder}/{name}" if folder else name for name in names]


class Index:
    """Finds the files that a list names below a root, whatever the case and accents of both.

    A file is found under its path as listed, otherwise as the one audio file whose path without
    extension is the same once case is folded and accents are composed; of the same recording in
    several formats, the one whose extension stands first in `AUDIO`.
    """

    def __init__(self, root: str | os.PathLike):
        self._root = Path(root)
        self._files: dict[str, list[str]] | None = None

    def find(self, path: str) -> str | None:
        """Give a listed file as it is spelt on disk, relative to the root; None if none is there.

        Raises:
            CorpusError: several files could be meant.
            ManifestError: the path leaves the root.
        """
        if beneath(self._root, path).is_file():
            return path
        if self._files is None:
            # only a list that is spelt otherwise pays for the walk
            self._files = {}
            for file in audio_files(self._root):
                self._files.setdefault(_folded(file.path), []).append(file.path)
        meant = self._files.get(_folded(path), [])
        own = nfc(os.path.splitext(os.path.normpath(path))[0])
        # two names may differ by case alone
        meant = [file for file in meant if nfc(os.path.splitext(file)[0]) == own] or meant
        ranks = [AUDIO.index(os.path.splitext(file)[1].lower()) for file in meant]
        best = [file for file, rank in zip(meant, ranks) if rank == min(ranks)]
        if len(best) > 1:
            raise CorpusError(
                f"The list names '{path}'; below '{self._root}' that could be any of "
                f"{culprits(best)}. Spell it as the one you mean, or remove the others."
            )
        return best[0] if best else None


def _folded(path: str) -> str:
    return nfc(nfc(os.path.splitext(os.path.normpath(path))[0]).casefold())


def find_table(root: Path, *names: str) -> Path | None:
    """Find a corpus's own table or folder below the root, whatever the case of its name.

    Args:
        names: relative paths that releases and mirrors use, tried in this order; a part `*` is
            any one folder.
    """
    for name in names:
        found = next(_tables(Path(root), name.split("/")), None)
        if found is not None:
            return found
    return None


def _tables(here: Path, parts: list[str]) -> Iterator[Path]:
    if not parts:
        yield here
        return
    wanted = nfc(parts[0]).lower()
    try:
        entries = sorted(os.listdir(here))
    except OSError:
        return
    for entry in entries:
        if nfc(entry).lower() == wanted or wanted == "*" and not entry.startswith("."):
            yield from _tables(here / entry, parts[1:])
