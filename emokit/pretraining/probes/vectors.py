"""One vector an utterance: means of states, and histograms of clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emokit.core.seeding import derive
from emokit.pretraining.local_attributes import saved
from emokit.pretraining.local_attributes.branches import as_states, real_frames
from emokit.pretraining.local_attributes.data import FrameSet
from emokit.pretraining.local_attributes.prototypes import FIT_FRAMES, Prototypes

BATCH_SECONDS = 120.0


def utterance_table(sources, sets: Sequence[FrameSet], partitions: Sequence[str]):
    """Give a row for each utterance of each set, and for each set the row of each of its crops.

    Returns:
        (table with utterance, corpus, partition, emotion, speaker, gender; a list of [crops]).
    """
    import pandas as pd

    tables, owners, first = [], [], 0
    for frames, partition in zip(sets, partitions):
        owner = []
        for source, one in zip(sources, frames.states):
            rows = source.corpus.manifest.iloc[one.rows]
            gender = rows["gender"].to_numpy(dtype=object) if "gender" in rows else ""
            tables.append(pd.DataFrame({
                "utterance": rows["utterance"], "corpus": source.name, "partition": partition,
                "emotion": rows["emotion"], "speaker": rows["speaker"], "gender": gender}))
            owner.append(first + one.crops[:, 0])
            first += len(rows)
        owners.append(np.concatenate(owner))
    return pd.concat(tables, ignore_index=True).fillna(""), owners


class Vectors:
    """Vectors of all utterances of several sets.

    Args:
        sets: their frozen states, of all layers.
        owners: for each set the utterance of each crop.
        n: utterances.
        width: D of the encoder.
    """

    def __init__(self, sets: Sequence[FrameSet], owners: Sequence[np.ndarray], n: int, width: int):
        self.sets, self.owners, self.n, self.width = sets, owners, n, width

    def frames(self, make: Callable[[Tensor, Tensor], Tensor], dim: int) -> list[np.ndarray]:
        """Give for each set what `make(states [B, N, T, D], real [B, T])` is of its frames."""
        found = []
        for frames in self.sets:
            values = np.zeros((frames.n_frames, dim), np.float32)
            for batch in frames.in_order(BATCH_SECONDS):
                real = real_frames(batch.lengths, batch.values.shape[1])
                with torch.inference_mode():
                    made = make(as_states(batch.values, self.width), real)
                values[batch.at] = made[real].numpy()
            found.append(values)
        return found

    def means(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        """Give the mean of each utterance's frames, [N, D]."""
        sums, counts = np.zeros((self.n, frames[0].shape[1])), np.zeros(self.n)
        for values, one, owner in zip(frames, self.sets, self.owners):
            of = np.repeat(owner, one.lengths)
            np.add.at(counts, of, 1)
            order = np.argsort(of, kind="stable")
            starts = np.flatnonzero(np.diff(of[order], prepend=-1))
            sums[of[order][starts]] += np.add.reduceat(values[order].astype(float), starts)
        return sums / counts[:, None]

    def histograms(self, ids: Sequence[np.ndarray], k: int) -> np.ndarray:
        """Give the shares of k clusters in each utterance, [N, k], from those of each frame."""
        counts = np.zeros((self.n, k))
        for found, one, owner in zip(ids, self.sets, self.owners):
            np.add.at(counts, (np.repeat(owner, one.lengths), found), 1)
        return counts / counts.sum(1, keepdims=True)

    def owner_of_frames(self, number: int) -> np.ndarray:
        """Give the utterance of each frame of a set."""
        return np.repeat(self.owners[number], self.sets[number].lengths)


def nearest(frames: Sequence[np.ndarray], prototypes: Prototypes) -> list[np.ndarray]:
    """Give the cluster of each frame of each set."""
    with torch.inference_mode():
        return [np.concatenate([
            prototypes.cosines(torch.from_numpy(part)).argmax(1).numpy()
            for part in np.array_split(values, max(1, len(values) // 10_000))])
            for values in frames]


def kmeans(frames: np.ndarray, positions: np.ndarray, k: int, seed: int) -> Prototypes:
    """Fit k clusters on some frames [n, D] by k-means."""
    found = Prototypes(k, frames.shape[1])
    found.fit(frames[positions], derive(seed, "probe", "k-means"))
    return found


def random_clusters(frames: np.ndarray, k: int, rng: np.random.Generator) -> Prototypes:
    """Give k frames drawn at random as clusters, the frames' mean taken off."""
    found = Prototypes(k, frames.shape[1])
    found.offset.copy_(torch.from_numpy(frames[:FIT_FRAMES].mean(0)))
    found.origin.copy_(found.offset)
    drawn = frames[np.sort(rng.choice(len(frames), k, replace=False))]
    found.centres.copy_(torch.from_numpy(drawn))
    return found


def load_start(path: Path, model, branch: str):
    """Load what was learnt on this encoder, see `saved.load`.

    Raises:
        CheckpointError: it was learnt on another.
    """
    from emokit.core.errors import CheckpointError
    from emokit.training.adapter_start import encoder_identity

    adapter, clusterings, meta = saved.load(path, model.backbone.readout, branch)
    if meta["encoder"] != encoder_identity(model.backbone):
        raise CheckpointError(
            f"'{path}' was learnt on the states of another encoder than this --backbone. Name the "
            f"one it was learnt on ({meta['facts']['backbone']}).")
    return adapter, clusterings, meta
