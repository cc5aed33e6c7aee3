"""One recording in two corpora or partitions, at whatever sample rate, level or coding.

Equal fingerprints make candidates, in one matrix product; their waveforms decide, which two takes
of one sentence by one actor never share.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from emokit.corpora.fingerprint import FINGERPRINT, fingerprints, frame_power
from emokit.corpora.store import FINGERPRINTS, RATE, AudioStore

SHAPE, SPREAD = 0.8, 0.12
"""A candidate: correlation of shapes from here on, and relation of spreads within exp(± this).

Measured over 3149 recordings: of 2900 copies at 8 to 48 kHz, at -20 to +6 dB, as FLAC, MP3, AAC and
Opus all were candidates, of 1.3 million pairs of recordings from different corpora none.
"""

SHAPE_WITHIN = 0.9
"""A candidate within one corpus, where one sentence is spoken by many: these give hundreds of
candidates from 0.8 on, and none or a few from here on (TESS 34).

Measured: of copies of 208 recordings at 8 kHz, at -20 dB, as MP3 and OGG all have that shape, of
those clipped at +6 dB 97 of 100, with half a second of silence before them 90.
"""

MOST, MOST_WITHIN = 10_000, 1000
"""Candidates whose waveforms are compared, the likeliest: synthetic voices give too many."""

WAVEFORM = 0.75
"""One recording: correlation of waveforms from here on.

Measured: those copies 0.87 and more, different takes of one sentence by one actor 0.57 at most,
vocal bursts of two people 0.61.
"""

_STRETCH = 2**15
"""Samples around the centre that are compared."""

_LOW, _HIGH = 200, 2000
"""Hz; hum is no likeness, and above a shift between two samples would count."""


_LEAST = 15
"""Independent components (bandwidth × time) that a sound must have to be told from another.

A held tone is like any other of its pitch. Of 1575 recordings, vocal bursts among them, the poorest
has 16.
"""


def shared(
    corpora: Mapping[str, tuple[Path, Sequence[tuple[str, str]]]]
) -> list[tuple[str, str, float]]:
    """Find recordings that stand in two corpora and differ in at least one sample.

    Args:
        corpora: name to folder and (utterance, hash of its samples) of each row.

    Returns:
        Utterances of both and their likeness, sorted; empty for fewer than two corpora.
    """
    if len(corpora) < 2:
        return []
    names = sorted(corpora)
    stores = [AudioStore(corpora[name][0]) for name in names]
    prints = [_prints(store) for store in stores]
    group = np.repeat(np.arange(len(names)), [len(store) for store in stores])
    first = np.concatenate([[0], np.cumsum([len(store) for store in stores])])
    stacked = np.concatenate(prints)

    def read(index: int) -> np.ndarray:
        return stores[group[index]].read(index - int(first[group[index]]))

    rows = [row for name in names for row in corpora[name][1]]
    return _alike(candidates(stacked, group), rows, read, stacked["centre"])


def across_partitions(
    folder: Path, rows: Sequence[tuple[str, str]], partitions: Sequence[str]
) -> list[tuple[str, str, float]]:
    """Find recordings of one corpus that stand in two partitions or folds and differ in a sample.

    Args:
        folder: of the corpus; its samples must lie there.
        rows: (utterance, hash of its samples) of each.
        partitions: of each, with its fold where there are folds.

    Returns:
        As `shared`.
    """
    store = AudioStore(folder)
    prints = _prints(store)
    group = np.unique(np.asarray(partitions, str), return_inverse=True)[1]
    pairs = candidates(prints, group, MOST_WITHIN, least=SHAPE_WITHIN)
    return _alike(pairs, rows, store.read, prints["centre"])


def _alike(
    pairs: Sequence[tuple[int, int]], rows: Sequence[tuple[str, str]],
    read: Callable[[int], np.ndarray], centres: np.ndarray,
) -> list[tuple[str, str, float]]:
    """Give the pairs that are one recording by their waveforms."""
    @functools.lru_cache(maxsize=1024)
    def spectrum(index: int) -> np.ndarray | None:
        return _spectrum(read(index), float(centres[index]))

    found = []
    for pair in pairs:
        one, other = (rows[index] for index in pair)
        # what is identical to the sample is a finding of its own
        if one[1] != other[1]:
            alike = _correlation(*map(spectrum, pair))
            if alike >= WAVEFORM:
                found.append((one[0], other[0], alike))
    return sorted(found)


def _prints(store: AudioStore) -> np.ndarray:
    """Read the fingerprints of a corpus, or make them for one that was built without."""
    path = store.folder / FINGERPRINTS
    if path.is_file():
        prints = np.load(path, allow_pickle=False)
        if prints.dtype == FINGERPRINT and len(prints) == len(store):
            return prints
    return fingerprints([frame_power(store.read(index)) for index in range(len(store))])


def candidates(
    prints: np.ndarray, groups: np.ndarray, most: int = MOST, at_once: int = 512,
    least: float = SHAPE,
) -> list[tuple[int, int]]:
    """Give pairs of different groups that may be one recording, the lower index first, sorted.

    Sorted by spread, so that each is compared with its neighbours only: 84 000 recordings take
    seconds.

    Args:
        prints: [N] of `emokit.corpora.fingerprint.FINGERPRINT`.
        groups: [N] integers, such as the number of the corpus.
        most: pairs given, those of the likest shapes.
        at_once: rows compared at a time.
        least: correlation of shapes from which a pair is one.
    """
    known = np.flatnonzero(prints["spread"] > 0)
    order = known[np.argsort(prints["spread"][known], kind="stable")]
    spread = np.log(prints["spread"][order].astype(np.float64))
    shapes = prints["shape"][order].astype(np.float32)
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    group = groups[order]
    pairs, scores = np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    for first in range(0, len(order), at_once):
        last = min(first + at_once, len(order))
        end = int(np.searchsorted(spread, spread[last - 1] + SPREAD, "right"))
        alike = shapes[first:last] @ shapes[first:end].T
        here, there = np.nonzero(alike >= least)
        good = ((there > here) & (group[here + first] != group[there + first])
                & (spread[there + first] - spread[here + first] <= SPREAD))
        here, there = here[good], there[good]
        scores = np.concatenate([scores, alike[here, there]])
        pairs = np.concatenate([pairs, np.stack([here, there], axis=1) + first])
        if len(pairs) > most:
            best = np.argsort(-scores, kind="stable")[:most]
            pairs, scores = pairs[best], scores[best]
            least = float(scores[-1])
    pairs = np.sort(order[pairs], axis=1)
    return list(map(tuple, pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].tolist()))


def likeness(one: np.ndarray, other: np.ndarray, centres: tuple[float, float]) -> float:
    """Give the correlation of two waveforms between 200 and 2000 Hz at the best shift.

    max_τ |Σ_t x(t) y(t + τ)| / √(Σ x² Σ y²), over two seconds around the centres.
    The components of a sound are counted as (Σ p)² / Σ p² over its power spectrum p.

    Args:
        one, other: [S] int16 at 16 kHz.
        centres: of both, seconds.

    Returns:
        0 to 1; 0 if one has nothing in this band, or is a held tone or less than that.
    """
    return _correlation(_spectrum(one, centres[0]), _spectrum(other, centres[1]))


def _spectrum(samples: np.ndarray, centre: float) -> np.ndarray | None:
    """Give the spectrum around a centre, in the band and of power 1; None for a held tone."""
    size = 2 * _STRETCH
    low, high = _band()
    start = max(0, round(centre * RATE) - _STRETCH // 2)
    stretch = samples[start:start + _STRETCH].astype(np.float32)
    spectrum = np.fft.rfft(stretch, size)[low:high]
    energy = spectrum.real**2 + spectrum.imag**2
    total, peaked = float(energy.sum()), float(energy @ energy)
    if not peaked or total**2 / peaked * len(stretch) / size < _LEAST:
        return None
    return (spectrum / total**0.5).astype(np.complex64)


def _correlation(one: np.ndarray | None, other: np.ndarray | None) -> float:
    if one is None or other is None:
        return 0.0
    low, high = _band()
    # at 8 kHz, which holds these frequencies and takes half as long
    crossed = np.zeros(_STRETCH // 2 + 1, np.complex64)
    crossed[low:high] = one * np.conj(other)
    return float(np.abs(np.fft.irfft(crossed, _STRETCH)).max()) * _STRETCH / 2


def _band() -> tuple[int, int]:
    return _LOW * 2 * _STRETCH // RATE, _HIGH * 2 * _STRETCH // RATE
