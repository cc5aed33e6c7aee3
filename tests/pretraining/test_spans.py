"""Hidden frames: their share, their spans, their distractors."""

import pytest
import torch
from hypothesis import given, settings, strategies as st

from emokit.pretraining.masking import draw_mask, draw_negatives, start_probability


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("share, span", [(0.49, 10), (0.09, 10), (0.06, 15), (0.8, 3)])
def test_share_of_hidden_frames_is_that_asked_for_at_every_place(share, span):
    hidden = draw_mask(torch.full((6000,), 60), 60, share, span, 0, draws()).float()
    assert hidden.mean().item() == pytest.approx(share, abs=0.01)
    # also at the first and last frame, which spans reach only from one side
    assert (hidden.mean(0) - share).abs().max() < 0.03


def test_start_probability_is_that_of_the_published_masks():
    # wav2vec 2.0: p = .065, span 10, "approximately 49%"
    assert start_probability(0.49, 10) == pytest.approx(0.065, abs=2e-4)


def test_spans_are_as_long_as_asked_for_away_from_the_ends():
    hidden = draw_mask(torch.full((400,), 100), 100, 0.1, 7, 0, draws())[:, 7:-7]
    for row in hidden:
        runs = "".join("x" if one else "." for one in row.tolist()).split(".")
        inner = [len(run) for run in runs[1:-1] if run]
        assert all(run >= 7 for run in inner)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 12),
       st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_each_utterance_has_hidden_frames_and_none_past_its_end(lengths, span, least, seed):
    size = max(lengths)
    hidden = draw_mask(torch.tensor(lengths), size, 0.05, span, least, draws(seed))
    assert hidden.shape == (len(lengths), size)
    for row, length in zip(hidden, lengths):
        assert row[:length].any() and not row[length:].any()


def test_utterance_shorter_than_a_span_takes_part():
    hidden = draw_mask(torch.tensor([3]), 3, 0.01, 10, 1, draws())
    assert 1 <= hidden.sum() <= 3


def test_two_spans_at_least_hide_more_of_a_clip_than_their_share():
    share = draw_mask(torch.full((2000,), 224), 224, 0.05, 10, 2, draws()).float().mean()
    # 4.5 s: two spans of ten frames, 2 % less where they overlap or reach over an end
    assert 0.08 < share < 0.11


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(1, 8),
       st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_distractors_are_other_hidden_frames_of_the_same_utterance(lengths, n, seed):
    hidden = draw_mask(torch.tensor(lengths), max(lengths), 0.5, 2, 1, draws(seed))
    picked, has = draw_negatives(hidden, n, draws(seed))
    owner = hidden.nonzero()[:, 0]
    assert picked.shape == (len(owner), n)
    for frame, (row, real) in enumerate(zip(picked.tolist(), has.tolist())):
        alone = int((owner == owner[frame]).sum()) == 1
        assert real != alone
        assert all(owner[other] == owner[frame] for other in row)
        assert alone or frame not in row


def test_all_other_frames_are_equally_likely_as_distractors():
    hidden = torch.ones(1, 5, dtype=torch.bool)
    picked, _ = draw_negatives(hidden, 40_000, draws())
    for frame in range(5):
        shares = torch.bincount(picked[frame], minlength=5) / 40_000
        expected = torch.full((5,), 0.25)
        expected[frame] = 0
        assert torch.allclose(shares, expected, atol=0.01)
