"""TurEV-DB: six Turkish speakers, some eighty words, four emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Canpolat, Ormanoglu & Zeyrek, Turkish Emotion Voice Database (TurEV-DB), SLTU-CCURL at LREC "
    "2020, pp. 368-375. https://github.com/Xeonen/TurEV-DB"
)
EXACT = True
EMOTIONS = {"kz": "angry", "hl": "sad", "sk": "calm", "mt": "happy"}
LANGUAGE = "tr"
SPEAKERS = ("1157", "1234", "1358", "1984", "6783", "7895")
WORDS = tuple(
    "acik algi beste bugu cay cekirge cene ceren cilek defne demet demir deve deyim dil dizge "
    "dugun eger elmacik eski firildak gezi gicik goz gunes gurbuz hekim igde isirgan japon kagit "
    "karton kedi kemik kibir kiler kirgin koku konuk koy kulac kusluk kustah lokma lufer melek "
    "mujde nasil nicin odenek ogul okul olcut ordek orgu pamuk pas pihti rihtim saf sarap sarj "
    "satir senlik sepet serin sevgi simit soba sucuk tahta tembel tirtil turev unlu utanc vurgu "
    "yanki yazim yigilmak yigin zeytin".split())
"""The words without Turkish letters, as the names spell them."""

NOTES = (
    "Speaker 1157 has only angry and sad, speaker 7895 only 29 happy files. The repository holds "
    "filtered copies of some recordings in 'Model Output for Test Data'; these are left out. One "
    "file spells its word ogul1."
)

_FOLDERS = {"kz": "Angry", "hl": "Sad", "sk": "Calm", "mt": "Happy"}
_COPIES = "model output for test data"
_STEM = re.compile(r"(\d{4})_([a-z]{2})_(.+)")
_ABSENT = {
    ("1157", "kz"): "defne kirgin koy nasil orgu",
    ("1157", "hl"): "cekirge ceren demir deve okul olcut ordek sarap senlik",
    ("7895", "sk"): "elmacik okul",
}
_HAPPY_7895 = (
    "bugu cene cilek demir dizge eski gunes hekim kemik kibir kirgin konuk kulac kusluk kustah "
    "lufer melek nasil ogul okul pas satir sevgi sucuk tembel turev unlu utanc yazim")


def recognises(root: Path) -> bool:
    """Tell by names such as `1157_kz_acik` in `Sound Source/Angry` …, or in `Angry` … here."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[2] in EMOTIONS

    tops = ["", *(name for name in names.folders_in(root) if name.lower() == "sound source")]
    known = [name.lower() for name in _FOLDERS.values()]
    inner = [name for top in tops for name in names.folders_in(root, top)
             if name.rpartition("/")[2].lower() in known]
    return any(names.matches(root, folder, test) for folder in inner)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the source recordings; filtered copies in the repository are misfits."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    if any(folder.lower().startswith(_COPIES) for folder in file.folders):
        return "a filtered copy; only the recordings in 'Sound Source' are read"
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form 1157_kz_acik"
    speaker, emotion, word = match.groups()
    if emotion not in EMOTIONS:
        return f"unknown emotion '{emotion}' in the name"
    return Utterance(file.stem, file.path, EMOTIONS[emotion], speaker,
                     extra={"text": word.rstrip("0123456789"), "language": LANGUAGE})


def stand_ins() -> Iterator[StandIn]:
    """Give the 1735 files of the release."""
    canonical = dict(zip(EMOTIONS, ("anger", "sadness", "calm", "happiness")))
    for code, emotion in canonical.items():
        for speaker in SPEAKERS:
            if speaker == "1157" and code in ("sk", "mt"):
                continue
            few = _HAPPY_7895.split() if (speaker, code) == ("7895", "mt") else WORDS
            for word in few:
                if word in _ABSENT.get((speaker, code), "").split():
                    continue
                spelt = "ogul1" if (speaker, code, word) == ("7895", "hl", "ogul") else word
                yield StandIn(f"Sound Source/{_FOLDERS[code]}/{speaker}_{code}_{spelt}.wav",
                              emotion, speaker, text=word)
