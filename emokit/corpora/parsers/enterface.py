"""eNTERFACE'05: 43 speakers of English from fourteen nations, five sentences, six emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Martin, Kotsia, Macq & Pitas, The eNTERFACE'05 Audio-Visual Emotion Database, ICDE Workshops "
    "2006, p. 8. http://www.enterface.net/enterface05"
)
EXACT = True
EMOTIONS = {
    "an": "anger", "di": "disgust", "fe": "fear",
    "ha": "happiness", "sa": "sadness", "su": "surprise",
}
LANGUAGE = "en"
NOTES = (
    "The corpus is video; its sound is decoded through the ffmpeg program. Subject 11's files are "
    "named s12 and there is no subject 12; subject 3's are named s_3 in part. Subject 6 has one "
    "uncut recording of about a minute an emotion, whose sentences are not told apart. Subject 23 "
    "lacks three files of happiness; sentences 1 and 2 of subject 2's anger are swapped between "
    "folder and name, and emokit takes the name."
)

_SUBJECT = re.compile(r"subject[ _]?(\d+)", re.IGNORECASE)
# s_3_fe_5 and s16_su_3avi are published so; s6_an has no sentence
_STEM = re.compile(r"s_?(\d+)_([a-z]{2})(?:_([1-5])(?:avi)?)?", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by folders `subject 1` … and names such as `s1_an_1` below them."""
    subjects = [name for name in names.folders_in(root) if _SUBJECT.fullmatch(name)]
    emotions = [name for subject in subjects[:3] for name in names.folders_in(root, subject)]
    inner = [name for emotion in emotions for name in names.folders_in(root, emotion)]
    return any(names.matches(root, folder, _STEM.fullmatch)
               for folder in subjects[:3] + emotions + inner)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings; the folder tells the subject, the name emotion and sentence."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form s1_an_1"
    named, emotion, sentence = match[1], match[2].lower(), match[3]
    if emotion not in EMOTIONS:
        return f"unknown emotion '{emotion}' in the name"
    folders = [_SUBJECT.fullmatch(folder) for folder in reversed(file.folders)]
    told = next((folder[1] for folder in folders if folder), None)
    # without folders the name is all there is, and 11 is spelt 12 there
    speaker = told or ("11" if named == "12" else named)
    if int(speaker) != int(named) and (int(speaker), int(named)) != (11, 12):
        return f"the folder is of subject {speaker}, the name of subject {named}"
    extra = {"language": LANGUAGE}
    if sentence:
        extra["sentence"] = sentence
    identity = "_".join(filter(None, (f"s{int(speaker)}", emotion, sentence)))
    return Utterance(identity, file.path, EMOTIONS[emotion], str(int(speaker)), extra=extra)


def stand_ins() -> Iterator[StandIn]:
    """Give the 1263 files of the release, misspelt as published."""
    for subject in (number for number in range(1, 45) if number != 12):
        for code, emotion in EMOTIONS.items():
            folder = f"subject {subject}/{emotion}"
            if subject == 6:
                yield StandIn(f"{folder}/s6_{code}.avi", emotion, "6", text=f"{code} 1 to 5")
                continue
            for sentence in range(1, 6):
                if (subject, code) == (23, "ha") and sentence < 4:
                    continue
                stem = _published_stem(subject, code, sentence)
                yield StandIn(f"{folder}/sentence {sentence}/{stem}.avi", emotion, str(subject),
                              text=f"{code} {sentence}")


def _published_stem(subject: int, code: str, sentence: int) -> str:
    if subject == 11:
        return f"s12_{code}_{sentence}"
    if subject == 3 and (code in ("ha", "sa", "su") or (code, sentence) == ("fe", 5)):
        return f"s_3_{code}_{sentence}"
    if (subject, code, sentence) == (16, "su", 3):
        return "s16_su_3avi"
    if (subject, code) == (2, "an") and sentence in (1, 2):
        return f"s2_an_{3 - sentence}"
    return f"s{subject}_{code}_{sentence}"
