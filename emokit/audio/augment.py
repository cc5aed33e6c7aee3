"""Augmentations of training data; none is on unless a recipe or the user names it."""

from __future__ import annotations

import dataclasses

import numpy as np

from emokit.core.config import from_mapping, knob
from emokit.core.registry import Registry

AUGMENTATIONS = Registry("augmentation", {
    "noise": "emokit.audio.augment:Noise",
    "gain": "emokit.audio.augment:Gain",
    "speed": "emokit.audio.augment:Speed",
    "equaliser": "emokit.audio.augment:Equaliser",
    "specaugment": "emokit.audio.augment:SpecAugment",
})


@dataclasses.dataclass(frozen=True)
class Noise:
    """White or low-frequency noise at a random signal-to-noise ratio."""

    domain = "waveform"
    probability: float = knob(0.5, "Share of utterances changed.", minimum=0.0, maximum=1.0)
    low: float = knob(10.0, "Least signal-to-noise ratio in dB.")
    high: float = knob(30.0, "Greatest signal-to-noise ratio in dB.")

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Add noise whose power lies 10^(-SNR/10) below that of the waveform.

        Args:
            waveform: [S] float32 in [-1, 1].

        Returns:
            [S] float32. Half of the noises are white, half fall by 6 dB per octave, because rooms
            and microphones are louder at the bottom. Silence stays silence.
        """
        if rng.random() >= self.probability or not len(waveform):
            return waveform
        ratio = rng.uniform(self.low, self.high)
        noise = rng.standard_normal(len(waveform)).astype(np.float32)
        if rng.random() < 0.5:
            from scipy.signal import lfilter

            noise = lfilter([1.0], [1.0, -0.98], noise).astype(np.float32)
        power = float(np.mean(waveform**2)) / max(float(np.mean(noise**2)), 1e-12)
        return waveform + noise * np.float32(np.sqrt(power * 10 ** (-ratio / 10)))


@dataclasses.dataclass(frozen=True)
class Gain:
    """A random level, as if the speaker stood nearer or farther."""

    domain = "waveform"
    probability: float = knob(0.5, "Share of utterances changed.", minimum=0.0, maximum=1.0)
    low: float = knob(-6.0, "Least gain in dB.")
    high: float = knob(6.0, "Greatest gain in dB.")

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Scale [S] float32 by one factor; samples past full scale are not clipped."""
        if rng.random() >= self.probability:
            return waveform
        return waveform * np.float32(10 ** (rng.uniform(self.low, self.high) / 20))


@dataclasses.dataclass(frozen=True)
class Speed:
    """Plays faster or slower, pitch and formants along with it: another, similar speaker.

    Source: Ko et al. 2015, "Audio augmentation for speech recognition". Deviation: any factor in
        a range instead of three, and linear interpolation, whose loss above some 6 kHz is small
        beside that of the log-mel and which costs a fraction of a proper resampling.
    """

    domain = "waveform"
    probability: float = knob(0.5, "Share of utterances changed.", minimum=0.0, maximum=1.0)
    low: float = knob(0.88, "Least factor.", above=0.25)
    high: float = knob(1.12, "Greatest factor.", below=4.0)

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Give [round(S / factor)] float32, at least one sample."""
        if rng.random() >= self.probability or len(waveform) < 2:
            return waveform
        n_samples = max(1, round(len(waveform) / rng.uniform(self.low, self.high)))
        positions = np.linspace(0, len(waveform) - 1, n_samples, dtype=np.float64)
        return np.interp(positions, np.arange(len(waveform)), waveform).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Equaliser:
    """Adds a smooth random curve over the bands of the log-mel: another room, microphone, voice.

    Source: after Nam et al. 2022, "FilterAugment", the linear kind. Deviations: the curve runs
        through `points` evenly spaced heights and is given in deviations of the corpus, because
        it acts on normalised frames.
    """

    domain = "frames"
    probability: float = knob(0.8, "Share of utterances changed.", minimum=0.0, maximum=1.0)
    points: int = knob(5, "Heights that the curve runs through.", minimum=2)
    height: float = knob(0.5, "Standard deviation of a height, in deviations of the band.",
                         minimum=0.0)

    def __call__(self, frames, lengths, generator):
        """Add one curve to each utterance of [B, T, F]; see SpecAugment for the arguments."""
        import torch

        n_batch, _, n_bands = frames.shape
        heights = self.height * torch.randn(n_batch, 1, self.points, generator=generator)
        changed = torch.rand(n_batch, 1, 1, generator=generator) < self.probability
        curve = torch.nn.functional.interpolate(heights * changed, n_bands, mode="linear",
                                                align_corners=True)
        return frames + curve.to(frames.device, frames.dtype, non_blocking=True)


@dataclasses.dataclass(frozen=True)
class SpecAugment:
    """Masks whole bands and stretches of time of the log-mel.

    Source: Park et al. 2019, "SpecAugment". Deviations: no time warping; a mask becomes the mean
    of the corpus, which is 0 after normalisation; random numbers come from a named generator.
    """

    domain = "frames"
    frequency_masks: int = knob(2, "Masks over bands.", minimum=0)
    frequency_width: int = knob(8, "Widest mask over bands, in bands.", minimum=0)
    time_masks: int = knob(2, "Masks over time.", minimum=0)
    time_share: float = knob(0.1, "Widest mask over time, as a share of the utterance.",
                             minimum=0.0, maximum=1.0)

    def __call__(self, frames, lengths, generator):
        """Mask frames.

        Args:
            frames: [B, T, F] tensor, normalised.
            lengths: [B] real frames.
            generator: a CPU torch.Generator; drawing there keeps results equal on every device.

        Returns:
            [B, T, F], a new tensor.
        """
        import torch

        n_batch, n_frames, n_bands = frames.shape
        keep_time = torch.ones(n_batch, n_frames, dtype=torch.bool, device=frames.device)
        keep_band = torch.ones(n_batch, n_bands, dtype=torch.bool, device=frames.device)
        draws = torch.rand(
            self.frequency_masks + self.time_masks, 2, n_batch, 1, generator=generator
        ).to(frames.device, non_blocking=True)
        for index in range(self.frequency_masks):
            width = draws[index, 0] * min(self.frequency_width, n_bands)
            keep_band &= ~_span(n_bands, draws[index, 1] * (n_bands - width), width)
        for index in range(self.frequency_masks, len(draws)):
            real = lengths.to(frames.device)[:, None].float()
            width = draws[index, 0] * self.time_share * real
            keep_time &= ~_span(n_frames, draws[index, 1] * (real - width), width)
        return frames * (keep_time[:, :, None] & keep_band[:, None, :]).to(frames.dtype)


def _span(size: int, start, width):
    import torch

    position = torch.arange(size, device=start.device)[None, :]
    return (position >= start.floor()) & (position < (start + width).floor())


def make(specs: list[dict]) -> list:
    """Make augmentations from their settings, in order.

    Raises:
        ConfigError: an unknown name or setting.
    """
    made = []
    for spec in specs:
        settings = {key: value for key, value in spec.items() if key != "name"}
        made.append(from_mapping(
            AUGMENTATIONS[spec["name"]], settings, f"augmentation '{spec['name']}'"
        ))
    return made
