import math

import pytest
from hypothesis import given, settings, strategies as st

from emokit.core.errors import EmokitError
from emokit.evaluation.mcnemar import mcnemar

GOLDEN = [
    (10, 2, 49 / 12, 0.043308, 158 / 4096, 92 / 4096),
    (6, 0, 25 / 6, 0.041227, 2 / 64, 1 / 64),
    (5, 0, 3.2, 0.073638, 0.0625, 0.03125),
    (15, 9, 25 / 24, 0.307434, 0.307456, 0.229523),
    (30, 10, 9.025, 0.0026631, 0.0022214, 0.0014505),
    (5, 5, 0, 1, 1, 1),
]


@pytest.mark.parametrize("b, c, statistic, chi2, exact, mid_p", GOLDEN)
def test_goldens(b, c, statistic, chi2, exact, mid_p):
    test = mcnemar(b, c)
    assert test.statistic == pytest.approx(statistic, abs=1e-12)
    assert test.chi2 == pytest.approx(chi2, abs=6e-7)
    assert test.exact == pytest.approx(exact, abs=6e-7)
    assert test.mid_p == pytest.approx(mid_p, abs=6e-7)


def test_exact_values_are_exact():
    assert mcnemar(10, 2).exact == 158 / 4096
    assert mcnemar(10, 2).mid_p == 92 / 4096


def test_auto_is_exact_below_25_and_chi2_from_there():
    assert mcnemar(14, 10).method == "exact" and mcnemar(14, 10).p == mcnemar(14, 10).exact
    assert mcnemar(15, 10).method == "chi2" and mcnemar(15, 10).p == mcnemar(15, 10).chi2
    assert mcnemar(15, 10, method="mid_p").p == mcnemar(15, 10).mid_p


def test_no_discordant_pair_gives_p_one_no_statistic_and_a_note():
    test = mcnemar(0, 0)
    assert test.p == test.exact == test.chi2 == test.mid_p == 1
    assert math.isnan(test.statistic) and "agree on every utterance" in test.note


def test_too_few_discordant_pairs_say_that_alpha_is_out_of_reach():
    assert "cannot reach 0.05" in mcnemar(5, 0).note
    assert mcnemar(6, 0).note == ""
    assert mcnemar(5, 0, method="mid_p").note == ""
    assert "cannot reach" in mcnemar(4, 0, method="mid_p").note


@pytest.mark.parametrize("b, c", [(-1, 2), (1.5, 2)])
def test_impossible_counts_are_errors(b, c):
    with pytest.raises(EmokitError, match="whole numbers"):
        mcnemar(b, c)


def test_unknown_form_names_the_choices():
    with pytest.raises(EmokitError, match="Did you mean 'exact'"):
        mcnemar(1, 2, method="exakt")


counts = st.integers(0, 400)


@given(counts, counts)
@settings(max_examples=80, deadline=None)
def test_mirrors_and_stays_in_zero_to_one(b, c):
    one, other = mcnemar(b, c), mcnemar(c, b)
    for name in ("exact", "chi2", "mid_p", "p"):
        assert getattr(one, name) == getattr(other, name)
        assert 0 < getattr(one, name) <= 1
    assert one.mid_p <= one.exact


@given(counts, counts)
@settings(max_examples=60, deadline=None)
def test_equals_statsmodels_where_it_is_right(b, c):
    from statsmodels.stats.contingency_tables import mcnemar as oracle

    table = [[7, b], [c, 9]]
    assert mcnemar(b, c).exact == pytest.approx(min(1, oracle(table).pvalue), rel=1e-9)
    if b != c:  # at b = c its corrected statistic is 1/n instead of 0
        result = oracle(table, exact=False, correction=True)
        assert mcnemar(b, c).statistic == pytest.approx(result.statistic)
        assert mcnemar(b, c).chi2 == pytest.approx(result.pvalue, rel=1e-9)


def test_a_hundred_thousand_discordant_pairs_stay_finite():
    test = mcnemar(60_000, 40_000)
    assert 0 < test.exact < 1e-300 and 0 < test.chi2 < 1e-300
