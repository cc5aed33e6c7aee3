"""ASVP-ESD: speech and other voices from films, shows and the web, thirteen classes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.parsers.counts import published
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Landry, He, Yan & Li, ASVP-ESD: A dataset and its benchmark for emotion recognition using "
    "both speech and non-speech utterances, Global Scientific Journals 8(6), 2020. "
    "https://zenodo.org/record/7132783"
)
EMOTIONS = {
    "01": "boredom", "02": "neutral", "03": "happy", "04": "sad", "05": "angry",
    "06": "fearful", "07": "disgust", "08": "surprised", "09": "excited", "10": "pleasure",
    "11": "pain", "12": "disappointment", "13": "breath",
}
CHANNELS = {"01": "speech", "02": "non-speech"}
INTENSITIES = {"01": "normal", "02": "high"}
AGES = {"01": "over 65", "02": "20 to 64", "03": "under 20", "04": "baby"}
LANGUAGES = {"01": "zh", "02": "en", "04": "fr"}
"""Code to ISO 639; any other code is another language, or none for a cry."""

NO_PERSON = {0, 150, 200}
"""Folders that hold many voices (150 babies), so that their number tells no gender."""

NOTES = (
    "Nearly two thirds are no speech (laughs, cries, breath; column channel). An actor is a folder "
    "of its authors, not always one person: 150 holds babies. The names have 8 to 12 fields, some "
    "mistyped, and one file has the unknown emotion 17. The recordings have no list of texts."
)

_FOLDER = re.compile(r"actor_\d*", re.IGNORECASE)
# case matters: a folder that somebody called asvp_esd is the corpus itself
_OUTER = re.compile(r"ASVP-ESD.*|Audio|Bonus|audio|bonus")


def recognises(root: Path) -> bool:
    """Tell by folders `actor_1` … in `Audio/` or `Bonus/`, and names of eight fields or more."""
    tops = names.folders_in(root)
    for _ in range(2):
        tops += [inner for top in tops if _OUTER.fullmatch(top.rpartition("/")[2])
                 for inner in names.folders_in(root, top)]
    actors = [top for top in dict.fromkeys(tops) if _FOLDER.fullmatch(top.rpartition("/")[2])]
    return any(names.matches(root, actor, lambda stem: isinstance(_fields(stem), list))
               for actor in actors[:3])


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by name; folders are not asked, as some lack the actor."""
    yield from names.parse_files(names.audio_files(root), _read)


def _fields(stem: str) -> list[str] | str:
    fields = [field.strip() for field in stem.split("-")]
    if len(fields) < 8 or not all(re.fullmatch(r"\d{1,4}", field) for field in fields):
        return "the name is not of the form 03-01-04-01-08-36-03-03-01-77"
    return fields


def _read(file: names.AudioFile) -> Utterance | str:
    fields = _fields(file.stem)
    if isinstance(fields, str):
        return fields
    _, channel, emotion, intensity, statement, actor, age, *rest = fields
    if emotion not in EMOTIONS:
        return f"unknown emotion {emotion} in the name"
    if channel not in CHANNELS:
        return f"unknown channel {channel} in the name"
    facts = {
        "gender": _gender(int(actor), age), "channel": CHANNELS[channel],
        "intensity": INTENSITIES.get(intensity), "age_group": AGES.get(age),
        "language": LANGUAGES.get(rest[1]) if rest[1:] else None,
        "statement": statement,
    }
    return Utterance(
        file.stem, file.path, EMOTIONS[emotion], f"{int(actor):02d}",
        extra={key: value for key, value in facts.items() if value},
    )


def _gender(actor: int, age: str) -> str:
    if actor in NO_PERSON or age == "04":
        return ""
    # the reverse of RAVDESS
    return "female" if actor % 2 else "male"


def stand_ins() -> Iterator[StandIn]:
    """Give 13963 files, as many for each actor and emotion as published.

    The other fields are irregular in the release and made up here. One name has a blank, as
    published; the file of emotion 17 is left out.
    """
    canonical = dict(zip(EMOTIONS, (
        "boredom", "neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise",
        "excitement", "pleasure", "pain", "disappointment", "breath")))
    for person in published("asvp_esd"):
        folder = f"{'Bonus' if int(person.speaker) >= 150 else 'Audio'}/actor_{int(person.speaker)}"
        age = "04" if person.speaker == "150" else "02"
        for code, count in person.files.items():
            for number in range(1, count + 1):
                # speech and other voices in turn; pain and breath are never speech
                channel = "01" if number % 8 < 3 and code not in ("11", "13") else "02"
                blank = " " if (person.speaker, code, number) == ("150", "04", 52) else ""
                stem = (f"03-{channel}-{code}-01-{number:02d}-{person.speaker}-{age}-02-02"
                        f"{blank}-{code}")
                yield StandIn(f"{folder}/{stem}.wav", canonical[code], person.speaker,
                              person.gender, f"statement {number:02d}")
