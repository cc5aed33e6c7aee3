"""Castro & Lima: two European Portuguese women, sentences and pseudosentences, seven emotions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Castro & Lima, Recognizing emotions in spoken language: A validated set of Portuguese "
    "sentences and pseudosentences for research on emotional prosody, Behavior Research Methods "
    "42(1), 74-81, 2010. https://doi.org/10.3758/BRM.42.1.74"
)
EMOTIONS = {
    "angry": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy",
    "neutral": "neutral", "sad": "sad", "surprise": "surprise",
}
LANGUAGE = "pt"
MATERIALS = {"s": "sentence", "p": "pseudosentence"}
TABLES = {"s": "Castro_2010_AppxB_Sents.txt", "p": "Castro_2010_AppxB_Pseudosents.txt"}
"""Listeners' judgements of each recording; intensity is a mean from 1 to 7."""

OPTIONAL = {
    tuple(f"{folder}{blank}{table}" for folder in ("", "*/") for blank in ("", " ")):
        f"texts and intensities of the {MATERIALS[code]}s are"
    for code, table in TABLES.items()
}

TEXTS = {
    "estaMesa": "Esta mesa é de madeira", "oRadio": "O rádio está ligado",
    "aqueleLivro": "Aquele livro é de história", "aTerra": "A Terra é um planeta",
    "oCao": "O cão trouxe a bola", "eleChega": "Ele chega amanhã",
    "estaRoupa": "Esta roupa é colorida", "osJardins": "Os jardins têm flores",
    "asPessoas": "As pessoas vão a concertos", "haArvores": "Há árvores na floresta",
    "osTigres": "Os tigres são selvagens", "oQuadro": "O quadro está na parede",
    "alguemFechou": "Alguém fechou as janelas", "osJovens": "Os jovens ouvem música",
    "oFutebol": "O futebol é um desporto", "elaViajou": "Ela viajou de comboio",
    "estaDepa": "Esta dêpa é de faneira", "oDarrio": "O dárrio está guilado",
    "aqueleJicro": "Aquele jicro é de hisbólia", "aPirra": "A pirra é um flaneto",
    "oLao": "O lão droube a nóma", "eleChena": "Ele chena aguinhã",
    "estaSouda": "Esta souda é lacoripa", "osBartins": "Os bartins têm pléres",
    "asSemoas": "As semoas vão a cambêrtos", "haArjuques": "Há árjuques na plurisca",
    "osLagres": "Os lagres são siltávens", "oJuadre": "O juadre está na pafêne",
    "alguemBelhou": "Alguém belhou as jalétas", "osDofens": "Os dófens mavem tézica",
    "oDutebel": "O dutebel é um nesforpo", "elaJiavou": "Ela jiavou de lantóio",
}
"""Text by its name in the tables: sixteen sentences, then sixteen pseudosentences."""

NOTES = (
    "Two speakers only, both women. What is said stands in the two tables of the supplement, not "
    "in the names; the archives spell one table with a blank before its name."
)

_STEM = re.compile(r"(\d+)([sp])([AB])_([a-z]+)(\d+)", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by names such as `1sA_angry1`, in the folder itself or in those of the archives."""
    return names.matches_below(
        root, lambda name: name.startswith("castro-brm-2010"), _STEM.fullmatch)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings; texts and intensities come from the two tables if they are there.

    Raises:
        CorpusError: a table is not the published one.
    """
    rows = {code: _rows(root, table) for code, table in TABLES.items()}

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form 1sA_angry1"
        material, speaker, emotion = match[2].lower(), match[3].upper(), match[4].lower()
        if emotion not in EMOTIONS:
            return f"unknown emotion '{emotion}' in the name"
        stem = f"{match[1]}{material}{speaker}_{emotion}{match[5]}"
        content, intensity = rows[material].get(stem, ("", ""))
        facts = {"text": TEXTS.get(content, content), "gender": "female", "language": LANGUAGE,
                 "intensity": intensity, "material": MATERIALS[material]}
        return Utterance(stem, file.path, EMOTIONS[emotion], speaker,
                         extra={key: value for key, value in facts.items() if value})

    yield from names.parse_files(names.audio_files(root), read)


def _rows(root: Path, table: str) -> dict[str, tuple[str, str]]:
    folders = ["", *(f"{name}/" for name in names.folders_in(root)
                     if name.startswith("Castro-BRM-2010"))]
    path = names.find_table(root, *(f"{folder}{blank}{table}"
                                    for folder in folders for blank in ("", " ")))
    if path is None:
        return {}
    try:
        lines = [[cell.strip() for cell in line.split("\t")]
                 for line in path.read_text(encoding="utf-8-sig").splitlines()]
        header = next(index for index, cells in enumerate(lines) if "Stimulus" in cells)
        stimulus, content, intensity = (
            lines[header].index(name) for name in ("Stimulus", "Content", "Intensity (1-7)"))
    except (OSError, UnicodeDecodeError, StopIteration, ValueError) as error:
        raise CorpusError(
            f"'{path}' is no table by tabs with columns Stimulus, Content and Intensity (1-7) "
            f"({error}). Put the published table there or remove it."
        ) from None
    last = max(stimulus, content, intensity)
    return {cells[stimulus]: (cells[content], cells[intensity])
            for cells in lines[header + 1:] if len(cells) > last}


# recordings of speakers A and B by emotion, in the order of their numbers
_COUNTS = {
    "s": {"angry": (16, 16), "disgust": (6, 6), "fear": (12, 12), "happy": (15, 14),
          "neutral": (16, 14), "sad": (15, 16), "surprise": (16, 16)},
    "p": {"angry": (15, 16), "disgust": (11, 12), "fear": (8, 9), "happy": (12, 5),
          "neutral": (16, 14), "sad": (12, 16), "surprise": (16, 16)},
}


def stand_ins() -> Iterator[StandIn]:
    """Give the 368 files of both archives in one folder: 190 sentences, 178 pseudosentences."""
    canonical = dict(zip(EMOTIONS, ("anger", "disgust", "fear", "happiness", "neutral",
                                    "sadness", "surprise")))
    texts = dict(zip("sp", (list(TEXTS)[:16], list(TEXTS)[16:])))
    for material, counts in _COUNTS.items():
        number = 0
        for emotion, (first, second) in counts.items():
            for index in range(1, first + second + 1):
                number += 1
                speaker = "A" if index <= first else "B"
                yield StandIn(f"{number}{material}{speaker}_{emotion}{index}.wav",
                              canonical[emotion], speaker, "female",
                              texts[material][index % 16])


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the two tables for some stand-ins, with five lines before the header, as published."""
    lines = {code: ["Appendix B"] * 5 + ["No.\tStimulus \tContent\tIntensity (1-7)"]
             for code in TABLES}
    for item in stand_ins:
        stem = item.path.split(".")[0]
        rows = lines[_STEM.fullmatch(stem)[2]]
        rows.append(f"{len(rows) - 5}\t{stem}\t{item.text}\t5.0")
    return {TABLES[code]: "\n".join(rows) + "\n" for code, rows in lines.items()}
