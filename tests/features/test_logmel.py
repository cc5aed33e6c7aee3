"""The log-mel front end."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from emokit.core.errors import ConfigError
from emokit.features import FRONT_ENDS
from emokit.features.logmel import LogMel, LogMelConfig, mel_weights

EMONET = LogMelConfig(hop=512, bands=128, center=False)


def by_definition(samples, config):
    """Log-mel of one whole utterance, written out in float64."""
    if config.center:
        side = config.n_fft // 2
        samples = np.pad(samples, side)
    samples = np.pad(samples, (0, max(0, config.n_fft - len(samples))))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)
    rows = []
    for start in range(0, len(samples) - config.n_fft + 1, config.hop):
        spectrum = np.fft.fft(samples[start:start + config.n_fft] * window)
        power = np.abs(spectrum[:config.n_fft // 2 + 1]) ** 2
        row = []
        step = (mel(config.high) - mel(config.low)) / (config.bands + 1)
        for band in range(config.bands):
            centre = mel(config.low) + (band + 1) * step
            total = 0.0
            for index in range(1, len(power)):
                distance = abs(mel(index * config.rate / config.n_fft) - centre) / step
                total += max(0.0, 1 - distance) * power[index]
            row.append(math.log(total + 1e-6))
        rows.append(row)
    return np.array(rows)


def mel(frequency):
    return 1127 * math.log(1 + frequency / 700)


@pytest.mark.parametrize("config", [
    LogMelConfig(n_fft=64, hop=16, bands=6, rate=1000, high=500),
    LogMelConfig(n_fft=64, hop=32, bands=5, rate=1000, high=400, center=False),
])
@pytest.mark.parametrize("n_samples", [1, 15, 63, 64, 65, 200])
def test_frames_follow_the_definition(config, n_samples):
    samples = np.random.default_rng(n_samples).normal(size=n_samples)
    frames, lengths = LogMel(config)(
        torch.tensor(samples, dtype=torch.float32)[None], torch.tensor([n_samples]))
    expected = by_definition(samples, config)
    assert frames.shape == (1, *expected.shape)
    assert lengths.tolist() == [len(expected)]
    np.testing.assert_allclose(frames[0], expected, atol=1e-4)


@pytest.mark.parametrize("config", [LogMelConfig(), EMONET])
def test_frames_ignore_batch_mates_and_padding(config):
    torch.manual_seed(0)
    lengths = torch.tensor([1, 500, 1024, 5000, 16_000])
    inputs = torch.randn(5, 20_000)
    inputs[1, 500:] = float("nan")
    frames, n_frames = LogMel(config)(inputs, lengths)
    for row, length in enumerate(lengths):
        alone, n_alone = LogMel(config)(inputs[row:row + 1, :length], lengths[row:row + 1])
        assert n_alone == n_frames[row] >= 1
        assert alone.shape[1] == n_alone
        torch.testing.assert_close(frames[row, :n_alone], alone[0], atol=1e-5, rtol=0)


def test_number_of_frames_is_that_of_the_specification():
    assert LogMel().n_frames(torch.tensor([1, 255, 256, 48_000])).tolist() == [1, 1, 2, 188]
    emonet = LogMel(EMONET)
    assert emonet.n_frames(torch.tensor([1, 1024, 1535, 1536, 32_000])).tolist() == [1, 1, 1, 2, 61]


def test_integers_from_the_store_are_the_same_as_floats():
    samples = torch.randint(-32768, 32767, (2, 3000), dtype=torch.int16)
    lengths = torch.tensor([3000, 2000])
    torch.testing.assert_close(
        LogMel()(samples, lengths)[0], LogMel()(samples.float() / 32768, lengths)[0])


@pytest.mark.parametrize("frequency", [200.0, 1000.0, 3000.0])
def test_sine_peaks_in_the_band_of_its_mel(frequency):
    config = LogMelConfig()
    sine = torch.sin(2 * math.pi * frequency * torch.arange(16_000) / 16_000)[None]
    frames, _ = LogMel(config)(sine, torch.tensor([16_000]))
    centres = np.linspace(mel(20), mel(8000), config.bands + 2)[1:-1]
    assert abs(int(frames[0, 30].argmax()) - int(abs(centres - mel(frequency)).argmin())) <= 1


def test_weights_equal_kaldis_triangles_which_are_linear_in_mel():
    try:
        from torchaudio.compliance import kaldi
    except (ImportError, OSError) as error:  # OSError: a CUDA build beside a CPU torch
        pytest.skip(f"torchaudio cannot be imported: {error}")
    banks, _ = kaldi.get_mel_banks(64, 1024, 16_000.0, 20.0, 8000.0, 100.0, -500.0, 1.0)
    ours = mel_weights(16_000, 1024, 64, 20.0, 8000.0)
    np.testing.assert_allclose(ours[:-1].T, banks.numpy(), atol=2e-4)


def test_float32_even_under_autocast():
    inputs, lengths = torch.randn(1, 4000), torch.tensor([4000])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        frames, _ = LogMel()(inputs, lengths)
    assert frames.dtype == torch.float32
    assert torch.equal(frames, LogMel()(inputs, lengths)[0])


def test_signature_follows_every_setting():
    signatures = {LogMel().signature()}
    others = {"rate": 22_050, "n_fft": 512, "hop": 128, "bands": 32, "low": 50.0, "high": 7000.0,
              "center": False}
    assert set(others) == {field.name for field in dataclasses.fields(LogMelConfig)}
    for name, value in others.items():
        signatures.add(LogMel(dataclasses.replace(LogMelConfig(), **{name: value})).signature())
    assert len(signatures) == 1 + len(others)
    assert LogMel().signature() == LogMel().signature()


@pytest.mark.parametrize("settings", [{"high": 8001.0}, {"low": 9000.0}, {"rate": 8000}])
def test_bands_beyond_the_rate_are_an_error(settings):
    with pytest.raises(ConfigError, match="low < high <= rate / 2"):
        LogMel(LogMelConfig(**settings))


@pytest.mark.parametrize("name", list(FRONT_ENDS))
def test_every_front_end_keeps_its_contract(name):
    cls = FRONT_ENDS[name]
    front_end = cls(cls.Config())
    lengths = torch.tensor([4000, 1])
    frames, n_frames = front_end(torch.randn(2, 4000), lengths)
    assert cls.name == name
    assert frames.shape == (2, int(n_frames.max()), front_end.dim)
    assert torch.equal(n_frames, front_end.n_frames(lengths))
    assert not front_end.state_dict()
