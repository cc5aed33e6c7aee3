"""A small source-filter voice: text, speaker, emotion and channel to samples.

Glottal pulses (Rosenberg) and aspiration noise pass through a cascade of five formants that moves
from phone to phone; fricatives and bursts add shaped noise; microphone and room follow. The
filtering runs on short spectra, all frames at once, which makes it some hundred times faster than
real time.

Source: D. Klatt 1980, "Software for a cascade/parallel formant synthesizer"; A. Rosenberg 1971,
"Effect of glottal pulse shape on the quality of natural vowels" (pulse C). Deviations: the cascade
is applied as 1 / A(f) per frame of 16 ms, not recursively; a phone moves to the next by a Gaussian,
not by rules.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import fft

from emokit.core.seeding import generator
from emokit.corpora import acting
from emokit.corpora.phones import NOISES, SEGMENTS, syllables
from emokit.corpora.utterance import StandIn

RATE = 16_000
"""Hz of the synthesis; other rates are resampled from it."""

_HOP, _WINDOW, _FFT = 128, 256, 512
_FREQUENCIES = np.fft.rfftfreq(_FFT, 1 / RATE)
_HIGHER_FORMANTS = (3500.0, 4500.0)
_BANDWIDTHS = (70.0, 90.0, 130.0, 220.0, 300.0)
_ORDER = {name: index for index, name in enumerate(SEGMENTS)}
_TABLE = np.array(list(SEGMENTS.values()), dtype=float)


def synthesise(stand_in: StandIn, corpus: str, seed: int) -> tuple[np.ndarray, int]:
    """Speak one stand-in.

    Depends on its arguments alone, never on what was spoken before: the same arguments give the
    same bits with the same NumPy.

    Args:
        corpus: gives the channel and the accent of the emotions.

    Returns:
        Float32 samples in (-1, 1), one to some four seconds, and their rate in Hz.
    """
    rng = generator(seed, "utterance", corpus, stand_in.path)
    voice = acting.speaker(corpus, stand_in.speaker, stand_in.gender, stand_in.age, seed)
    control = acting.controls(stand_in, corpus, voice, seed, rng)
    channel = acting.channel(corpus)
    plan = _plan(stand_in.text or stand_in.path, control, channel.margin, rng)
    frequency = voice.pitch * np.exp2(_melody(plan, control, rng) / 12)
    spoken = _spectra(plan, frequency, voice.tract, control, channel, rng)
    samples = _through_room(_overlap_add(spoken), channel, corpus)
    samples = np.tanh(samples)
    if channel.rate != RATE:
        import soxr

        samples = np.clip(soxr.resample(samples, RATE, channel.rate), -1, 1)
    return samples.astype(np.float32, copy=False), channel.rate


def _plan(text: str, control: dict, margin: float, rng: np.random.Generator) -> dict:
    """Lay the phones on a grid of frames: per-frame rows of the segment table, and accents."""
    spoken = syllables(text)
    phones, owner = ["edge"], [-1]
    for index, syllable in enumerate(spoken):
        phones += syllable
        owner += [index] * len(syllable)
    phones.append("edge")
    owner.append(-1)
    rows = _TABLE[[_ORDER[phone] for phone in phones]]
    seconds = rows[:, 6] / 1000 * 2 ** -control["rate"] * np.exp(rng.normal(0, 0.12, len(rows)))
    seconds[-2] *= 1.35  # final lengthening
    seconds[[0, -1]] = margin * rng.uniform(0.7, 1.3, 2) + 0.02
    ends = np.maximum(np.round(np.cumsum(seconds) * RATE / _HOP), 1).astype(int)
    lengths = np.maximum(np.diff(ends, prepend=0), 1)
    frame = np.repeat(np.arange(len(rows)), lengths)
    starts = np.cumsum(lengths) - lengths
    vowels = np.flatnonzero((rows[:, 3] >= 0.8) & (np.array(owner) >= 0))
    return {
        "rows": rows, "frame": frame, "first": starts[1], "last": starts[-1],
        "centres": starts[vowels] + lengths[vowels] / 2,
        # every second syllable or so is stressed; which ones belongs to the text
        "stress": generator(0, "stress", text).choice([0.15, 0.5, 1.0], len(vowels)),
    }


def _melody(plan: dict, control: dict, rng: np.random.Generator) -> np.ndarray:
    """Give the pitch in semitones around the speaker's mean, [T]."""
    time = np.arange(len(plan["frame"]))
    place = np.clip((time - plan["first"]) / max(plan["last"] - plan["first"], 1), 0, 1)
    size = 2.0 ** control["range"]
    heights = 2.6 * size * plan["stress"] * np.exp(rng.normal(0, 0.3, len(plan["stress"])))
    bumps = np.exp(-0.5 * ((time[:, None] - plan["centres"]) / 9.0) ** 2) @ heights
    declination = 1.6 * size * (0.5 - place)
    ending = (control["final"] - 1.0) * np.clip((place - 0.75) / 0.25, 0, 1) ** 1.5
    tremor = control["tremor"] * np.sin(
        2 * np.pi * (6.0 * time * _HOP / RATE + rng.uniform())
    )
    return np.clip(control["pitch"] + bumps + declination + ending + tremor, -14, 22)


def _spectra(plan: dict, frequency: np.ndarray, tract: float, control: dict,
             channel: acting.Channel, rng: np.random.Generator) -> np.ndarray:
    """Give the spectra of all frames after the vocal tract and the microphone, [T, bins]."""
    from scipy.ndimage import gaussian_filter1d

    rows, frame = plan["rows"], plan["frame"]
    tracks = rows[frame]
    formants = gaussian_filter1d(tracks[:, :3], 2.6, axis=0, mode="nearest")
    gains = gaussian_filter1d(tracks[:, 3:6], 0.8, axis=0, mode="nearest")
    # stressed syllables are louder, the end of the sentence softer
    accent = np.exp(-0.5 * ((np.arange(len(frame))[:, None] - plan["centres"]) / 10.0) ** 2)
    effort = 10 ** ((accent @ (plan["stress"] * 4.0) - 2.0
                     - 4.0 * np.clip(np.arange(len(frame)) / len(frame) - 0.5, 0, 1)) / 20)
    breath = float(np.clip(0.16 * 3.5 ** control["breath"], 0.03, 0.9))
    voiced = gains[:, 0] * effort
    pulses = _pulses(frequency, voiced, breath, control, rng)
    noise = rng.standard_normal(len(pulses), dtype=np.float32)

    formants[:, 0] *= 2 ** control["opening"]
    response = _tract(formants * tract, tract)
    tilt = control["tilt"] - 2.0
    response *= _gain(tilt * np.log2(np.maximum(_FREQUENCIES, 500) / 500))
    aspiration = (0.5 * breath * voiced + gains[:, 1] * effort)[:, None].astype(np.float32)
    frication = (0.9 * gains[:, 2] * effort)[:, None].astype(np.float32)
    shaped = _noise_shapes()[rows[frame, 7].astype(int)]
    spectra = _short_spectra(pulses)
    spectra *= response
    response *= 0.25 * aspiration
    response += 0.12 * frication * shaped
    level = _gain(channel.level + control["loudness"] - 6.0 + _colour(channel))
    response *= level
    response += _hiss(channel)
    response *= _short_spectra(noise)
    spectra *= level
    spectra += response
    return spectra


def _pulses(frequency: np.ndarray, voiced: np.ndarray, breath: float, control: dict,
            rng: np.random.Generator) -> np.ndarray:
    """Give the glottal flow derivative with jitter and shimmer, in samples."""
    rate = _to_samples(frequency) / RATE
    cycle = np.cumsum(rate).astype(int)
    perturbed = rng.standard_normal((2, cycle[-1] + 1)).astype(np.float32)
    jitter = min(0.006 * 2 ** control["jitter"], 0.05)
    rate *= 1 + jitter * np.clip(perturbed[0], -2.5, 2.5)[cycle]
    phase = np.cumsum(rate)
    phase -= np.floor(phase)
    open_quotient = float(np.clip(0.55 + 0.25 * breath - 0.04 * control["tilt"], 0.35, 0.9))
    highest = int(RATE / 2 / frequency.max())
    wave = _pulse(round(open_quotient * 20), min(highest, 120))
    shimmer = 1 + np.clip(4 * jitter * perturbed[1], -0.5, 0.5)[cycle]
    return wave[(phase * len(wave)).astype(np.int32)] * shimmer * _to_samples(voiced)


@functools.lru_cache(maxsize=1024)
def _pulse(twentieths: int, n_harmonics: int) -> np.ndarray:
    """Give one period of the derivative of Rosenberg's pulse C, without what would alias."""
    time = np.arange(4096) / 4096
    opening, closing = twentieths / 20 * 0.67, twentieths / 20 * 0.33
    flow = np.where(time < opening, 0.5 - 0.5 * np.cos(np.pi * time / opening), 0.0)
    falling = (time >= opening) & (time < opening + closing)
    flow = np.where(falling, np.cos(np.pi * (time - opening) / (2 * closing)), flow)
    spectrum = fft.rfft(np.diff(flow, append=0.0))
    spectrum[n_harmonics + 1:] = 0
    spectrum[0] = 0
    period = fft.irfft(spectrum)
    return (period / np.sqrt(np.mean(period**2))).astype(np.float32)


def _tract(formants: np.ndarray, tract: float) -> np.ndarray:
    """Give the response of the formant cascade, [T, bins], each resonator with gain one at 0 Hz.

    With poles at radius r and angle w the denominators 1 - 2 r cos(w) z + r² z² are multiplied as
    polynomials, so one FFT per frame evaluates all five.
    """
    higher = np.broadcast_to(np.array(_HIGHER_FORMANTS) * tract, (len(formants), 2))
    centres = np.minimum(np.concatenate([formants, higher], 1), 0.47 * RATE)
    radius = np.exp(-np.pi * np.array(_BANDWIDTHS) / RATE)
    linear = -2 * radius * np.cos(2 * np.pi * centres / RATE)
    square = radius**2
    product = np.ones((len(formants), 1))
    for k in range(linear.shape[1]):
        longer = np.zeros((len(formants), product.shape[1] + 2))
        longer[:, :-2] += product
        longer[:, 1:-1] += linear[:, k:k + 1] * product
        longer[:, 2:] += square[k] * product
        product = longer / longer.sum(1, keepdims=True)
    return (1 / fft.rfft(product.astype(np.float32), _FFT)).astype(np.complex64)


@functools.lru_cache(maxsize=1)
def _noise_shapes() -> np.ndarray:
    shapes = [np.exp(-((_FREQUENCIES - centre) / width) ** 2) for centre, width in NOISES]
    shapes[0][:] = 0
    return np.array(shapes, dtype=np.float32)


def _gain(decibels: np.ndarray) -> np.ndarray:
    return (10 ** (decibels / 20)).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _colour(channel: acting.Channel) -> np.ndarray:
    """Give the frequency response of microphone and preamplifier in dB, [bins]."""
    octaves = np.log2(np.maximum(_FREQUENCIES, 20) / 1000)
    low_cut = -10 * np.log10(1 + (channel.low_cut / np.maximum(_FREQUENCIES, 20)) ** 4)
    ripple = np.sin(2 * np.pi * (octaves / channel.ripple_period + channel.ripple_shift))
    return low_cut + channel.slope * np.maximum(octaves, 0) + channel.ripple * ripple


@functools.lru_cache(maxsize=64)
def _hiss(channel: acting.Channel) -> np.ndarray:
    pink = -3.0 * np.log2(np.maximum(_FREQUENCIES, 60) / 1000)
    return _gain(channel.floor + pink + 0.5 * _colour(channel))


def _to_samples(track: np.ndarray) -> np.ndarray:
    """Interpolate a track of frames linearly to samples, [T] to [T · hop], float32."""
    track = track.astype(np.float32)
    following = np.append(track[1:], track[-1])
    ramp = np.arange(_HOP, dtype=np.float32) / _HOP
    return (track[:, None] + (following - track)[:, None] * ramp).ravel()


@functools.lru_cache(maxsize=1)
def _window() -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)).astype(np.float32)


def _short_spectra(samples: np.ndarray) -> np.ndarray:
    padded = np.concatenate([samples, np.zeros(_WINDOW - _HOP, np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    return fft.rfft(frames * _window(), _FFT)


def _overlap_add(spectra: np.ndarray) -> np.ndarray:
    frames = fft.irfft(spectra, _FFT)
    n_frames, per_frame = len(frames), _FFT // _HOP
    samples = np.zeros((n_frames + per_frame - 1, _HOP), np.float32)
    for k in range(per_frame):
        samples[k:k + n_frames] += frames[:, k * _HOP:(k + 1) * _HOP]
    return samples[:n_frames].ravel()


def _through_room(samples: np.ndarray, channel: acting.Channel, corpus: str) -> np.ndarray:
    from scipy.signal import oaconvolve

    return oaconvolve(samples, _room(channel, corpus))[:len(samples)]


@functools.lru_cache(maxsize=64)
def _room(channel: acting.Channel, corpus: str) -> np.ndarray:
    """Give the impulse response of the room: direct sound and a decaying tail."""
    n_samples = int(0.6 * channel.reverberation * RATE)
    decay = 10 ** (-3 * np.arange(n_samples) / RATE / channel.reverberation)
    tail = generator(0, "room", corpus).standard_normal(n_samples) * decay
    tail[:int(0.004 * RATE)] = 0  # no reflection is earlier than the nearest wall
    response = channel.wet * tail / np.sqrt(np.sum(tail**2))
    response[0] = 1.0
    return response.astype(np.float32)
