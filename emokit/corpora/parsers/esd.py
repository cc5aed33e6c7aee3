"""ESD: ten Mandarin and ten English speakers, 350 parallel sentences in five emotions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Zhou, Sisman, Liu & Li, Seen and Unseen Emotional Style Transfer for Voice Conversion with a "
    "New Emotional Speech Dataset, ICASSP 2021. "
    "https://github.com/HLTSingapore/Emotional-Speech-Data"
)
EXACT = True
EMOTIONS = {
    "Neutral": "neutral", "Angry": "angry", "Happy": "happy", "Sad": "sad",
    "Surprise": "surprise",
}
"""In the order of the blocks of numbers."""

BLOCK = 350
"""Numbers 1 to 350 are neutral, 351 to 700 angry, and so on."""

MEN = {4, 5, 6, 8, 10, 11, 12, 13, 14, 20}
SPEAKERS = {f"{number:04d}": "male" if number in MEN else "female" for number in range(1, 21)}
NOTES = (
    "The release divides each speaker and emotion into 20 sentences for dev (evaluation), 30 for "
    "test and 300 for train. That division is for voice conversion and shares all speakers, so it "
    "is no default here: it stands in the column release_partition. The lists of texts come in "
    "several encodings, and a few of their lines are damaged."
)

_STEM = re.compile(r"(\d{4})_(\d{6})")
_OUTER = re.compile(r"Emotion(al)?[ _-]Speech[ _-]Data.*", re.IGNORECASE)
_LINE = re.compile(r"(\d{4}_\d{6})\t(.+)\t\S+")


def recognises(root: Path) -> bool:
    """Tell by `0011/Angry/0011_000351`, here or in the archive's outer folder."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[1] in SPEAKERS

    tops = names.folders_in(root)
    if tops and all(_OUTER.fullmatch(top) for top in tops):
        tops = [inner for top in tops for inner in names.folders_in(root, top)]
    speakers = [top for top in tops if top.rpartition("/")[2] in SPEAKERS]
    emotions = [inner for speaker in speakers for inner in names.folders_in(root, speaker)
                if inner.rpartition("/")[2] in EMOTIONS][:5]
    return any(names.matches(root, folder, test) for emotion in emotions
               for folder in [emotion, *names.folders_in(root, emotion)])


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings: speaker, emotion and the release's division follow from the number.

    Texts come from each speaker's list, such as `0011/0011.txt`.

    Raises:
        CorpusError: a list of texts has an encoding other than the published ones.
    """
    files = names.audio_files(root)
    texts: dict[str, str] = {}
    for folder in sorted({Path(root, *file.path.split("/")[:index])
                          for file in files
                          for index, part in enumerate(file.folders, 1) if part in SPEAKERS}):
        texts = _texts(folder / f"{folder.name}.txt") | texts

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form 0011_000351"
        speaker, number = match[1], int(match[2])
        if speaker not in SPEAKERS:
            return f"unknown speaker {speaker} in the name"
        if not 1 <= number <= BLOCK * len(EMOTIONS):
            return f"number {number} in the name is not within 1 to {BLOCK * len(EMOTIONS)}"
        emotion = list(EMOTIONS)[(number - 1) // BLOCK]
        above = [part for part in file.folders if part in EMOTIONS]
        if above and above[-1] != emotion:
            return f"lies in '{above[-1]}', but number {number} is '{emotion}'"
        sentence = (number - 1) % BLOCK + 1
        return Utterance(
            id=file.stem, path=file.path, emotion=EMOTIONS[emotion], speaker=speaker,
            extra={"text": texts.get(file.stem, f"sentence {sentence}"),
                   "gender": SPEAKERS[speaker], "language": _language(speaker),
                   "sentence": f"{_language(speaker)}{sentence:03d}",
                   "release_partition": _partition(sentence)},
        )

    yield from names.parse_files(files, read)


def _language(speaker: str) -> str:
    return "zh" if int(speaker) <= 10 else "en"


def _partition(sentence: int) -> str:
    return "dev" if sentence <= 20 else "test" if sentence <= 50 else "train"


def _texts(path: Path) -> dict[str, str]:
    """Read one speaker's list; lines that are damaged in the release give no text."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    # as published: UTF-16 with its mark, UTF-8, and the codes of a Chinese or Western Windows
    codes = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else (
        "utf-8-sig", "gb18030" if _language(path.stem) == "zh" else "cp1252")
    for code in codes:
        try:
            lines = content.decode(code).splitlines()
        except UnicodeDecodeError:
            continue
        return {match[1]: names.nfc(match[2].strip())
                for line in lines if (match := _LINE.fullmatch(line.strip()))}
    raise CorpusError(
        f"Cannot read '{path}': it is not in {' or '.join(codes)}. Put the published list there "
        "or remove it."
    )


def stand_ins() -> Iterator[StandIn]:
    """Give the 35000 files in the layout of the older release, with folders of partitions."""
    canonical = dict(zip(EMOTIONS, ("neutral", "anger", "happiness", "sadness", "surprise")))
    folders = {"dev": "evaluation", "test": "test", "train": "train"}
    for speaker, gender in SPEAKERS.items():
        for block, emotion in enumerate(EMOTIONS):
            for sentence in range(1, BLOCK + 1):
                yield StandIn(
                    f"{speaker}/{emotion}/{folders[_partition(sentence)]}/"
                    f"{speaker}_{block * BLOCK + sentence:06d}.wav",
                    canonical[emotion], speaker, gender, f"{_language(speaker)}{sentence:03d}")


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give each speaker's list of texts for some stand-ins."""
    lines: dict[str, list[str]] = {}
    for item in stand_ins:
        emotion, stem = item.path.split("/")[1], item.path.rpartition("/")[2].split(".")[0]
        lines.setdefault(item.speaker, []).append(f"{stem}\t{item.text}\t{emotion}")
    return {f"{speaker}/{speaker}.txt": "\n".join(rows) + "\n" for speaker, rows in lines.items()}
