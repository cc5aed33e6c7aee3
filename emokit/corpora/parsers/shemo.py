"""ShEMO: 87 Persian speakers of radio plays, six emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import counts, names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Mohamad Nezami, Lou & Karami, ShEMO: a large-scale validated database for Persian speech "
    "emotion detection, Language Resources and Evaluation 53, 1-16, 2019. "
    "https://github.com/mansourehk/ShEMO"
)
EXACT = True
EMOTIONS = {
    "A": "anger", "N": "neutral", "S": "sadness", "W": "surprise", "H": "happiness", "F": "fear",
}
LANGUAGE = "fa"
OPTIONAL = {
    ("transcript/final text", "final text", "transcript"): "texts are",
}
GENDERS = {"M": "male", "F": "female"}
NOTES = (
    "Fear has 38 utterances and is often dropped. A corrected list of others leaves 162 of the "
    "3000 utterances out; emokit reads all that are there. Some files have 22 050 Hz."
)

# F is a woman in the first place and fear in the fourth; speakers are counted per gender
_STEM = re.compile(r"([MF])(\d\d)([A-Z])(\d\d)")


def recognises(root: Path) -> bool:
    """Tell by names such as `F03S02` in `female/` and `male/`, or in the folder itself."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[3] in EMOTIONS

    return names.matches_below(root, lambda name: name in GENDERS.values(), test)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings; texts come from `transcript/final text/*.ort` where these are there.

    Raises:
        CorpusError: a transcript is not UTF-8.
    """
    texts = names.find_table(root, "transcript/final text", "final text", "transcript")

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form F03S02"
        gender, number, emotion, _ = match.groups()
        if emotion not in EMOTIONS:
            return f"unknown emotion {emotion} in the name"
        extra = {"gender": GENDERS[gender], "language": LANGUAGE}
        text = _text(texts, file.stem)
        if text:
            extra["text"] = text
        return Utterance(file.stem, file.path, EMOTIONS[emotion], gender + number, extra=extra)

    yield from names.parse_files(names.audio_files(root), read)


def _text(folder: Path | None, stem: str) -> str:
    path = folder / f"{stem}.ort" if folder else None
    if path is None or not path.is_file():
        return ""
    try:
        return " ".join(path.read_text(encoding="utf-8-sig").split())
    except UnicodeDecodeError:
        raise CorpusError(
            f"'{path}' is not UTF-8. Put the published transcript there or remove it."
        ) from None


def stand_ins() -> Iterator[StandIn]:
    """Give the 3000 files of the release."""
    for person in counts.published("shemo"):
        for code, total in person.files.items():
            for number in range(1, total + 1):
                yield StandIn(f"{person.gender}/{person.speaker}{code}{number:02d}.wav",
                              EMOTIONS[code], person.speaker, person.gender,
                              f"{person.speaker}{code}{number:02d}")
