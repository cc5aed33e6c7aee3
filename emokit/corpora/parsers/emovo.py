"""EMOVO: six Italian actors, fourteen sentences, seven emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Costantini, Iaderola, Paoloni & Todisco, EMOVO Corpus: an Italian Emotional Speech Database, "
    "LREC 2014, pp. 3501-3504. http://voice.fub.it/activities/corpora/emovo/index.html"
)
EXACT = True
EMOTIONS = {
    "rab": "anger", "dis": "disgust", "pau": "fear", "gio": "joy",
    "neu": "neutral", "tri": "sadness", "sor": "surprise",
}
LANGUAGE = "it"
SPEAKERS = ("f1", "f2", "f3", "m1", "m2", "m3")
SENTENCES = ("b1", "b2", "b3", "d1", "d2", "l1", "l2", "l3", "l4", "n1", "n2", "n3", "n4", "n5")
"""Codes of the sentences: b short, d question, l long, n nonsense."""
NOTES = (
    "Recorded in stereo at 48 kHz, one file in mono. The authors state no licence; a catalogue "
    "says CC BY-NC-SA 4.0."
)

_STEM = re.compile(r"([a-z]{3})-([fm]\d)-([a-z]\d)", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by names such as `dis-f1-b1` in `f1/` … `m3/`, or here in flat copies."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[1].lower() in EMOTIONS and match[2].lower() in SPEAKERS

    return names.matches_below(root, lambda name: name in SPEAKERS, test)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names; `text` is the code of the sentence."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form dis-f1-b1"
    code, speaker, sentence = match[1].lower(), match[2].lower(), match[3].lower()
    for field, value, known in (("emotion", code, EMOTIONS), ("speaker", speaker, SPEAKERS),
                                ("sentence", sentence, SENTENCES)):
        if value not in known:
            return f"unknown {field} {value} in the name"
    return Utterance(
        f"{code}-{speaker}-{sentence}", file.path, EMOTIONS[code], speaker,
        extra={"text": sentence, "gender": _gender(speaker), "language": LANGUAGE},
    )


def _gender(speaker: str) -> str:
    return "female" if speaker.startswith("f") else "male"


def stand_ins() -> Iterator[StandIn]:
    """Give the 588 files of the release."""
    for speaker in SPEAKERS:
        for code, emotion in EMOTIONS.items():
            for sentence in SENTENCES:
                yield StandIn(f"{speaker}/{code}-{speaker}-{sentence}.wav",
                              "happiness" if emotion == "joy" else emotion, speaker,
                              _gender(speaker), sentence)
