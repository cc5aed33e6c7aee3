"""SAVEE: four British English men, seven emotions, fifteen TIMIT sentences for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Jackson & Haq, Surrey Audio-Visual Expressed Emotion (SAVEE) Database, University of Surrey, "
    "2011. http://kahlan.eps.surrey.ac.uk/savee/"
)
EXACT = True
EMOTIONS = {
    "a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral",
    "sa": "sadness", "su": "surprise",
}
LANGUAGE = "en"
SPEAKERS = ("DC", "JE", "JK", "KL")
NOTES = (
    "Four speakers only, all men. Sentences differ between emotions (three are common, two belong "
    "to the emotion, ten are generic), so a text may give its emotion away."
)

# two letters before one: sa01 is sadness, not the sentence a01 of a speaker S
_STEM = re.compile(r"(?:(DC|JE|JK|KL)_?)?(sa|su|[adfhn])(\d{1,2})", re.IGNORECASE)
_SPEAKER = re.compile("|".join(SPEAKERS), re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by `DC/a01` in `AudioData/` or in the folder itself, or by flat copies `DC_a01`."""
    def flat(stem):
        match = _STEM.fullmatch(stem)
        return match and match[1]

    tops = names.folders_in(root)
    inner = [name for name in tops if name.lower() in ("audiodata", "all")]
    folders = ["", *inner]
    if any(names.matches(root, folder, flat) for folder in folders):
        return True
    speakers = [name for folder in folders for name in names.folders_in(root, folder)
                if _SPEAKER.fullmatch(name.rpartition("/")[2])]
    return any(names.matches(root, name, _STEM.fullmatch) for name in speakers)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings; the speaker is the folder, or stands before the code in flat copies."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form a01 or DC_a01"
    folder = file.folders[-1] if file.folders else ""
    speaker = (match[1] or folder).upper()
    if speaker not in SPEAKERS:
        return f"neither name nor folder tells the speaker ({', '.join(SPEAKERS)})"
    code, number = match[2].lower(), int(match[3])
    return Utterance(
        id=f"{speaker}_{code}{number:02d}", path=file.path, emotion=EMOTIONS[code],
        speaker=speaker,
        extra={"gender": "male", "language": LANGUAGE, "sentence": f"{code}{number:02d}"},
    )


def stand_ins() -> Iterator[StandIn]:
    """Give the 480 files of the release, 30 neutral and 15 of each other emotion a speaker."""
    for speaker in SPEAKERS:
        for code, word in EMOTIONS.items():
            for number in range(1, 31 if code == "n" else 16):
                yield StandIn(f"AudioData/{speaker}/{code}{number:02d}.wav", word, speaker, "male",
                              f"sentence {number:02d}")
