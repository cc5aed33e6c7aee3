"""AESDD: Greek actors, twenty utterances, five emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Vryzas, Kotsakis, Liatsou, Dimoulas & Kalliris, Speech Emotion Recognition for Performance "
    "Interaction (Acted Emotional Speech Dynamic Database), Journal of the Audio Engineering "
    "Society 66(6), 457-467, 2018. http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition"
)
EXACT = True
EMOTIONS = {
    "a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness",
}
LANGUAGE = "el"
N_SPEAKERS, N_UTTERANCES = 6, 20
DAMAGED = {"s05 (3)": "holds no readable sound in the official release"}
NOTES = (
    "Speakers are numbers in brackets, odd ones are men. Names contain blanks and brackets; five "
    "have the speaker with a leading zero, and nine are takes of speaker 5 with a letter "
    "behind the bracket. There is no neutral speech."
)

_STEM = re.compile(r"([adfhs])(\d\d) ?\((\d\d?)\)([a-z]?)", re.IGNORECASE)
# as published: with a leading zero, and what there is beside or instead of the regular name
_LEADING_ZERO = {("d", 3, 1), ("f", 10, 1), ("f", 11, 1), ("f", 12, 1), ("f", 13, 1)}
_TAKES = {
    ("a", 6, 5): ("", "b"), ("d", 1, 5): ("", "b"), ("d", 3, 5): ("", "b"),
    ("d", 4, 5): ("", "b"), ("f", 18, 5): ("", "b"), ("s", 1, 5): ("a", "b"),
    ("s", 2, 5): ("", "b"), ("s", 4, 5): ("", "b"),
    ("d", 18, 5): (), ("f", 2, 4): (), ("h", 11, 3): (),
}


def recognises(root: Path) -> bool:
    """Tell by names such as `a01 (1)` in `anger/` …, or in the folder itself in flat copies."""
    return names.matches_below(root, lambda name: name in EMOTIONS.values(), _STEM.fullmatch)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names; `text` is the number of the utterance."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form a01 (1)"
    code, number, speaker, take = match[1].lower(), match[2], str(int(match[3])), match[4].lower()
    extra = {"text": f"utterance {number}", "gender": _gender(speaker), "language": LANGUAGE}
    if take:
        extra["take"] = take
    return Utterance(f"{code}{number} ({speaker}){take}", file.path, EMOTIONS[code], speaker,
                     extra=extra)


def _gender(speaker: str) -> str:
    return "male" if int(speaker) % 2 else "female"


def stand_ins() -> Iterator[StandIn]:
    """Give the 605 files of the release, the damaged one included."""
    for code, emotion in EMOTIONS.items():
        for number in range(1, N_UTTERANCES + 1):
            for speaker in range(1, N_SPEAKERS + 1):
                cell = code, number, speaker
                shown = f"{speaker:02d}" if cell in _LEADING_ZERO else str(speaker)
                for take in _TAKES.get(cell, ("",)):
                    yield StandIn(f"{emotion}/{code}{number:02d} ({shown}){take}.wav", emotion,
                                  str(speaker), _gender(str(speaker)), f"utterance {number:02d}")
