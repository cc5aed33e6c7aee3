"""FAU-Aibo: 51 German children talk to a robot dog; labels of the Interspeech 2009 challenge."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import counts, names
from emokit.corpora.parsers.conversation import parse_listed, read_text
from emokit.corpora.parsers.tables import check_labels, unique
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Steidl, Automatic Classification of Emotion-Related User States in Spontaneous Children's "
    "Speech, Logos 2009; labels: Schuller, Steidl & Batliner, The Interspeech 2009 Emotion "
    "Challenge, pp. 312-315. "
    "https://www5.cs.fau.de/en/our-team/steidl-stefan/fau-aibo-emotion-corpus"
)
EMOTIONS = {"A": "anger", "E": "emphatic", "N": "neutral", "P": "positive", "R": "rest"}
LANGUAGE = "de"
TWO_CLASSES = {"NEG": "negative", "IDL": "idle"}
"""Codes of the challenge's two-class task, in column `two_classes`."""

PARTITIONS = (
    "that of the Interspeech 2009 Emotion Challenge: school Ohm trains, school Mont tests; no "
    "child is in both"
)
NOTES = (
    "The five-class labels are read; the word of the two-class task (NEG or IDL) is kept in column "
    "'two_classes'. 'agreement' is the confidence that the label files give. The classes are very "
    "uneven, so results are unweighted average recalls."
)

_STEM = re.compile(r"((Ohm|Mont)_\d\d)_(\d\d\d)_(\d\d)", re.IGNORECASE)
_SCHOOLS = {"ohm": "train", "mont": "test"}
_FOLDERS = ("labels/IS2009EmotionChallenge/", "labels/", "", "IS2009EmotionChallenge/labels/"
            "IS2009EmotionChallenge/", "IS2009EmotionChallenge/labels/")
OPTIONAL = {tuple(f"{folder}chunk_labels_2cl_corpus.txt" for folder in _FOLDERS):
            "labels of two classes are"}
_TOTALS = {"Ohm": {"A": 881, "E": 2093, "N": 5590, "P": 674, "R": 721},
           "Mont": {"A": 611, "E": 1508, "N": 5377, "P": 215, "R": 546}}
_CHILDREN = {"Ohm": 26, "Mont": 25}


def recognises(root: Path) -> bool:
    """Tell by names such as `Ohm_01_000_00` in `wav/` or in the folder itself."""
    return names.matches_below(root, lambda name: name == "wav", _STEM.fullmatch)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the chunks that `chunk_labels_5cl_corpus.txt` labels; others are misfits.

    Raises:
        CorpusError: that list is not there, or a line of it is not `name label confidence` or
            contradicts another.
    """
    files = names.audio_files(root)
    five = _labels(root, "chunk_labels_5cl_corpus.txt", EMOTIONS)
    two = _labels(root, "chunk_labels_2cl_corpus.txt", TWO_CLASSES) or {}
    if five is None:
        raise CorpusError(
            f"There is no labels/IS2009EmotionChallenge/chunk_labels_5cl_corpus.txt below '{root}'"
            ", which labels FAU-Aibo. Put the label files of the challenge there."
        )

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form Ohm_01_000_00"
        if file.stem.lower() not in five:
            return "chunk_labels_5cl_corpus.txt has no label for it"
        emotion, agreement = five[file.stem.lower()]
        extra = {"language": LANGUAGE, "school": match[2].capitalize(), "agreement": agreement}
        if file.stem.lower() in two:
            extra["two_classes"] = two[file.stem.lower()][0]
        return Utterance(file.stem, file.path, emotion, match[1].capitalize(),
                         partition=_SCHOOLS[match[2].lower()], extra=extra)

    listed = {chunk: f"wav/{chunk.capitalize()}.wav" for chunk in five}
    yield from parse_listed(files, read, listed, "chunk_labels_5cl_corpus.txt",
                            lambda file: file.stem.lower())


def _labels(root: Path, name: str, words: dict[str, str]) -> dict[str, tuple[str, float]] | None:
    """Read label and confidence of each chunk, or give None if there is no such list."""
    path = names.find_table(root, *(folder + name for folder in _FOLDERS))
    if path is None:
        return None
    rows = []
    for line_number, line in enumerate(read_text(path).splitlines(), 1):
        cells, place = line.split(), f"{path}:{line_number}"
        if not cells:
            continue
        try:
            chunk, code, confidence = cells
            rows.append((chunk.lower(), code, float(confidence), place))
        except ValueError:
            raise CorpusError(
                f"{place}: '{line.strip()}' is not 'name label confidence' with a label of "
                f"{', '.join(words)}. Put the published list there."
            ) from None
    check_labels(((code, place) for _, code, _, place in rows), words)
    return unique((chunk, (words[code], confidence), place)
                  for chunk, code, confidence, place in rows)


def stand_ins() -> Iterator[StandIn]:
    """Give 18 216 chunks with the published classes of each school, shared out over its children.

    Numbers of the chunks are made up: a part of fifty chunks follows another.
    """
    for school, totals in _TOTALS.items():
        children = [f"{school}_{number:02d}" for number in range(1, _CHILDREN[school] + 1)]
        n_chunks = dict.fromkeys(children, 0)
        for code, child, _ in counts.shared_out(totals, children):
            number = n_chunks[child]
            n_chunks[child] += 1
            yield StandIn(f"wav/{child}_{number // 50:03d}_{number % 50:02d}.wav", EMOTIONS[code],
                          child, text=f"chunk {number}", intensity=0.6, age=11)


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give both label lists for some stand-ins.

    Confidences are made up; anger and emphatic are negative, which is true of most chunks only.
    """
    codes = {word: code for code, word in EMOTIONS.items()}
    five, two = [], []
    for index, item in enumerate(stand_ins):
        stem = item.path.rpartition("/")[2].rpartition(".")[0]
        confidence = f"{0.5 + index % 6 / 10:g}"
        five.append(f"{stem} {codes[item.emotion]} {confidence}\n")
        two.append(f"{stem} {'NEG' if codes[item.emotion] in 'AE' else 'IDL'} {confidence}\n")
    return {_FOLDERS[0] + "chunk_labels_5cl_corpus.txt": "".join(five),
            _FOLDERS[0] + "chunk_labels_2cl_corpus.txt": "".join(two)}
