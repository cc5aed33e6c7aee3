"""emoUERJ: eight Brazilian Portuguese actors, ten sentences, four emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Germano, Tcheou, Henriques & Gomes Junior, emoUERJ: an emotional speech database in "
    "Portuguese, Zenodo, 2021. https://zenodo.org/record/5427549"
)
EMOTIONS = {"h": "happiness", "a": "anger", "s": "sadness", "n": "neutral"}
LANGUAGE = "pt"
NOTES = (
    "Actors chose among ten sentences; the names do not say which sentence it is, and takes of one "
    "actor and emotion may repeat a sentence."
)

# w for woman; f in case a mirror spells it so
_STEM = re.compile(r"([mwf])(0[1-4])([hasn])(\d\d)", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by names such as `w04a11`, in the folder itself or in folders of it."""
    return any(names.matches(root, folder, _STEM.fullmatch)
               for folder in ["", *(name for name in names.folders_in(root)
                                    if re.fullmatch(r"emoUERJ|audios?|wav", name))])


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by name."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form w04a11"
    letter, actor, code, take = (part.lower() for part in match.groups())
    speaker = ("m" if letter == "m" else "w") + actor
    return Utterance(
        id=f"{speaker}{code}{take}", path=file.path, emotion=EMOTIONS[code], speaker=speaker,
        extra={"gender": _gender(speaker), "language": LANGUAGE, "take": take},
    )


def _gender(speaker: str) -> str:
    return "male" if speaker.startswith("m") else "female"


def stand_ins() -> Iterator[StandIn]:
    """Give 377 files, as many for each emotion as published, spread evenly over the actors."""
    counts = {"h": 91, "a": 94, "s": 100, "n": 92}
    speakers = [f"{letter}{number:02d}" for letter in "mw" for number in range(1, 5)]
    for index, speaker in enumerate(speakers):
        for code, count in counts.items():
            n_takes = (count + index) // len(speakers)
            for take in range(1, n_takes + 1):
                yield StandIn(f"{speaker}{code}{take:02d}.wav", EMOTIONS[code], speaker,
                              _gender(speaker), f"sentence {(take - 1) % 10 + 1}")
