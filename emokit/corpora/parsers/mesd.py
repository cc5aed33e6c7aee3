"""MESD: Mexican women, men and children say single words in six emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Duville, Alonso-Valerdi & Ibarra-Zarate, Mexican Emotional Speech Database Based on "
    "Semantic, Frequency, Familiarity, Concreteness, and Cultural Shaping of Affective Prosody, "
    "Data 6(12): 130, 2021. https://data.mendeley.com/datasets/cy34mh68j9"
)
EMOTIONS = {
    "anger": "anger", "disgust": "disgust", "fear": "fear",
    "happiness": "happiness", "neutral": "neutral", "sadness": "sadness",
}
LANGUAGE = "es"
VOICES = {"F": "woman", "M": "man", "C": "child"}
GENDERS = {"F": "female", "M": "male", "C": ""}
NOTES = (
    "Names tell a woman, a man or a child, but not which: there is no split by speaker. The words "
    "of part A are the same for all emotions; those of part B belong to the emotion, so that the "
    "text may give it away. The first version had 864 files, later ones have 862."
)

WORDS_A = (
    "abajo", "adios", "antes", "arriba", "ayer", "basta_ya", "de_nada", "delante", "dentro",
    "derecha", "detras", "fuera", "gracias", "hola", "hoy", "izquierda", "lento", "no", "nunca",
    "por_favor", "pronto", "rapido", "si", "tarde",
)
"""The words of part A, as the file names spell them."""

_NEGATIVE = (
    "abandono", "abuso", "amenazado", "amenazador", "ansiedad", "arana", "ataque", "atasco",
    "ceguera", "conflicto", "cucaracha", "delincuencia", "disputa", "enojo", "estafa",
    "explosion", "furia", "hambre", "huracan", "injusticia", "insultado", "ira", "nausea", "robo",
)
_POSITIVE = (
    "aficion", "agua", "alegria", "amistad", "atractivo", "aventurero", "baile", "bebe", "bello",
    "broma", "calma", "calmado", "clavel", "creativo", "delicioso", "fantastico", "fresco",
    "masaje", "oasis", "relax", "rosa", "siesta", "ternura", "velas",
)
_PLAIN = (
    "abierto", "agencia", "alto", "arroz", "barba", "bola", "boton", "colorado", "congelado",
    "delgado", "desierto", "elevado", "escalera", "estrecho", "extenso", "fecha", "hondo",
    "mecanico", "metro", "mojado", "rueda", "seco", "temporal", "vapor",
)
_ABSENT = {"Anger_C_A_hoy", "Neutral_C_A_tarde"}
_MISSPELT = {"Happiness_C_A_lento": "Happiness_C_A_lento_dentro",
             "Sadness_M_A_fuera": "Sadness_M_A_afuera"}
_STEM = re.compile(r"([a-z]+)_([FMC])_([AB])_(.+)", re.IGNORECASE)
_OUTER = "Mexican Emotional Speech Database (MESD)"


def recognises(root: Path) -> bool:
    """Tell by names such as `Anger_C_A_abajo` here or in the published outer folder."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[1].lower() in EMOTIONS

    outer = [top for top in names.folders_in(root) if top.lower() == _OUTER.lower()]
    return any(names.matches(root, folder, test) for folder in ["", *outer])


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by their names; speakers stay unknown, `voice` says who might speak."""
    yield from names.parse_files(names.audio_files(root), _read)


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form Anger_C_A_abajo"
    word, voice, part = match[1].lower(), match[2].upper(), match[3].upper()
    if word not in EMOTIONS:
        return f"unknown emotion '{match[1]}' in the name"
    extra = {"text": re.sub(r"[_ ]+", " ", match[4]), "language": LANGUAGE,
             "voice": VOICES[voice], "words": part}
    if GENDERS[voice]:
        extra["gender"] = GENDERS[voice]
    return Utterance(file.stem, file.path, EMOTIONS[word], extra=extra)


def stand_ins() -> Iterator[StandIn]:
    """Give 862 files with the published number for each emotion, voice and part.

    Part A is the published list. Which word of part B stands for which emotion follows no rule;
    here they are 24 published words of like meaning.
    """
    part_b = {"happiness": _POSITIVE, "neutral": _PLAIN}
    for emotion in EMOTIONS:
        for voice, gender in GENDERS.items():
            words = [("A", word) for word in WORDS_A]
            words += [("B", word) for word in part_b.get(emotion, _NEGATIVE)]
            for part, word in words:
                stem = f"{emotion.capitalize()}_{voice}_{part}_{word}"
                if stem not in _ABSENT:
                    yield StandIn(f"{_OUTER}/{_MISSPELT.get(stem, stem)}.wav", emotion, "",
                                  gender, word, age=None if gender else 10.0)
