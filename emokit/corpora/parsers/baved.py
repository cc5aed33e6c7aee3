"""BAVED: seven Arabic words in three levels of emotion, by sixty speakers."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import counts, names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Aouf, Basic Arabic Vocal Emotions Dataset (BAVED), 2019. "
    "https://github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset"
)
EMOTIONS = {"0": "low emotion", "1": "normal emotion", "2": "high emotion"}
LANGUAGE = "ar"
GENDERS = {"m": "male", "f": "female"}
WORDS = ("اعجبني", "لم يعجبني", "هذا", "الفيلم", "رائع", "مقول", "سيئ")
"""The spoken words, as the corpus spells them, in order of their numbers."""

NOTES = (
    "The labels are levels, not emotions: low is tired or down, normal is neutral, high is any "
    "strong emotion, glad or angry. The authors count 61 speakers; the names of the files tell 60 "
    "apart, six of whom spoke three quarters of the corpus. One file of word 6 lies in folder 0; "
    "the name counts."
)

_STEM = re.compile(r"(\d+)-([mf])-(\d+)-([0-6])-(\d)-(\d+)")


def recognises(root: Path) -> bool:
    """Tell by names such as `0-m-21-0-1-105` in `0/` … `6/`, or in the folder itself."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[5] in EMOTIONS

    return names.matches_below(root, lambda name: name in set("0123456"), test)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names, whatever folder they lie in."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form 0-m-21-0-1-105"
    speaker, gender, age, word, level, _ = match.groups()
    if level not in EMOTIONS:
        return f"unknown level {level} in the name"
    return Utterance(
        file.stem, file.path, EMOTIONS[level], speaker,
        extra={"text": WORDS[int(word)], "gender": GENDERS[gender], "age": float(age),
               "language": LANGUAGE},
    )


def stand_ins() -> Iterator[StandIn]:
    """Give 1935 files with the published speakers and their number of files in each level.

    Which of the words each spoke and the numbers of the records are made up: the published ones
    follow no rule.
    """
    canonical = {level: word.replace(" ", "_") for level, word in EMOTIONS.items()}
    records: collections.Counter = collections.Counter()
    for person in counts.published("baved"):
        for level, total in person.files.items():
            for index in range(total):
                word = index % 7
                record = records[word, person.gender]
                records[word, person.gender] += 1
                yield StandIn(
                    f"{word}/{person.speaker}-{person.gender[0]}-{person.age:.0f}-{word}-{level}-"
                    f"{record}.wav", canonical[level], person.speaker, person.gender, WORDS[word],
                    (0.2, 0.5, 0.9)[int(level)], person.age,
                )
