"""MESS: six American English speakers, four emotions, seventy-five recordings of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Morgan, Categorical and Dimensional Ratings of Emotional Speech: Behavioral Findings From "
    "the Morgan Emotional Speech Set, Journal of Speech, Language, and Hearing Research 62(11), "
    "4015-4029, 2019. https://zenodo.org/record/3813437"
)
EMOTIONS = {"A": "angry", "C": "calm", "H": "happy", "S": "sad"}
LANGUAGE = "en"
CUES = ("M", "T", "V")
"""Fourth letter of a name; the release does not say what it stands for."""

NOTES = (
    "Ratings by category and dimension exist, but only from the author. The fourth letter of a "
    "name (M, T or V, kept in the column cue) is not explained in the release."
)

_STEM = re.compile(r"([ACHS])([FM][1-3])([A-Z])(\d\d)(?:_SCR)?", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by names such as `AF1M01_SCR` in the folder itself or in `MESS/`."""
    return any(names.matches(root, folder, _STEM.fullmatch)
               for folder in ["", *(name for name in names.folders_in(root) if name == "MESS")])


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by name."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form AF1M01_SCR"
    emotion, speaker, cue, number = match[0][:1].upper(), match[2].upper(), match[3], match[4]
    return Utterance(
        id=f"{emotion}{speaker}{cue.upper()}{number}", path=file.path, emotion=EMOTIONS[emotion],
        speaker=speaker,
        extra={"gender": _gender(speaker), "language": LANGUAGE, "cue": cue.upper(),
               "sentence": cue.upper() + number},
    )


def _gender(speaker: str) -> str:
    return "female" if speaker.startswith("F") else "male"


def stand_ins() -> Iterator[StandIn]:
    """Give 1800 files, 25 for each speaker, emotion and cue, as published.

    Each has 25 of the numbers 01 to 30; which five are missing is irregular, here the last ones.
    """
    canonical = dict(zip(EMOTIONS, ("anger", "calm", "happiness", "sadness")))
    for speaker in ("F1", "F2", "F3", "M1", "M2", "M3"):
        for code, emotion in canonical.items():
            for cue in CUES:
                for number in range(1, 26):
                    yield StandIn(f"{code}{speaker}{cue}{number:02d}_SCR.wav", emotion, speaker,
                                  _gender(speaker), f"sentence {cue}{number:02d}")
