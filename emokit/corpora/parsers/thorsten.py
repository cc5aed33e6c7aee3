"""Thorsten-Voice emotional: one German man, three hundred sentences in eight styles."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Müller & Kreutz, Thorsten-Voice Dataset 2021.06 emotional, 2021. "
    "https://www.openslr.org/110"
)
EMOTIONS = {
    "amused": "amused", "angry": "angry", "disgusted": "disgusted", "drunk": "drunk",
    "neutral": "neutral", "sleepy": "sleepy", "surprised": "surprised", "whisper": "whisper",
}
LANGUAGE = "de"
SPEAKER = "thorsten"
NOTES = (
    "One speaker: no speaker-independent score is possible. Drunk and whisper are styles rather "
    "than emotions. The same sentences, under the same names, lie in every folder."
)

_STEM = re.compile(r"[0-9a-f]{16,64}", re.IGNORECASE)
_OUTER = re.compile(r"thorsten-emotional.*", re.IGNORECASE)
_TABLE = "thorsten-emotional-metadata.csv"
OPTIONAL = {(_TABLE, f"*/{_TABLE}"): "texts are"}


def recognises(root: Path) -> bool:
    """Tell by folders `amused`, `drunk`, … of files named by a hash."""
    tops = names.folders_in(root)
    tops += [inner for top in tops if _OUTER.fullmatch(top)
             for inner in names.folders_in(root, top)]
    return any(names.matches(root, top, _STEM.fullmatch) for top in tops
               if top.rpartition("/")[2].lower() in EMOTIONS)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings: the folder is the style, the name the sentence.

    Texts come from `thorsten-emotional-metadata.csv` if that table is there.

    Raises:
        CorpusError: the table is no `name|text`, or not UTF-8.
    """
    texts = _texts(root)

    def read(file: names.AudioFile) -> Utterance | str:
        if not _STEM.fullmatch(file.stem):
            return "the name is not of the form of a hash, 16 to 64 of 0-9 and a-f"
        folder = file.folders[-1].lower() if file.folders else ""
        if folder not in EMOTIONS:
            return f"its folder '{folder}' is none of {', '.join(EMOTIONS)}"
        sentence = file.stem.lower()
        return Utterance(
            id=f"{folder}_{sentence}", path=file.path, emotion=EMOTIONS[folder], speaker=SPEAKER,
            extra={"text": texts.get(sentence, sentence), "gender": "male", "language": LANGUAGE,
                   "sentence": sentence},
        )

    yield from names.parse_files(names.audio_files(root), read)


def _texts(root: Path) -> dict[str, str]:
    outer = [top for top in names.folders_in(root) if _OUTER.fullmatch(top)]
    path = names.find_table(root, _TABLE, *(f"{top}/{_TABLE}" for top in outer))
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"Cannot read '{path}' ({error}). Put the published table there or remove it."
        ) from None
    texts = {}
    for number, line in enumerate(filter(str.strip, lines), 1):
        name, bar, text = line.partition("|")
        if not bar:
            raise CorpusError(
                f"{path}:{number}: '{line[:60]}' is not 'name|text'. Put the published table "
                "there or remove it."
            )
        texts[name.rpartition("/")[2].split(".")[0].strip().lower()] = text.split("|")[0].strip()
    return texts


def stand_ins() -> Iterator[StandIn]:
    """Give 2400 files: 300 sentences in each style, their hashes made up."""
    canonical = dict(zip(EMOTIONS, ("amusement", "anger", "disgust", "intoxication", "neutral",
                                    "sleepiness", "surprise", "whisper")))
    for style, emotion in canonical.items():
        for number in range(1, 301):
            stem = hashlib.md5(f"sentence {number}".encode(), usedforsecurity=False).hexdigest()
            yield StandIn(f"thorsten-emotional_v02/{style}/{stem}.wav", emotion, SPEAKER, "male",
                          f"sentence {number}")


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the table of texts for some stand-ins."""
    texts = {item.path.rpartition("/")[2].split(".")[0]: item.text for item in stand_ins}
    lines = [f"{stem}|{text}" for stem, text in texts.items()]
    return {f"thorsten-emotional_v02/{_TABLE}": "\n".join(lines) + "\n"}
