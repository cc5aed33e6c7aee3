"""EmoFilm: lines of 43 films in English, Spanish and Italian, five emotions."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError, culprits
from emokit.corpora.parsers import counts, names
from emokit.corpora.parsers.tables import read_table, unique
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Parada-Cabaleiro, Costantini, Batliner, Baird & Schuller, Categorical vs Dimensional "
    "Perception of Italian Emotional Speech, Interspeech 2018, pp. 3638-3642. "
    "https://zenodo.org/record/1326428"
)
EMOTIONS = {
    "rab": "anger", "dis": "disgust", "ans": "fear", "gio": "happiness", "tri": "sadness",
}
GENDERS = {"f": "female", "m": "male"}
LEGEND = "f_m_corpus_it_es_en_legend"
OPTIONAL = {
    (f"{LEGEND}.csv", f"wav_corpus/{LEGEND}.csv", f"{LEGEND}.xlsx", f"wav_corpus/{LEGEND}.xlsx"):
        "speakers and films are",
}
NOTES = (
    "Speakers and films stand in f_m_corpus_it_es_en_legend.xlsx. It is read if openpyxl is "
    "installed or a CSV export lies beside it; otherwise speakers are unknown and no partition can "
    "keep them apart. Variants of a name are merged; the speakers of 22 files are unknown in the "
    "legend too. Code dis is read as disgust, as in EmoSet; others take it for contempt."
)

# converted copies have _16k behind the name
_STEM = re.compile(r"([fm])_([a-z]{3})(\d{3})([a-z]?)(en|es|it)(?:_16k)?")
_SAME = {
    "giuppi_izzo": "giuppy_izzo", "massimo_de_ambrosio": "massimo_de_ambrosis",
    "robert_duval": "robert_duvall", "tony_collette": "toni_collette",
    "whannel_leigh": "leigh_whannell",
}
# files by emotion and gender of each language, and the speakers they are shared out over
_TOTALS = {
    ("f", "en"): (35, "41 23 37 33 31"), ("m", "en"): (38, "36 27 35 37 43"),
    ("f", "es"): (26, "43 33 33 29 44"), ("m", "es"): (34, "39 17 31 47 43"),
    ("f", "it"): (36, "35 30 41 40 44"), ("m", "it"): (38, "38 38 44 54 49"),
}


def recognises(root: Path) -> bool:
    """Tell by names such as `f_ans001aen` in the folder, or in `wav_corpus/`."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[2] in EMOTIONS

    return names.matches_below(root, lambda name: name.startswith("wav"), test)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the lines; speakers and films come from the legend, see `NOTES`.

    Raises:
        CorpusError: the legend cannot be read, lacks its columns or contradicts itself.
    """
    legend = _legend(root)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form f_ans001aen"
        gender, emotion, _, _, language = match.groups()
        if emotion not in EMOTIONS:
            return f"unknown emotion '{emotion}' in the name"
        stem = file.stem.removesuffix("_16k")
        speaker, film = legend.get(stem, ("", ""))
        extra = {"gender": GENDERS[gender], "language": language}
        if film:
            extra["film"] = film
        return Utterance(stem, file.path, EMOTIONS[emotion], speaker_id(speaker), extra=extra)

    yield from names.parse_files(names.audio_files(root), read)


def speaker_id(name: str) -> str:
    """Give one id for the spellings of a name in the legend; empty for `????`.

    Example:
        >>> speaker_id("Camilo García"), speaker_id("constantino romero+6"), speaker_id("???")
        ('camilo_garcia', 'constantino_romero', '')
    """
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name.casefold())
                    if not unicodedata.combining(letter))
    plain = re.sub(r"\+\d+\s*$", "", plain)
    known = re.sub("[^a-z0-9]+", "_", plain).strip("_")
    return _SAME.get(known, known)


def _legend(root: Path) -> dict[str, tuple[str, str]]:
    """Read speaker and film of each stem, from the CSV export or else the workbook."""
    table = names.find_table(root, LEGEND + ".csv", f"wav_corpus/{LEGEND}.csv")
    if table is not None:
        with open(table, encoding="utf-8-sig", errors="replace") as file:
            header = file.readline()
        rows = read_table(table, ("file", "speaker", "film"), max(",;\t", key=header.count))
        return unique((_stem(row["file"]), (row["speaker"], row["film"]), row.place)
                      for row in rows)
    book = names.find_table(root, LEGEND + ".xlsx", f"wav_corpus/{LEGEND}.xlsx")
    if book is None:
        return {}
    try:
        import openpyxl
    except ImportError:
        logging.getLogger("emokit").warning(
            "EmoFilm's speakers stand in '%s' and stay unknown: install openpyxl, or save its "
            "sheets as one %s.csv beside it.", book, LEGEND)
        return {}
    try:
        sheets = openpyxl.load_workbook(book, read_only=True, data_only=True).worksheets
    except Exception as error:  # openpyxl documents no errors of its own for damaged books
        raise CorpusError(
            f"Cannot read '{book}' ({error}). Put the published workbook there."
        ) from None
    found = []
    for sheet in sheets:
        rows = sheet.iter_rows(values_only=True)
        header = [str(cell or "").strip().lower() for cell in next(rows, ())]
        missing = [name for name in ("file", "speaker", "film") if name not in header]
        if missing:
            raise CorpusError(f"Sheet '{sheet.title}' of '{book}' lacks column "
                              f"{culprits(missing)}. Put the published workbook there.")
        places = [header.index(name) for name in ("file", "speaker", "film")]
        for number, row in enumerate(rows, 2):
            stem, speaker, film = (str(row[place] or "").strip() for place in places)
            if stem:
                found.append((_stem(stem), (speaker, film),
                              f"{book}, sheet '{sheet.title}':{number}"))
    return unique(found)


def _stem(cell: str) -> str:
    return names.nfc(cell).removesuffix(".wav").removesuffix("_16k")


def stand_ins() -> Iterator[StandIn]:
    """Give 1115 files with the published numbers of each gender, language and emotion.

    Numbers of the files are made up, and 207 unnamed speakers share them out evenly; the names
    are in the legend.
    """
    first = 1
    for (gender, language), (n_speakers, cells) in _TOTALS.items():
        speakers = [f"speaker_{number:03d}" for number in range(first, first + n_speakers)]
        first += n_speakers
        next_number = dict.fromkeys(EMOTIONS, 0)
        totals = dict(zip(EMOTIONS, map(int, cells.split())))
        for code, speaker, _ in counts.shared_out(totals, speakers):
            next_number[code] += 1
            stem = f"{gender}_{code}{next_number[code]:03d}a{language}"
            yield StandIn(f"{stem}.wav", EMOTIONS[code], speaker, GENDERS[gender],
                          f"{code} {next_number[code]}")


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the legend of some stand-ins as a CSV export."""
    lines = ["file,speaker,film"]
    for item in stand_ins:
        number = int(item.speaker.rpartition("_")[2])
        lines.append(f"{item.path.rpartition('.')[0]},{item.speaker.replace('_', ' ').title()},"
                     f"Film {number % 43 + 1}")
    return {LEGEND + ".csv": "\n".join(lines) + "\n"}
