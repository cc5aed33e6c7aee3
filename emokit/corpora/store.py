"""The built corpus on disk: 16 kHz samples back to back, and the manifest beside them."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from emokit.core.errors import CorpusError, choices
from emokit.core.files import read_json

RATE = 16_000
"""Sample rate of every store, Hz."""

AUDIO, OFFSETS, MANIFEST, BUILD = "audio.i16", "offsets.npy", "manifest.csv", "build.json"
FINGERPRINTS = "fingerprints.npy"


class AudioStore:
    """Samples of one corpus, opened without reading them.

    Row i of the manifest is utterance i here. The mapping is opened on first use and again in
    every process that receives this object, so workers of a loader share the page cache.

    Args:
        folder: holds `audio.i16` (little-endian int16, mono, 16 kHz) and `offsets.npy`
            (int64, N + 1 numbers; utterance i is samples offsets[i] to offsets[i + 1]).

    Raises:
        CorpusError: a file is missing or its size contradicts the offsets.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        try:
            self.offsets = np.load(self.folder / OFFSETS, allow_pickle=False)
            size = (self.folder / AUDIO).stat().st_size
        except (OSError, ValueError) as error:
            raise CorpusError(
                f"Corpus folder '{folder}' is incomplete ({error}). Build the corpus again."
            ) from None
        if size != 2 * int(self.offsets[-1]):
            raise CorpusError(
                f"'{self.folder / AUDIO}' has {size} bytes where its offsets say "
                f"{2 * int(self.offsets[-1])}. Build the corpus again."
            )

    @property
    def lengths(self) -> np.ndarray:
        """Samples per utterance, [N] int64."""
        return np.diff(self.offsets)

    @functools.cached_property
    def samples(self) -> np.ndarray:
        """All samples as one memory-mapped int16 array."""
        if not int(self.offsets[-1]):
            return np.zeros(0, np.int16)
        return np.memmap(self.folder / AUDIO, dtype="<i2", mode="r")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def read(self, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Give int16 samples `start` to `stop` of one utterance, as a view of the mapping."""
        first, last = int(self.offsets[index]), int(self.offsets[index + 1])
        stop = last if stop is None else min(first + stop, last)
        return self.samples[first + start:stop]

    def __getstate__(self):
        # the mapping must not travel to worker processes
        return {"folder": self.folder, "offsets": self.offsets}


@dataclasses.dataclass(frozen=True)
class BuiltCorpus:
    """One corpus as `build-corpus` left it.

    Args:
        name: id of the corpus.
        folder: where it lies.
        classes: its ordered class list, the only order anywhere.
        manifest: pandas table, row i is utterance i of `audio`.
        audio: its samples.
        build: `build.json`: signature, counts, partition rule, waivers, versions.
    """

    name: str
    folder: Path
    classes: tuple[str, ...]
    manifest: Any
    audio: AudioStore
    build: dict

    @property
    def signature(self) -> str:
        """Changes whenever anything built changes; stored in every checkpoint."""
        return self.build["signature"]


def open_corpus(folder: str | os.PathLike) -> BuiltCorpus:
    """Open one built corpus.

    Raises:
        CorpusError: no `build.json` (not built, or a build was interrupted), or files that
            contradict each other.
    """
    from emokit.corpora import manifest

    folder = Path(folder)
    if not (folder / BUILD).is_file():
        raise CorpusError(
            f"'{folder}' holds no complete corpus (no {BUILD}). Run: emokit build-corpus"
        )
    build = read_json(folder / BUILD)
    table = manifest.read(folder / MANIFEST)
    audio = AudioStore(folder)
    if len(audio) != len(table):
        raise CorpusError(
            f"'{folder}' has {len(table)} manifest rows for {len(audio)} stored utterances. "
            "Build the corpus again."
        )
    return BuiltCorpus(build["corpus"], folder, tuple(build["classes"]), table, audio, build)


def built_names(emoset: str | os.PathLike) -> list[str]:
    """Name the corpora that lie complete below a folder, sorted."""
    return sorted(path.parent.name for path in Path(emoset).glob(f"*/{BUILD}"))


def open_emoset(emoset: str | os.PathLike, names: Iterable[str] = ()) -> list[BuiltCorpus]:
    """Open the built corpora of a folder, all of them or those named, sorted by name.

    Raises:
        CorpusError: nothing is built there, or a name is not.
    """
    built = built_names(emoset)
    if not built:
        raise CorpusError(
            f"No corpus is built in '{emoset}'. Run 'emokit build-corpus', or "
            "'emokit build-corpus --synthetic' if you have no recordings at hand."
        )
    names = list(names) or built
    for name in names:
        if name not in built:
            raise CorpusError(f"Corpus '{name}' is not built in '{emoset}'. {choices(name, built)}")
    return [open_corpus(Path(emoset) / name) for name in sorted(set(names))]
