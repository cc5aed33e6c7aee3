"""A corpus is built beside its place and put there whole; a kill between leaves one of both."""

from __future__ import annotations

import os
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.core.files import disk_errors, locked, remove_tree
from emokit.corpora.spec import CorpusSpec


def check_target(folder: Path, spec: CorpusSpec) -> None:
    """Never replace what emokit did not build, such as the raw corpus itself.

    Raises:
        CorpusError: the folder is the corpus's own root, above it, or something else.
    """
    from emokit.corpora.store import BUILD

    root = Path(spec.root).resolve()
    target = folder.resolve()
    if root == target or target in root.parents:
        raise CorpusError(
            f"Corpus '{spec.name}' would be built over its own recordings in '{folder}'. Choose "
            "another folder with --emoset."
        )
    if folder.exists() and not (folder / BUILD).is_file() and (
            not folder.is_dir() or any(folder.iterdir())):
        raise CorpusError(
            f"'{folder}' is in the way: it is no corpus that emokit built. Move it, or choose "
            "another folder with --emoset."
        )


def swap(out: Path, name: str) -> None:
    """Put the finished folder in the place of the former one."""
    work, target, old = out / f".{name}.building", out / name, out / f".{name}.old"
    remove_tree(work / "blocks")
    with disk_errors(target):
        if target.exists():
            remove_tree(old)
            os.rename(target, old)
        os.rename(work, target)
    remove_tree(old)


def recover(out: Path, name: str) -> None:
    """Finish a swap that was killed between its two renames."""
    from emokit.corpora.store import BUILD

    work, target, old = out / f".{name}.building", out / name, out / f".{name}.old"
    if old.exists() and not target.exists():
        os.rename(work if (work / BUILD).is_file() else old, target)
    if old.exists():
        remove_tree(old)


def lock(out: Path, name: str, wait: bool = False):
    """Keep two processes from building one corpus at once.

    Args:
        wait: for the other one to end; otherwise that it is there is a CorpusError.
    """
    return locked(out / f".{name}.lock", CorpusError(
        f"Another process is building '{name}' in '{out}'. Wait for it, or build into another "
        "folder with --emoset."), wait)
