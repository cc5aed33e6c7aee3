"""Features of all utterances of a corpus; slow ones are computed once and kept beside it."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emokit import __version__
from emokit.baselines import BASELINES
from emokit.core import processes
from emokit.core.config import from_mapping, signature
from emokit.core.errors import EmokitError
from emokit.core.files import atomic, file_digest, locked, remove_tree
from emokit.corpora.store import AudioStore, BuiltCorpus
from emokit.loading.dataset import to_float

log = logging.getLogger("emokit")

FOLDER = "features"
"""Below the folder of a built corpus; may be removed at any time."""

BLOCK = 64
"""Utterances that a process describes at a time; what a kill can lose."""

Progress = Callable[[str, int, int], None]


def extractor(name: str, path: str | None = None):
    """Make the feature set that `NAME` or `NAME:PATH` means.

    Raises:
        ConfigError: unknown, a path where none belongs, or none where one does.
        EmokitError: what it needs is not installed or not there.
    """
    cls = BASELINES[name]
    settings = {} if path is None else {"path": path}
    return cls(from_mapping(cls.Config, settings, f"baseline {name}"))


def describe(corpus: BuiltCorpus, name: str, extract, jobs: int | None = None,
             progress: Progress | None = None) -> Callable[[Sequence[int]], np.ndarray]:
    """Give a function from manifest rows to their features [n, D].

    Args:
        extract: of `extractor`; if its class says `slow`, all utterances are described now, on
            several processes, and kept in the corpus's folder; otherwise each when asked for.
        jobs: processes; all processors if None.
        progress: called with (what, utterances done, of how many).

    Raises:
        EmokitError: see `kept`.
    """
    if getattr(extract, "slow", False):
        table = kept(corpus, name, extract, jobs, progress)
        return lambda rows: np.asarray(table[np.asarray(rows, np.int64)], np.float64)
    one = functools.cache(lambda row: _describe_one(extract, corpus.audio, row))

    def several(rows: Sequence[int]) -> np.ndarray:
        found = [one(int(row)) for row in rows]
        return np.stack(found) if found else np.zeros((0, extract.dim))

    return several


def kept(corpus: BuiltCorpus, name: str, extract, jobs: int | None = None,
         progress: Progress | None = None) -> np.ndarray:
    """Give features [N, D] float32 of all utterances, memory-mapped, from disk where they are.

    A killed computation goes on where it stopped; a second process waits for the first.

    Raises:
        EmokitError: the folder cannot be written, or what lies there is damaged.
    """
    file = corpus.folder / FOLDER / f"{name}-{_key(corpus, name, extract)}.npy"
    if not file.is_file():
        # never raised: the second process waits
        busy = EmokitError(f"Another process computes '{file}'.")
        with locked(file.with_suffix(".lock"), busy, wait=True):
            if not file.is_file():
                _compute(corpus, name, extract, file, jobs, progress)
    return _read(file, mmap_mode="r")


def _key(corpus: BuiltCorpus, name: str, extract) -> str:
    """Hash the samples and everything that decides what becomes of them."""
    return signature([
        name, __version__, importlib.metadata.version(extract.library), identity(extract),
        file_digest(inspect.getfile(type(extract))), corpus.manifest["audio_hash"].tolist()])


def identity(extract) -> str:
    """Give what a feature set says of its weights; empty if it has none."""
    return extract.identity() if hasattr(extract, "identity") else ""


def _compute(corpus, name, extract, file: Path, jobs, progress) -> None:
    parts, total = file.with_suffix(".parts"), len(corpus.audio)
    spans = [(start, min(start + BLOCK, total)) for start in range(0, total, BLOCK)]
    missing = [span for span in spans if not _part(parts, span).is_file()]
    log.info("%s: computing %s of %d utterances, once", corpus.name, name, total)
    work = functools.partial(_describe_block, str(corpus.folder), name,
                             getattr(extract.config, "path", None), identity(extract), str(parts))
    n_processes = jobs or len(os.sched_getaffinity(0))
    done = total - sum(stop - start for start, stop in missing)
    for (start, stop), _ in processes.run(work, missing, n_processes,
                                          "process that computes features"):
        done += stop - start
        if progress is not None:
            progress(f"{corpus.name} {name}", done, total)
    whole = np.concatenate([_read(_part(parts, span)) for span in spans])
    with atomic(file) as partial, open(partial, "wb") as target:
        np.save(target, whole)
    remove_tree(parts)


def _read(file: Path, **how: str) -> np.ndarray:
    try:
        return np.load(file, allow_pickle=False, **how)
    except (OSError, ValueError, EOFError) as error:
        raise EmokitError(
            f"'{file}' cannot be read ({error}). Remove it and run the command again."
        ) from None


def _part(parts: Path, span: tuple[int, int]) -> Path:
    return parts / f"{span[0]:08d}-{span[1]:08d}.npy"


def _describe_block(folder: str, name: str, path: str | None, identity: str, parts: str,
                    span: tuple[int, int]) -> None:
    """Describe utterances `start` to `stop` and write them; runs in a worker."""
    from threadpoolctl import threadpool_limits

    audio, extract = AudioStore(folder), _made(name, path, identity)
    # the processes are the parallelism, and sums depend on the number of threads
    with threadpool_limits(1):
        values = np.stack([_describe_one(extract, audio, row) for row in range(*span)])
    with atomic(_part(Path(parts), span)) as partial, open(partial, "wb") as target:
        np.save(target, values.astype(np.float32))


@functools.lru_cache(1)
def _made(name: str, path: str | None, identity: str):
    """Make a feature set once per process; another file under the same name is another one."""
    return extractor(name, path)


def _describe_one(extract, audio: AudioStore, row: int) -> np.ndarray:
    waveform = audio.read(row)
    return extract(to_float(waveform) if len(waveform) else np.zeros(1, np.float32))


def count_missing(features: Sequence[np.ndarray]) -> dict[str, Any]:
    """Count what is undefined: {utterances with something undefined, values}."""
    wrong = np.concatenate([~np.isfinite(table) for table in features])
    return {"utterances": int(wrong.any(1).sum()), "values": int(wrong.sum())}
