"""MEAD: talking faces of English actors, eight emotions in three levels; their sound."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Wang, Wu, Song, Yang, Wu, Qian, He, Qiao & Loy, MEAD: A Large-scale Audio-visual Dataset for "
    "Emotional Talking-face Generation, ECCV 2020. https://wywu.github.io/projects/MEAD/MEAD.html"
)
EMOTIONS = {
    "angry": "angry", "contempt": "contempt", "disgusted": "disgusted", "fear": "fear",
    "happy": "happy", "neutral": "neutral", "sad": "sad", "surprised": "surprised",
}
LANGUAGE = "en"
LEVELS = {"1": "weak", "2": "medium", "3": "strong"}
NOTES = (
    "Neutral has level 1 only. Files are named by number alone: keep the folders. Audio is AAC in "
    "M4A, which the program ffmpeg decodes. The paper speaks of 60 actors, the release has 48. "
    "Sentences of a number differ between emotions."
)

_SPEAKER = re.compile(r"[MW]\d{3}")
_PATH = re.compile(
    r"(?:.*/)?([MW]\d{3})/(?:audio/)?([a-z]+)/level_(\d)/(\d{3})\.\w+", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by folders such as `M003/audio/angry/level_1/` with files named by three digits."""
    speakers = [name for name in names.folders_in(root) if _SPEAKER.fullmatch(name)]
    for speaker in speakers[:3]:
        for top in (f"{speaker}/audio", speaker):
            for emotion in EMOTIONS:
                if any(names.matches(root, level, re.compile(r"\d{3}").fullmatch)
                       for level in names.folders_in(root, f"{top}/{emotion}")
                       if re.fullmatch(r"level_\d", level.rpartition("/")[2])):
                    return True
    return False


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings below `audio/` by their paths; the views of the video are misfits."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    if any(folder.lower() == "video" for folder in file.folders):
        return "a video recording; its sound is in audio/"
    match = _PATH.fullmatch(file.path)
    if not match:
        return "the path is not of the form M003/audio/angry/level_1/001"
    speaker, emotion, level, number = match.groups()
    speaker, emotion = speaker.upper(), emotion.lower()
    if emotion not in EMOTIONS:
        return f"unknown emotion '{emotion}' in the path"
    if level not in LEVELS:
        return f"unknown level {level} in the path"
    return Utterance(
        id=f"{speaker}_{emotion}_{level}_{number}", path=file.path, emotion=EMOTIONS[emotion],
        speaker=speaker,
        extra={"gender": _gender(speaker), "language": LANGUAGE, "intensity": LEVELS[level],
               "sentence": f"{emotion}_{number}"},
    )


def _gender(speaker: str) -> str:
    return "male" if speaker.startswith("M") else "female"


_MEN = """003 005 007 009 011 012 013 019 022 023 024 025 026 027 028 029 030 031 032 033 034 035
037 039 040 041 042"""
_WOMEN = "009 011 014 015 016 017 018 019 021 023 024 025 026 028 029 033 035 036 037 038 040"


def stand_ins() -> Iterator[StandIn]:
    """Give 32160 files: 48 speakers, 30 sentences for each emotion and level, 40 neutral ones.

    Some of these are missing in the release, which has no list.
    """
    canonical = dict(zip(EMOTIONS, ("anger", "contempt", "disgust", "fear", "happiness",
                                    "neutral", "sadness", "surprise")))
    speakers = [f"M{number}" for number in _MEN.split()]
    speakers += [f"W{number}" for number in _WOMEN.split()]
    for speaker in speakers:
        for emotion, word in canonical.items():
            for level in ("1",) if emotion == "neutral" else LEVELS:
                for number in range(1, 41 if emotion == "neutral" else 31):
                    yield StandIn(
                        f"{speaker}/audio/{emotion}/level_{level}/{number:03d}.m4a", word,
                        speaker, _gender(speaker), f"sentence {number:03d}", int(level) / 3)
