"""Downloads of the corpora that anyone may have: fetched, checked and unpacked, each file once."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from emokit.core.config import from_mapping, knob
from emokit.core.errors import CorpusError, EmokitError, culprits
from emokit.core.files import (
    beneath, file_digest, locked, read_json, read_yaml, remove_tree, write_json,
)
from emokit.corpora import catalogue
from emokit.corpora.download import Progress, download
from emokit.corpora.parsers import LISTED, PARSERS
from emokit.corpora.unpack import unpack

RECORD = ".emokit-fetch.json"
"""File in a fetched folder: what came from where, with checksum, names and sizes."""

WORK = ".emokit-downloads"
"""Folder in a fetched folder for what is not finished; parsers see no hidden folders."""

EVERY = 5.0
"""Seconds between two writings of the record where a corpus comes in thousands of files."""

MANY = 100
"""More files than this are single recordings, not archives."""

_POINTER = b"version https://git-lfs"


@dataclasses.dataclass(frozen=True)
class Download:
    """One file of a corpus, as `downloads.yaml` lists it."""

    url: str = knob(help="Where it lies; with {path} one file for each file of the published list.")
    file: str = knob("", "Name under which it is kept; the end of the URL if empty.")
    unpack: str = knob("none", "What it is.", choices=("none", "zip", "tar"))
    into: str = knob("", "Folder below the root of the corpus that it belongs in.")
    strip: int = knob(0, "Outer folders left out when unpacking.", minimum=0)
    inner: list[str] = knob([], "Archives inside it that are unpacked too, as patterns.")
    hash: str = knob("unknown", "`md5:…` or `sha256:…` as published; or `unknown`.")
    unconfirmed: bool = knob(False, "Nobody checked the address.")

    @property
    def name(self) -> str:
        """Name of the file, unique within the corpus."""
        return self.file or self.url.partition("?")[0].rpartition("/")[2]


@dataclasses.dataclass(frozen=True)
class Fetched:
    """What became of a corpus.

    Args:
        folder: its root.
        n_new, n_kept: files downloaded now, and there already.
        unverified: new files whose checksum nobody published; it stands in the record now.
        left_out: links and devices in archives, which are not unpacked.
        recognised: whether the parser recognises the folder; None without a parser.
    """

    folder: Path
    n_new: int
    n_kept: int
    unverified: list[str]
    left_out: list[str]
    recognised: bool | None


@functools.cache
def downloads() -> dict[str, list[Download]]:
    """Give what can be downloaded: corpus to its files."""
    path = Path(str(resources.files("emokit.corpora.facts").joinpath("downloads.yaml")))
    table, lines = read_yaml(path)
    return {name: [from_mapping(Download, item, f"{path}:{lines[name, index]}")
                   for index, item in enumerate(items)] for name, items in table.items()}


def steps(name: str) -> list[str]:
    """Say in sentences how to obtain a corpus, whether or not emokit can download it.

    Raises:
        ConfigError: the catalogue has no such corpus.
    """
    facts = catalogue.entry(name)
    how = {
        "open": f"Anyone may download {facts.title}: {facts.where}.",
        "form": f"{facts.title} is given out on request or for a signed form: {facts.where}.",
        "private": f"{facts.title} is not given out ({facts.where}); only who has it can use it.",
    }[facts.access]
    lines = [how, f"Licence: {facts.licence or 'see its authors'}."]
    if name in downloads():
        lines.append(f"Run: emokit corpora fetch {name} --to DIR.")
        return lines
    if name in LISTED:
        names = " or ".join(f"'{word}'" for word in dict.fromkeys((name, facts.emoset)))
        lines.append(f"Put train.csv, devel.csv and test.csv (columns file,label, and speaker if "
                     f"known) beside the recordings, in a folder {names} below $EMOKIT_CORPORA.")
    elif facts.parser:
        lines.append("Unpack it into a folder below $EMOKIT_CORPORA.")
    else:
        lines.append("emokit has no parser for it: describe your copy in corpora.yaml with "
                     "'format: csv' or 'format: pattern' (emokit corpora init).")
    lines.append(f"Then: emokit build-corpus {name}.")
    return lines


def obtaining(name: str) -> str:
    """Say where the steps to obtain a corpus stand; empty for a corpus of one's own."""
    if name not in catalogue.entries():
        return ""
    return (f"How to obtain it: emokit corpora show {name}, and the page "
            f"docs/corpora/{name}.md.")


def fetch(
    name: str,
    folder: str | os.PathLike,
    items: Sequence[Download] | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Download a corpus into a folder; what is complete there is not fetched again.

    An interrupted file goes on where it stopped if the server can do that and still has the same
    file. An archive is removed once it is unpacked.

    Args:
        name: id of the corpus.
        folder: becomes its root.
        items: what to fetch; that of `downloads.yaml` if None.

    Raises:
        CorpusError: emokit has no address for it, the folder holds something else, or files are
            not what they should be; says how to go on.
        EmokitError: no connection, a disk without room, a damaged archive.
    """
    import requests

    folder = Path(folder)
    if items is None:
        items = downloads().get(name)
        if items is None:
            raise CorpusError(f"emokit cannot download '{name}'. {' '.join(steps(name))}")
    items = _expand(name, items)
    _claim(folder, name)
    busy = EmokitError(f"Another process is fetching '{name}' into '{folder}'. Wait for it.")
    new, kept, unverified, left_out, refused = 0, 0, [], [], []
    with locked(folder / WORK / "lock", busy), requests.Session() as session:
        record = _record(folder)
        note = functools.partial(write_json, folder / RECORD, {"corpus": name, "files": record})
        note()
        noted = time.monotonic()
        try:
            for item in items:
                if _is_here(folder, item, record.get(item.name)):
                    kept += 1
                    continue
                try:
                    record[item.name], lost = _one(
                        name, folder, item, record.get(item.name, {}), session, progress)
                except CorpusError as error:
                    # one file of thousands does not keep the others from coming
                    if len(items) <= MANY:
                        raise
                    refused.append(str(error))
                    continue
                left_out += lost
                new += 1
                if item.hash == "unknown":
                    unverified.append(item.name)
                if item.unpack != "none" or time.monotonic() - noted > EVERY:
                    note()
                    noted = time.monotonic()
        finally:
            note()
    if refused:
        raise CorpusError(f"{len(refused)} of {len(items)} files of '{name}' could not be fetched; "
                          f"the others lie in '{folder}'. First: {refused[0]}")
    remove_tree(folder / WORK)
    recognised = PARSERS[name].recognises(folder) if name in PARSERS else None
    return Fetched(folder, new, kept, unverified, left_out, recognised)


def _expand(name: str, items: Sequence[Download]) -> list[Download]:
    """Give one download for each published file where the address holds `{path}`."""
    result = []
    for item in items:
        if "{path}" not in item.url:
            result.append(item)
            continue
        result += [dataclasses.replace(item, url=item.url.replace("{path}", found.path),
                                       file=found.path) for found in PARSERS[name].stand_ins()]
    return result


def _claim(folder: Path, name: str) -> None:
    """Make sure that nobody else's files are mixed with ours."""
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if RECORD in there:
        if read_json(folder / RECORD).get("corpus") != name:
            raise CorpusError(f"'{folder}' holds another corpus. Choose another folder.")
    elif set(there) - {WORK}:
        raise CorpusError(
            f"'{folder}' holds {culprits(there)}, which 'fetch' did not put there. Move it away, "
            "or choose another folder with --to."
        )


def _record(folder: Path) -> dict:
    return read_json(folder / RECORD)["files"] if (folder / RECORD).is_file() else {}


def _is_here(folder: Path, item: Download, entry: dict | None) -> bool:
    """Tell whether everything a download gave still lies there with its size."""
    if not entry or entry["url"] != item.url or item.hash not in ("unknown", entry["published"]):
        return False
    try:
        return all(beneath(folder, path).stat().st_size == size
                   for path, size in entry["members"].items())
    except OSError:
        return False


def _one(name, folder: Path, item: Download, former: dict, session, progress):
    """Fetch one file, unpack it, and give its entry of the record and what was left out."""
    target = beneath(folder, item.into) if item.into else folder
    kept = item.name if item.unpack == "none" else item.name.replace("/", "_")
    place = beneath(target if item.unpack == "none" else folder / WORK, kept)
    if former and former["url"] != item.url:
        place.unlink(missing_ok=True)
        former = {}
    published = item.hash != "unknown"
    expected = item.hash if published else former.get("sha256")
    why = "published" if published else "recorded at the first download"
    download(item.url, place, folder / WORK, expected, why, _look(name), session, progress)
    digest = "sha256:" + file_digest(place)
    left_out: list[str] = []
    if item.unpack == "none":
        members = {kept: place.stat().st_size}
    else:
        try:
            members, left_out = unpack(place, item.unpack, target, folder / WORK / "unpacking",
                                       item.inner, item.strip)
        except CorpusError as error:
            place.unlink()
            raise CorpusError(f"{error} It came from {item.url}; {_look(name)}") from None
        place.unlink()
    members = {os.path.join(item.into, path).replace(os.sep, "/"): size
               for path, size in members.items()}
    pointers = [path for path, size in members.items() if size < 200
                and beneath(folder, path).read_bytes().startswith(_POINTER)]
    if pointers:
        raise CorpusError(
            f"{len(pointers)} files from {item.url} are no recordings but pointers of git lfs: "
            f"{culprits(pointers)}. {_look(name).capitalize()}"
        )
    return {"url": item.url, "published": item.hash, "sha256": digest, "members": members,
            "date": time.strftime("%Y-%m-%d")}, left_out


def _look(name: str) -> str:
    if name not in catalogue.entries():
        return "look whether the address is still right."
    return f"look whether the corpus has moved: {catalogue.entry(name).where}."
