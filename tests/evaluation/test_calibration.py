"""False alarms on simulations without a true difference, in percent at a nominal 5.

Generators of speakers: both systems are right with probability .6 ± δ_s/2, δ_s ~ N(0, sd) for each
speaker, clipped, independent given δ_s. Generators of seeds: P(right) = logistic(.7 + N(0, 1.2²)
for each utterance) ± δ_s/2 + N(0, sd of seeds) for each training, clipped.
"""

import numpy as np
import pytest

from emokit.evaluation.clusters import (bootstrap, jackknife, leave_one_out, nets_of, sign_flip,
                                        swap_test)
from emokit.evaluation.counts import MEASURES, class_counts
from emokit.evaluation.mcnemar import mcnemar
from emokit.evaluation.seeds import combined

pytestmark = pytest.mark.slow
DRAWS = 2000


def right_counts(right):
    """Class counts [M, S, 3, 1] of correctness [M, S, n]."""
    hits = right.sum(-1, dtype=float)
    return np.stack([np.full(hits.shape, right.shape[-1]), hits, hits], -1)[..., None]


def covers_zero(a, b, measure):
    delta = float(measure.value(a.sum(1)).mean() - measure.value(b.sum(1)).mean())
    interval = jackknife(delta, leave_one_out(a, measure) - leave_one_out(b, measure))
    return delta, interval, interval.low <= 0 <= interval.high


def percent(flags):
    return 100 * float(np.mean(flags))


def speaker_alarms(rng, speakers, each, sd):
    found = {"mcnemar": [], "swap": [], "jackknife": []}
    for _ in range(DRAWS):
        half = rng.normal(0, sd, (speakers, 1)) / 2
        a, b = (rng.random((speakers, each)) < np.clip(0.6 + sign * half, 0, 1) for sign in (1, -1))
        found["mcnemar"].append(mcnemar(int((a & ~b).sum()), int((b & ~a).sum())).exact < 0.05)
        nets = a.sum(1) - b.sum(1)
        found["swap"].append(sign_flip(nets, rng, 999).p < 0.05)
        counts = right_counts(a[None]), right_counts(b[None])
        found["jackknife"].append(not covers_zero(*counts, MEASURES["wa"])[2])
    return {name: percent(flags) for name, flags in found.items()}


@pytest.mark.parametrize("speakers, each, sd, least_swap", [
    (10, 55, 0.0, 3), (10, 55, 0.1, 3), (10, 55, 0.2, 3), (24, 60, 0.1, 3), (6, 100, 0.1, 1),
    (4, 120, 0.1, 0),
])
def test_swap_and_jackknife_hold_their_level_where_mcnemar_does_not(
        rng, speakers, each, sd, least_swap):
    alarms = speaker_alarms(rng, speakers, each, sd)
    assert least_swap <= alarms["swap"] <= 7
    assert 3 <= alarms["jackknife"] <= 7
    if sd:
        assert alarms["mcnemar"] > 12
    else:
        assert 2 <= alarms["mcnemar"] <= 6
    if speakers < 6:
        assert alarms["swap"] == 0


@pytest.mark.parametrize("speakers, each", [(10, 55), (24, 60)])
def test_uar_tests_hold_their_level_with_five_unequal_classes(rng, speakers, each):
    shares, measure = np.array([0.35, 0.25, 0.2, 0.12, 0.08]), MEASURES["uar"]
    clusters = np.repeat(np.arange(speakers), each)
    swap, interval, classic = [], [], []
    for _ in range(1000):
        truth = rng.choice(5, speakers * each, p=shares)
        half = rng.normal(0, 0.1, speakers)[clusters] / 2
        sides = [np.where(rng.random(len(truth)) < np.clip(0.6 + sign * half, 0, 1), truth,
                          (truth + 1) % 5) for sign in (1, -1)]
        a, b = (class_counts(truth, side, 5, clusters, speakers)[None] for side in sides)
        right = [side == truth for side in sides]
        classic.append(mcnemar(int((right[0] & ~right[1]).sum()),
                               int((right[1] & ~right[0]).sum())).exact < 0.05)
        swap.append(swap_test(a, b, measure, rng, 999).p < 0.05)
        interval.append(not covers_zero(a, b, measure)[2])
    assert 3 <= percent(swap) <= 7 and 3 <= percent(interval) <= 7.2
    assert percent(classic) > 12


def test_bootstrap_with_t_holds_its_level_for_few_speakers(rng):
    alarms = []
    for _ in range(600):
        half = rng.normal(0, 0.1, (6, 1)) / 2
        a, b = (right_counts((rng.random((6, 60)) < 0.6 + sign * half)[None]) for sign in (1, -1))
        interval = bootstrap(a, b, MEASURES["wa"], rng, 400)
        alarms.append(not interval.low <= 0 <= interval.high)
    assert 2 <= percent(alarms) <= 7.5


def seed_alarms(rng, speakers, each, speaker_sd, seed_sd, seeds=5, draws=800):
    measure = MEASURES["wa"]
    found = {"mcnemar": [], "swap": [], "seeds": [], "combined": []}
    from scipy.stats import ttest_ind

    for _ in range(draws):
        ease = 1 / (1 + np.exp(-(0.7 + rng.normal(0, 1.2, (speakers, each)))))
        half = rng.normal(0, speaker_sd, (speakers, 1)) / 2
        right = [rng.random((seeds, speakers, each)) < np.clip(
            ease + sign * half + rng.normal(0, seed_sd, (seeds, 1, 1)), 0, 1) for sign in (1, -1)]
        one, other = right[0][0], right[1][0]
        found["mcnemar"].append(
            mcnemar(int((one & ~other).sum()), int((other & ~one).sum())).p < 0.05)
        a, b = map(right_counts, right)
        found["swap"].append(sign_flip(nets_of(a, b, measure), rng, 999).p < 0.05)
        scores = [measure.value(side.sum(1)) for side in (a, b)]
        found["seeds"].append(ttest_ind(*scores).pvalue < 0.05)
        delta, interval, _ = covers_zero(a, b, measure)
        found["combined"].append(
            combined(delta, interval.standard_error, speakers, *scores).p < 0.05)
    return {name: percent(flags) for name, flags in found.items()}


@pytest.mark.parametrize("speaker_sd, seed_sd, bounds", [
    (0.0, 0.0, {"combined": (0, 3), "mcnemar": (2, 7), "swap": (3, 7)}),
    (0.1, 0.0, {"combined": (2.8, 7), "seeds": (40, 60), "swap": (3, 7.5)}),
    (0.0, 0.02, {"combined": (1, 6), "swap": (20, 40), "seeds": (3, 7)}),
    (0.1, 0.02, {"combined": (2, 7), "mcnemar": (30, 50), "seeds": (12, 30)}),
])
def test_only_the_combined_test_holds_its_level_over_speakers_and_seeds(
        rng, speaker_sd, seed_sd, bounds):
    alarms = seed_alarms(rng, 24, 60, speaker_sd, seed_sd)
    for name, (low, high) in bounds.items():
        assert low <= alarms[name] <= high, alarms


def test_best_seed_of_five_against_one_is_a_false_alarm_far_too_often(rng):
    alarms = []
    for _ in range(400):
        ease = 1 / (1 + np.exp(-(0.7 + rng.normal(0, 1.2, 1000))))
        right = rng.random((6, 1000)) < ease + rng.normal(0, 0.018, (6, 1))
        best = right[:5][right[:5].sum(1).argmax()]
        alarms.append(mcnemar(int((best & ~right[5]).sum()),
                              int((right[5] & ~best).sum())).p < 0.05)
    assert percent(alarms) > 12
