"""Names on disk against published names: missing, more, misspelt, twice, of two releases."""

from __future__ import annotations

import collections
import dataclasses
import difflib
import os
import re
from collections.abc import Sequence

from emokit.corpora.audit_list import Published
from emokit.corpora.parsers.names import AUDIO, AudioFile, nfc

NEAREST_AMONG = 100
"""Leftover names among which the nearest is looked for; more take too long and are no typos."""

_ALIKE = 0.8


@dataclasses.dataclass(frozen=True)
class Matched:
    """Which file is which published one; paths are as on disk.

    Args:
        files: published path to file.
        missing: published paths that no file is.
        more: files that no published one is.
        misnamed: (file, published path) that differ by spelling.
        copies: (file, the file it repeats).
        formats: (file, the same recording beside it in a better format).
        otherwise: files under other folders than published, where others lie as published.
        undecoded: (folder or name as on disk, as published): accents lost in unpacking.
        decomposed: files whose name has accents as separate signs (macOS).
    """

    files: dict[str, AudioFile]
    missing: tuple[str, ...]
    more: tuple[str, ...]
    misnamed: tuple[tuple[str, str], ...]
    copies: tuple[tuple[str, str], ...]
    formats: tuple[tuple[str, str], ...]
    otherwise: tuple[str, ...]
    undecoded: tuple[tuple[str, str], ...]
    decomposed: tuple[str, ...]


def match(published: Sequence[Published], found: Sequence[AudioFile],
          guess: bool = True) -> Matched:
    """Match files with published ones by the shortest end of the path that tells these apart.

    Args:
        guess: whether a name that is near a missing one is that one, misspelt.
    """
    depth = _depth([item.path for item in published])
    wanted = {_tail(item.path, depth): item.path for item in published}
    here: dict[str, list[AudioFile]] = collections.defaultdict(list)
    for file in found:
        here[_tail(file.path, depth)].append(file)
    files, copies, formats = {}, [], []
    spelling: dict[str, str] = {}
    for key in [key for key in wanted if key in here]:
        spelling[key] = key
    spelling |= _respelt([key for key in wanted if key not in here],
                         [key for key in here if key not in wanted], guess)
    for key, own in spelling.items():
        best, *others = sorted(here[own], key=lambda file: _order(file, wanted[key]))
        files[wanted[key]] = best
        for file in others:
            beside = os.path.dirname(file.path) == os.path.dirname(best.path)
            (formats if beside else copies).append((file.path, best.path))
    used = set(spelling.values())
    undecoded = _undecoded([item.path for item in published], found)
    renamed = {name for name, _ in undecoded}
    misnamed = [(here[own][0].path, wanted[key]) for key, own in spelling.items()
                if own != key and not _flattened(own, key)
                and not any(part in renamed for part in _parts(here[own][0].path))]
    return Matched(
        files,
        tuple(sorted(path for key, path in wanted.items() if key not in spelling)),
        tuple(file.path for file in found if _tail(file.path, depth) not in used),
        tuple(sorted(misnamed)), tuple(sorted(copies)), tuple(sorted(formats)),
        _elsewhere(files), undecoded,
        tuple(file.path for file in found if nfc(file.path) != file.path))


def _parts(path: str) -> list[str]:
    return os.path.splitext(nfc(path))[0].split("/")


def _tail(path: str, depth: int) -> str:
    return "/".join(_parts(path)[-depth:])


def _depth(paths: Sequence[str]) -> int:
    """Give how many parts of a path, counted from its end, tell all published files apart."""
    deepest = max(path.count("/") for path in paths) + 1
    return next((depth for depth in range(1, deepest)
                 if len({_tail(path, depth) for path in paths}) == len(paths)), deepest)


def _order(file: AudioFile, published: str) -> tuple:
    """Prefer the better format, then the file that lies as published, then the nearest."""
    extension = os.path.splitext(file.path)[1].lower()
    return (AUDIO.index(extension), not _lies_so(file.path, published), file.path.count("/"),
            file.path)


def _fold(text: str) -> str:
    """Make alike what only case, blanks, bars or lost accents tell apart."""
    return re.sub(r"[\s_\-]+", "_", re.sub(r"[^\x00-\x7f]+", "?", nfc(text))).casefold()


def _flattened(own: str, published: str) -> bool:
    """Tell whether folders became part of the name, as in mirrors (`DC/a01`, `DC_a01`)."""
    return "/" in published and own.rpartition("/")[2] == published.replace("/", "_")


def _respelt(missing: Sequence[str], more: Sequence[str], guess: bool) -> dict[str, str]:
    """Give published key to the key on disk that is meant, each at most once."""
    pairs: dict[str, str] = {}
    folded = collections.defaultdict(list)
    for key in more:
        for spelling in {_fold(key), _fold(key.rpartition("/")[2])}:
            folded[spelling].append(key)
    taken = set()
    for key in missing:
        alike = folded.get(_fold(key)) or folded.get(_fold(key.replace("/", "_"))) or []
        if len(alike) == 1 and alike[0] not in taken:
            pairs[key] = alike[0]
            taken.add(alike[0])
    left = [key for key in more if key not in taken]
    sought = [key for key in missing if key not in pairs]
    if guess and len(left) <= NEAREST_AMONG and len(sought) <= NEAREST_AMONG:
        for key in left:
            near = difflib.get_close_matches(key, sought, 2, _ALIKE)
            # two published names equally near say nothing
            if near and (len(near) == 1 or _ratio(key, near[0]) > _ratio(key, near[1])):
                pairs[near[0]] = key
                sought.remove(near[0])
    return pairs


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, other, one).ratio()


def _lies_so(path: str, published: str) -> bool:
    parts = [_fold(part) for part in _parts(published)[:-1]]
    return [_fold(part) for part in _parts(path)[:-1]][-len(parts):] == parts if parts else True


def _elsewhere(files: dict[str, AudioFile]) -> tuple[str, ...]:
    """Name the files that lie otherwise than published, if some lie as published."""
    other = [file.path for path, file in files.items() if not _lies_so(file.path, path)]
    return tuple(sorted(other)) if len(other) < len(files) else ()


def _undecoded(published: Sequence[str], found: Sequence[AudioFile]) -> tuple[tuple[str, str], ...]:
    known = {part for path in published for part in _parts(path)}
    accented = {_fold(part): part for part in known if not part.isascii()}
    parts = {part for file in found for part in _parts(file.path)} - known
    return tuple(sorted((part, accented[_fold(part)]) for part in parts
                        if not part.isascii() and _fold(part) in accented))
