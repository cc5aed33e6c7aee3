"""DEMoS: 68 Italian speakers in induced moods, seven emotions and neutral."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import counts, names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Parada-Cabaleiro, Costantini, Batliner, Schmitt & Schuller, DEMoS: an Italian emotional "
    "speech corpus, Language Resources and Evaluation 54, 341-383, 2020. "
    "https://zenodo.org/record/2544829"
)
EMOTIONS = {
    "col": "guilt", "rab": "anger", "dis": "disgust", "pau": "fear",
    "gio": "happiness", "tri": "sadness", "sor": "surprise", "neu": "neutral",
}
LANGUAGE = "it"
GENDERS = {"f": "female", "m": "male"}
PROTOTYPES = {"PR": "prototypical", "NP": "non-prototypical"}
NOTES = (
    "1564 utterances of 59 speakers were judged prototypical of their emotion; column "
    "'prototypicality' tells them. Neutral was not judged and has no such mark."
)

# some copies mark neutral with NEU, others not at all
_STEM = re.compile(r"(?:(NP|PR|NEU)_)?([fm])_(\d\d)_([a-z]{3})(\d\d)\w*", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by names such as `PR_f_01_rab00a` in `DEMOS/`, `NEU/` or the folder itself."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[4].lower() in EMOTIONS

    # spelt exactly so: a folder demos may be the whole corpus among others
    return any(names.matches(root, folder, test) for folder in ("", "DEMOS", "NEU"))


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form PR_f_01_rab00a"
    prototype, gender, speaker, emotion, _ = match.groups()
    emotion = emotion.lower()
    if emotion not in EMOTIONS:
        return f"unknown emotion '{emotion}' in the name"
    extra = {"gender": GENDERS[gender.lower()], "language": LANGUAGE}
    if prototype and prototype.upper() in PROTOTYPES:
        extra["prototypicality"] = PROTOTYPES[prototype.upper()]
    return Utterance(file.stem, file.path, EMOTIONS[emotion], speaker, extra=extra)


def stand_ins() -> Iterator[StandIn]:
    """Give 9697 files with the published numbers of each speaker, emotion and prototypicality.

    Files of a speaker and emotion are numbered without gaps here; published ones leave some out.
    """
    for person in counts.published("demos"):
        next_number = dict.fromkeys(EMOTIONS, 0)
        for code, total in person.files.items():
            mark, _, emotion = code.rpartition("_")
            for _ in range(total):
                number = next_number[emotion]
                next_number[emotion] += 1
                stem = f"{person.gender[0]}_{person.speaker}_{emotion}{number:02d}" \
                       f"{'b' if number else 'a'}"
                yield StandIn(f"DEMOS/{mark}_{stem}.wav" if mark else f"NEU/{stem}.wav",
                              EMOTIONS[emotion], person.speaker, person.gender,
                              f"{emotion} {number}", 0.8 if mark == "PR" else 0.4)
