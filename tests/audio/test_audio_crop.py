import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emokit.audio.crop import random_crop, scoring_crops
from emokit.core.errors import ConfigError


@given(st.integers(1, 5000), st.integers(1, 1000))
def test_multi_crops_cover_every_sample_and_end_at_the_end(n_samples, window):
    crops = scoring_crops(n_samples, window)
    heard = np.zeros(n_samples, bool)
    for start, stop in crops:
        assert stop - start == min(window, n_samples)
        heard[start:stop] = True
    assert heard.all()
    assert crops[0][0] == 0 and crops[-1][1] == n_samples
    if n_samples > window:
        rest = n_samples - window
        assert len(crops) == 1 + math.ceil(rest / (window / 2))
        for index, (start, _) in enumerate(crops):
            assert abs(start - index * rest / (len(crops) - 1)) <= 0.5


@pytest.mark.parametrize("rule,expected", [
    ("whole", [(0, 10)]), ("center", [(3, 7)]), ("emonet", [(5, 9)]),
    ("multi", [(0, 4), (2, 6), (4, 8), (6, 10)]),
])
def test_rules(rule, expected):
    assert scoring_crops(10, 4, rule) == expected


def test_emonet_starts_at_zero_up_to_twice_the_window():
    assert scoring_crops(8, 4, "emonet") == [(0, 4)]


@pytest.mark.parametrize("rule", ["multi", "whole", "center", "emonet"])
def test_short_utterances_are_taken_whole(rule):
    assert scoring_crops(3, 4, rule) == scoring_crops(3, None, rule) == [(0, 3)]


def test_unknown_rule_names_the_choices():
    with pytest.raises(ConfigError, match="Did you mean 'center'"):
        scoring_crops(3, 4, "centre")


def test_random_crops_are_uniform_and_stay_inside():
    rng = np.random.default_rng(0)
    crops = [random_crop(10, 6, rng) for _ in range(5000)]
    starts = np.bincount([start for start, _ in crops])
    assert len(starts) == 5 and all(stop - start == 6 for start, stop in crops)
    assert np.abs(starts - 1000).max() < 130


def test_random_crop_draws_once_whatever_the_length():
    one, other = np.random.default_rng(0), np.random.default_rng(0)
    random_crop(10, 6, one)
    random_crop(3, 6, other)
    assert random_crop(100, 6, one) == random_crop(100, 6, other)
