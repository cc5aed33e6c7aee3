"""Archives of corpora, unpacked whole or not at all, and never outside their folder."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError, EmokitError, culprits
from emokit.core.files import disk_errors, remove_tree

_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_UNICODE_PATH = 0x7075
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError,
           struct.error)


def unpack(
    archive: Path, kind: str, target: Path, work: Path, inner: Iterable[str] = (), strip: int = 0
) -> tuple[dict[str, int], list[str]]:
    """Unpack an archive below a folder; what lies there under the same names is replaced.

    Names in ZIP files that are not marked as UTF-8 are read as UTF-8 if they can be, else as
    code page 437, so that accents come out whichever tool packed them. Links, devices and macOS's
    `__MACOSX` are left out.

    Args:
        kind: `zip` or `tar` (plain, gzip, bzip2 or xz).
        work: an empty or missing folder on the same disk, for what is not finished.
        inner: patterns of archives inside this one, unpacked in their place.
        strip: outer folders to leave out of each path.

    Returns:
        {path below target: bytes} of the files, and the names of links and devices left out.

    Raises:
        CorpusError: damaged, locked by a password, no such archive at all, or a name that leaves
            the folder; nothing is unpacked then.
        EmokitError: a disk without room.
    """
    remove_tree(work)
    with disk_errors(work):
        work.mkdir(parents=True)
    try:
        left_out = _unpack_into(archive, kind, work)
        for pattern in inner:
            for name in sorted(fnmatch.filter(_files(work), pattern)):
                left_out += _unpack_into(work / name, "tar" if ".tar" in name else "zip",
                                         (work / name).parent)
                (work / name).unlink()
        members = {}
        for name in _files(work):
            inside = "/".join(name.split("/")[strip:]) or name
            members[inside] = (work / name).stat().st_size
            with disk_errors(target / inside):
                (target / inside).parent.mkdir(parents=True, exist_ok=True)
                os.replace(work / name, target / inside)
        if not members:
            raise CorpusError(f"'{archive.name}' holds no file.")
        return members, left_out
    finally:
        remove_tree(work)


def zip_name(info: zipfile.ZipInfo) -> str:
    """Give the name of a ZIP member with its accents right."""
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    name = _unicode_path(info.extra)
    if name is None:
        raw = info.orig_filename.encode("cp437")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            name = raw.decode("cp437")
    return name if "/" in name else name.replace("\\", "/")


def _unicode_path(extra: bytes) -> str | None:
    """Read the field in which Info-ZIP keeps a name as UTF-8."""
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == _UNICODE_PATH and size > 5:
            return extra[9:4 + size].decode("utf-8", "replace")
        extra = extra[4 + size:]
    return None


def _unpack_into(archive: Path, kind: str, folder: Path) -> list[str]:
    try:
        if kind == "zip":
            with zipfile.ZipFile(archive) as file:
                return _write_all(archive, _zip_members(archive, file), folder)
        with tarfile.open(archive) as file:
            return _write_all(archive, _tar_members(file), folder)
    except _BROKEN as error:
        raise CorpusError(f"'{archive.name}' is no {kind} archive or is damaged{_start(archive)}: "
                          f"{str(error).splitlines()[0].rstrip(':')}.") from None
    except OSError as error:
        if error.errno is not None:
            raise
        # gzip and lzma raise OSErrors of their own
        raise CorpusError(f"'{archive.name}' is damaged: {error}.") from None


def _zip_members(archive: Path, file: zipfile.ZipFile) -> Iterator[tuple]:
    """Give name, bytes and an opener of each member; no opener for what is left out."""
    for info in file.infolist():
        if info.is_dir():
            continue
        if info.flag_bits & _ENCRYPTED:
            raise CorpusError(f"'{archive.name}' is locked by a password. Unpack it by hand.")
        regular = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
        yield zip_name(info), info.file_size, (lambda info=info: file.open(info)) \
            if regular else None


def _tar_members(file: tarfile.TarFile) -> Iterator[tuple]:
    for info in file.getmembers():
        if not info.isdir():
            yield info.name, info.size, (lambda info=info: file.extractfile(info)) \
                if info.isreg() else None


def _write_all(archive: Path, members, folder: Path) -> list[str]:
    members = [(_parts(name), size, opened, name) for name, size, opened in members]
    members = [member for member in members if "__MACOSX" not in (member[0] or ())]
    outside = [name for parts, _, _, name in members if not parts]
    if outside:
        raise CorpusError(
            f"'{archive.name}' holds {culprits(map(repr, outside))}, which would leave its folder. "
            "Nothing was unpacked; do not trust this file."
        )
    needed = sum(size for _, size, opened, _ in members if opened)
    if needed > shutil.disk_usage(folder).free:
        raise EmokitError(f"'{archive.name}' needs {needed / 1e6:,.0f} MB unpacked, more than the "
                          f"disk of '{folder}' has free. Make room and run the command again.")
    for parts, _, opened, _ in members:
        if opened:
            path = folder.joinpath(*parts)
            with opened() as source, disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    return [name for _, _, opened, name in members if not opened]


def _parts(name: str) -> tuple[str, ...]:
    """Give the parts of a member's name, none if it would leave the folder."""
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or "\0" in name:
        return ()
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    return () if ".." in parts else parts


def _files(folder: Path) -> list[str]:
    return sorted(os.path.relpath(os.path.join(here, name), folder).replace(os.sep, "/")
                  for here, _, names in os.walk(folder) for name in names)


def _start(archive: Path) -> str:
    """Show how a file begins that is text, such as the page of an error or a login."""
    with open(archive, "rb") as file:
        start = file.read(60)
    text = start.decode("utf-8", "replace").strip()
    return f" (it begins with {text!r})" if text.isprintable() and text else ""
