"""EMNS: one British English woman tells stories in eight emotions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers.conversation import parse_listed
from emokit.corpora.parsers.tables import check_labels, read_table, unique
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Noriy, Yang & Zhang, EMNS /Imz/ Corpus: An Emotive Single-Speaker Dataset for Narrative "
    "Storytelling in Games, Television and Graphic Novels, 2023, arXiv:2305.13137. "
    "https://www.openslr.org/136"
)
EMOTIONS = {
    "Angry": "angry", "Disgust": "disgust", "Excited": "excited", "Happy": "happy",
    "Neutral": "neutral", "Sad": "sad", "Sarcastic": "sarcastic", "Surprised": "surprised",
    "Surprise": "surprised",
}
LANGUAGE = "en"
NOTES = (
    "One speaker: no speaker-independent score is possible. Audio is Opus in WebM, which the "
    "program ffmpeg decodes. Rows that metadata.csv marks 'Needs Updating' are left out."
)

_STEM = re.compile(r"recorded_audio(_\w+)?", re.IGNORECASE)
_FOLDERS = ("cleaned_webm", "raw_webm", "wavs")
_COLUMNS = ("utterance", "emotion", "gender", "level", "audio_recording")


def recognises(root: Path) -> bool:
    """Tell by names such as `recorded_audio_02jmPGL` in `cleaned_webm/` or the folder itself."""
    return names.matches_below(root, lambda name: name in _FOLDERS, _STEM.fullmatch)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings that `metadata.csv` labels; names alone say nothing of the emotion.

    Raises:
        CorpusError: no `metadata.csv`, or it lacks its columns, has an unknown emotion or rows
            that contradict each other.
    """
    path = names.find_table(
        root, "metadata.csv", *(f"{name}/metadata.csv" for name in names.folders_in(root)))
    if path is None:
        raise CorpusError(
            f"'{root}' has no metadata.csv, which holds the labels of EMNS. Put the published "
            "table there."
        )
    rows, labels = [], []
    for row in read_table(path, _COLUMNS, "|"):
        stem = names.nfc(Path(row["audio_recording"]).stem)
        rows.append((stem, row.of(*_COLUMNS[:-1], "status", "age", "user_id"), row.place))
        if not _left_out(row):
            labels.append((row["emotion"].capitalize(), row.place))
    check_labels(labels, EMOTIONS)
    rows = unique(rows)

    def read(file: names.AudioFile) -> Utterance | str:
        if not _STEM.fullmatch(file.stem):
            return "the name is not of the form recorded_audio_02jmPGL"
        row = rows.get(file.stem)
        if row is None:
            return f"{path.name} has no row for it"
        if _left_out(row):
            return f"{path.name} marks it '{row['status']}'"
        facts = {"text": row["utterance"], "gender": row["gender"].lower(), "language": LANGUAGE,
                 "intensity": row["level"], "age_group": row["age"]}
        return Utterance(
            file.stem, file.path, EMOTIONS[row["emotion"].capitalize()],
            row["user_id"] or "3",
            extra={key: value for key, value in facts.items() if value},
        )

    listed = {stem: f"cleaned_webm/{stem}.webm" for stem, row in rows.items()
              if not _left_out(row)}
    yield from parse_listed(names.audio_files(root), read, listed, path.name)


def _left_out(row: Mapping[str, str]) -> bool:
    return row.get("status", "").lower() == "needs updating"


def stand_ins() -> Iterator[StandIn]:
    """Give 1181 files, as many for each emotion as published.

    The published names end in random letters; these count.
    """
    counts = {"disgust": 162, "happiness": 157, "surprise": 151, "excitement": 150,
              "neutral": 149, "sadness": 147, "sarcasm": 139, "anger": 126}
    for emotion, count in counts.items():
        for number in range(count):
            letter = emotion[:2].upper() + emotion[2]
            yield StandIn(f"cleaned_webm/recorded_audio_{letter}{number:04d}.webm", emotion, "3",
                          "female", f"sentence {number}")


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give `metadata.csv` for some stand-ins; it speaks of `wavs/`, as published."""
    words = {"anger": "Angry", "disgust": "Disgust", "excitement": "Excited",
             "happiness": "Happy", "neutral": "Neutral", "sadness": "Sad",
             "sarcasm": "Sarcastic", "surprise": "Surprised"}
    lines = ["id|utterance|description|emotion|date_created|status|gender|age|level"
             "|audio_recording|user_id"]
    for number, item in enumerate(stand_ins, 1):
        stem = item.path.rpartition("/")[2].rpartition(".")[0]
        lines.append(f"{number}|{item.text}||{words[item.emotion]}||Complete|{item.gender.title()}"
                     f"|20s|5|wavs/{stem}.webm|{item.speaker}")
    return {"metadata.csv": "\n".join(lines) + "\n"}
