"""SUBESCO: twenty Bangla actors, ten sentences, seven emotions in five takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Sultana, Rahman, Selim & Iqbal, SUST Bangla Emotional Speech Corpus (SUBESCO): an audio-only "
    "emotional speech corpus for Bangla, PLoS ONE 16(4): e0250173, 2021. "
    "https://zenodo.org/record/4526477"
)
EXACT = True
EMOTIONS = {
    "ANGRY": "angry", "DISGUST": "disgust", "FEAR": "fear", "HAPPY": "happy",
    "NEUTRAL": "neutral", "SAD": "sad", "SURPRISE": "surprise",
}
LANGUAGE = "bn"
GENDERS = {"F": "female", "M": "male"}
NAMES = {
    "F": ("OISHI", "MONIKA", "SMITA", "SWARNALI", "MOUNI", "SIMI", "TITHI", "JOYEETA", "CHAITY",
          "FAHMEE"),
    "M": ("BASHIR", "NIPUN", "ILIAS", "BIBHAS", "DURANTO", "SHUKANTO", "SIBLY", "PRASUN",
          "SHUMANTA", "EVAN"),
}
"""Names of the speakers in the files, in order of their numbers; women and men count apart."""

NOTES = (
    "One file is published with a bracket in its name, F_02_MONIKA_S_2_SURPRISE_3].wav. More than "
    "half of the files have 44.1 kHz, the others 48 kHz."
)

# one published file has a bracket behind its take
_STEM = re.compile(r"([FM])_(\d\d)_([A-Z]+)_S_(\d+)_([A-Z]+)_(\d)\]?")


def recognises(root: Path) -> bool:
    """Tell by names such as `F_01_OISHI_S_1_ANGRY_1` in the folder."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[5] in EMOTIONS

    return names.matches(root, "", test)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings; a speaker is gender and number, such as `F01`."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form F_01_OISHI_S_1_ANGRY_1"
    gender, number, _, sentence, emotion, take = match.groups()
    if emotion not in EMOTIONS:
        return f"unknown emotion '{emotion}' in the name"
    return Utterance(
        file.stem.rstrip("]"), file.path, EMOTIONS[emotion], gender + number,
        extra={"gender": GENDERS[gender], "language": LANGUAGE, "sentence": sentence,
               "repetition": take},
    )


def stand_ins() -> Iterator[StandIn]:
    """Give the 7000 files of the release."""
    canonical = dict(zip(EMOTIONS, ("anger", "disgust", "fear", "happiness", "neutral", "sadness",
                                    "surprise")))
    for gender, people in NAMES.items():
        for number, name in enumerate(people, 1):
            for sentence in range(1, 11):
                for code, emotion in canonical.items():
                    for take in range(1, 6):
                        stem = f"{gender}_{number:02d}_{name}_S_{sentence}_{code}_{take}"
                        if stem == "F_02_MONIKA_S_2_SURPRISE_3":
                            stem += "]"
                        yield StandIn(f"{stem}.wav", emotion, f"{gender}{number:02d}",
                                      GENDERS[gender], f"sentence {sentence}")
