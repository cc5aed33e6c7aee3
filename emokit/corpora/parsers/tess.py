"""TESS: two Canadian women say "Say the word …" for 200 words in seven emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Pichora-Fuller & Dupuis, Toronto emotional speech set (TESS), Scholars Portal Dataverse, "
    "2020 (recorded 2010). https://doi.org/10.5683/SP2/E8H2MF"
)
EXACT = True
EMOTIONS = {
    "angry": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy",
    "neutral": "neutral", "ps": "pleasant surprise", "sad": "sad",
}
LANGUAGE = "en"
SPEAKERS = {"OAF": ("female", 64), "YAF": ("female", 26)}
"""Gender and age in years of each speaker."""

FOLDERS = {
    ("OAF", "angry"): "OAF_angry", ("OAF", "disgust"): "OAF_disgust", ("OAF", "fear"): "OAF_Fear",
    ("OAF", "happy"): "OAF_happy", ("OAF", "neutral"): "OAF_neutral",
    ("OAF", "ps"): "OAF_Pleasant_surprise", ("OAF", "sad"): "OAF_Sad",
    ("YAF", "angry"): "YAF_angry", ("YAF", "disgust"): "YAF_disgust", ("YAF", "fear"): "YAF_fear",
    ("YAF", "happy"): "YAF_happy", ("YAF", "neutral"): "YAF_neutral",
    ("YAF", "ps"): "YAF_pleasant_surprised", ("YAF", "sad"): "YAF_sad",
}
"""Folders of the published archive, in its own irregular spelling."""

WORDS = """
back bar base bath bean beg bite boat bone book bought burn cab calm came cause chain chair chalk
chat check cheek chief choice cool dab date dead death deep dime dip ditch dodge dog doll door fail
fall far fat fit five food gap gas gaze germ get gin goal good goose gun half hall hash hate have
haze hire hit hole home hurl hush jail jar join judge jug juice keen keep keg kick kill king kite
knock late laud lean learn lease lid life limb live loaf long lore lose lot love luck make match
merge mess met mill mob mode mood moon mop mouse nag name near neat nice note numb pad page pain
pass pearl peg perch phone pick pike pole pool puff rag raid rain raise rat reach read red ring ripe
road room rose rot rough rush said sail search seize sell shack shall shawl sheep shirt should shout
size soap soup sour south sub such sure take talk tape team tell thin third thought thumb time tip
tire ton tool tough turn vine voice void vote wag walk wash week wheat when which whip white wife
wire witch yearn yes young youth
""".split()
"""The 200 words (NU-6), as the file names spell them."""

# one published file is spelt OA_bite_neutral
_STEM = re.compile(r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)", re.IGNORECASE)
_FOLDER = re.compile(r"(OAF|YAF)_(angry|disgust|fear|happy|neutral|pleasant_surprised?|sad)",
                     re.IGNORECASE)


# the only folder at the top of a mirror; a folder of many corpora has others beside it
_OUTER = re.compile(r"TESS[ _]Toronto.*", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by folders `OAF_angry` …, here or in a mirror's outer folder, or by flat copies."""
    if names.matches(root, "", _STEM.fullmatch):
        return True
    outer = names.folders_in(root)
    tops = [top for top in outer if _FOLDER.fullmatch(top)]
    if all(_OUTER.fullmatch(top) for top in outer):
        tops = [inner for top in outer for inner in names.folders_in(root, top)]
    return any(_FOLDER.fullmatch(top.rpartition("/")[2])
               and names.matches(root, top, _STEM.fullmatch) for top in tops)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names alone; folder names are irregular."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form OAF_back_angry"
    speaker, word, code = match[1].upper(), match[2].lower(), match[3].lower()
    speaker = "OAF" if speaker == "OA" else speaker
    gender, age = SPEAKERS[speaker]
    return Utterance(
        id=f"{speaker}_{word}_{code}", path=file.path, emotion=EMOTIONS[code], speaker=speaker,
        extra={"text": f"Say the word {word}", "gender": gender, "age": age,
               "language": LANGUAGE},
    )


def stand_ins() -> Iterator[StandIn]:
    """Give the 2800 files of the release, the misspelt one included."""
    canonical = dict(zip(EMOTIONS, ("anger", "disgust", "fear", "happiness", "neutral",
                                    "surprise", "sadness")))
    for speaker, (gender, age) in SPEAKERS.items():
        for code in EMOTIONS:
            for word in WORDS:
                misspelt = (speaker, word, code) == ("OAF", "bite", "neutral")
                stem = f"{'OA' if misspelt else speaker}_{word}_{code}"
                yield StandIn(f"{FOLDERS[speaker, code]}/{stem}.wav", canonical[code], speaker,
                              gender, f"Say the word {word}", age=age)
