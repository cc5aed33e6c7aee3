"""CaFE: twelve Canadian French actors, six sentences, seven emotions in two strengths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Gournay, Lahaie & Lefebvre, A Canadian French Emotional Speech Dataset, ACM Multimedia "
    "Systems 2018, pp. 399-402. https://zenodo.org/record/1478765"
)
EXACT = True
EMOTIONS = {
    "C": "anger", "D": "disgust", "P": "fear", "J": "joy",
    "N": "neutral", "T": "sadness", "S": "surprise",
}
LANGUAGE = "fr"
FOLDERS = {
    "C": "Colère", "D": "Dégoût", "P": "Peur", "J": "Joie",
    "N": "Neutre", "T": "Tristesse", "S": "Surprise",
}
"""Folder of each emotion in the published archive."""

INTENSITIES = {"1": "weak", "2": "strong"}
NOTES = (
    "Published as 48 kHz WAV and again as 192 kHz AIFF; where both are there the WAV is read. "
    "Some tools unpack the accents in the folder names wrongly, so only file names are trusted. "
    "Neutral has one strength."
)

_STEM = re.compile(r"(0[1-9]|1[0-2])-([CDPJNTS])-([12])-([1-6])", re.IGNORECASE)
# accents are decomposed or mis-decoded by some tools that unpack
_FOLDER = re.compile(r"col.{1,3}re|d.{1,3}go.{1,3}t|peur|joie|neutre|tristesse|surprise",
                     re.IGNORECASE)
_OUTER = re.compile(r"cafe.*", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by names such as `01-C-1-1` in `Colère/Faible/` …, below `CaFE_48k/` or not."""
    tops = names.folders_in(root)
    outer = tops if all(_OUTER.fullmatch(top) for top in tops) else []
    folders = [""]
    for top in ["", *outer]:
        inner = tops if not top else names.folders_in(root, top)
        for folder in inner:
            if _FOLDER.fullmatch(names.nfc(folder.rpartition("/")[2])):
                folders += [folder, *names.folders_in(root, folder)]
    return any(names.matches(root, folder, _STEM.fullmatch) for folder in folders)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names alone; `text` is the number of the sentence."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form 01-C-1-1"
    actor, code, strength, sentence = match[1], match[2].upper(), match[3], match[4]
    extra = {"text": f"sentence {sentence}", "gender": _gender(actor), "language": LANGUAGE}
    if code != "N":
        extra["intensity"] = INTENSITIES[strength]
    return Utterance(f"{actor}-{code}-{strength}-{sentence}", file.path, EMOTIONS[code], actor,
                     extra=extra)


def _gender(actor: str) -> str:
    return "male" if int(actor) % 2 else "female"


def stand_ins() -> Iterator[StandIn]:
    """Give the 936 files of the 48 kHz release."""
    for code, emotion in EMOTIONS.items():
        for strength, inner in (("1", "Faible"), ("2", "Fort")) if code != "N" else (("1", ""),):
            folder = "/".join(filter(None, ("CaFE_48k", FOLDERS[code], inner)))
            for actor in (f"{number:02d}" for number in range(1, 13)):
                for sentence in range(1, 7):
                    yield StandIn(
                        f"{folder}/{actor}-{code}-{strength}-{sentence}.wav",
                        "happiness" if emotion == "joy" else emotion, actor, _gender(actor),
                        f"sentence {sentence}", 0.9 if strength == "2" else 0.4,
                    )
