"""EmoDB: ten German actors, ten sentences, seven emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers.tables import unique
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss, A Database of German Emotional Speech, "
    "Interspeech 2005, pp. 1517-1520. http://emodb.bilderbar.info"
)
EXACT = True
EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear",
    "F": "happiness", "N": "neutral", "T": "sadness",
}
OPTIONAL = {("erkennung.txt", "wav/erkennung.txt"): "agreement of the listeners is"}
LANGUAGE = "de"
SPEAKERS = {
    "03": ("male", 31), "08": ("female", 34), "09": ("female", 21), "10": ("male", 32),
    "11": ("male", 26), "12": ("male", 30), "13": ("female", 32), "14": ("female", 35),
    "15": ("male", 25), "16": ("female", 31),
}
"""Gender and age in years of each speaker."""

_STEM = re.compile(r"(\d\d)([ab]\d\d)([A-Z])([a-z])")


def recognises(root: Path) -> bool:
    """Tell by names such as `03a01Fa` in `wav/`, or in the folder itself in flat copies."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[1] in SPEAKERS and match[3] in EMOTIONS

    return names.matches_below(root, lambda name: name == "wav", test)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings; `agreement` is the share of listeners who recognised the emotion.

    It comes from `erkennung.txt` if that table is there.

    Raises:
        CorpusError: `erkennung.txt` is not the published table, or contradicts itself.
    """
    recognised = _recognition(root)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form 03a01Fa"
        speaker, text, letter, version = match.groups()
        if speaker not in SPEAKERS:
            return f"unknown speaker {speaker} in the name"
        if letter not in EMOTIONS:
            return f"unknown emotion {letter} in the name"
        gender, age = SPEAKERS[speaker]
        extra = {"text": text, "gender": gender, "age": age, "language": LANGUAGE,
                 "version": version}
        if file.stem in recognised:
            extra["agreement"], extra["naturalness"] = recognised[file.stem]
        return Utterance(file.stem, file.path, EMOTIONS[letter], speaker, extra=extra)

    yield from names.parse_files(names.audio_files(root), read)


def _recognition(root: Path) -> dict[str, tuple[float, float]]:
    table = names.find_table(root, "erkennung.txt", "wav/erkennung.txt")
    if table is None:
        return {}
    shares = []
    lines = table.read_text(encoding="latin-1").splitlines()
    for number, line in enumerate(lines[1:], 2):
        cells = [cell.replace("\xa0", " ").strip() for cell in line.split("\t")]
        if not any(cells):
            continue
        try:
            stem = cells[1].rsplit(".", 1)[0]
            recognised, natural = (float(cell.replace(",", ".")) for cell in cells[2:4])
        except (IndexError, ValueError):
            raise CorpusError(
                f"{table}:{number}: '{line.strip()}' is not 'number, file, recognised, natural' "
                "by tabs. Put the published erkennung.txt there or remove it."
            ) from None
        shares.append((stem, (recognised / 100, natural / 100), f"{table}:{number}"))
    return unique(shares)


def stand_ins() -> Iterator[StandIn]:
    """Give the 535 files of the release."""
    listing = resources.files("emokit.corpora.facts").joinpath("emodb_files.csv")
    for line in listing.read_text(encoding="utf-8").splitlines()[1:]:
        speaker, text, recordings = line.split(",")
        gender, age = SPEAKERS[speaker]
        for recording in recordings.split():
            yield StandIn(f"wav/{speaker}{text}{recording}.wav", EMOTIONS[recording[0]],
                          speaker, gender, text, age=age)
