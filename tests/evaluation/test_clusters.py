import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from emokit.evaluation.clusters import (bootstrap, intra_cluster_correlation, jackknife,
                                        leave_one_out, nets_of, obuchowski, sign_flip, swap_test)
from emokit.evaluation.counts import MEASURES, Measure, class_counts, moments
from emokit.evaluation.metrics import ccc, macro_f1, uar

NETS = np.array([4, 3, 2, 2, 1, -1])


def plain_sign_flip(nets):
    reach = abs(sum(nets)) - 1e-9
    sums = [sum(sign * net for sign, net in zip(signs, nets))
            for signs in itertools.product((1, -1), repeat=len(nets))]
    return sum(abs(value) >= reach for value in sums) / len(sums)


def simulated(rng, speakers=8, each=15, k=3, accuracy=(0.6, 0.6), seeds=1):
    n = speakers * each
    truth, clusters = rng.integers(0, k, n), np.repeat(np.arange(speakers), each)
    sides = []
    for share in accuracy:
        answers = [np.where(rng.random(n) < share, truth, (truth + rng.integers(1, k, n)) % k)
                   for _ in range(seeds)]
        sides.append(np.stack(answers))
    counts = [np.stack([class_counts(truth, one, k, clusters, speakers) for one in side])
              for side in sides]
    return truth, clusters, sides, counts


@pytest.mark.parametrize("nets, hits, of", [
    ((4, 3, 2, 2, 1, -1), 6, 64), ((5, 1, 1, 1, 0, 0), 8, 64),
    ((3, 2, 2, 1, 1, -1, 0, -1), 52, 256),
])
def test_sign_flip_goldens(nets, hits, of, rng):
    assert sign_flip(np.array(nets), rng).p == hits / of == plain_sign_flip(nets)


def test_obuchowski_golden():
    test = obuchowski(NETS)
    assert test.statistic == pytest.approx(121 / 35)
    assert test.p == pytest.approx(0.062979, abs=5e-7)
    assert obuchowski(np.zeros(4)).p == 1


def test_jackknife_golden_equals_the_t_interval():
    from scipy.stats import ttest_1samp

    without = (NETS.sum() - NETS) / (len(NETS) - 1)
    interval = jackknife(NETS.mean(), without)
    assert NETS.mean() == pytest.approx(1.8333, abs=5e-5)
    assert (interval.low, interval.high) == (pytest.approx(0.02578, abs=6e-6),
                                             pytest.approx(3.64088, abs=6e-6))
    t = ttest_1samp(NETS, 0)
    assert NETS.mean() / interval.standard_error == pytest.approx(t.statistic)
    assert (t.statistic, t.pvalue) == (pytest.approx(2.60725, abs=5e-6),
                                       pytest.approx(0.047828, abs=5e-7))


def test_swap_of_uar_equals_recomputing_it_for_every_exchange(rng):
    truth, clusters, (a, b), counts = simulated(rng, speakers=6, accuracy=(0.75, 0.5))
    names = np.array(["x", "y", "z"])

    def score(metric, side):
        return metric(names[truth], names[side], labels=tuple("xyz"))

    for name, metric in (("uar", uar), ("macro_f1", macro_f1)):
        delta = score(metric, a[0]) - score(metric, b[0])
        hits = 0
        for signs in itertools.product((True, False), repeat=6):
            kept = np.array(signs)[clusters]
            one, two = np.where(kept, a[0], b[0]), np.where(kept, b[0], a[0])
            hits += abs(score(metric, one) - score(metric, two)) >= abs(delta) - 1e-12
        assert swap_test(*counts, MEASURES[name], rng).p == hits / 64


def test_nets_add_up_to_the_difference_also_over_seeds(rng):
    _, _, _, (a, b) = simulated(rng, seeds=3, accuracy=(0.7, 0.5))
    for name in ("uar", "wa"):
        measure = MEASURES[name]
        delta = measure.value(a.sum(1)).mean() - measure.value(b.sum(1)).mean()
        assert nets_of(a, b, measure).sum() == pytest.approx(delta)


def test_drawn_and_exhaustive_swap_agree(rng):
    nets = rng.normal(0.3, 1, 16)
    whole = sign_flip(nets, rng)
    # a seventeenth cluster that hardly moves anything forces draws
    drawn = sign_flip(np.append(nets, 1e-9), rng)
    assert whole.draws == 0 and drawn.draws == 10_000
    assert abs(drawn.p - whole.p) < 3 * math.sqrt(whole.p * (1 - whole.p) / 10_000) + 1e-4


@pytest.mark.parametrize("speakers", [9, 24])
def test_recomputing_the_metric_agrees_with_flipping_signs(rng, speakers):
    _, _, _, counts = simulated(rng, speakers=speakers, accuracy=(0.62, 0.55))
    flips = swap_test(*counts, MEASURES["uar"], rng)
    general = swap_test(*counts, Measure("uar", MEASURES["uar"].value), rng)
    assert flips.able == general.able and flips.draws == general.draws == (10_000 if speakers > 16
                                                                           else 0)
    spread = math.sqrt(2 * flips.p * (1 - flips.p) / 10_000) if flips.draws else 0
    assert abs(flips.p - general.p) <= 3 * spread


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_sign_flip_mirrors_ignores_order_and_equals_the_plain_form(nets):
    rng = np.random.default_rng(0)
    p = sign_flip(np.array(nets), rng).p
    assert p == sign_flip(-np.array(nets), rng).p == sign_flip(np.sort(nets), rng).p
    assert 0 < p <= 1
    assert p == pytest.approx(plain_sign_flip(nets))


def test_drawn_swap_mirrors_exactly(rng):
    nets = rng.normal(0.2, 1, 30)
    assert sign_flip(nets, np.random.default_rng(4)).p == sign_flip(
        -nets, np.random.default_rng(4)).p


def test_equal_systems_give_p_one(rng):
    _, _, _, (a, _) = simulated(rng)
    for name in ("uar", "wa", "macro_f1"):
        assert swap_test(a, a, MEASURES[name], rng).p == 1


def test_missing_class_and_no_utterances_are_undefined_with_a_note(rng):
    _, _, _, (a, b) = simulated(rng)
    a, b = a.copy(), b.copy()
    a[..., 2], b[..., 2] = 0, 0
    for name in ("uar", "macro_f1"):
        test = swap_test(a, b, MEASURES[name], rng)
        assert math.isnan(test.p) and test.note
    assert math.isnan(swap_test(a[:, :0], b[:, :0], MEASURES["wa"], rng).p)
    assert math.isnan(bootstrap(a, b, MEASURES["uar"], rng).low)


def test_deletions_that_lose_a_class_refuse_the_interval_above_five_percent():
    without = np.full(20, 0.5) + np.arange(20) / 1000
    without[0] = np.nan
    assert not math.isnan(jackknife(0.5, without).low)
    without[1] = np.nan
    interval = jackknife(0.5, without)
    assert math.isnan(interval.low) and "2 of 20" in interval.note


def test_two_clusters_have_no_interval(rng):
    assert "at least 3" in jackknife(0.5, np.array([0.4, 0.6])).note
    _, _, _, (a, b) = simulated(rng, speakers=2)
    assert "at least 3" in bootstrap(a, b, MEASURES["wa"], rng).note


def test_bootstrap_is_near_the_jackknife(rng):
    _, _, _, (a, b) = simulated(rng, speakers=60, each=20, accuracy=(0.65, 0.6))
    measure = MEASURES["uar"]
    delta = float(measure.value(a.sum(1))[0] - measure.value(b.sum(1))[0])
    one = jackknife(delta, leave_one_out(a, measure) - leave_one_out(b, measure))
    other = bootstrap(a, b, measure, rng)
    assert other.low == pytest.approx(one.low, abs=0.01)
    assert other.high == pytest.approx(one.high, abs=0.01)


def test_ccc_of_sums_equals_ccc_of_values(rng):
    x, clusters = rng.normal(size=60), np.repeat(np.arange(6), 10)
    y = x + rng.normal(size=60)
    sums = moments(x, y, clusters, 6)
    assert MEASURES["ccc"].value(sums.sum(0)) == pytest.approx(ccc(x, y))
    keep = clusters != 2
    assert leave_one_out(sums[None], MEASURES["ccc"])[2] == pytest.approx(ccc(x[keep], y[keep]))


def test_correlation_is_one_for_constant_speakers_and_small_for_noise(rng):
    clusters = np.repeat(np.arange(20), 30)
    assert intra_cluster_correlation(rng.normal(size=20)[clusters], clusters) == pytest.approx(1)
    assert intra_cluster_correlation(rng.normal(size=600), clusters) < 0.05
    assert math.isnan(intra_cluster_correlation(rng.normal(size=5), np.zeros(5, int)))
