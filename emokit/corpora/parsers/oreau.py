"""Oréau: 32 French speakers, fourteen texts, seven emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Kerkeni, Cleder, Serrestou & Raoof, French Emotional Speech Database - Oréau, Zenodo, 2020. "
    "https://zenodo.org/record/4405783"
)
EMOTIONS = {
    "C": "anger", "D": "disgust", "P": "fear", "J": "joy",
    "N": "neutral", "T": "sadness", "S": "surprise",
}
LANGUAGE = "fr"
WOMEN = ("10", "11", "13", "21", "24", "37", "42")
COUNTS = {
    "07": (4, 5, 6, 4, 6, 6, 6), "08": (2, 1, 0, 2, 2, 2, 2), "09": (2, 2, 1, 2, 1, 2, 2),
    "10": (2, 2, 2, 2, 2, 2, 2), "11": (6, 6, 4, 6, 6, 3, 6), "12": (2, 2, 2, 1, 2, 2, 1),
    "13": (1, 2, 1, 2, 2, 2, 2), "14": (2, 2, 1, 1, 2, 2, 1), "16": (2, 2, 2, 2, 2, 2, 1),
    "18": (1, 2, 1, 2, 2, 1, 2), "19": (2, 2, 2, 1, 2, 1, 2), "20": (2, 2, 1, 2, 2, 1, 2),
    "21": (2, 2, 1, 2, 2, 2, 2), "22": (2, 2, 2, 2, 2, 1, 2), "23": (0, 2, 0, 1, 2, 2, 2),
    "24": (2, 2, 2, 2, 2, 1, 2), "25": (3, 2, 2, 2, 2, 1, 2), "26": (2, 2, 2, 1, 2, 1, 2),
    "27": (2, 2, 0, 2, 2, 2, 2), "28": (2, 2, 1, 1, 2, 1, 1), "29": (2, 2, 0, 2, 2, 2, 2),
    "30": (2, 1, 1, 1, 2, 0, 0), "31": (2, 2, 1, 2, 2, 1, 1), "32": (2, 1, 2, 2, 2, 1, 2),
    "33": (2, 1, 2, 2, 2, 1, 1), "36": (2, 2, 2, 2, 2, 2, 1), "37": (2, 2, 1, 2, 2, 2, 2),
    "38": (2, 2, 2, 2, 2, 2, 2), "39": (2, 2, 2, 2, 2, 2, 2), "40": (2, 2, 2, 1, 2, 1, 1),
    "41": (2, 2, 2, 2, 1, 2, 2), "42": (2, 2, 1, 2, 2, 2, 2),
}
"""Recordings of each speaker by emotion, in the order of `EMOTIONS`, as published."""
NOTES = (
    "The folder name has an accent that some tools decompose. Few recordings per speaker: most "
    "have two of each emotion, and five speakers lack one or two emotions. Two names of speaker 07 "
    "have the text letter z instead of a."
)

_STEM = re.compile(r"(\d\d)([a-z]\d\d)([CDPJNTS])([a-z])", re.IGNORECASE)
_OUTER = re.compile(r"or.{1,3}au.*", re.IGNORECASE)
_Z_TEXTS = {("07", "S"): ("z03", "z04")}


def recognises(root: Path) -> bool:
    """Tell by names such as `13a06Ja` in `f/sessj/` …, below `OréauFR_02/` or not."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[1] in COUNTS

    tops = names.folders_in(root)
    if tops and all(_OUTER.fullmatch(names.nfc(top)) for top in tops):
        tops = [inner for top in tops for inner in names.folders_in(root, top)]
    genders = [top for top in tops if top.rpartition("/")[2].lower() in ("f", "m")]
    sessions = [inner for top in genders for inner in names.folders_in(root, top)
                if re.fullmatch(r"sess[cdpjnts]", inner.rpartition("/")[2], re.IGNORECASE)]
    return any(names.matches(root, folder, test) for folder in sessions)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names; `text` is the code of the text."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form 13a06Ja"
    speaker, text, code = match[1], match[2].lower(), match[3].upper()
    if speaker not in COUNTS:
        return f"unknown speaker {speaker} in the name"
    return Utterance(
        f"{speaker}{text}{code}{match[4].lower()}", file.path, EMOTIONS[code], speaker,
        extra={"text": text, "gender": _gender(speaker), "language": LANGUAGE},
    )


def _gender(speaker: str) -> str:
    return "female" if speaker in WOMEN else "male"


def stand_ins() -> Iterator[StandIn]:
    """Give 434 files with the published number for each speaker and emotion.

    Who said which text follows no rule; here the texts are dealt out in turn, but for the two
    irregular names.
    """
    for shift, (speaker, counts) in enumerate(COUNTS.items()):
        gender = _gender(speaker)
        for (code, emotion), count in zip(EMOTIONS.items(), counts):
            texts = [f"a{(shift + turn) % 13 + 1:02d}" for turn in range(count)]
            odd = _Z_TEXTS.get((speaker, code), ())
            texts[len(texts) - len(odd):] = odd
            for text in texts:
                yield StandIn(
                    f"OréauFR_02/{gender[0]}/sess{code.lower()}/{speaker}{text}{code}a.wav",
                    "happiness" if emotion == "joy" else emotion, speaker, gender, text)
