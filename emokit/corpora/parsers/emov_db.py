"""EmoV-DB: four English speakers read CMU Arctic sentences in five styles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Adigwe, Tits, El Haddad, Ostadabbas & Dutoit, The Emotional Voices Database: Towards "
    "Controlling the Emotion Dimension in Voice Generation Systems, 2018, arXiv:1806.09514. "
    "https://www.openslr.org/115"
)
EMOTIONS = {
    "amused": "amused", "anger": "angry", "disgust": "disgusted", "neutral": "neutral",
    "sleepiness": "sleepy",
}
LANGUAGE = "en"
SPEAKERS = {"bea": "female", "jenie": "female", "josh": "male", "sam": "male"}
OPTIONAL = {("cmuarctic.data",): "texts (CMU Arctic's list, which is no part of the download) are"}
NOTES = (
    "josh has neither anger nor disgust. Names give neither speaker nor a number unique in the "
    "corpus: the folder does, so keep the folders. bea's files have 44.1 kHz, the others 16 kHz."
)

# the range of the recording session, 1-28 or 141_168, then the sentence of CMU Arctic set A
_STEM = re.compile(r"([a-z]+)_\d+[-_]\d+_(\d{4})", re.IGNORECASE)
_FOLDER = re.compile(r"(bea|jenie|josh|sam)(?:_[a-z]+)?", re.IGNORECASE)
_PROMPT = re.compile(r'\(\s*arctic_a(\d{4})\s+"(.*)"\s*\)')


def recognises(root: Path) -> bool:
    """Tell by folders `bea_Amused` … or `bea` with names such as `amused_1-15_0001`."""
    return any(_FOLDER.fullmatch(folder) and names.matches(root, inner, _known)
               for folder in names.folders_in(root)
               for inner in [folder, *names.folders_in(root, folder)])


def _known(stem: str) -> bool:
    match = _STEM.fullmatch(stem)
    return bool(match) and match[1].lower() in EMOTIONS


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings: speaker from the folder, style and sentence from the name.

    Texts come from `cmuarctic.data` if that list of prompts is there.

    Raises:
        CorpusError: the prompts are no text.
    """
    prompts = _prompts(root)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form amused_1-15_0001"
        emotion, sentence = match[1].lower(), match[2]
        if emotion not in EMOTIONS:
            return f"unknown emotion '{match[1]}' in the name"
        speaker = next((found[1].lower() for folder in reversed(file.folders)
                        if (found := _FOLDER.fullmatch(folder))), None)
        if speaker is None:
            return "no folder above it tells the speaker, as bea_Amused would"
        return Utterance(
            id=f"{speaker}_{emotion}_{sentence}", path=file.path, emotion=EMOTIONS[emotion],
            speaker=speaker,
            extra={"text": prompts.get(sentence, f"arctic_a{sentence}"), "language": LANGUAGE,
                   "gender": SPEAKERS[speaker], "sentence": f"arctic_a{sentence}"},
        )

    yield from names.parse_files(names.audio_files(root), read)


def _prompts(root: Path) -> dict[str, str]:
    table = names.find_table(root, "cmuarctic.data")
    if table is None:
        return {}
    try:
        return dict(_PROMPT.findall(table.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"Cannot read '{table}' ({error}). Put CMU Arctic's list there or remove it."
        ) from None


_COUNTS = {
    "bea": {"Amused": 296, "Angry": 303, "Disgusted": 333, "Neutral": 355, "Sleepy": 497},
    "jenie": {"Amused": 222, "Angry": 496, "Disgusted": 189, "Neutral": 417, "Sleepy": 466},
    "josh": {"Amused": 296, "Neutral": 302, "Sleepy": 263},
    "sam": {"Amused": 501, "Angry": 468, "Disgusted": 497, "Neutral": 492, "Sleepy": 494},
}
_WORDS = {
    "Amused": ("amused", "amusement"), "Angry": ("anger", "anger"),
    "Disgusted": ("disgust", "disgust"), "Neutral": ("neutral", "neutral"),
    "Sleepy": ("sleepiness", "sleepiness"),
}


def stand_ins() -> Iterator[StandIn]:
    """Give 6887 files, as many for each speaker and style as published.

    Which sentences are missing is irregular; here they are the last ones. Ranges are blocks of
    28, one of them with an underscore, and sam's disgust has a capital, as published.
    """
    for speaker, styles in _COUNTS.items():
        for style, count in styles.items():
            prefix, emotion = _WORDS[style]
            for number in range(1, count + 1):
                first = (number - 1) // 28 * 28 + 1
                dash = "_" if (speaker, style, first) == ("bea", "Amused", 141) else "-"
                name = prefix.capitalize() if (speaker, style) == ("sam", "Disgusted") else prefix
                yield StandIn(
                    f"{speaker}_{style}/{name}_{first}{dash}{first + 27}_{number:04d}.wav",
                    emotion, speaker, SPEAKERS[speaker], f"arctic_a{number:04d}")
