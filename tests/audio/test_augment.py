"""Augmentations do what their settings say, and only to what is real."""

import numpy as np
import pytest
import torch

from emokit.audio.augment import AUGMENTATIONS, Gain, Noise, SpecAugment, make
from emokit.core.errors import ConfigError


@pytest.fixture
def tone():
    return (0.3 * np.sin(np.arange(16_000) * 0.2)).astype(np.float32)


@pytest.mark.parametrize("ratio", [0.0, 10.0, 25.0])
def test_noise_has_the_signal_to_noise_ratio_that_was_asked(tone, ratio):
    spectra = set()
    for seed in range(8):
        noisy = Noise(probability=1.0, low=ratio, high=ratio)(tone, np.random.default_rng(seed))
        added = noisy.astype(float) - tone
        assert noisy.dtype == np.float32
        assert 10 * np.log10(np.mean(tone.astype(float)**2) / np.mean(added**2)) == pytest.approx(
            ratio, abs=0.01)
        spectrum = np.abs(np.fft.rfft(added)) ** 2
        spectra.add(bool(spectrum[:2000].mean() > 10 * spectrum[-2000:].mean()))
    assert spectra == {True, False}  # some white, some with more at the bottom


def test_gain_is_one_factor_within_its_limits(tone):
    gains = []
    for seed in range(30):
        louder = Gain(probability=1.0, low=-6, high=6)(tone, np.random.default_rng(seed))
        factor = louder[1:] / tone[1:]
        np.testing.assert_allclose(factor, factor[0], rtol=1e-5)
        gains.append(20 * np.log10(factor[0]))
    assert -6 <= min(gains) < -3 and 3 < max(gains) <= 6


@pytest.mark.parametrize("kind", [Noise, Gain])
def test_probability_is_the_share_that_changes(tone, kind):
    def changed(probability):
        augment = kind(probability=probability)
        return np.mean([not np.array_equal(augment(tone[:50], np.random.default_rng(seed)),
                                           tone[:50]) for seed in range(400)])

    assert changed(0.0) == 0 and changed(1.0) == 1
    assert changed(0.3) == pytest.approx(0.3, abs=0.07)


def test_silence_stays_silence_and_nothing_stays_nothing(rng):
    silence = np.zeros(100, np.float32)
    assert not Noise(probability=1.0)(silence, rng).any()
    for kind in (Noise, Gain):
        assert len(kind(probability=1.0)(np.zeros(0, np.float32), rng)) == 0


def masked(settings, n=64, lengths=None, seed=0):
    frames = torch.ones(n, 50, 20)
    lengths = torch.full((n,), 50) if lengths is None else lengths
    generator = torch.Generator().manual_seed(seed)
    return SpecAugment(**settings)(frames, lengths, generator), frames


def test_specaugment_masks_whole_bands_and_frames_up_to_its_widths():
    bands, _ = masked(dict(frequency_masks=1, frequency_width=6, time_masks=0))
    hidden = (bands == 0).all(dim=1).sum(dim=1)
    assert torch.equal(hidden * 50, (bands == 0).sum(dim=(1, 2)))
    assert hidden.max() == 6 and hidden.min() == 0
    times, frames = masked(dict(frequency_masks=0, time_masks=1, time_share=0.2))
    hidden = (times == 0).all(dim=2).sum(dim=1)
    assert torch.equal(hidden * 20, (times == 0).sum(dim=(1, 2)))
    assert hidden.max() in (9, 10) and hidden.min() == 0
    assert frames.eq(1).all()  # a new tensor


def test_time_masks_keep_to_the_real_frames():
    times, _ = masked(dict(frequency_masks=0, time_masks=3, time_share=1.0),
                      lengths=torch.full((64,), 10))
    assert (times[:, 10:] == 1).all() and (times[:, :10] == 0).any()


def test_specaugment_without_masks_changes_nothing_and_follows_its_generator():
    same, frames = masked(dict(frequency_masks=0, time_masks=0))
    assert torch.equal(same, frames)
    one, two, other = masked({})[0], masked({})[0], masked({}, seed=1)[0]
    assert torch.equal(one, two) and not torch.equal(one, other)
    narrow, _ = masked(dict(frequency_masks=1, frequency_width=500, time_masks=0))
    assert narrow.shape == (64, 50, 20)


def test_make_keeps_the_order_and_names_what_is_unknown():
    made = make([{"name": "gain", "low": -1.0}, {"name": "noise"}])
    assert [type(one) for one in made] == [Gain, Noise] and made[0].low == -1.0
    with pytest.raises(ConfigError, match="Unknown augmentation 'nois'. Did you mean 'noise'"):
        make([{"name": "nois"}])
    with pytest.raises(ConfigError, match="augmentation 'noise': unknown setting 'probabilty'. "
                                          "Did you mean 'probability'"):
        make([{"name": "noise", "probabilty": 1}])
    with pytest.raises(ConfigError, match="'probability' is 2.0; it must be at most 1"):
        make([{"name": "noise", "probability": 2}])


def test_every_augmentation_says_where_it_acts():
    for name in AUGMENTATIONS:
        assert AUGMENTATIONS[name].domain in ("waveform", "frames")
