"""Decode a corpus block by block: what is done stays done, whoever is killed.

A block is a run of utterances. Its samples and a small record of them are written whole or not at
all, the record last; a later build takes over every block whose files have not changed since.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from emokit.core import processes
from emokit.core.files import disk_errors

DECODER = 3
"""Raise when stored samples would change, so that everything is decoded again."""

BLOCK_FILES = 256
BLOCK_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Item:
    """One stretch of audio to decode.

    Args:
        path: relative to the root; it may lead into a table (see `emokit.audio.cells`).
        start, end: seconds, None where the file is taken whole.
        size: its share of the bytes of the file that holds it.
        mtime: of that file.
    """

    path: str
    start: float | None = None
    end: float | None = None
    size: int = -1
    mtime: int = -1


@dataclasses.dataclass(frozen=True)
class Block:
    """A run of items and the name it goes by; equal items in equal files have an equal key."""

    index: int
    items: tuple[Item, ...]
    key: str


@dataclasses.dataclass(frozen=True)
class Stored:
    """What became of one item.

    Args:
        length: samples in the store; 0 if it could not be read.
        digest: hash of these samples.
        clipped: samples that were clipped.
        problem: why it could not be read, or empty.
        silent: it holds nothing but silence.
        overrun: in words, that its stretch ends past its file and was cut there; empty if not.
    """

    length: int = 0
    digest: str = ""
    clipped: int = 0
    problem: str = ""
    silent: bool = False
    overrun: str = ""


def plan_blocks(items: Sequence[Item]) -> list[Block]:
    """Cut items into blocks of bounded count and size; the cut depends on the items alone."""
    blocks: list[Block] = []
    here: list[Item] = []
    weight = 0
    # small corpora still give every core something to do
    most = max(16, min(BLOCK_FILES, len(items) // 16))

    def close():
        text = json.dumps([DECODER, [[*vars(item).values()] for item in here]])
        key = hashlib.sha256(text.encode()).hexdigest()[:24]
        blocks.append(Block(len(blocks), tuple(here), key))

    for item in items:
        if here and (len(here) >= most or weight + item.size > BLOCK_BYTES):
            close()
            here, weight = [], 0
        here.append(item)
        weight += max(item.size, 0)
    if here:
        close()
    return blocks


def decode_block(root: str | os.PathLike, folder: Path, block: Block) -> list[Stored]:
    """Decode one block into `folder`, one file in memory at a time; the record is written last.

    A file that cannot be read becomes a `Stored` with its problem; it stops nothing here.

    Raises:
        EmokitError: the block cannot be written (disk full, permission).
    """
    from emokit.audio.cells import Sources
    from emokit.audio.read import Unreadable, decode, is_silent
    from emokit.corpora.fingerprint import fingerprints, frame_power

    samples_path, prints_path, record_path = _paths(folder, block)
    powers = []
    partial = samples_path.with_suffix(".partial")
    stored, sources = [], Sources()
    with disk_errors(folder):
        with open(partial, "wb") as file:
            for item in block.items:
                try:
                    source = sources.get(os.path.join(root, item.path))
                    decoded = decode(source, item.start, item.end)
                except Unreadable as error:
                    stored.append(Stored(problem=str(error)))
                    continue
                data = decoded.samples.astype("<i2", copy=False).data
                file.write(data)
                stored.append(Stored(
                    len(decoded.samples), hashlib.sha256(data).hexdigest()[:32], decoded.clipped,
                    silent=is_silent(decoded.samples), overrun=decoded.overrun,
                ))
                powers.append(frame_power(decoded.samples))
        os.replace(partial, samples_path)
        partial.write_bytes(fingerprints(powers).tobytes())
        os.replace(partial, prints_path)
        # not astuple, which copies every value and takes a twentieth of the whole build
        text = json.dumps({"key": block.key, "stored": [[*vars(row).values()] for row in stored]})
        partial.write_text(text)
        os.replace(partial, record_path)
    return stored


def finished(folder: Path, block: Block) -> list[Stored] | None:
    """Give what an earlier build left of this very block, or None."""
    from emokit.corpora.fingerprint import FINGERPRINT

    samples_path, prints_path, record_path = _paths(folder, block)
    try:
        record = json.loads(record_path.read_text())
        stored = [Stored(*row) for row in record["stored"]]
        size, n_prints = samples_path.stat().st_size, prints_path.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = (size == 2 * sum(row.length for row in stored)
             and n_prints == FINGERPRINT.itemsize * sum(not row.problem for row in stored))
    return stored if whole and record["key"] == block.key else None


def decode_all(
    root: str | os.PathLike, blocks: Sequence[Block], folder: Path, jobs: int
) -> Iterator[tuple[Block, list[Stored]]]:
    """Decode what is not yet done, on `jobs` processes, giving blocks in whatever order they end.

    Raises:
        EmokitError: a block cannot be written, or a worker process was killed.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    missing = []
    for block in blocks:
        stored = finished(folder, block)
        if stored is None:
            missing.append(block)
        else:
            yield block, stored
    decode = functools.partial(decode_block, os.fspath(root), folder)
    yield from processes.run(decode, missing, jobs, "decoding process")


def join(folder: Path, blocks: Sequence[Block], stored: Sequence[Sequence[Stored]],
         keep: Sequence[Sequence[bool]], target: Path) -> None:
    """Append the blocks' samples to one file, in order, in constant memory.

    Args:
        stored, keep: for each block and item, what it became and whether it belongs in the store.
    """
    with disk_errors(target), open(target, "wb") as out:
        for block, rows, flags in zip(blocks, stored, keep):
            samples_path, *_ = _paths(folder, block)
            with open(samples_path, "rb") as source:
                if all(flag or not row.length for flag, row in zip(flags, rows)):
                    _copy(source, out)
                    continue
                for flag, row in zip(flags, rows):
                    data = source.read(2 * row.length)
                    if flag:
                        out.write(data)


def fingerprints(folder: Path, blocks: Sequence[Block]):
    """Give the fingerprints of all items that could be read, in order; [N] of `FINGERPRINT`."""
    import numpy as np

    from emokit.corpora.fingerprint import FINGERPRINT, rows

    with disk_errors(folder):
        return np.concatenate([rows(0), *(np.fromfile(_paths(folder, block)[1], FINGERPRINT)
                                          for block in blocks)])


def _copy(source: BinaryIO, out: BinaryIO) -> None:
    """Append one file to another, inside the kernel where it can."""
    rest = os.fstat(source.fileno()).st_size
    out.flush()
    try:
        while rest:
            done = os.sendfile(out.fileno(), source.fileno(), None, rest)
            if not done:
                break
            rest -= done
    except (OSError, AttributeError) as error:
        # not every system sends between two files
        if getattr(error, "errno", errno.ENOSYS) not in (errno.ENOSYS, errno.EINVAL,
                                                         errno.ENOTSOCK):
            raise
    out.seek(0, os.SEEK_END)
    shutil.copyfileobj(source, out, 2**20)


def _paths(folder: Path, block: Block) -> tuple[Path, Path, Path]:
    # named by key, so blocks of files that did not change are found again after others did
    return tuple(folder / f"{block.key}.{kind}" for kind in ("i16", "prints", "json"))
