"""The coarse shape of a recording, which survives another sample rate, level or coding.

A fingerprint is the power in four telephone bands over 32 stretches of time around the middle of
the sound. Made while the samples are at hand; `emokit.corpora.recordings` compares them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

BLOCK = 80
"""Samples of one analysis block at 16 kHz: 5 ms."""

FRAME = 2 * BLOCK
"""Samples whose power is summed: 10 ms."""

BANDS = (400.0, 1000.0, 1800.0, 2800.0)
"""Centres of the bands, Hz; all that a copy at 8 kHz still has."""

CELLS = 32
"""Stretches of time, which together span two spreads to either side of the centre."""

FINGERPRINT = np.dtype([
    ("centre", "<f4"), ("spread", "<f4"), ("shape", "i1", (CELLS * len(BANDS),))])
"""Centre and spread in seconds, and the shape in steps of its largest value / 127."""

_RATE = 16_000
_EDGES = np.linspace(-2, 2, CELLS + 1)
_LEAST_FRAMES = 4


def rows(count: int) -> np.ndarray:
    """Give so many rows of `FINGERPRINT` to be filled."""
    return np.zeros(count, FINGERPRINT)


def frame_power(samples: np.ndarray) -> np.ndarray:
    """Give the power of each frame in each band and in all, [T, bands + 1] float32.

    Args:
        samples: [S] int16 at 16 kHz.
    """
    filters, sums = _filters()
    n_frames = len(samples) // FRAME
    parts = samples[:n_frames * FRAME].astype(np.float32).reshape(-1, BLOCK) @ filters
    parts *= parts
    return parts.reshape(n_frames, sums.shape[0]) @ sums


def fingerprints(powers: Sequence[np.ndarray]) -> np.ndarray:
    """Give the fingerprints of recordings, each as if it stood alone.

    Time is weighed by amplitude a(t), taken off a tenth of the typical amplitude of its loud parts
    Σ a² / Σ a, and cut at a fifth more: neither silence around the speech nor clipping moves the
    centre. The shape is the fourth root of the power in each cell and band, less the band's mean.
    They are made together because a recording of a few seconds would take longer to call NumPy for
    than to count.

    Args:
        powers: `frame_power` of each.

    Returns:
        [N] of `FINGERPRINT`; all zero for less than 40 ms and for silence.
    """
    prints = rows(len(powers))
    known = [index for index, power in enumerate(powers) if len(power) >= _LEAST_FRAMES]
    if not known:
        return prints
    power = np.concatenate([powers[index] for index in known])
    lengths = np.array([len(powers[index]) for index in known])
    starts = np.cumsum(lengths) - lengths
    centre, spread = _moments(np.sqrt(power[:, -1], dtype=np.float64), starts, lengths)
    shape = _shapes(power[:, :-1], centre, spread, starts, lengths)
    largest = np.abs(shape).max(axis=1, keepdims=True)
    heard = largest[:, 0] > 0
    where = np.array(known)[heard]
    prints["centre"][where] = centre[heard] * FRAME / _RATE
    prints["spread"][where] = spread[heard] * FRAME / _RATE
    prints["shape"][where] = np.rint(shape[heard] * (127 / largest[heard]))
    return prints


def fingerprint(samples: np.ndarray) -> np.void:
    """Give the fingerprint of one recording, a row of `FINGERPRINT`.

    Args:
        samples: [S] int16 at 16 kHz.
    """
    return fingerprints([frame_power(samples)])[0]


def _moments(weight, starts, lengths) -> tuple[np.ndarray, np.ndarray]:
    """Give centre and spread of each recording in frames from its start, [N] each."""
    tiny = np.finfo(float).tiny
    typical = np.add.reduceat(weight * weight, starts) / np.maximum(
        np.add.reduceat(weight, starts), tiny)
    typical = np.repeat(typical, lengths)
    weight = np.minimum(np.maximum(weight - 0.1 * typical, 0), 0.2 * typical)
    time = np.arange(0.5, len(weight)) - np.repeat(starts, lengths)
    total = np.maximum(np.add.reduceat(weight, starts), tiny)
    weighted = weight * time
    centre = np.add.reduceat(weighted, starts) / total
    square = np.add.reduceat(weighted * time, starts) / total
    return centre, np.sqrt(np.maximum(square - centre**2, 1.0))


def _shapes(power, centre, spread, starts, lengths) -> np.ndarray:
    """Give the shape of each recording as it is before rounding, [N, cells · bands]."""
    edges = np.maximum(centre[:, None] + spread[:, None] * _EDGES, 0.0)
    edges = np.minimum(edges, lengths[:, None] - 1e-6)
    before = edges.astype(np.intp)
    share = (edges - before)[:, :, None]
    before += starts[:, None]
    # in double precision what stands before a recording leaves no trace in its 8 bits
    summed = np.zeros((len(power) + 1, len(BANDS)))
    np.cumsum(power, axis=0, out=summed[1:])
    whole = summed[before]
    cells = np.diff(whole + share * (summed[before + 1] - whole), axis=1)
    # a cell that the recording fills in part counts in part, one outside of it not at all
    filled = np.diff(edges, axis=1)[:, :, None]
    # rounding may leave less than nothing
    cells = np.sqrt(np.sqrt(np.abs(cells) / np.maximum(filled, 1e-3)))
    cells -= (cells * filled).sum(axis=1, keepdims=True) / filled.sum(axis=1, keepdims=True)
    cells *= filled
    return cells.reshape(len(cells), -1)


@functools.cache
def _filters() -> tuple[np.ndarray, np.ndarray]:
    """Give windowed cosines and sines for a block, and what sums their squares over a frame.

    Shapes [BLOCK, 2 · bands] and [2 · 2 · bands, bands + 1], of which the last is all bands.
    """
    time = np.arange(BLOCK)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / BLOCK)
    phase = 2 * np.pi * np.outer(time, BANDS) / _RATE
    filters = window[:, None] * np.hstack([np.cos(phase), np.sin(phase)])
    sums = np.hstack([np.eye(len(BANDS)), np.ones((len(BANDS), 1))])
    return filters.astype(np.float32), np.tile(sums, (4, 1)).astype(np.float32)
