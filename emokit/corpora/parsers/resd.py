"""RESD: fifty Russian dialogues, two roles each, every role in one of seven emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Aniemore (Amentes, Lubenets & Davidchuk), Russian Emotional Speech Dialogs (RESD), 2022. "
    "https://huggingface.co/datasets/Aniemore/resd"
)
EMOTIONS = {
    "a": "anger", "d": "disgust", "e": "enthusiasm", "f": "fear",
    "h": "happiness", "n": "neutral", "s": "sadness",
}
LANGUAGE = "ru"
PARTITIONS = (
    "the corpus's train and test, a fifth drawn clip by clip: 95 of the 100 roles stand in both, "
    "so the test speakers are known from training"
)
NOTES = (
    "A role is one side of one dialogue; whether two roles are one actor is not published. "
    "Clips of the first eleven dialogues have a blank in their names, and dialogue 11 has its "
    "two emotions in another order in its folder. Half of the files have 16 kHz, half 44.1 kHz."
)

DIALOGUES = """
01 ha 11 11 | 02 as 13 4  | 03 dn 12 12 | 04 fe 16 15 | 05 nf 8 12  | 06 he 12 6  | 07 fn 21 20
08 sa 18 18 | 09 nh 13 8  | 10 ha 15 15 | 11 ad 21 20 | 12 sd 12 12 | 13 ne 10 10 | 14 af 17 12
15 es 9 8   | 16 sd 10 9  | 17 nd 13 13 | 18 hn 19 18 | 19 ad 16 15 | 20 de 17 18 | 21 ha 15 15
22 fa 18 16 | 23 hn 20 18 | 24 se 16 14 | 25 ad 7 12  | 26 eh 16 16 | 27 nf 13 12 | 28 de 15 11
29 hf 15 17 | 30 fh 16 18 | 31 fe 15 12 | 32 he 14 11 | 33 sd 11 15 | 34 af 21 13 | 35 nf 9 18
36 dh 13 15 | 37 en 13 13 | 38 hn 9 10  | 39 sa 11 10 | 40 ef 16 14 | 41 fd 10 10 | 42 af 21 18
43 en 15 17 | 44 na 17 18 | 45 hs 20 23 | 46 sd 6 11  | 47 es 16 16 | 48 fd 11 11 | 49 sh 13 11
50 es 16 14
"""
"""Number, letters of the two roles and clips of each, for every dialogue as published."""

_STEM = re.compile(r"(\d\d)_([a-z]+)_([a-z]+)[ _]([a-z])_(\d+)", re.IGNORECASE)
_FOLDER = re.compile(r"\d\d_[a-z]+_[a-z]+|[a-z]+_[a-z]+_\d\d", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by names such as `36_disgust_happiness_d_130` in `train/disgust_happiness_36/` …."""
    tops = names.folders_in(root)
    parts = [top for top in tops if top.lower() in ("train", "test")]
    dialogues = [name for folder in ["", *parts] for name in names.folders_in(root, folder)
                 if _FOLDER.fullmatch(name.rpartition("/")[2])]
    return any(names.matches(root, folder, _test) for folder in ["", *dialogues[:3]])


def _test(stem: str) -> bool:
    match = _STEM.fullmatch(stem)
    return bool(match) and {match[2].lower(), match[3].lower()} <= set(EMOTIONS.values())


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the clips by their names; the speaker is the role, such as `36_d`.

    The partition is the folder `train` or `test`, unknown in copies without them.
    """
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form 36_disgust_happiness_d_130"
    dialogue, code = match[1], match[4].lower()
    roles = match[2].lower(), match[3].lower()
    if EMOTIONS.get(code) not in roles:
        return f"letter {match[4]} is none of the two emotions in the name"
    folders = [name.lower() for name in file.folders]
    partition = next((name for name in folders if name in ("train", "test")), "")
    return Utterance(
        f"{dialogue}_{roles[0]}_{roles[1]}_{code}_{match[5]}", file.path, EMOTIONS[code],
        f"{dialogue}_{code}", partition=partition,
        extra={"language": LANGUAGE, "session": dialogue},
    )


def stand_ins() -> Iterator[StandIn]:
    """Give 1396 files with the published number for each role, a fifth of them in `test/`.

    Which clips test, and the numbers left out, follow no rule; here every fifth clip tests.
    """
    place = 0
    for entry in re.findall(r"(\d\d) (\w)(\w) (\d+) (\d+)", DIALOGUES):
        number, letters = entry[0], entry[1:3]
        first, second = (EMOTIONS[letter] for letter in letters)
        early = int(number) < 12
        folder = f"{number}_{first}_{second}" if early else f"{first}_{second}_{number}"
        folder = "11_disgust_anger" if number == "11" else folder
        for letter, count in zip(letters, entry[3:]):
            for turn in range(1, int(count) + 1):
                place += 1
                partition = "test" if place % 5 == 1 else "train"
                stem = f"{number}_{first}_{second}{' ' if early else '_'}{letter}_{10 * turn:03d}"
                yield StandIn(f"{partition}/{folder}/{stem}.wav", EMOTIONS[letter],
                              f"{number}_{letter}", text=f"turn {turn}")
