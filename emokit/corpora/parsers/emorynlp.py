"""EmoryNLP with films: utterances of scenes in the TV series Friends, seven feelings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers.conversation import fitting, parse_listed, spread
from emokit.corpora.parsers.tables import check_labels, read_table, unique
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Zahiri & Choi, Emotion Detection on TV Show Transcripts with Sequence-Based Convolutional "
    "Neural Networks, AAAI Workshops 2018, pp. 44-52; films by the authors of MELD. "
    "https://github.com/declare-lab/MELD"
)
EMOTIONS = {word: word.lower() for word in (
    "Joyful", "Mad", "Neutral", "Peaceful", "Powerful", "Sad", "Scared")}
LANGUAGE = "en"
PARTITIONS = ("train, dev and test of the authors, cut by episode: the main characters speak in "
              "all three, so scores are not speaker-independent")
NOTES = (
    "Sound from a TV series, with music and laughter of the audience. Times in the tables are "
    "unreliable; the films are already cut. Speakers are names of characters; lines spoken by "
    "several at once have no known speaker."
)
GENDERS = {
    "Chandler Bing": "male", "Ross Geller": "male", "Joey Tribbiani": "male",
    "Monica Geller": "female", "Rachel Green": "female", "Phoebe Buffay": "female",
}
"""The six main characters; the tables do not say it of the others."""

_STEM = re.compile(r"sea(\d+)_ep(\d+)_sc(\d+)_utt(\d+)")
_FOLDER = re.compile(r"(emorynlp_)?(train|dev|val|test)(_splits.*)?", re.IGNORECASE)
_TABLES = {partition: f"emorynlp_{partition}_final.csv" for partition in ("train", "dev", "test")}
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Scene_ID", "Utterance_ID", "Season", "Episode")


def recognises(root: Path) -> bool:
    """Tell by films such as `sea1_ep1_sc1_utt1` in a folder of a partition, or by its tables."""
    if names.matches_below(root, _FOLDER.fullmatch, _STEM.fullmatch):
        return True
    # only here: a folder of many corpora may hold one of that name
    return all(names.find_table(root, name) for name in _TABLES.values())


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the utterances; label, speaker, text and partition are in its three tables.

    Raises:
        CorpusError: a table is missing or not as published: an unknown emotion, or two rows of
            one utterance that contradict each other.
    """
    rows = _rows(root)

    def read(file: names.AudioFile) -> Utterance | str:
        if not _STEM.fullmatch(file.stem):
            return "the name is not of the form sea1_ep1_sc1_utt1"
        if file.stem not in rows:
            return "no table names it"
        partition, row = rows[file.stem]
        characters = _characters(row["Speaker"])
        one = len(characters) == 1 and characters[0].strip("#").lower() not in ("all", "both")
        speaker = characters[0] if one else ""
        extra = {"text": row["Utterance"], "language": LANGUAGE,
                 "dialogue": file.stem.rpartition("_")[0], "gender": GENDERS.get(speaker, ""),
                 "character": ", ".join(characters), "season": row["Season"],
                 "episode": row["Episode"]}
        return Utterance(file.stem, file.path, EMOTIONS[row["Emotion"]], speaker,
                         partition=partition,
                         extra={key: value for key, value in extra.items() if value})

    listed = {name: f"emorynlp_{partition}_splits/{name}.mp4"
              for name, (partition, _) in rows.items()}
    yield from parse_listed(names.audio_files(root), read, listed, "the table of its partition")


def _rows(root: Path) -> dict[str, tuple[str, dict[str, str]]]:
    found = []
    for partition, name in _TABLES.items():
        table = _table(root, partition)
        if table is None:
            raise CorpusError(f"EmoryNLP in '{root}' has no table {name}, where its labels are. "
                              "Put the three tables of the authors' repository there.")
        for row in read_table(table, _COLUMNS, encoding=fitting(table, "utf-8-sig", "cp1252")):
            name = (f"sea{row['Season']}_ep{row['Episode']}_sc{row['Scene_ID']}_"
                    f"utt{row['Utterance_ID']}")
            found.append((name, (partition, row.of(*_COLUMNS)), row.place))
    check_labels(((row["Emotion"], place) for _, (_, row), place in found), EMOTIONS)
    return unique(found)


def _table(root: Path, partition: str) -> Path | None:
    name = _TABLES[partition]
    return names.find_table(root, name, f"data/emorynlp/{name}", f"emorynlp/{name}")


def _characters(text: str) -> list[str]:
    """Read the list of names that a cell holds, `['Monica Geller', 'Phoebe Buffay']`."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    return [str(name).strip() for name in value] if isinstance(value, list) else [text]


PUBLISHED = {
    "train": {"Neutral": 2485, "Joyful": 1677, "Scared": 941, "Mad": 785, "Peaceful": 638,
              "Powerful": 551, "Sad": 474},
    "dev": {"Neutral": 322, "Joyful": 205, "Scared": 127, "Mad": 97, "Peaceful": 82,
            "Powerful": 70, "Sad": 51},
    "test": {"Neutral": 288, "Joyful": 217, "Scared": 116, "Mad": 86, "Peaceful": 111,
             "Powerful": 96, "Sad": 70},
}
"""Utterances of each feeling in the tables."""

_SEASONS = {"train": 1, "dev": 2, "test": 3}
_N_SPEAKERS = 236
_CANONICAL = {"Joyful": "happiness", "Mad": "anger", "Sad": "sadness", "Scared": "fear"}


def stand_ins() -> Iterator[StandIn]:
    """Give 9489 films with the published labels of each partition.

    Seasons, episodes, scenes, speakers (six main characters, who speak five lines in six, and
    guests) and texts are our choice.
    """
    guests = [f"Guest {number}" for number in range(1, _N_SPEAKERS - len(GENDERS) + 1)]
    spoken = 0
    for partition, counts in PUBLISHED.items():
        for index, word in enumerate(spread(counts)):
            scene, turn = divmod(index, 12)
            stem = (f"sea{_SEASONS[partition]}_ep{scene // 12 + 1}_sc{scene % 12 + 1}"
                    f"_utt{turn + 1}")
            spoken += 1
            speaker = (guests[spoken // 6 % len(guests)] if spoken % 6 == 0
                       else list(GENDERS)[(spoken + spoken // 6) % 6])
            yield StandIn(f"emorynlp_{partition}_splits/{stem}.mp4",
                          _CANONICAL.get(word, word.lower()), speaker, GENDERS.get(speaker, ""),
                          f"line {index % 200}")


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the three tables of some stand-ins, in the published columns."""
    words = {_CANONICAL.get(word, word.lower()): word for word in EMOTIONS}
    lines = {partition: [",".join(_COLUMNS) + ",Start_Time,End_Time"] for partition in _TABLES}
    for item in stand_ins:
        folder, _, name = item.path.rpartition("/")
        season, episode, scene, turn = _STEM.match(name).groups()
        lines[folder.split("_")[1]].append(
            f'"Well, {item.text}",[\'{item.speaker}\'],{words[item.emotion]},{scene},{turn},'
            f"{season},{episode},00:00:01.000,00:00:02.000")
    return {_TABLES[partition]: "\n".join(rows) + "\n" for partition, rows in lines.items()}
