"""Emotions in Polish Speech: five speakers say six words in anger, fear and neutrally."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Emotions in Polish Speech, MOST Wiedzy open research data, Gdańsk University of Technology. "
    "https://mostwiedzy.pl/en/open-research-data"
)
EXACT = True
EMOTIONS = {"a": "anger", "s": "fear", "n": "neutral"}
LANGUAGE = "pl"
SPEAKERS = ("m1", "m2", "m3", "m4", "m5")
WORDS = ("nie", "oddaj", "podaj", "stop", "tak", "trzymaj")
NOTES = (
    "Single words of half a second to a second. The letter s stands for strach, fear. What is "
    "known of the speakers is their number alone."
)

_STEM = re.compile(r"(m\d)\.([a-z])_(\w+)_(\d)", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by names such as `m1.a_nie_1` in the folder itself."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[2].lower() in EMOTIONS and match[3].lower() in WORDS

    return names.matches(root, "", test)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form m1.a_nie_1"
    speaker, code, word, take = (part.lower() for part in match.groups())
    for field, value, known in (("speaker", speaker, SPEAKERS), ("emotion", code, EMOTIONS),
                                ("word", word, WORDS)):
        if value not in known:
            return f"unknown {field} {value} in the name"
    return Utterance(f"{speaker}.{code}_{word}_{take}", file.path, EMOTIONS[code], speaker,
                     extra={"text": word, "language": LANGUAGE, "take": take})


def stand_ins() -> Iterator[StandIn]:
    """Give the 450 files of the release."""
    for speaker in SPEAKERS:
        for code, emotion in EMOTIONS.items():
            for word in WORDS:
                for take in range(1, 6):
                    yield StandIn(f"{speaker}.{code}_{word}_{take}.wav", emotion, speaker,
                                  text=word)
