"""Manifest rows to padded batches, straight from the memory-mapped store."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from emokit.audio.crop import random_crop
from emokit.core.errors import EmokitError
from emokit.core.seeding import generator
from emokit.corpora.store import RATE
from emokit.loading.batch import Batch, Targets
from emokit.loading.sampler import Plan
from emokit.loading.source import Source


def collate(waveforms: Sequence[np.ndarray], corpus: str, utterances: Sequence[str] = (),
            classes: Sequence[int] | None = None, values: np.ndarray | None = None) -> Batch:
    """Pad waveforms to the longest.

    Args:
        waveforms: B arrays [S_i], int16 (kept as such: half the bytes to the device) or float32.
        classes, values: targets [B] and [B, R], if they are known.

    Returns:
        A batch; an empty waveform becomes one zero sample, so that every utterance has a frame.
    """
    lengths = [max(1, len(waveform)) for waveform in waveforms]
    kinds = {waveform.dtype for waveform in waveforms}
    if len(kinds) > 1:
        waveforms = [to_float(waveform) for waveform in waveforms]
    inputs = np.zeros((len(waveforms), max(lengths)), dtype=waveforms[0].dtype)
    for row, waveform in zip(inputs, waveforms):
        row[:len(waveform)] = waveform
    targets = None if classes is None else make_targets(np.asarray(classes), values)
    return Batch(torch.from_numpy(inputs), torch.tensor(lengths), corpus, tuple(utterances),
                 targets)


def make_targets(classes: np.ndarray, values: np.ndarray | None) -> Targets:
    """Give the targets of a batch, classes [B] and, where there are dimensions, values [B, R]."""
    return Targets(torch.as_tensor(classes),
                   dimensions=None if values is None else torch.as_tensor(values))


def to_float(waveform: np.ndarray) -> np.ndarray:
    """Turn int16 samples into float32 in [-1, 1); float32 passes."""
    if waveform.dtype == np.int16:
        return waveform.astype(np.float32) / np.float32(32768)
    return waveform


class TrainBatches(torch.utils.data.Dataset):
    """Batches of one epoch by number: a random crop of each utterance, augmented.

    Crops and augmentations depend on seed, epoch and utterance alone, neither on the number of
    workers nor on batch mates.

    Args:
        sources: the run's corpora.
        plans: the epoch's batches.
        window: crop length in seconds, or None for whole utterances.
        augmentations: callables (waveform [S] float32, rng) -> waveform, in order.
        seed: of the run.
    """

    def __init__(self, sources: Sequence[Source], plans: Sequence[Plan], window: float | None,
                 augmentations: Sequence, seed: int):
        self.sources, self.plans = sources, plans
        self.window = None if window is None else round(window * RATE)
        self.augmentations, self.seed = augmentations, seed
        self.names = [source.corpus.manifest["utterance"].to_numpy(dtype=object)
                      for source in sources]

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, number: int) -> Batch:
        plan = self.plans[number]
        head, waveforms, names, classes, values = self.sources[plan.source].head, [], [], [], []
        for index, row in zip(plan.sources.tolist(), plan.rows.tolist()):
            source, name = self.sources[index], self.names[index][row]
            waveforms.append(self._load(source, row, name, plan.epoch))
            names.append(name)
            classes.append(source.classes[row])
            if source.values is not None:
                values.append(source.values[row])
        batch = collate(waveforms, head, names, classes, np.stack(values) if values else None)
        if plan.mixed is not None:
            batch.sources = torch.from_numpy(plan.mixed)
        return batch

    def _load(self, source: Source, row: int, name: str, epoch: int) -> np.ndarray:
        audio = source.corpus.audio
        n_samples = int(audio.offsets[row + 1] - audio.offsets[row])
        start, stop = 0, n_samples
        if self.window is not None and n_samples > self.window:
            start, stop = random_crop(
                n_samples, self.window, generator(self.seed, "crop", epoch, name)
            )
        waveform = audio.read(row, start, stop)
        if self.augmentations:
            rng = generator(self.seed, "augment", epoch, name)
            waveform = to_float(waveform)
            for augment in self.augmentations:
                waveform = augment(waveform, rng)
        return waveform


def load(dataset: torch.utils.data.Dataset, workers: int = 0, pin: bool = False) -> Iterator[Batch]:
    """Give the batches of a dataset in order, loaded ahead.

    Args:
        workers: processes; 0 loads in one thread of this process, which is enough where loading
            only copies from the page cache.
        pin: pin memory for overlapping transfers to a GPU.
    """
    if workers:
        loader = torch.utils.data.DataLoader(
            dataset, batch_size=None, num_workers=workers, prefetch_factor=4
        )
        batches: Iterable[Batch] = iter(loader)
    else:
        batches = _ahead(dataset)
    try:
        for batch in batches:
            yield batch.pin() if pin else batch
    except EmokitError as error:
        # the error of a worker comes wrapped in its traceback; people want the message
        kind = type(error)
        raise kind(str(error).rpartition(f"{kind.__name__}: ")[2].strip()) from None


def _ahead(dataset, depth: int = 2) -> Iterator[Batch]:
    """Load in a thread, at most `depth` batches ahead; its errors are raised here."""
    ready: queue.Queue = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work():
        try:
            for number in range(len(dataset)):
                if not put(dataset[number]):
                    return
            put(None)
        except BaseException as error:  # noqa: B902 - handed to the consumer
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
