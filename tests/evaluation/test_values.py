"""Dimensions: CCC, its interval and its test, against formulas written a second time."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from emokit.core.errors import EmokitError, ManifestError
from emokit.evaluation.clusters import jackknife, leave_one_out, swap_test
from emokit.evaluation.comparison import compare, compare_dimensions
from emokit.evaluation.comparison_files import overall_text, write_comparison
from emokit.evaluation.counts import MEASURES, moments
from emokit.evaluation.predictions import Predictions
from emokit.evaluation.report import report_html
from emokit.evaluation.summary import summarise
from emokit.evaluation.systems import align, collect

CCC = MEASURES["ccc"]


def lin(x, y):
    """CCC by Lin's definition, written a second time."""
    return 2 * np.cov(x, y, bias=True)[0, 1] / (np.var(x) + np.var(y) + (x.mean() - y.mean())**2)


def rated(seed, noise, corpus="msp", speakers=8, each=15, names=("arousal", "valence"), run=0,
          missing=0.2, truth=11, labels=(), **columns):
    """Predictions whose values are the truth, level apart and noisy; some truths are unknown."""
    n, draws, own = speakers * each, np.random.default_rng(truth), np.random.default_rng(seed)
    table = {"utterance": [f"{corpus}/{i:04d}" for i in range(n)],
             "speaker": [f"{corpus}/{i // each}" for i in range(n)]}
    for name in names:
        values = 0.5 + draws.normal(0, 0.2, n)
        level = own.normal(0, noise / 2, speakers)[np.arange(n) // each]
        table[f"truth_{name}"] = np.where(draws.random(n) < missing, np.nan, values)
        table[name] = values + level + own.normal(0, noise, n)
    if labels:
        table["truth"] = table["prediction"] = np.array(labels, object)[np.arange(n) % len(labels)]
    return Predictions(corpus, "test", tuple(labels), pd.DataFrame(table | columns), run)


def pair(noise=(0.1, 0.3), seeds=1, corpora=("iemocap", "msp"), **settings):
    """Two systems over the same truth, the first nearer to it."""
    return [collect(name, [rated(100 * side + run, noise[side], corpus, run=run, **settings)
                           for corpus in corpora for run in range(seeds)])
            for side, name in enumerate("AB")]


def by_hand(one, other, name):
    """(truth, first, second, speaker) of the utterances whose value is known."""
    table = one.table.merge(other.table, on="utterance", suffixes=("", "_b"))
    table = table[table[f"truth_{name}"].notna()]
    return (table[f"truth_{name}"].to_numpy(), table[name].to_numpy(),
            table[f"{name}_b"].to_numpy(), table["speaker"].to_numpy())


# the numbers

def test_ccc_and_its_difference_are_lins_over_what_is_known():
    a, b = pair()
    found, = compare_dimensions([a], b)
    assert [(row["corpus"], row["dimension"]) for row in found.rows] == [
        ("iemocap", "arousal"), ("iemocap", "valence"), ("msp", "arousal"), ("msp", "valence")]
    for row in found.rows:
        x, one, other, _ = by_hand(a.cells[row["corpus"]][0], b.cells[row["corpus"]][0],
                                   row["dimension"])
        assert row["n"] == len(x) < 120 and row["clusters"] == 8
        assert row["ccc_a"] == pytest.approx(lin(x, one))
        assert row["ccc_b"] == pytest.approx(lin(x, other))
        assert row["delta"] == pytest.approx(lin(x, one) - lin(x, other))
        assert row["rmse_b"] == pytest.approx(np.sqrt(np.mean((x - other)**2)))


def test_the_interval_of_a_difference_is_the_jackknife_over_speakers():
    from scipy.stats import t

    a, b = pair(corpora=["msp"])
    row = compare_dimensions([a], b)[0].rows[0]
    x, one, other, speaker = by_hand(a.cells["msp"][0], b.cells["msp"][0], "arousal")
    without = np.array([lin(x[kept], one[kept]) - lin(x[kept], other[kept])
                        for kept in (speaker != name for name in np.unique(speaker))])
    error = np.sqrt(7 / 8 * np.sum((without - without.mean())**2))
    half = t.ppf(0.975, 7) * error
    assert row["delta_low"] == pytest.approx(row["delta"] - half)
    assert row["delta_high"] == pytest.approx(row["delta"] + half)


def test_the_swap_p_is_that_of_all_exchanges_written_out():
    a, b = pair(noise=(0.25, 0.3), corpora=["msp"], speakers=7)
    row = compare_dimensions([a], b)[0].rows[1]
    x, one, other, speaker = by_hand(a.cells["msp"][0], b.cells["msp"][0], "valence")
    names = np.unique(speaker)
    deltas = []
    for kept in itertools.product([True, False], repeat=len(names)):
        mine = np.isin(speaker, names[list(kept)])
        deltas.append(lin(x, np.where(mine, one, other)) - lin(x, np.where(mine, other, one)))
    assert row["p"] == row["swap_p"] == pytest.approx(
        np.mean(np.abs(deltas) >= abs(deltas[0]) - 1e-12))
    assert 2**-6 < row["p"] < 1


def test_the_bootstrap_interval_of_many_speakers_is_that_of_scipy():
    from scipy.stats import bootstrap

    system, _ = pair(noise=(0.15, 0.3), corpora=["msp"], speakers=60, each=12, missing=0)
    row, = summarise(system, interval="bootstrap", bootstrap_draws=4000).rows
    table = system.cells["msp"][0].table
    values = table[["truth_arousal", "arousal"]].to_numpy().reshape(60, 12, 2)

    def of_speakers(drawn):
        return lin(*values[drawn].reshape(-1, 2).T)

    expected = bootstrap((np.arange(60),), of_speakers, n_resamples=4000, vectorized=False,
                         method="percentile", random_state=0).confidence_interval
    assert row["ccc_arousal_low"] == pytest.approx(expected.low, abs=0.006)
    assert row["ccc_arousal_high"] == pytest.approx(expected.high, abs=0.006)


def test_holm_covers_corpora_and_dimensions():
    from statsmodels.stats.multitest import multipletests

    found, = compare_dimensions([pair(noise=(0.2, 0.26))[0]], pair(noise=(0.2, 0.26))[1])
    assert len(found.rows) == 4
    adjusted = multipletests([row["p"] for row in found.rows], method="holm")[1]
    assert [row["p_adjusted"] for row in found.rows] == pytest.approx(list(adjusted))
    assert found.rows[0]["p_adjusted"] > found.rows[0]["p"]


def test_three_seeds_are_decided_by_the_combined_test():
    a, b = pair(seeds=3)
    found, = compare_dimensions([a], b)
    assert found.primary == "combined" and "combined speakers and seeds" in found.sentence
    for row in found.rows:
        assert row["p"] == row["combined_p"] and row["sd_a"] > 0
        assert row["ccc_a"] == pytest.approx(np.mean([
            lin(*by_hand(one, one, row["dimension"])[:2])
            for one in a.cells[row["corpus"]].values()]))


def test_swapping_the_systems_mirrors_everything():
    a, b = pair(seeds=3)
    for one, other in zip(compare_dimensions([a], b)[0].rows, compare_dimensions([b], a)[0].rows):
        assert one["delta"] == pytest.approx(-other["delta"])
        assert one["delta_low"] == pytest.approx(-other["delta_high"])
        for name in ("swap_p", "combined_p", "permutation_p"):
            assert one[name] == pytest.approx(other[name])


def test_large_values_lose_no_digits():
    far = []
    for side in pair(corpora=["msp"]):
        one = side.cells["msp"][0]
        values = ["arousal", "truth_arousal"]
        far.append(collect(side.name, [Predictions("msp", "test", (), one.table.assign(
            **{name: 1e6 + one.table[name] for name in values}))]))
    near, away = compare_dimensions(*[[pair(corpora=["msp"])[0]], pair(corpora=["msp"])[1]])[0], \
        compare_dimensions([far[0]], far[1])[0]
    for name in ("ccc_a", "delta", "delta_low", "p"):
        assert away.rows[0][name] == pytest.approx(near.rows[0][name], abs=1e-6)


# who hangs together

def test_cluster_and_interval_decide_the_interval_of_ccc():
    system, _ = pair(corpora=["msp"], session=["x", "y", "z", "w"] * 30)
    settings = [{}, {"cluster": "session"}, {"cluster": "utterance"}, {"interval": "bootstrap"}]
    rows = [summarise(system, **one).rows[0] for one in settings]
    assert len({row["ccc_arousal_low"] for row in rows}) == 4
    assert len({row["ccc_arousal"] for row in rows}) == 1
    assert [row["clusters"] for row in rows][:2] == [8, 4]
    assert rows[2]["clusters"] == rows[2]["n_arousal"]


def test_utterances_without_speaker_each_stand_alone():
    system, other = pair(corpora=["msp"])
    whole = summarise(system).rows[0]
    for some in (slice(None), slice(0, 30)):
        table = system.cells["msp"][0].table.copy()
        table.loc[table.index[some], "speaker"] = ""
        row, = summarise(collect("A", [Predictions("msp", "test", (), table)])).rows
        n = table["truth_arousal"].notna()
        expected = n.sum() if some == slice(None) else n[:30].sum() + 6
        assert row["clusters"] == expected and not math.isnan(row["ccc_arousal_low"])
        assert row["ccc_arousal_low"] != whole["ccc_arousal_low"]
        assert ("no speaker known" in row["notes"]) == (some == slice(None))
    nobody = [collect(side.name, [Predictions("msp", "test", (), side.cells["msp"][0].table.drop(
        columns="speaker"))]) for side in (system, other)]
    row = compare_dimensions([nobody[0]], nobody[1])[0].rows[0]
    assert row["cluster"] == "utterance" and row["marks"] == "+ u"


def test_intervals_of_ccc_stay_within_what_ccc_can_be():
    cut = 0
    for seed in range(8):
        one = rated(seed, 0.02 + 0.02 * seed, "msp", 3, 6, missing=0)
        row, = summarise(collect("A", [one])).rows
        sums = align("msp", [{0: one}], dimension="arousal").counts(0)
        plain = jackknife(row["ccc_arousal"], leave_one_out(sums, CCC))
        assert -1 <= row["ccc_arousal_low"] <= row["ccc_arousal_high"] <= 1
        cut += plain.high > 1
        assert row["ccc_arousal_low"] == pytest.approx(max(plain.low, -1))
    assert cut


# what cannot be

def test_seeds_over_different_utterances_are_refused_in_words():
    one, two = rated(0, 0.1, run=0), rated(1, 0.1, run=1)
    two = Predictions("msp", "test", (), two.table[5:], 1)
    with pytest.raises(ManifestError, match=r"'msp', arousal, are over different utterances; \d+ "
                                            "only in A, seed 0: msp/0001"):
        summarise(collect("A", [one, two]))


@pytest.mark.parametrize("change, words", [
    (lambda t: t.assign(truth_arousal=7 * t["truth_arousal"]),
     "Truths of 'msp', arousal, differ .* on the same scale"),
    (lambda t: t.assign(arousal=t["arousal"].where(t.index > 3)),
     "has arousal of [34] utterances that are not predicted .B, seed 0.: msp/0001"),
])
def test_other_scales_and_missing_predictions_are_refused(change, words):
    a, b = pair(corpora=["msp"])
    b = collect("B", [Predictions("msp", "test", (), change(b.cells["msp"][0].table))])
    with pytest.raises(ManifestError, match=words):
        compare_dimensions([a], b)


def test_a_seed_that_lacks_a_dimension_is_refused():
    one, two = rated(0, 0.1), rated(1, 0.1, names=["arousal"], run=1)
    with pytest.raises(ManifestError, match="lack valence or truth_valence .A, seed 1"):
        summarise(collect("A", [one, two]))


def test_nothing_in_common_is_refused():
    a, b = pair(corpora=["msp"], names=["arousal"])[0], pair(corpora=["msp"], names=["valence"])[1]
    with pytest.raises(EmokitError, match="no dimensions in common that both predict"):
        compare_dimensions([a], b)


def test_an_undefined_ccc_has_its_reason_and_no_mark():
    a, b = pair(corpora=["msp"])
    sides = [collect(side.name, [Predictions("msp", "test", (), side.cells["msp"][0].table.assign(
        truth_valence=[0.5] + [np.nan] * 119))]) for side in (a, b)]
    found, = compare_dimensions([sides[0]], sides[1])
    row = found.rows[1]
    assert row["n"] == 1 and math.isnan(row["p"]) and row["marks"] in ("", "s")
    assert "CCC undefined: fewer than two utterances" in row["notes"]
    assert "1 cannot be decided" in found.sentence
    summary = summarise(sides[0])
    assert "CCC of valence undefined" in summary.rows[0]["notes"]


def test_a_mean_with_an_undefined_ccc_is_undefined_unless_it_is_left_out():
    good, lost = rated(0, 0.1, "iemocap"), rated(1, 0.1, "msp")
    lost = Predictions("msp", "test", (), lost.table.assign(truth_valence=np.nan))
    system = collect("A", [good, lost])
    plain, = summarise(system).overall
    assert math.isnan(plain["ccc_valence"]) and not math.isnan(plain["ccc_arousal"])
    kept = summarise(system, skip_undefined=True)
    assert kept.overall[0]["ccc_valence"] == kept.rows[0]["ccc_valence"]
    assert kept.overall[0]["corpus"] == "mean of 2, 1 undefined CCC left out"
    half = summarise(collect("A", [good, rated(1, 0.1, "msp", names=["arousal"])])).overall[0]
    assert half["corpus"] == "mean of 2, CCC over those that have it"


# what people see

def test_files_and_page_hold_classes_and_dimensions_side_by_side(tmp_path):
    a, b = pair(labels=["x", "y"])
    both = compare(a, b), compare_dimensions([a], b)[0]
    write_comparison(tmp_path, *both)
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert len(table) == 2 + 4 and table["dimension"].isna().sum() == 2
    held = json.loads((tmp_path / "comparison.json").read_text())
    assert held["metric"] == "uar" and held["dimensions"]["metric"] == "ccc"
    assert held["dimensions"]["sentence"] == both[1].sentence
    assert "mcnemar" not in held["dimensions"]["tests"]
    words = (tmp_path / "comparison.md").read_text()
    assert both[0].sentence in words and both[1].sentence in words
    page = report_html(summarise(a, b), *both)
    assert "A against B: dimensions" in page and "RMSE first" in page
    assert page.count("McNemar exact") == 1


def test_the_table_of_dimensions_has_plain_numbers_and_no_mcnemar():
    a, b = pair()
    found, = compare_dimensions([a], b)
    head, _, line, *_ = found.text().splitlines()
    assert "Dimension" in head and "CCC A" in head and "McNemar" not in head
    row = found.rows[0]
    assert f"{row['delta']:+.3f} [{row['delta_low']:.3f}, {row['delta_high']:.3f}]" in line
    better = sum("+" in row["marks"].split() for row in found.rows)
    assert found.sentence.startswith(
        f"A is better than B on {better} of 4 dimensions of 2 corpora by CCC (Holm, swap test by "
        "speaker)")
    over = found.overall
    deltas = [np.mean([row["delta"] for row in found.rows if row["corpus"] == corpus])
              for corpus in ("iemocap", "msp")]
    assert over["corpora"] == 2 and over["mean_delta"] == pytest.approx(np.mean(deltas))
    assert f"mean difference {np.mean(deltas):+.3f}." in overall_text(found)
    page = report_html(summarise(a, b), found)
    whole = np.mean([row["ccc_a"] for row in found.rows])
    assert f"{whole:.3f}" in page and "mean CCC, A" in page
    assert "McNemar" not in page and "Unweighted" not in page


# calibration

def speakers_draw(rng, sides, speakers=10, each=20):
    """Truth and answers [sides, S, n]: one accuracy for all, a level of each speaker's own."""
    truth = 0.5 + rng.normal(0, 0.1, (speakers, 1)) + rng.normal(0, 0.2, (speakers, each))
    levels = rng.normal(0, 0.08, (sides, speakers, 1))
    return truth, 0.5 + 0.7 * (truth - 0.5) + levels + rng.normal(0, 0.1, (sides, speakers, each))


def sums_of(truth, answers):
    clusters = np.repeat(np.arange(len(truth)), truth.shape[1])
    return moments(truth.ravel(), answers.ravel(), clusters, len(truth))[None]


def test_the_interval_covers_the_true_ccc(rng):
    spread = 0.1**2 + 0.2**2
    true = 2 * 0.7 * spread / (spread + 0.49 * spread + 0.08**2 + 0.1**2)
    hits = []
    for _ in range(400):
        truth, (answers,) = speakers_draw(rng, 1)
        sums = sums_of(truth, answers)
        interval = jackknife(float(CCC.value(sums.sum(1)).mean()), leave_one_out(sums, CCC))
        hits.append(interval.low <= true <= interval.high)
    assert 0.92 <= np.mean(hits) <= 0.98


def test_the_p_of_the_swap_test_is_uniform_where_nothing_differs(rng):
    from scipy.stats import kstest

    p = []
    for _ in range(400):
        truth, answers = speakers_draw(rng, 2, speakers=9)
        p.append(swap_test(*(sums_of(truth, side) for side in answers), CCC, rng).p)
    # of 256 pairs of exchanges: nearly continuous
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.03 <= np.mean(np.array(p) <= 0.05) <= 0.08
