"""Which corpus comes next, how often, and that no utterance is forgotten."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emokit.loading.sampler import EpochSampler, by_length, corpus_order, n_batches


def sampler_of(sizes, batch_size=8, classes=3, **settings):
    sources = [(f"c{index}", np.arange(2 * size) % classes, np.arange(0, 2 * size, 2))
               for index, size in enumerate(sizes)]
    return EpochSampler(sources, batch_size, **settings)


def sequence(sampler, source, epochs):
    return np.concatenate([plan.rows for epoch in range(epochs) for plan in sampler.plans(epoch)
                           if plan.source == source])


@pytest.mark.parametrize("sampler, temperature, share", [
    ("round_robin", 0.5, [1 / 3, 1 / 3, 1 / 3]),
    ("proportional", 0.5, [0.1, 0.3, 0.6]),
    ("temperature", 0.0, [1 / 3, 1 / 3, 1 / 3]),
    ("temperature", 1.0, [0.1, 0.3, 0.6]),
    ("temperature", 0.5, [math.sqrt(part) / sum(map(math.sqrt, (0.1, 0.3, 0.6)))
                          for part in (0.1, 0.3, 0.6)]),
])
def test_corpora_get_their_expected_share(sampler, temperature, share, rng):
    order = np.concatenate([corpus_order([100, 300, 600], 40, sampler, temperature, rng)
                            for _ in range(200)])
    counts = np.bincount(order, minlength=3) / len(order)
    np.testing.assert_allclose(counts, share, atol=0.01)


@pytest.mark.parametrize("sampler", ["proportional", "temperature"])
def test_every_epoch_gives_the_expected_number_rounded(sampler, rng):
    exponent = 1.0 if sampler == "proportional" else 0.5
    weight = np.array([40.0, 200, 1000, 7]) ** exponent
    expected = weight / weight.sum() * 37
    for _ in range(50):
        counts = np.bincount(corpus_order([40, 200, 1000, 7], 37, sampler, 0.5, rng), minlength=4)
        assert counts.sum() == 37
        assert (np.abs(counts - expected) < 1).all()


def test_round_robin_shows_every_corpus_once_a_round_in_changing_order(rng):
    rounds = corpus_order([5, 50, 500], 30, "round_robin", 0.5, rng).reshape(10, 3)
    assert (np.sort(rounds, axis=1) == [0, 1, 2]).all()
    assert len({tuple(line) for line in rounds}) > 1


@given(st.lists(st.integers(1, 200), min_size=1, max_size=6), st.integers(1, 64),
       st.sampled_from(["round_robin", "proportional", "temperature"]))
@settings(max_examples=40, deadline=None)
def test_an_epoch_has_all_utterances_over_batch_size_batches(sizes, batch_size, sampler):
    made = sampler_of(sizes, batch_size, sampler=sampler)
    expected = math.ceil(sum(sizes) / batch_size)
    assert len(made) == n_batches(sizes, batch_size) == expected == len(made.plans(0))
    assert all(1 <= len(plan.rows) <= batch_size for plan in made.plans(1))


@pytest.mark.parametrize("sampler", ["round_robin", "proportional", "temperature"])
def test_a_pass_is_complete_before_the_next_begins(sampler):
    sizes = [11, 40, 5]
    made = sampler_of(sizes, 8, sampler=sampler)
    for source, size in enumerate(sizes):
        rows = sequence(made, source, 12)
        assert len(rows) > size
        passes = [rows[start:start + size] for start in range(0, len(rows) - size + 1, size)]
        assert all(sorted(part) == list(range(0, 2 * size, 2)) for part in passes)
        assert len({tuple(part) for part in passes}) > 1
        rest = rows[len(passes) * size:]
        assert len(set(rest)) == len(rest)


def test_one_corpus_is_shown_exactly_once_an_epoch():
    made = sampler_of([21], 8)
    for epoch in range(3):
        plans = made.plans(epoch)
        assert [len(plan.rows) for plan in plans] == [8, 8, 5]
        assert sorted(np.concatenate([plan.rows for plan in plans])) == list(range(0, 42, 2))


def test_plans_of_a_resumed_run_equal_those_of_an_unbroken_one():
    unbroken, resumed = sampler_of([11, 40, 5], seed=3), sampler_of([11, 40, 5], seed=3)
    for epoch in range(5):
        last = unbroken.plans(epoch)
    again = resumed.plans(4)
    assert [plan.source for plan in last] == [plan.source for plan in again]
    assert all((one.rows == other.rows).all() for one, other in zip(last, again))
    other = sampler_of([11, 40, 5], seed=4).plans(4)
    assert any(len(one.rows) != len(two.rows) or (one.rows != two.rows).any()
               for one, two in zip(last, other))


def test_balanced_sampling_shows_each_class_equally_often():
    classes = np.array([0] * 90 + [1] * 9 + [2])
    made = EpochSampler([("c", classes, np.arange(100))], 10, balanced=True)
    shown = np.bincount(classes[sequence(made, 0, 3)], minlength=3)
    assert shown.max() - shown.min() <= 3


def test_a_class_that_train_lacks_is_not_sampled():
    classes = np.array([0, 0, 2, 2, 1])
    made = EpochSampler([("c", classes, np.arange(4))], 2, balanced=True)
    assert set(sequence(made, 0, 3)) <= {0, 1, 2, 3}


# buckets of like length

def padding(plans, lengths):
    """Give which share of the samples of padded batches is padding."""
    heard = sum(lengths[plan.source][plan.rows].sum() for plan in plans)
    padded = sum(len(plan.rows) * lengths[plan.source][plan.rows].max() for plan in plans)
    return 1 - heard / padded


@pytest.mark.parametrize("sizes", [[100], [100, 37]])
@pytest.mark.parametrize("balanced", [False, True])
def test_buckets_make_padding_rare_and_forget_nobody(sizes, balanced, rng):
    lengths = [rng.integers(10, 400, 2 * size) for size in sizes]
    plain, bucketed = (sampler_of(sizes, balanced=balanced, bucket=bucket, lengths=lengths)
                       for bucket in (1, 6))
    assert ([[len(plan.rows) for plan in plain.plans(epoch)] for epoch in range(4)]
            == [[len(plan.rows) for plan in bucketed.plans(epoch)] for epoch in range(4)])
    plans = [[plan for epoch in range(20) for plan in one.plans(epoch)]
             for one in (plain, bucketed)]
    assert padding(plans[0], lengths) > 0.4 > 0.2 > padding(plans[1], lengths)
    if not balanced:
        rows = sequence(bucketed, 0, 20)
        for number in range(len(rows) // 100):
            assert sorted(rows[100 * number:100 * (number + 1)]) == list(range(0, 200, 2))


def test_buckets_change_with_the_pass_and_the_seed_and_nothing_else(rng):
    lengths = [rng.integers(10, 400, 80)]

    def rows(epoch, seed=0):
        sampler = sampler_of([40], seed=seed, bucket=2, lengths=lengths)
        return np.concatenate([plan.rows for plan in sampler.plans(epoch)]).tolist()

    assert rows(3) == rows(3) and len({tuple(rows(0)), tuple(rows(1)), tuple(rows(0, 1))}) == 3


@given(st.integers(1, 60), st.integers(1, 9), st.integers(2, 5))
@settings(max_examples=50, deadline=None)
def test_a_pass_in_buckets_is_the_same_rows_with_the_smaller_batch_last(n, batch_size, bucket):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, n)
    order = by_length(np.arange(n), lengths, batch_size, bucket, rng)
    assert sorted(order) == list(range(n))
    for start in range(0, n - n % batch_size, batch_size):
        batch = lengths[order[start:start + batch_size]]
        assert (np.diff(batch) >= 0).all()
