"""Frames to cluster numbers, at one or several sizes: what masked prediction predicts."""

from __future__ import annotations

import dataclasses
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from emokit.core.config import signature
from emokit.core.errors import CheckpointError, ConfigError
from emokit.core.files import read_json, write_bytes, write_json
from emokit.core.seeding import derive, generator
from emokit.loading.source import Source
from emokit.pretraining.data import HELD_OUT

log = logging.getLogger("emokit")

_FACTS = "clusters.json"
_BATCH = 10_000  # frames of a mini-batch, as HuBERT's


@dataclasses.dataclass(frozen=True)
class Clusters:
    """Cluster numbers of every frame of some utterances.

    Args:
        sizes: clusters of each of N clusterings.
        ids: corpus to [N, sum of frames] uint16.
        offsets: corpus to [rows of the manifest + 1]; what belongs to row i lies from offsets[i]
            to offsets[i + 1], nothing for a row that was not clustered.
        shares: N arrays [K], how often each cluster is in train.
    """

    sizes: tuple[int, ...]
    ids: Mapping[str, np.ndarray]
    offsets: Mapping[str, np.ndarray]
    shares: Sequence[np.ndarray]

    def of(self, corpus: str, row: int, n_frames: int, first: int, n: int) -> np.ndarray:
        """Give the numbers of n frames of an utterance from one on, [N, n].

        Where the teacher has another number of frames, each frame takes the teacher's at the same
        place in time, frames of either being evenly spread over the utterance.

        Args:
            n_frames: frames that the encoder that learns makes of the whole utterance.
        """
        start, stop = self.offsets[corpus][row:row + 2]
        count = int(stop - start)
        place = np.arange(first, first + n)
        if count != n_frames:
            place = ((2 * place + 1) * count) // (2 * n_frames)
        return self.ids[corpus][:, start + np.minimum(place, count - 1)]


def make_clusters(teacher, sources: Sequence[Source], sizes: Sequence[int], most: int, rounds: int,
                  seed: int, folder: Path) -> Clusters:
    """Cluster the teacher's frames, or read what was clustered into a folder before.

    Centres are found on frames of train by mini-batch k-means, at most `most` for each cluster
    of the largest size, drawn evenly; then every frame of train and of the held-out speakers
    gets the number of its nearest centre. Spectra are brought to mean 0 and deviation 1 first.

    Args:
        teacher: see `emokit.pretraining.teachers`.
        folder: where the numbers and their facts lie.

    Raises:
        ConfigError: fewer frames than clusters.
        CheckpointError: the folder holds clusters of another teacher.
    """
    facts = {"teacher": teacher.signature, "sizes": list(sizes), "most": most, "rounds": rounds,
             "seed": seed, "builds": {source.name: source.corpus.signature for source in sources},
             "rows": {source.name: signature(_rows(source).tolist()) for source in sources}}
    if (folder / _FACTS).is_file():
        if read_json(folder / _FACTS)["of"] != facts:
            raise CheckpointError(
                f"'{folder}' holds clusters of another teacher, other sizes or another build of "
                "the corpora. Remove that folder to cluster anew.")
        return _read(folder, sources)
    frames = _sample(teacher, sources, most * max(sizes), seed)
    if len(frames) < max(sizes):
        raise ConfigError(f"There are {len(frames)} frames of train for {max(sizes)} clusters. "
                          "Lower --clusters, or add corpora.")
    mean, scale = frames.mean(0), np.ones(frames.shape[1], np.float32)
    if hasattr(teacher, "kind"):
        scale = frames.std(0) + 1e-6
    frames -= mean
    frames /= scale
    models = [_fit(frames, size, rounds, seed) for size in sizes]
    del frames
    ids, offsets, counts = {}, {}, [np.zeros(size, np.int64) for size in sizes]
    for source in sources:
        rows = _rows(source)
        own: dict[int, np.ndarray] = {}
        for row, values in teacher.frames(source, rows):
            values = (values - mean) / scale
            own[row] = np.stack([model.predict(values) for model in models]).astype(np.uint16)
        lengths = np.zeros(len(source.corpus.manifest), np.int64)
        lengths[rows] = [own[int(row)].shape[1] for row in rows]
        offsets[source.name] = np.concatenate([[0], np.cumsum(lengths)])
        ids[source.name] = np.concatenate(
            [own[int(row)] for row in rows] or [np.zeros((len(sizes), 0), np.uint16)], 1)
        for row in source.rows["train"]:
            for count, numbers in zip(counts, own[int(row)]):
                count += np.bincount(numbers, minlength=len(count))
    for source in sources:
        _write_array(folder / f"{source.name}.ids.npy", ids[source.name])
        _write_array(folder / f"{source.name}.offsets.npy", offsets[source.name])
    for size, model in zip(sizes, models):
        _write_array(folder / f"centres{size}.npy", model.cluster_centers_ * scale + mean)
    write_json(folder / _FACTS, {"of": facts, "counts": [count.tolist() for count in counts]})
    found = _read(folder, sources)
    for size, share in zip(sizes, found.shares):
        log.info("%d clusters of %d frames: %.0f%% used, the largest holds %.1f%%", size,
                 sum(map(int, counts[0])), 100 * (share > 0).mean(), 100 * share.max())
    return found


def _rows(source: Source) -> np.ndarray:
    return np.sort(np.concatenate([source.rows["train"], source.rows[HELD_OUT]]))


def _sample(teacher, sources: Sequence[Source], limit: int, seed: int) -> np.ndarray:
    """Draw frames of train, [n, F] float32, evenly over all utterances."""
    lengths = [source.corpus.audio.lengths[source.rows["train"]] for source in sources]
    total = sum(int(some.sum()) for some in lengths)
    parts: list[np.ndarray] = []
    for source in sources:
        of_train = set(source.rows["train"].tolist())
        # the same rows as below, so that states are computed once
        for row, values in teacher.frames(source, _rows(source)):
            if row not in of_train:
                continue
            wanted = limit * int(source.corpus.audio.lengths[row]) / total
            rng = generator(seed, "frames", source.name, row)
            n = min(len(values), int(wanted + rng.random()))
            parts.append(values[np.sort(rng.permutation(len(values))[:n])])
    return np.concatenate(parts)


def _fit(frames: np.ndarray, size: int, rounds: int, seed: int):
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    model = MiniBatchKMeans(
        size, max_iter=rounds, batch_size=min(_BATCH, len(frames)), n_init=3,
        init_size=min(len(frames), 3 * max(size, _BATCH)), reassignment_ratio=0.0,
        random_state=derive(seed, "clusters", size) % 2**32)
    with warnings.catch_warnings():
        # equal frames, as of digital silence, may leave clusters empty; the log tells the share
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(frames)


def _write_array(path: Path, array: np.ndarray) -> None:
    data = io.BytesIO()
    np.save(data, array, allow_pickle=False)
    write_bytes(path, data.getbuffer())


def _read(folder: Path, sources: Sequence[Source]) -> Clusters:
    facts = read_json(folder / _FACTS)
    ids = {source.name: np.load(folder / f"{source.name}.ids.npy") for source in sources}
    offsets = {source.name: np.load(folder / f"{source.name}.offsets.npy") for source in sources}
    counts = [np.array(count) for count in facts["counts"]]
    return Clusters(tuple(facts["of"]["sizes"]), ids, offsets,
                    [count / max(1, count.sum()) for count in counts])
