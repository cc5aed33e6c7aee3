"""CASIA, the open part: four Mandarin speakers, fifty sentences, six emotions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Institute of Automation, Chinese Academy of Sciences, CASIA Chinese emotional speech corpus, "
    "2008; the full set is sold by the Chinese Linguistic Data Consortium. "
    "http://www.chineseldc.org"
)
EXACT = True
EMOTIONS = {
    "angry": "angry", "fear": "fear", "happy": "happy",
    "neutral": "neutral", "sad": "sad", "surprise": "surprise",
}
LANGUAGE = "zh"
SPEAKERS = ("liuchanhg", "wangzhe", "zhaoquanyin", "zhaozuoxiang")
NOTES = (
    "Files are named by their sentence alone, so speaker and emotion are told by the folders and a "
    "flat copy cannot be read. Folder ZhaoZuoxiang is also spelt in small letters."
)


def recognises(root: Path) -> bool:
    """Tell by numbers such as `230` in `wangzhe/neutral/` and the other speakers' folders."""
    speakers = [name for name in names.folders_in(root) if name.lower() in SPEAKERS]
    return any(names.matches(root, folder, str.isdigit)
               for speaker in speakers for folder in names.folders_in(root, speaker)
               if folder.rpartition("/")[2].lower() in EMOTIONS)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their folders."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    folders = [folder.lower() for folder in file.folders[-2:]]
    if not file.stem.isdigit() or len(folders) < 2:
        return "the path is not of the form wangzhe/neutral/230"
    speaker, emotion = folders
    if speaker not in SPEAKERS:
        return f"unknown speaker '{speaker}' in the path"
    if emotion not in EMOTIONS:
        return f"unknown emotion '{emotion}' in the path"
    return Utterance(f"{speaker}_{emotion}_{file.stem}", file.path, EMOTIONS[emotion], speaker,
                     extra={"language": LANGUAGE, "sentence": file.stem})


def stand_ins() -> Iterator[StandIn]:
    """Give the 1200 files of the open part."""
    canonical = dict(zip(EMOTIONS, ("anger", "fear", "happiness", "neutral", "sadness",
                                    "surprise")))
    for speaker in SPEAKERS:
        for code, emotion in canonical.items():
            for sentence in range(201, 251):
                yield StandIn(f"{speaker}/{code}/{sentence}.wav", emotion, speaker,
                              text=f"sentence {sentence}")
