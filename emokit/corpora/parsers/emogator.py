"""EmoGator: vocal bursts of 357 crowd-sourced contributors in thirty categories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers.conversation import read_text
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Buhl, EmoGator: A New Open Source Vocal Burst Dataset with Baseline Machine Learning "
    "Classification Methodologies, arXiv:2301.00508, 2023. https://github.com/fredbuhl/EmoGator"
)
EMOTIONS = {
    f"{number:02d}": word for number, word in enumerate((
        "Adoration", "Amusement", "Anger", "Awe", "Confusion", "Contempt", "Contentment", "Desire",
        "Disappointment", "Disgust", "Distress", "Ecstasy", "Elation", "Embarrassment", "Fear",
        "Guilt", "Interest", "Neutral", "Pain", "Pride", "Realization", "Relief", "Romantic Love",
        "Sadness", "Serenity", "Shame", "Surprise (Negative)", "Surprise (Positive)", "Sympathy",
        "Triumph",
    ), 1)
}

_STEM = re.compile(r"(\d{6})-(\d\d)-(\d)")


def recognises(root: Path) -> bool:
    """Tell by names such as `000001-01-1` in `data/mp3/`, or in the folder itself."""
    return any(names.matches(root, folder, _STEM.fullmatch) for folder in ("data/mp3", "mp3", ""))


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the clips by name.

    Raises:
        CorpusError: `category_names.txt` is there and unreadable, or contradicts the published
            categories.
    """
    _check_categories(root)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form 000001-01-1"
        contributor, category, _ = match.groups()
        if category not in EMOTIONS:
            return f"unknown category {category} in the name"
        return Utterance(file.stem, file.path, EMOTIONS[category], contributor)

    yield from names.parse_files(names.audio_files(root), read)


def _check_categories(root: Path) -> None:
    path = names.find_table(root, "category_names.txt", "data/category_names.txt")
    if path is None:
        return
    for number, line in enumerate(read_text(path).splitlines(), 1):
        code, _, word = line.strip().partition("\t")
        if line.strip() and EMOTIONS.get(code) != word.strip():
            raise CorpusError(
                f"{path}:{number}: category '{line.strip()}' is not one of the published ones "
                f"('{code}' is {EMOTIONS.get(code, 'unknown')}). Use the published file."
            )


def stand_ins() -> Iterator[StandIn]:
    """Give 32 130 clips: 357 contributors × 30 categories × 3.

    Contributors are numbered 1 to 357 here; the published numbers have gaps.
    """
    canonical = {"anger", "disgust", "fear", "neutral", "sadness"}
    for number in range(1, 358):
        for category, word in EMOTIONS.items():
            own = word.lower()
            emotion = own if own in canonical or not own.startswith("surprise") else "surprise"
            for instance in (1, 2, 3):
                yield StandIn(f"data/mp3/{number:06d}-{category}-{instance}.mp3", emotion,
                              f"{number:06d}", text=f"burst {own}")
