import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from emokit.core.errors import EmokitError
from emokit.evaluation.corpora import (adjust, average_ranks, mean_interval, sign_test, wilcoxon)
from emokit.evaluation.effects import discordance, resolvable_gap


@pytest.mark.parametrize("raw, adjusted", [
    ((0.01, 0.04, 0.03, 0.005), (0.03, 0.06, 0.06, 0.02)), ((0.04,) * 3, (0.12,) * 3),
    ((0.001, 0.02, 0.03, 0.2), (0.004, 0.06, 0.06, 0.2)),
])
def test_holm_goldens(raw, adjusted):
    assert adjust(raw).tolist() == pytest.approx(adjusted)


def plain_holm(p):
    order, m, worst, result = sorted(range(len(p)), key=p.__getitem__), len(p), 0.0, [0.0] * len(p)
    for position, index in enumerate(order):
        worst = max(worst, min(1.0, (m - position) * p[index]))
        result[index] = worst
    return result


@given(st.lists(st.floats(0, 1), min_size=1, max_size=26))
@settings(max_examples=20, deadline=None)
def test_holm_equals_the_plain_form(p):
    assert adjust(p).tolist() == pytest.approx(plain_holm(p))


def test_undefined_p_counts_in_holm_and_stays_undefined():
    adjusted = adjust([0.01, math.nan, 0.02])
    assert adjusted[0] == pytest.approx(0.03) and math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


def test_no_correction_and_unknown_correction():
    assert adjust([0.01, 0.5], "none").tolist() == [0.01, 0.5]
    with pytest.raises(EmokitError, match="Choices: holm, none"):
        adjust([0.1], "sidak")


def test_sign_test_golden_and_oracle():
    from scipy.stats import binomtest

    test = sign_test([1] * 21 + [-1] * 5 + [0, 0, math.nan])
    assert test.p == pytest.approx(0.0024939, abs=5e-8)
    assert test.p == pytest.approx(binomtest(21, 26).pvalue)
    assert (test.better, test.worse, test.ties) == (21, 5, 2)


def test_no_difference_is_undefined_with_a_note():
    for test in (sign_test([0, 0]), wilcoxon([0, 0]), wilcoxon([])):
        assert math.isnan(test.p) and "no corpus differs" in test.note


def test_wilcoxon_golden():
    test = wilcoxon([3, 2, 2, 1.5, 1, -0.5, 4, 0.2])
    assert (test.statistic, test.p) == (2, pytest.approx(6 / 256))


@pytest.mark.parametrize("n", [7, 20, 40])
def test_wilcoxon_equals_scipy(rng, n):
    from scipy.stats import wilcoxon as oracle

    d = rng.normal(0.3, 1, n)
    expected = oracle(d, method="exact" if n <= 25 else "approx", correction=n > 25)
    test = wilcoxon(d)
    assert (test.statistic, test.p) == (pytest.approx(expected.statistic),
                                        pytest.approx(expected.pvalue))


def test_mean_interval_needs_twenty_corpora(rng):
    assert math.isnan(mean_interval(np.ones(19), rng).low)
    interval = mean_interval(rng.normal(0.05, 0.02, 26), rng)
    assert 0.03 < interval.low < 0.05 < interval.high < 0.07


def test_average_ranks_describe(rng):
    scores = np.array([[0.9, 0.8, 0.7, 0.9], [0.8, 0.7, 0.6, 0.8], [0.7, 0.6, math.nan, 0.1]])
    ranks = average_ranks(scores)
    assert ranks.mean_ranks == (1, 2, 3)
    # Demšar 2006, table 5: q.05 for three systems is 2.343
    assert ranks.critical_difference == pytest.approx(2.343 * math.sqrt(3 * 4 / (6 * 3)), abs=2e-3)
    assert math.isnan(average_ranks(scores[:2]).friedman)


def test_discordance_golden():
    effect = discordance(10, 2, 100)
    assert effect.right == pytest.approx(0.8333, abs=5e-5)
    assert (effect.right_low, effect.right_high) == (pytest.approx(0.51586, abs=5e-6),
                                                     pytest.approx(0.97914, abs=5e-6))
    assert effect.odds == 5
    assert (effect.odds_low, effect.odds_high) == (pytest.approx(1.066, abs=5e-4),
                                                   pytest.approx(46.9, abs=0.05))
    assert effect.cohens_g == pytest.approx(10 / 12 - 0.5)
    assert (effect.difference, effect.difference_low, effect.difference_high) == (
        pytest.approx(0.08), pytest.approx(0.01394, abs=5e-6), pytest.approx(0.14606, abs=5e-6))


def test_discordance_equals_scipy_clopper_pearson():
    from scipy.stats import binomtest

    for b, c in ((10, 2), (0, 4), (7, 0)):
        interval = binomtest(b, b + c).proportion_ci(method="exact")
        effect = discordance(b, c, 50)
        assert (effect.right_low, effect.right_high) == pytest.approx(
            (interval.low, interval.high))


def test_no_discordant_pair_leaves_odds_undefined():
    effect = discordance(0, 0, 10)
    assert effect.share == 0 and math.isnan(effect.odds) and effect.difference == 0
    assert math.isnan(discordance(0, 0, 0).share)
    assert discordance(3, 0, 10).odds == math.inf


@pytest.mark.parametrize("n, points", [(1000, 5.6), (5000, 2.5), (64_000, 0.7)])
def test_gap_goldens(n, points):
    assert 100 * resolvable_gap(0.4, n) == pytest.approx(points, abs=0.05)


def test_gap_grows_with_correlation():
    assert resolvable_gap(0.4, 1000, 41, 0.1) == pytest.approx(
        resolvable_gap(0.4, 1000) * math.sqrt(5))
    assert math.isnan(resolvable_gap(math.nan, 0))
