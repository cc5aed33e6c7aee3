"""VIVAE: eleven women cry, laugh and gasp without words, six affects in four strengths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Holz, Larrouy-Maestri & Poeppel, The Variably Intense Vocalizations of Affect and Emotion "
    "(VIVAE) corpus prompts new perspective on nonspeech perception, Emotion 22(1), 213-225, "
    "2022. https://zenodo.org/record/4066235"
)
EMOTIONS = {
    "achievement": "achievement", "anger": "anger", "fear": "fear", "pain": "pain",
    "pleasure": "pleasure", "surprise": "surprise",
}
INTENSITIES = {"low": 0.2, "moderate": 0.45, "strong": 0.7, "peak": 1.0}
NOTES = (
    "No speech at all. core_set holds copies of 480 files of full_set, chosen for authenticity; "
    "they are marked in the column core and read once."
)

_STEM = re.compile(r"(S\d\d)_([a-z]+)_([a-z]+)_(\d+)", re.IGNORECASE)
_SETS = ("full_set", "core_set")


def recognises(root: Path) -> bool:
    """Tell by names such as `S01_anger_low_01` in `full_set/`, `core_set/` or the folder itself."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[2].lower() in EMOTIONS and match[3].lower() in INTENSITIES

    return names.matches_below(root, lambda name: name in _SETS, test)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by name; those that `core_set/` holds too have `core` set to yes."""
    files = names.audio_files(root)
    core = {file.stem.lower() for file in files if _within(file, "core_set")}
    full = {file.stem.lower(): file.path for file in files if not _within(file, "core_set")}

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form S01_anger_low_01"
        stem = file.stem.lower()
        if _within(file, "core_set") and stem in full:
            return f"a copy of {full[stem]} by its name"
        speaker, emotion, intensity, number = match.groups()
        if emotion.lower() not in EMOTIONS:
            return f"unknown emotion '{emotion}' in the name"
        if intensity.lower() not in INTENSITIES:
            return f"unknown intensity '{intensity}' in the name"
        extra = {"gender": "female", "intensity": intensity.lower()}
        if core:
            extra["core"] = "yes" if stem in core else "no"
        return Utterance(file.stem, file.path, EMOTIONS[emotion.lower()], speaker.upper(),
                         extra=extra)

    yield from names.parse_files(files, read)


def _within(file: names.AudioFile, folder: str) -> bool:
    return any(part.lower() == folder for part in file.folders)


def stand_ins() -> Iterator[StandIn]:
    """Give 1085 files in `full_set/`: four for each speaker, affect and strength, 29 times five.

    The release has no list; which combinations have more than others is our choice.
    """
    cells = [(f"S{speaker:02d}", emotion, intensity) for speaker in range(1, 12)
             for emotion in EMOTIONS for intensity in INTENSITIES]
    for index, (speaker, emotion, intensity) in enumerate(cells):
        for number in range(1, 6 if index % 9 == 0 and index < 9 * 29 else 5):
            yield StandIn(f"full_set/{speaker}_{emotion}_{intensity}_{number:02d}.wav",
                          EMOTIONS[emotion], speaker, "female", f"burst {number:02d}",
                          INTENSITIES[intensity])
