import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from emokit.core.errors import EmokitError
from emokit.evaluation.seeds import aso, combined, permutation, violation


def test_combined_by_hand():
    from scipy.stats import t as student

    a, b = [0.70, 0.72, 0.74], [0.60, 0.61, 0.65]
    variance = np.var(a, ddof=1) / 3 + np.var(b, ddof=1) / 3
    first = 0.03**2
    degrees = (first + variance) ** 2 / (first**2 / 9 + variance**2 / 4)
    t = 0.1 / math.sqrt(first + variance)
    test = combined(0.1, 0.03, 10, a, b)
    assert test.statistic == pytest.approx(t)
    assert test.degrees_of_freedom == pytest.approx(degrees)
    assert test.p == pytest.approx(2 * student.sf(t, degrees))
    assert test.low == pytest.approx(0.1 - student.ppf(0.975, degrees) * 0.1 / t)


def test_combined_paired_uses_differences():
    a, b = np.array([0.70, 0.72, 0.74]), np.array([0.60, 0.61, 0.65])
    first, second = 0.03**2, float(np.var(a - b, ddof=1)) / 3
    test = combined(0.1, 0.03, 10, a, b, paired=True)
    assert test.standard_error == pytest.approx(math.sqrt(first + second))
    assert test.degrees_of_freedom == pytest.approx(
        (first + second) ** 2 / (first**2 / 9 + second**2 / 2))


def test_combined_without_speaker_effect_equals_welch_like_t_on_seeds():
    from scipy.stats import ttest_ind

    a, b = [0.7, 0.72, 0.75], [0.6, 0.66, 0.61]
    test = combined(np.mean(a) - np.mean(b), 0.0, 10, a, b)
    assert test.p == pytest.approx(ttest_ind(a, b).pvalue)


@pytest.mark.parametrize("delta, error, a, b, words", [
    (0.1, 0.03, [0.7, 0.7], [0.6] * 3, "3 seeds each"),
    (math.nan, 0.03, [0.7] * 3, [0.6] * 3, "score is undefined"),
    (0.1, math.nan, [0.7] * 3, [0.6] * 3, "jackknife is undefined"),
    (0.1, 0.0, [0.7] * 3, [0.6] * 3, "no variance"),
])
def test_combined_undefined_cases_say_why(delta, error, a, b, words):
    test = combined(delta, error, 10, a, b)
    assert math.isnan(test.p) and words in test.note


def test_combined_of_equal_systems_is_one():
    assert combined(0.0, 0.0, 10, [0.7] * 3, [0.7] * 3).p == 1


def test_combined_paired_needs_equal_numbers():
    with pytest.raises(EmokitError, match="equal numbers"):
        combined(0.1, 0.1, 5, [1, 2, 3], [1, 2, 3, 4], paired=True)


@pytest.mark.parametrize("m, smallest", [(3, 0.1), (4, 2 / 70), (5, 2 / 252)])
def test_smallest_permutation_p(m, smallest):
    assert permutation(range(10, 10 + m), range(m)).p == pytest.approx(smallest)


def test_paired_permutation_of_five_cannot_reach_five_percent():
    assert permutation([6, 7, 8, 9, 10], [1] * 5, paired=True).p == 2.0 ** (1 - 5)


def test_permutation_equals_scipy(rng):
    from scipy.stats import permutation_test

    # equal sizes: with others scipy doubles the smaller tail, which differs
    a, b = rng.normal(size=4), rng.normal(0.8, 1, 4)
    oracle = permutation_test((a, b), lambda x, y: np.mean(x) - np.mean(y), n_resamples=np.inf)
    assert permutation(a, b).p == pytest.approx(oracle.pvalue)


def test_violation_goldens():
    a, b = np.array([0.6, 0.7, 0.8]), np.array([0.5, 0.6, 0.9])
    assert violation(a, b) == pytest.approx(1 / 3)
    assert violation(a + 1, b) == 0 and violation(a - 1, b) == 1
    assert violation(np.full(3, 0.5), np.full(4, 0.5)) == 0.5


def test_violation_equals_a_fine_riemann_sum(rng):
    a, b = rng.normal(size=4), rng.normal(0.3, 1, 7)
    u = (np.arange(280_000) + 0.5) / 280_000
    gap = np.sort(a)[(u * 4).astype(int)] - np.sort(b)[(u * 7).astype(int)]
    assert violation(a, b) == pytest.approx((gap[gap < 0] ** 2).sum() / (gap**2).sum())


scores = st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=3, max_size=6)


@given(scores, scores)
@settings(max_examples=40, deadline=None)
def test_aso_mirrors(a, b):
    one, other = (aso(*pair, np.random.default_rng(0), draws=50) for pair in ((a, b), (b, a)))
    assert one.epsilon_min == pytest.approx(other.reverse_min)
    assert one.epsilon + one.reverse == pytest.approx(1)
    assert 0 <= one.epsilon_min <= 1


def test_aso_of_equal_scores_is_one_half():
    test = aso([0.5] * 4, [0.5] * 4, np.random.default_rng(0))
    assert test.epsilon_min == test.reverse_min == 0.5


def test_aso_needs_three_seeds_each():
    test = aso([0.5] * 2, [0.5] * 4, np.random.default_rng(0))
    assert math.isnan(test.epsilon_min) and "3 seeds" in test.note
