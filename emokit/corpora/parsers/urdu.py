"""URDU: guests of Urdu talk shows, four emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Latif, Qayyum, Usman & Qadir, Cross Lingual Speech Emotion Recognition: Urdu vs. Western "
    "Languages, FIT 2018, pp. 88-93. https://github.com/siddiquelatif/URDU-Dataset"
)
EXACT = True
EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}
LANGUAGE = "ur"
GENDERS = {"M": "male", "F": "female"}
NOTES = (
    "The paper counts 38 speakers; the names of the files tell 29 apart, and those are used. Most "
    "speakers have one emotion only, so a speaker-disjoint partition is uneven in its classes."
)

_FOLDERS = {"A": "Angry", "H": "Happy", "N": "Neutral", "S": "Sad"}
_STEM = re.compile(r"S([MF])(\d+)_F(\d+)_([A-Z])(\d+)")
# speaker and number of files, in the order in which the files of an emotion are numbered
_FILES = {
    "A": "M1 22 M2 28 M3 2 M4 48",
    "H": "F1 12 F2 2 F3 2 F4 4 F5 4 F6 14 F7 6 F8 2 M17 2 M18 2 M19 2 M3 2 M5 8 M6 10 M7 28",
    "N": "F9 4 M20 10 M21 4 M22 2 M3 8 M5 72",
    "S": "F10 2 F11 4 M23 6 M24 38 M25 40 M26 2 M27 4 M6 4",
}


def recognises(root: Path) -> bool:
    """Tell by names such as `SM1_F10_A010` in `Angry/` …, or in the folder itself."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[4] in EMOTIONS

    known = [name.lower() for name in _FOLDERS.values()]
    return names.matches_below(root, lambda name: name in known, test)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form SM1_F10_A010"
    gender, number, _, emotion, _ = match.groups()
    if emotion not in EMOTIONS:
        return f"unknown emotion {emotion} in the name"
    return Utterance(file.stem, file.path, EMOTIONS[emotion], gender + number,
                     extra={"gender": GENDERS[gender], "language": LANGUAGE})


def stand_ins() -> Iterator[StandIn]:
    """Give the 400 files of the release."""
    canonical = dict(zip(EMOTIONS, ("anger", "happiness", "neutral", "sadness")))
    for emotion, files in _FILES.items():
        cells = files.split()
        running = 0
        for speaker, count in zip(cells[::2], cells[1::2]):
            for number in range(1, int(count) + 1):
                running += 1
                yield StandIn(
                    f"{_FOLDERS[emotion]}/S{speaker}_F{number}_{emotion}0{running}.wav",
                    canonical[emotion], speaker, GENDERS[speaker[0]], f"{emotion}{running}",
                )
