"""How a synthetic utterance is to sound: emotion, speaker, corpus and chance as numbers.

An acted utterance is a sum in a space of ten voice controls. The emotion gives the direction
(shared by all corpora), the corpus bends it (its accent), the speaker bends and scales it again,
and chance adds what no label explains. The amounts below set how far classes overlap; the script
`benchmarks/synthetic_difficulty.py` measures it.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from emokit.core.seeding import generator
from emokit.corpora.utterance import StandIn

CONTROLS = {
    "pitch": 1.8, "range": 0.40, "loudness": 3.0, "rate": 0.12, "breath": 0.35,
    "tilt": 1.3, "jitter": 0.6, "final": 1.6, "tremor": 0.15, "opening": 0.06,
}
"""Each voice control and what one unit of chance moves it.

pitch: mean, semitones. range: size of accents, octaves of a factor. loudness: dB. rate: octaves of
a factor on the speed of syllables. breath: share of aspiration, -1 to 1. tilt: dB per octave above
500 Hz, positive is bright and pressed. jitter: octaves of a factor on cycle perturbation. final:
semitones at the end of the sentence. tremor: semitones of a 6 Hz wave. opening: octaves of a factor
on the first formant.
"""

EMOTIONS = {
    #             pitch range loud  rate breath tilt jitter final tremor opening
    "anger":     (+3.0, +0.5, +7.0, +0.12, -0.4, +2.4, +0.5, -2.0, 0.0, +0.12),
    "boredom":   (-2.0, -0.9, -3.0, -0.28, +0.1, -1.2, +0.2, -1.0, 0.0, -0.06),
    "calm":      (-1.0, -0.4, -3.0, -0.12, +0.3, -1.4, -0.3, -0.5, 0.0, -0.03),
    "contempt":  (-1.2, -0.1, +0.5, -0.10, -0.1, +0.3, +0.3, -2.0, 0.0, -0.04),
    "disgust":   (-1.0, +0.1, +0.5, -0.26, +0.1, +0.4, +1.0, -2.5, 0.0, +0.04),
    "fear":      (+5.5, -0.1, +1.0, +0.26, +0.5, +0.2, +1.0, +0.5, +0.5, +0.02),
    "happiness": (+4.0, +0.7, +4.0, +0.10, -0.1, +1.2, -0.1, +1.0, 0.0, +0.06),
    "neutral":   (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "sadness":   (-1.2, -0.8, -5.0, -0.24, +0.6, -2.4, +0.4, -1.0, +0.25, -0.08),
    "surprise":  (+5.0, +1.0, +2.5, -0.02, +0.1, +0.5, 0.0, +5.0, 0.0, +0.08),
}
"""Canonical word to controls, against the same speaker speaking neutrally.

Directions: K. Scherer 2003, "Vocal communication of emotion", table 1; Juslin & Laukka 2003,
"Communication of emotions in vocal expression and music performance", tables 7 and 11; Murray &
Arnott 1993, table 1. The sizes are ours, chosen to look like the acted corpora.
"""

CHANCE, STYLE, ACCENT, VARIETY = 0.72, 0.4, 1.1, 0.4
"""Multiples of the units in `CONTROLS`: chance per utterance, style per speaker and emotion,
accent per corpus and emotion, variety of speakers at rest."""

_NAMES = tuple(CONTROLS)
_UNITS = np.array(tuple(CONTROLS.values()))


@dataclasses.dataclass(frozen=True)
class Channel:
    """What microphone, room and editing of one corpus do.

    Args:
        rate: Hz of its files.
        low_cut: Hz below which the microphone loses 12 dB per octave.
        slope: dB per octave above 1 kHz.
        ripple: dB, depth of the spectral colour; `ripple_period`, `ripple_shift`: octaves.
        floor: dB of the noise floor against full scale.
        level: dB of neutral speech against full scale.
        reverberation: seconds in which the room decays by 60 dB.
        wet: share of the room, 0 to 1.
        margin: seconds of silence before and after.
    """

    rate: int
    low_cut: float
    slope: float
    ripple: float
    ripple_period: float
    ripple_shift: float
    floor: float
    level: float
    reverberation: float
    wet: float
    margin: float


RATES = {"tess": 24_414, "nemo": 24_000}
"""Published sample rates that are kept, to exercise resampling; others are written at 16 kHz,
which saves time and disk."""


@dataclasses.dataclass(frozen=True)
class Speaker:
    """Lasting traits of one voice: F0 in Hz, factor on formants, and neutral controls."""

    pitch: float
    tract: float
    strength: float
    controls: np.ndarray


def emotion_controls(word: str) -> np.ndarray:
    """Give the controls of an emotion, [10].

    A word outside the table becomes a fixed mixture of the table's rows, so that equal words
    always sound alike.
    """
    if word in EMOTIONS:
        return np.array(EMOTIONS[word])
    rows = np.array(list(EMOTIONS.values()))
    return 1.3 * generator(0, "emotion", word).dirichlet(np.full(len(rows), 0.25)) @ rows


@functools.lru_cache(maxsize=256)
def channel(corpus: str) -> Channel:
    """Give the channel of a corpus; it depends on the name alone."""
    rng = generator(0, "channel", corpus)
    return Channel(
        rate=RATES.get(corpus, 16_000),
        low_cut=rng.uniform(50, 160),
        slope=rng.uniform(-2.5, 1.5),
        ripple=rng.uniform(0.5, 2.5),
        ripple_period=rng.uniform(0.8, 2.0),
        ripple_shift=rng.uniform(0, 1),
        floor=rng.uniform(-75, -58),
        level=rng.uniform(-30, -23),
        reverberation=rng.uniform(0.12, 0.35),
        wet=rng.uniform(0.03, 0.2),
        margin=rng.uniform(0.08, 0.3),
    )


@functools.lru_cache(maxsize=4096)
def speaker(corpus: str, name: str, gender: str, age: float | None, seed: int) -> Speaker:
    """Give the lasting traits of a speaker.

    Means and deviations of F0 and tract length by gender follow Hillenbrand et al. 1995, table V.
    """
    rng = generator(seed, "speaker", corpus, name)
    female = gender == "female" if gender else bool(rng.integers(2))
    pitch, tract = (205.0, 1.16) if female else (118.0, 1.0)
    controls = rng.standard_normal(len(_NAMES)) * _UNITS
    controls[_NAMES.index("pitch")] = 0.0
    controls[_NAMES.index("tremor")] = 0.0
    controls *= VARIETY
    if age is not None and age > 60:
        controls[_NAMES.index("jitter")] += 0.8
    return Speaker(
        pitch=pitch * 2 ** (rng.normal(0, 2.2) / 12),
        tract=tract * math.exp(rng.normal(0, 0.04)),
        strength=math.exp(rng.normal(0, 0.25)),
        controls=controls,
    )


@functools.lru_cache(maxsize=65536)
def _bend(kind: str, word: str, seed: int, *who: str) -> np.ndarray:
    return generator(seed, kind, word, *who).standard_normal(len(_NAMES)) * _UNITS


def controls(stand_in: StandIn, corpus: str, voice: Speaker, seed: int,
             rng: np.random.Generator) -> dict[str, float]:
    """Give the controls of one utterance, by name.

    The sum of five terms: speaker's neutral + strength · intensity · (emotion + accent of the
    corpus + style of the speaker) + chance.

    Args:
        rng: the utterance's own generator; the only term that it feeds is chance.
    """
    word = stand_in.emotion
    act = emotion_controls(word)
    if word != "neutral":
        act = act + ACCENT * _bend("accent", word, 0, corpus)
        act = act + STYLE * _bend("style", word, seed, corpus, stand_in.speaker)
        act = act * voice.strength * (0.7 + 0.6 * stand_in.intensity)
    chance = CHANCE * rng.standard_normal(len(_NAMES)) * _UNITS
    values = dict(zip(_NAMES, (voice.controls + act + chance).tolist()))
    values["tremor"] = max(values["tremor"], 0.0)
    values["rate"] = float(np.clip(values["rate"], -0.6, 0.6))
    return values
