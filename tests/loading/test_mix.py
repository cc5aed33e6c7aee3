"""Batches of several corpora: who is in them, how often, and that nothing else changes."""

import collections

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emokit.corpora.store import open_emoset
from emokit.loading.dataset import TrainBatches, load
from emokit.loading.sampler import EpochSampler
from emokit.loading.source import make_source


def sampler_of(sizes, batch_size=8, mixed=True, **settings):
    sources = [(f"c{index}", np.arange(2 * size) % 3, np.arange(0, 2 * size, 2))
               for index, size in enumerate(sizes)]
    return EpochSampler(sources, batch_size, mixed=mixed, **settings)


def shown(sampler, epoch):
    """Count how often each utterance is in an epoch."""
    return collections.Counter(
        pair for plan in sampler.plans(epoch)
        for pair in zip(plan.sources.tolist(), plan.rows.tolist()))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(1, 20),
       st.sampled_from(["round_robin", "proportional", "temperature"]), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_every_utterance_is_as_often_in_an_epoch_as_without_mixing(sizes, batch_size, sampler,
                                                                   seed):
    mixed, apart = (sampler_of(sizes, batch_size, mixed=choice, sampler=sampler, seed=seed)
                    for choice in (True, False))
    for epoch in range(3):
        assert shown(mixed, epoch) == shown(apart, epoch)
        batches = [len(plan.rows) for plan in mixed.plans(epoch)]
        assert len(batches) == len(apart.plans(epoch))
        assert max(batches) <= batch_size and max(batches) - min(batches) <= 1


def test_batches_hold_corpora_by_their_share_of_the_epoch():
    made = sampler_of([100, 300, 600], 32, sampler="proportional")
    found = np.array([np.bincount(plan.sources, minlength=3) / len(plan.rows)
                      for epoch in range(20) for plan in made.plans(epoch)])
    np.testing.assert_allclose(found.mean(axis=0), [0.1, 0.3, 0.6], atol=0.02)
    # as one draw after the other from all would have it: sqrt(.6 * .4 / 32) = .087
    assert found[:, 2].std() == pytest.approx(0.087, abs=0.02)
    assert {plan.sources[0] for plan in made.plans(0)} == {0, 1, 2}
    assert all(plan.source == plan.sources[0] for plan in made.plans(0))


def test_plans_depend_on_seed_and_epoch_alone():
    def rows(seed, epoch):
        return [plan.rows.tolist() for plan in sampler_of([11, 40, 5], seed=seed).plans(epoch)]

    whole = sampler_of([11, 40, 5], seed=3)
    for epoch in range(4):
        plans = whole.plans(epoch)
    assert [plan.rows.tolist() for plan in plans] == rows(3, 3)
    assert rows(3, 3) != rows(4, 3) and rows(3, 3) != rows(3, 2)


def test_a_plan_without_mixing_names_its_one_source():
    for plan in sampler_of([9, 9], mixed=False).plans(0):
        assert plan.mixed is None and plan.sources.tolist() == [plan.source] * len(plan.rows)


@pytest.fixture(scope="module")
def sources(emoset):
    return [make_source(corpus, "arousal", pooled=True) for corpus in open_emoset(emoset)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_holds_the_crops_targets_and_names_of_its_plan(sources, workers):
    def batches(mixed):
        sampler = EpochSampler([(source.name, source.classes, source.rows["train"])
                                for source in sources], 8, mixed=mixed)
        plans = sampler.plans(1)
        return zip(plans, load(TrainBatches(sources, plans, 0.2, [], 0), workers))

    apart = {}
    for _, batch in batches(mixed=False):
        assert batch.sources is None
        apart |= {name: inputs[:length] for name, inputs, length in zip(
            batch.utterances, batch.inputs, batch.lengths)}
    kinds = set()
    for plan, batch in batches(mixed=True):
        assert batch.corpus == "pooled" and batch.sources.tolist() == plan.sources.tolist()
        kinds.add(len(set(plan.sources)))
        for place, (index, row) in enumerate(zip(plan.sources, plan.rows)):
            source, name = sources[index], batch.utterances[place]
            assert name == source.corpus.manifest["utterance"].iloc[row]
            assert batch.targets.classes[place] == source.classes[row]
            assert torch.equal(batch.inputs[place, :batch.lengths[place]], apart[name])
        assert batch.to("cpu").sources.tolist() == batch.sources.tolist()
    assert 2 in kinds
