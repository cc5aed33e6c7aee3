"""Statistics of classical descriptors, by librosa alone: free of licence limits."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from emokit.audio.compiled import load_librosa

RATE, WINDOW, HOP = 16_000, 1024, 256
"""Hz, samples, samples: frames of 64 ms every 16 ms, as in the front end logmel."""

LOWEST, HIGHEST = 60.0, 500.0
"""Range of pitch, Hz."""

VOICED = 0.5
"""Least correlation of a frame with itself one period later that counts as voiced."""


class Functionals:
    """Six statistics of 35 descriptors, and of pitch, by librosa: 217 numbers.

    Descriptors per frame: 20 MFCC, level (dB), zero crossings, centroid, bandwidth, 85 % roll-off,
    flatness, flux, 7 bands of contrast, periodicity. Statistics: mean, deviation, 10th, 50th and
    90th percentile, mean absolute difference of neighbouring frames. Last the same of pitch in
    semitones above 27.5 Hz over voiced frames, NaN where none is voiced, and the share of those.

    Source:
        McFee et al. 2015 (librosa); de Cheveigné, Kawahara 2002 (YIN). The choice is emokit's; it
        follows what eGeMAPS (Eyben et al. 2016) describes, and is no copy of it.
    """

    slow = True
    library = "librosa"
    dim = 217

    @dataclasses.dataclass(frozen=True)
    class Config:
        """No settings: a floor that everyone can tune is no floor."""

    def __init__(self, config: Config | None = None):
        self.config = config or self.Config()

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Describe one utterance.

        Args:
            waveform: [S] float32 in [-1, 1] at 16 kHz; zeros follow one shorter than a frame.

        Returns:
            [dim] float64; pitch is NaN where no frame is voiced, all else is finite.
        """
        waveform = np.asarray(waveform, np.float32)
        waveform = np.pad(waveform, (0, max(0, WINDOW - len(waveform))))
        with warnings.catch_warnings():
            # digital silence has no pitch and no spectrum, which librosa warns of
            warnings.simplefilter("ignore")
            pitch, periodicity = pitch_track(waveform)
            frames = np.concatenate([descriptors(waveform), periodicity[None]])  # [35, T]
        voiced = periodicity > VOICED
        return np.concatenate([statistics(frames), statistics(pitch[None, voiced]),
                               [voiced.mean()]])


def statistics(frames: np.ndarray) -> np.ndarray:
    """Give mean, deviation, percentiles and mean absolute difference, [6 D], of [D, T].

    Without frames all are NaN; differences of a single frame are 0.
    """
    if not frames.shape[1]:
        return np.full(6 * len(frames), np.nan)
    frames = np.asarray(frames, np.float64)
    steps = np.abs(np.diff(frames)) if frames.shape[1] > 1 else np.zeros_like(frames)
    return np.concatenate([frames.mean(1), frames.std(1), *np.percentile(frames, (10, 50, 90), 1),
                           steps.mean(1)])


def descriptors(waveform: np.ndarray) -> np.ndarray:
    """Give spectral descriptors per frame, [34, T], T = 1 + floor(S / 256)."""
    librosa = load_librosa()
    feature = librosa.feature
    spectrum = np.abs(librosa.stft(waveform, n_fft=WINDOW, hop_length=HOP, pad_mode="constant"))
    mel = librosa.power_to_db(feature.melspectrogram(S=spectrum**2, sr=RATE, n_mels=64),
                              top_db=None)
    parts = [
        feature.mfcc(S=mel, n_mfcc=20),
        librosa.amplitude_to_db(feature.rms(S=spectrum, frame_length=WINDOW), top_db=None),
        feature.zero_crossing_rate(waveform, frame_length=WINDOW, hop_length=HOP),
        feature.spectral_centroid(S=spectrum, sr=RATE),
        feature.spectral_bandwidth(S=spectrum, sr=RATE),
        feature.spectral_rolloff(S=spectrum, sr=RATE),
        feature.spectral_flatness(S=spectrum),
        librosa.onset.onset_strength(S=mel, sr=RATE, hop_length=HOP, center=False)[None],
        feature.spectral_contrast(S=spectrum, sr=RATE, fmin=100.0),
    ]
    return np.concatenate(parts)


def pitch_track(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give semitones above 27.5 Hz and periodicity, [T] each.

    Periodicity is the correlation of a frame's first samples with those one period of YIN's pitch
    later, from -1 to 1; 0 for silence. YIN itself calls no frame unvoiced.

    Args:
        waveform: [S], at least a window.
    """
    librosa = load_librosa()
    hertz = librosa.yin(waveform, fmin=LOWEST, fmax=HIGHEST, sr=RATE, frame_length=WINDOW,
                        hop_length=HOP, pad_mode="constant")
    frames = librosa.util.frame(np.pad(waveform, WINDOW // 2), frame_length=WINDOW,
                                hop_length=HOP).T.astype(np.float64)  # [T, WINDOW]
    size = WINDOW - int(np.ceil(RATE / LOWEST))
    lags = np.minimum(np.rint(RATE / hertz).astype(int), WINDOW - size)
    now = frames[:, :size]
    later = np.take_along_axis(frames, np.arange(size) + lags[:, None], 1)
    power = np.sqrt((now**2).sum(1) * (later**2).sum(1))
    periodicity = (now * later).sum(1) / np.where(power > 0, power, 1.0)
    return 12 * np.log2(hertz / 27.5), periodicity
