"""SUSAS, its part of real stress: seven speakers on rides, 35 commands, four levels of stress."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import counts, names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Hansen & Bou-Ghazale, Getting started with SUSAS: a speech under simulated and actual stress "
    "database, Eurospeech 1997, pp. 1743-1746. https://catalog.ldc.upenn.edu/LDC99S78"
)
EMOTIONS = {
    "neutral": "neutral", "medst": "medium stress", "hist": "high stress", "scream": "screaming",
}
LANGUAGE = "en"
GENDERS = {"f": "female", "m": "male"}
WORDS = tuple(
    "brake change degree destination east eight eighty enter fifty fix freeze gain go hello help "
    "histogram hot mark nav no oh on out point six south stand steer strafe ten thirty three white "
    "wide zero".split())
NOTES = (
    "Only the recordings of real stress are read; simulated styles are misfits. Talker and "
    "condition are told by the folders. The layout could not be compared with a copy of the disc: "
    "if folders are called otherwise, describe the corpus by a list (format: csv)."
)

_TALKER = re.compile(r"([fm])[-_]?0?(\d)", re.IGNORECASE)
_CONDITIONS = {
    "neutral": "neutral", "neut": "neutral",
    "medst": "medst", "medium": "medst", "mediumstress": "medst", "medstress": "medst",
    "hist": "hist", "high": "hist", "highstress": "hist", "histress": "hist",
    "scream": "scream", "screaming": "scream", "screams": "scream",
}
# class sizes of the seven talkers: Schuller, Vlasenko, Eyben, Rigoll & Wendemuth 2009, table I
_TOTALS = {"neutral": 701, "medst": 1276, "hist": 1202, "scream": 414}
_TALKERS = ("f1", "f2", "f3", "m1", "m2", "m3", "m4")


def recognises(root: Path) -> bool:
    """Tell by the folders `actual/` and of talkers in it, such as `f1`."""
    return any(_TALKER.fullmatch(inner.rpartition("/")[2])
               for top in names.folders_in(root) if top.lower() == "actual"
               for inner in names.folders_in(root, top))


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings of real stress by their folders."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    folders = [folder.lower() for folder in file.folders]
    if "simulated" in folders:
        return "simulated stress; only the recordings of real stress (actual) are read"
    talker = next(filter(None, map(_TALKER.fullmatch, reversed(folders))), None)
    condition = next((_CONDITIONS[_letters(folder)] for folder in reversed(folders)
                      if _letters(folder) in _CONDITIONS), None)
    word = max((word for word in WORDS if file.stem.lower().startswith(word)), key=len, default="")
    if talker is None or condition is None or not word:
        return "the path is not of the form actual/f1/hist/brake1"
    speaker = (talker[1] + talker[2]).lower()
    return Utterance(
        f"{speaker}_{condition}_{file.stem}", file.path, EMOTIONS[condition], speaker,
        extra={"text": word, "gender": GENDERS[speaker[0]], "language": LANGUAGE},
    )


def _letters(folder: str) -> str:
    return re.sub("[^a-z]", "", folder)


def stand_ins() -> Iterator[StandIn]:
    """Give 3593 files with the published classes, shared out evenly over the talkers."""
    canonical = dict(zip(EMOTIONS, ("neutral", "medium_stress", "high_stress", "screaming")))
    for condition, talker, number in counts.shared_out(_TOTALS, _TALKERS):
        word = WORDS[number % len(WORDS)]
        yield StandIn(
            f"actual/{talker}/{condition}/{word}{number // len(WORDS) + 1}.wav",
            canonical[condition], talker, GENDERS[talker[0]], word,
            {"neutral": 0.3, "medst": 0.5, "hist": 0.7, "scream": 1.0}[condition],
        )
