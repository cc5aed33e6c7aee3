"""RAVDESS: 24 North American English actors, two sentences, eight emotions in two strengths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Livingstone & Russo, The Ryerson Audio-Visual Database of Emotional Speech and Song "
    "(RAVDESS), PLoS ONE 13(5): e0196391, 2018. https://zenodo.org/record/1188976"
)
EXACT = True
EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
    "05": "angry", "06": "fearful", "07": "disgust", "08": "surprised",
}
LANGUAGE = "en"
STATEMENTS = {
    "01": "Kids are talking by the door", "02": "Dogs are sitting by the door",
}
INTENSITIES = {"01": "normal", "02": "strong"}

_STEM = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")
_ACTOR = re.compile(r"actor_(0[1-9]|1\d|2[0-4])", re.IGNORECASE)
# of a mirror; a folder of many corpora has others beside it
_OUTER = re.compile(r"(audio|video)_(speech|song).*|actor_\d\d", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by folders `Actor_01` … `Actor_24`, here or in a mirror's outer folder, and names.

    A mirror with all files in one folder is told by these alone; one actor's folder is not it.
    """
    tops = names.folders_in(root)
    outer = tops if all(_OUTER.fullmatch(top) for top in tops) else []
    for top in ["", *(top for top in outer if not _ACTOR.fullmatch(top))]:
        inner = tops if not top else names.folders_in(root, top)
        actors = [name for name in inner if _ACTOR.fullmatch(name.rpartition("/")[2])]
        more = [name for name in inner if re.fullmatch(r"(?i).*actor_\d+", name)]
        if actors and len(actors) == len(more):
            return any(names.matches(root, name, _STEM.fullmatch) for name in actors[:3])

    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and 1 <= int(match[7]) <= 24

    return not _ACTOR.fullmatch(Path(root).name) and names.matches(root, "", test)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the speech recordings that are sound alone; song and video are misfits."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form 03-01-01-01-01-01-01"
    modality, channel, emotion, intensity, statement, repetition, actor = match.groups()
    if modality != "03":
        return "a video recording; its sound is in the audio-only release (modality 03)"
    if channel != "01":
        return "song; only speech is read" if channel == "02" else f"unknown channel {channel}"
    for field, value, known in (("emotion", emotion, EMOTIONS),
                                ("intensity", intensity, INTENSITIES),
                                ("statement", statement, STATEMENTS)):
        if value not in known:
            return f"unknown {field} {value} in the name"
    return Utterance(
        id=file.stem, path=file.path, emotion=EMOTIONS[emotion], speaker=actor,
        extra={"text": STATEMENTS[statement], "gender": _gender(actor), "language": LANGUAGE,
               "intensity": INTENSITIES[intensity], "repetition": repetition},
    )


def _gender(actor: str) -> str:
    return "male" if int(actor) % 2 else "female"


def stand_ins() -> Iterator[StandIn]:
    """Give the 1440 files of the speech release."""
    canonical = dict(zip(EMOTIONS, ("neutral", "calm", "happiness", "sadness", "anger", "fear",
                                    "disgust", "surprise")))
    for actor in (f"{number:02d}" for number in range(1, 25)):
        for emotion in EMOTIONS:
            for intensity in ("01",) if emotion == "01" else ("01", "02"):
                for statement, text in STATEMENTS.items():
                    for repetition in ("01", "02"):
                        stem = f"03-01-{emotion}-{intensity}-{statement}-{repetition}-{actor}"
                        yield StandIn(
                            f"Actor_{actor}/{stem}.wav", canonical[emotion], actor,
                            _gender(actor), text, 0.5 if intensity == "01" else 0.9,
                        )
