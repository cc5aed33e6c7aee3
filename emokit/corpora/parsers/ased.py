"""ASED: 65 Amharic speakers, seven sentences, five emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Retta, Almekhlafi, Sutcliffe, Mhamed, Ali & Feng, A New Amharic Speech Emotion Dataset and "
    "Classification Benchmark, ACM TALLIP 22(1), 2023, arXiv:2201.02710. "
    "https://github.com/Ethio2021/ASED_V1"
)
EXACT = True
EMOTIONS = {"n": "neutral", "f": "fearful", "h": "happy", "s": "sad", "a": "angry"}
LANGUAGE = "am"
FEMALE = frozenset(
    "01 03 05 07 09 11 13 15 17 19 21 23 25 27 29 31 33 35 37 43 47 48 49 58 62".split())
"""Women among the speakers; the others are men."""

NOTES = (
    "Five names call a woman a man (f2-01-01-02-15, f2-02-01-02-25, f2-07-02-02-21, "
    "s4-01-02-02-09, s4-04-01-02-23); emokit takes the gender of the speaker's other files. One "
    "name has a capital letter, S4-04-02-01-29."
)

_FOLDERS = dict(zip(EMOTIONS, ("01Neutral", "02Fearful", "03Happy", "04Sad", "05Angry")))
_STEM = re.compile(r"([A-Za-z])([1-5])-(\d\d)-(\d\d)-(\d\d)-(\d\d)")

# sentences 03 to 07 were spoken by these, each in every emotion, twice
_LONG = frozenset("01 04 05 06 10 11 13 20 21 23 25 26 27 28 29 30 31 39 41 45 48".split()
                  + [str(number) for number in range(50, 66)])
# sentences 01 and 02 were spoken by these, in the emotions named, twice
_SHORT = {
    "nfhsa": "01 02 03 04 06 13 32 39 41 47 50", "fhsa": "27 28 29 30", "nfha": "05 10 18 19",
    "nfsa": "14 25 26 38", "nhsa": "09", "fha": "33", "nfa": "12 37", "nfh": "15 17", "nfs": "36",
    "nhs": "24", "nsa": "07", "fh": "43", "ha": "49", "na": "46", "nf": "21 42 44",
    "nh": "08 16 22", "ns": "11 35", "f": "31 40", "n": "20 34",
}
_ABSENT = ("a5-01-01-01-47", "a5-01-02-01-47", "a5-02-01-01-49", "a5-02-02-01-49")
_MISSPELT = {
    "f2-01-01-01-15": "f2-01-01-02-15", "f2-02-01-01-25": "f2-02-01-02-25",
    "f2-07-02-01-21": "f2-07-02-02-21", "s4-01-02-01-09": "s4-01-02-02-09",
    "s4-04-01-01-23": "s4-04-01-02-23", "s4-04-02-01-29": "S4-04-02-01-29",
}


def recognises(root: Path) -> bool:
    """Tell by names such as `a5-03-01-02-50` in `05Angry/` …, or in the folder itself."""
    known = [name.lower() for name in _FOLDERS.values()]
    return names.matches_below(root, lambda name: name in known, _STEM.fullmatch)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form a5-03-01-02-50"
    letter, number, sentence, repetition, _, speaker = match.groups()
    code = letter.lower()
    if code not in EMOTIONS or list(EMOTIONS).index(code) != int(number) - 1:
        return f"unknown emotion {letter}{number} in the name"
    return Utterance(
        file.stem.lower(), file.path, EMOTIONS[code], speaker,
        extra={"gender": _gender(speaker), "language": LANGUAGE, "sentence": sentence,
               "repetition": repetition},
    )


def _gender(speaker: str) -> str:
    return "female" if speaker in FEMALE else "male"


def stand_ins() -> Iterator[StandIn]:
    """Give the 2474 files of the release."""
    canonical = dict(zip(EMOTIONS, ("neutral", "fear", "happiness", "sadness", "anger")))
    emotions_of = {speaker: emotions for emotions, speakers in _SHORT.items()
                   for speaker in speakers.split()}
    for code, emotion in canonical.items():
        head = f"{code}{list(EMOTIONS).index(code) + 1}"
        for sentence in ("01", "02", "03", "04", "05", "06", "07"):
            for repetition in ("01", "02"):
                for speaker in (f"{number:02d}" for number in range(1, 66)):
                    short = sentence in ("01", "02")
                    if not (code in emotions_of.get(speaker, "") if short else speaker in _LONG):
                        continue
                    gender = _gender(speaker)
                    stem = f"{head}-{sentence}-{repetition}-" \
                           f"{'01' if gender == 'female' else '02'}-{speaker}"
                    if stem not in _ABSENT:
                        yield StandIn(f"{_FOLDERS[code]}/{_MISSPELT.get(stem, stem)}.wav", emotion,
                                      speaker, gender, f"sentence {sentence}")
