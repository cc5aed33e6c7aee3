"""Batches of frozen states, and what is masked of them."""

import numpy as np
import pytest
import torch

from emokit.core.errors import ConfigError
from emokit.pretraining.local_attributes.data import refuse_short


def test_an_epoch_has_every_crop_once_within_the_seconds(make_frames):
    frames = make_frames(np.random.default_rng(0).integers(5, 100, 60))
    batches = frames.epoch(6.0, 0, 0)
    assert sorted(np.concatenate(batches)) == list(range(60))
    assert all(len(items) * frames.seconds[items].max() <= 6.0 for items in batches)
    assert [b.tolist() for b in frames.epoch(6.0, 0, 0)] == [b.tolist() for b in batches]
    assert [b.tolist() for b in frames.epoch(6.0, 0, 1)] != [b.tolist() for b in batches]


def test_a_batch_holds_the_states_of_its_crops_and_where_they_lie(make_frames):
    frames = make_frames([4, 2, 7])
    batch = frames.batch(np.array([2, 0]))
    assert batch.values.shape == (2, 7, 6) and not batch.values[1, 4:].any()
    flat = np.asarray(frames.states[0].values, np.float32)
    found = torch.cat([batch.values[0], batch.values[1, :4]]).numpy()
    assert np.array_equal(found, flat[batch.at])


def test_the_masked_share_is_that_of_the_setting_and_padding_is_never_masked(make_frames):
    frames = make_frames(np.random.default_rng(0).integers(60, 200, 150))
    batch = frames.batch(np.arange(150))
    masked = frames.masks(batch, 0.49, 10, 0, 0)
    real = torch.arange(masked.shape[1]) < batch.lengths[:, None]
    assert not masked[~real].any()
    assert float(masked.sum() / real.sum()) == pytest.approx(0.49, abs=0.02)
    assert bool(masked.any(1).all()) and not bool((masked | ~real).all(1).any())


def test_clips_shorter_than_a_span_are_never_masked_whole(make_frames):
    frames = make_frames([1, 2, 5, 30])
    for epoch in range(20):
        masked = frames.masks(frames.batch(np.arange(4)), 0.6, 10, 0, epoch)
        counts = masked.sum(1).tolist()
        assert counts[0] == 0 and 1 <= counts[1] < 2 and 1 <= counts[2] < 5


def test_the_mask_of_a_crop_is_its_own_whoever_shares_its_batch(make_frames):
    frames = make_frames([30, 40, 50])
    alone = frames.masks(frames.batch(np.array([0])), 0.4, 5, 0, 3)[0]
    together = frames.masks(frames.batch(np.array([2, 0])), 0.4, 5, 0, 3)[1, :30]
    assert torch.equal(alone, together)
    other = frames.masks(frames.batch(np.array([0])), 0.4, 5, 0, 4)[0]
    assert not torch.equal(alone, other)


def test_settings_that_do_not_fit_are_refused_in_words(make_frames):
    frames = make_frames([4, 6])
    with pytest.raises(ConfigError, match="mask_span is 6 frames, but the longest utterance has 6"):
        refuse_short(frames, [2], 6)
    with pytest.raises(ConfigError, match="'attributes' is 11, but all utterances .* 10 frames"):
        refuse_short(frames, [11], 3)
