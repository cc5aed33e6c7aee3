"""Arousal, valence and dominance of stand-ins, invented so that they follow the emotion."""

from __future__ import annotations

from collections.abc import Mapping

from emokit.core.seeding import generator
from emokit.corpora.utterance import DIMENSIONS

_PLACES = {
    "anger": (0.8, 0.2, 0.75), "boredom": (0.2, 0.35, 0.4), "calm": (0.2, 0.65, 0.5),
    "contempt": (0.45, 0.25, 0.65), "disgust": (0.5, 0.2, 0.55), "fear": (0.75, 0.2, 0.25),
    "happiness": (0.7, 0.8, 0.6), "excitement": (0.8, 0.8, 0.65), "neutral": (0.4, 0.5, 0.5),
    "sadness": (0.25, 0.25, 0.3), "surprise": (0.7, 0.6, 0.45), "frustration": (0.6, 0.3, 0.55),
}
"""Canonical word to its place on [0, 1]; the circumplex is Russell's (1980), the numbers ours."""

_SPREAD = 0.08
"""Deviation of single utterances from the place of their emotion."""


def values(emotion: str, utterance: str, scales: Mapping[str, tuple[float, float]]
           ) -> dict[str, float]:
    """Give invented values of an utterance on a corpus's scales, the same at every call.

    Args:
        emotion: canonical word; others lie in the middle.
        utterance: its id, from which chance is drawn.
        scales: dimension to lowest and highest value.
    """
    place = _PLACES.get(emotion, (0.5, 0.5, 0.5))
    draws = generator(0, "rating", utterance).normal(0, _SPREAD, len(DIMENSIONS))
    found = {}
    for name, middle, chance in zip(DIMENSIONS, place, draws):
        low, high = scales[name]
        found[name] = low + (high - low) * min(1.0, max(0.0, middle + chance))
    return found
