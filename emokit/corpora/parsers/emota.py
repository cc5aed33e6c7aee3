"""EmoTa: 22 speakers of Sri Lankan Tamil, nineteen sentences, five emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Thevakumar, Thavarasa, Sivatheepan, Kugarajah & Thayasivam, EmoTa: A Tamil Emotional Speech "
    "Dataset, CHiPSAL 2025, pp. 193-201. https://github.com/aaivu/EmoTa"
)
EMOTIONS = {
    "ang": "angry", "hap": "happy", "sad": "sad", "fea": "fear", "neu": "neutral",
}
LANGUAGE = "ta"
NOTES = "Eleven women and eleven men; their table is not read, so gender and age stay unknown."

_STEM = re.compile(r"(\d{1,2})_(\d{1,2})_(ang|hap|sad|fea|neu)", re.IGNORECASE)
_FOLDERS = ("angry", "happy", "sad", "fear", "neutral")


def recognises(root: Path) -> bool:
    """Tell by names such as `19_18_ang` in `angry/`, `happy/`, … or in the folder itself."""
    return names.matches_below(root, lambda name: name in _FOLDERS, _STEM.fullmatch)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by name."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form 19_18_ang"
    speaker, sentence, code = int(match[1]), int(match[2]), match[3].lower()
    return Utterance(
        id=f"{speaker:02d}_{sentence:02d}_{code}", path=file.path, emotion=EMOTIONS[code],
        speaker=f"{speaker:02d}",
        extra={"text": f"sentence {sentence:02d}", "language": LANGUAGE,
               "sentence": f"{sentence:02d}"},
    )


def stand_ins() -> Iterator[StandIn]:
    """Give 936 files: eight or nine of the nineteen sentences for each speaker and emotion.

    The release has no public list; which sentences each speaker said is our choice.
    """
    canonical = ("anger", "happiness", "sadness", "fear", "neutral")
    cells = [(speaker, *emotion) for speaker in range(1, 23)
             for emotion in zip(EMOTIONS, _FOLDERS, canonical)]
    for index, (speaker, code, folder, emotion) in enumerate(cells):
        for take in range(9 if index % 2 == 0 or index == 1 else 8):
            sentence = (speaker + 2 * take) % 19 + 1
            yield StandIn(f"{folder}/{speaker:02d}_{sentence:02d}_{code}.wav", emotion,
                          f"{speaker:02d}", "", f"sentence {sentence:02d}")
