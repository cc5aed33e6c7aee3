"""What a build is made from: the files below a corpus root, told apart without opening them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from emokit.core.config import signature
from emokit.core.errors import CorpusError


def tree(
    root: str | os.PathLike, without: str | os.PathLike | None = None
) -> Iterator[tuple[str, int, int]]:
    """Give (relative path, bytes, modification time in ns) of every visible file below a root.

    Linked folders are followed, each real folder once. Folders come in order of their names.

    Args:
        root: corpus folder.
        without: a folder to leave out; what emokit builds may lie below the root.

    Raises:
        CorpusError: the root or a folder in it cannot be listed.
    """
    seen = set()
    if without is not None:
        with contextlib.suppress(OSError):
            facts = os.stat(without)
            seen.add((facts.st_dev, facts.st_ino))
    waiting = [(os.fspath(root), "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            facts = os.stat(folder)
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(folder) as found:
                entries = sorted((entry for entry in found if not entry.name.startswith(".")),
                                 key=lambda entry: entry.name)
        except OSError as error:
            raise CorpusError(
                f"Cannot list the folder '{folder}': {error.strerror or error}."
            ) from None
        folders = []
        for entry in entries:
            try:
                if entry.is_dir():
                    folders.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    facts = entry.stat()
                    yield prefix + entry.name, facts.st_size, facts.st_mtime_ns
            except OSError:
                # a dangling link: its target may come back, then the listing differs
                yield prefix + entry.name, -1, -1
        waiting.extend(reversed(folders))


def inputs_signature(
    root: str | os.PathLike,
    settings: Any,
    further: Iterable[str | os.PathLike] = (),
    without: str | os.PathLike | None = None,
) -> str:
    """Name everything that a build depends on: files by path, size and time, settings, code.

    Args:
        root: corpus folder.
        settings: whatever `emokit.core.config.signature` takes.
        further: files outside the root that matter too (lists, the parser's own code).
        without: a folder below the root to leave out.
    """
    digest = hashlib.sha256(signature(settings, 64).encode())
    for path, size, mtime in tree(root, without):
        digest.update(f"{path}\0{size}\0{mtime}\n".encode("utf-8", "surrogateescape"))
    for path in further:
        try:
            digest.update(Path(path).read_bytes())
        except OSError:
            digest.update(f"missing {path}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]
