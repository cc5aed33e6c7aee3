"""What a synthetic voice says: words to syllables to phones, and what each phone sounds like.

Source: formants of vowels after Peterson & Barney 1952, "Control methods used in a study of the
vowels"; loci of consonants after Klatt 1980, table III. Deviations: texts are not read aloud, each
word stands for a fixed sequence of syllables; durations and levels are ours.
"""

from __future__ import annotations

import functools
import re

from emokit.core.seeding import generator

SEGMENTS = {
    "i": (290, 2250, 2950, 1.0, 0, 0, 95, 0), "e": (410, 2020, 2600, 1.0, 0, 0, 105, 0),
    "E": (550, 1780, 2500, 1.0, 0, 0, 115, 0), "a": (740, 1300, 2500, 1.0, 0, 0, 125, 0),
    "A": (690, 1090, 2440, 1.0, 0, 0, 125, 0), "O": (560, 880, 2420, 1.0, 0, 0, 115, 0),
    "o": (430, 820, 2400, 1.0, 0, 0, 105, 0), "u": (310, 870, 2250, 1.0, 0, 0, 95, 0),
    "y": (290, 1780, 2150, 1.0, 0, 0, 95, 0), "@": (500, 1450, 2450, 0.8, 0, 0, 65, 0),
    "m": (260, 1050, 2200, 0.30, 0, 0, 65, 0), "n": (260, 1550, 2550, 0.30, 0, 0, 60, 0),
    "l": (350, 1200, 2750, 0.55, 0, 0, 55, 0), "r": (380, 1150, 1650, 0.50, 0, 0, 50, 0),
    "j": (280, 2200, 3000, 0.60, 0, 0, 50, 0), "w": (300, 720, 2200, 0.60, 0, 0, 55, 0),
    "v": (300, 1250, 2350, 0.30, 0, 0.10, 60, 1), "z": (290, 1600, 2500, 0.25, 0, 0.30, 70, 2),
    "f": (340, 1300, 2350, 0, 0, 0.25, 85, 1), "s": (320, 1600, 2550, 0, 0, 0.80, 95, 2),
    "S": (310, 1850, 2500, 0, 0, 0.80, 95, 3), "x": (400, 1400, 2400, 0, 0.1, 0.40, 80, 4),
    "h": (500, 1450, 2450, 0, 0.5, 0, 55, 0),
    "closed": (300, 1400, 2400, 0, 0, 0, 55, 0), "bar": (220, 1400, 2400, 0.12, 0, 0, 50, 0),
    "P": (350, 1000, 2200, 0, 0.15, 0.55, 16, 5), "T": (350, 1700, 2650, 0, 0.20, 0.80, 18, 6),
    "K": (350, 1800, 2200, 0, 0.25, 0.75, 24, 4),
    "pause": (480, 1450, 2450, 0, 0, 0, 140, 0), "edge": (480, 1450, 2450, 0, 0, 0, 0, 0),
}
"""Phone to F1, F2, F3 of a man in Hz; voicing, aspiration, frication from 0 to 1; milliseconds; row
of `NOISES`. "closed" is silence before a burst, "bar" the voiced one, "edge" silence around all."""

NOISES = ((0, 1), (4500, 4500), (5900, 1500), (3100, 1100), (1700, 700), (1000, 900), (4200, 1800))
"""Centre and width in Hz of the noises of fricatives and bursts; the first is none."""

_VOWELS = ("i", "e", "E", "a", "a", "A", "O", "o", "u", "y", "@", "@")
_ONSETS = (
    ("closed", "P"), ("closed", "T"), ("closed", "K"), ("bar", "P"), ("bar", "T"), ("bar", "K"),
    ("m",), ("n",), ("l",), ("r",), ("j",), ("w",), ("v",), ("z",), ("f",), ("s",), ("S",), ("x",),
    ("h",), ("s", "closed", "T"), (),
)
_CODAS = ((), (), (), (), ("n",), ("l",), ("s",), ("r",), ("m",), ("closed", "T"))

_VOWEL_LETTERS = re.compile(r"[aeiouyàáâäåæèéêëìíîïòóôöøùúûüýąęóœ]+", re.IGNORECASE)
_LEAST_SYLLABLES, _MOST_SYLLABLES = 4, 11


def syllables(text: str) -> list[tuple[str, ...]]:
    """Give the syllables of a text, each a tuple of phones ending in its coda; "pause" between.

    Equal words give equal phones, whoever speaks and in whatever corpus. A text without blanks
    is the name of a sentence and stands for a few words.

    Example:
        >>> syllables("Kids are talking")[:2] == syllables("Kids go home")[:2]
        False
        >>> syllables("Say the word back")[:3] == syllables("Say the word home")[:3]
        True
    """
    words = text.split()
    if len(words) < 2:
        words = [f"{text}\x1f{index}" for index in range(2 + len(text) % 3)]
    spoken: list[tuple[str, ...]] = []
    for index, word in enumerate(words):
        if len(spoken) >= _MOST_SYLLABLES:
            break
        spoken += _word(word.casefold().strip(".,;:!?\"'"))
        if index == 2 and len(words) > 5:
            spoken.append(("pause",))
    while len(spoken) < _LEAST_SYLLABLES:
        spoken += _word(f"{text}\x1f{len(spoken)}")
    return spoken[:_MOST_SYLLABLES + 1]


@functools.lru_cache(maxsize=65536)
def _word(word: str) -> tuple[tuple[str, ...], ...]:
    rng = generator(0, "word", word)
    written = len(_VOWEL_LETTERS.findall(word))
    n_syllables = min(written, 4) if written and "\x1f" not in word else int(rng.integers(1, 4))
    return tuple(
        (*_ONSETS[rng.integers(len(_ONSETS))], _VOWELS[rng.integers(len(_VOWELS))],
         *_CODAS[rng.integers(len(_CODAS))])
        for _ in range(n_syllables)
    )
