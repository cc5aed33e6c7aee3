"""Batches: padding, crops and augmentation that depend on nothing but seed, epoch and name."""

import numpy as np
import pytest
import torch

from emokit.audio.augment import Gain, Noise
from emokit.core.errors import CorpusError
from emokit.corpora.store import open_emoset
from emokit.loading.dataset import TrainBatches, collate, load, to_float
from emokit.loading.sampler import Plan
from emokit.loading.source import make_source


@pytest.fixture(scope="module")
def sources(emoset):
    return [make_source(corpus) for corpus in open_emoset(emoset)]


def batches_of(sources, plans, window=0.2, augmentations=(Noise(probability=1.0),), seed=0):
    return TrainBatches(sources, plans, window, list(augmentations), seed)


def waveforms(batch):
    return {name: batch.inputs[index, :batch.lengths[index]].numpy()
            for index, name in enumerate(batch.utterances)}


def plans_of(sources, size, epoch=0, turn=1):
    plans = []
    for index, source in enumerate(sources):
        rows = source.rows["train"][::turn]
        plans += [Plan(index, rows[start:start + size], epoch)
                  for start in range(0, len(rows), size)]
    return plans


def collected(dataset, workers=0):
    found = {}
    for batch in load(dataset, workers):
        found |= waveforms(batch)
    return found


def test_padding_follows_the_longest_and_empty_becomes_one_zero():
    batch = collate([np.array([5, 6, 7], np.int16), np.zeros(0, np.int16)], "c", ("a", "b"), [1, 0])
    assert batch.inputs.dtype == torch.int16
    assert batch.inputs.tolist() == [[5, 6, 7], [0, 0, 0]]
    assert batch.lengths.tolist() == [3, 1] and batch.targets.classes.tolist() == [1, 0]
    mixed = collate([np.array([-32768], np.int16), np.array([0.5], np.float32)], "c")
    assert mixed.inputs.tolist() == [[-1.0], [0.5]] and mixed.targets is None


def test_float_waveforms_pass_and_int16_is_scaled():
    half = np.array([0.5], np.float32)
    assert to_float(half) is half
    assert to_float(np.array([16384, -32768], np.int16)).tolist() == [0.5, -1.0]


def test_crops_and_augmentation_ignore_workers_and_batch_mates(sources):
    augmentations = (Noise(probability=0.7), Gain(probability=0.7))
    alone = collected(batches_of(sources, plans_of(sources, 1), augmentations=augmentations))
    many = collected(batches_of(sources, plans_of(sources, 5, turn=-1),
                                augmentations=augmentations))
    spread = collected(batches_of(sources, plans_of(sources, 4), augmentations=augmentations), 2)
    assert alone.keys() == many.keys() == spread.keys() and len(alone) == 33
    for name, waveform in alone.items():
        assert np.array_equal(waveform, many[name]) and np.array_equal(waveform, spread[name])


def test_another_epoch_or_seed_gives_other_crops(sources):
    first = collected(batches_of(sources, plans_of(sources, 8), augmentations=()))
    for other in (batches_of(sources, plans_of(sources, 8, epoch=1), augmentations=()),
                  batches_of(sources, plans_of(sources, 8), augmentations=(), seed=1)):
        again = collected(other)
        same = [np.array_equal(first[name], again[name]) for name in first]
        assert np.mean(same) < 0.2
    assert all(len(waveform) == 3200 for waveform in first.values())


def test_without_window_whole_utterances_come_as_stored(sources):
    found = collected(batches_of(sources, plans_of(sources, 8), window=None, augmentations=()))
    for source in sources:
        names = source.corpus.manifest["utterance"]
        for row in source.rows["train"]:
            assert np.array_equal(found[names[row]], source.corpus.audio.read(int(row)))


def test_targets_and_order_are_those_of_the_plan(sources):
    plans = plans_of(sources, 8)
    for plan, batch in zip(plans, load(batches_of(sources, plans), 2)):
        source = sources[plan.source]
        assert batch.corpus == source.head
        assert batch.targets.classes.tolist() == source.classes[plan.rows].tolist()
        assert list(batch.utterances) == list(
            source.corpus.manifest["utterance"].iloc[plan.rows])


class Failing(torch.utils.data.Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, number):
        if number == 2:
            raise CorpusError("The third is broken.")
        return number


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_loader_is_raised_where_batches_are_used(workers):
    seen = []
    with pytest.raises(CorpusError, match="^The third is broken.$"):
        for item in load(Failing(), workers):
            seen.append(item)
    assert seen == [0, 1]


def test_leaving_the_loop_early_ends_the_loading_thread():
    import threading

    before = threading.active_count()
    for _ in load(list(range(1000))):
        break
    assert threading.active_count() <= before
