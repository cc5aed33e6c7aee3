"""MELD: utterances of dialogues in the TV series Friends, as films of one utterance each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers.conversation import below_first, fitting, parse_listed, spread
from emokit.corpora.parsers.tables import check_labels, read_table, unique
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Poria, Hazarika, Majumder, Naik, Cambria & Mihalcea, MELD: A Multimodal Multi-Party Dataset "
    "for Emotion Recognition in Conversations, ACL 2019, pp. 527-536. "
    "https://github.com/declare-lab/MELD"
)
EMOTIONS = {word: word for word in (
    "neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")}
LANGUAGE = "en"
PARTITIONS = ("train, dev and test of the authors, cut by dialogue: the main characters speak in "
              "all three, so scores are not speaker-independent")
DAMAGED = {
    "train_dia125_utt3": "holds no sound in the official release",
    "dev_dia110_utt7": "holds no sound in the official release",
}
NOTES = (
    "Sound from a TV series, with music and laughter of the audience. Two films are damaged. The "
    "test folder of the archive also holds repeated films called final_videos_test…. Speakers are "
    "names of characters; lines spoken by several at once have no known speaker."
)
GENDERS = {"Joey": "male", "Ross": "male", "Chandler": "male",
           "Rachel": "female", "Phoebe": "female", "Monica": "female"}
"""The six main characters; the tables do not say it of the others."""

FOLDERS = {"train": "train/train_splits", "dev": "dev_splits_complete",
           "test": "output_repeated_splits_test"}
"""Folder of each partition in the published archives."""

_STEM = re.compile(r"dia(\d+)_utt(\d+)")
_PARTITION = (("train", "train"), ("dev", "dev"), ("val", "dev"), ("test", "test"))
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
_SEVERAL = re.compile(r"all|both|.+ and .+", re.IGNORECASE)


def recognises(root: Path) -> bool:
    """Tell by films such as `dia0_utt0` in a folder of a partition, or by its three tables."""
    def fits(stem):
        return _STEM.fullmatch(stem)

    for folder in names.folders_in(root):
        if _partition((folder,)) and any(below_first(root, folder, fits, depth)
                                         for depth in (0, 1)):
            return True
    # only here: a folder of many corpora may hold one of that name
    return all(names.find_table(root, f"{partition}_sent_emo.csv") for partition in FOLDERS)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the utterances; label, speaker and text are in `train_sent_emo.csv` and its sisters.

    Ids have their partition in front, `train_dia0_utt0`, because each starts from 0.

    Raises:
        CorpusError: a table is missing or not as published: an unknown emotion, or two rows of
            one utterance that contradict each other.
    """
    rows = _rows(root)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            if file.stem.lower().startswith("final_videos_test"):
                return "a repeated film of the test archive"
            return "the name is not of the form dia0_utt0"
        partition = _partition(file.folders)
        if not partition:
            return "no folder of train, dev or test around it"
        name = f"{partition}_{file.stem}"
        if name not in rows:
            return f"the table of {partition} does not name it"
        row = rows[name]
        speaker = row["Speaker"]
        extra = {"text": row["Utterance"], "language": LANGUAGE,
                 "dialogue": f"{partition}_dia{match[1]}", "gender": GENDERS.get(speaker, ""),
                 "sentiment": row["Sentiment"], "character": speaker,
                 "season": row["Season"], "episode": row["Episode"]}
        return Utterance(name, file.path, row["Emotion"],
                         "" if _SEVERAL.fullmatch(speaker) else speaker, partition=partition,
                         extra={key: value for key, value in extra.items() if value})

    def path(name: str) -> str:
        partition, _, stem = name.partition("_")
        return f"{FOLDERS[partition]}/{stem}.mp4"

    yield from parse_listed(names.audio_files(root), read, {name: path(name) for name in rows},
                            "the table of its partition",
                            lambda file: f"{_partition(file.folders)}_{file.stem}")


def _rows(root: Path) -> dict[str, dict[str, str]]:
    found = []
    for partition in FOLDERS:
        table = _table(root, partition)
        if table is None:
            raise CorpusError(
                f"MELD in '{root}' has no table {partition}_sent_emo.csv, where its labels are. "
                "Put the three tables of the authors' repository there.")
        # an older copy has the apostrophes of Windows
        for row in read_table(table, _COLUMNS, encoding=fitting(table, "utf-8-sig", "cp1252")):
            found.append((f"{partition}_dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}",
                          row.of("Utterance", "Speaker", "Emotion", "Sentiment", "Season",
                                 "Episode"), row.place))
    check_labels(((row["Emotion"], place) for _, row, place in found), EMOTIONS)
    return unique(found)


def _table(root: Path, partition: str) -> Path | None:
    name = f"{partition}_sent_emo.csv"
    return names.find_table(root, name, f"{partition}/{name}", f"data/MELD/{name}",
                            f"MELD.Raw/{name}")


def _partition(folders: tuple[str, ...]) -> str:
    """Name the partition by the innermost folder that tells it."""
    for folder in reversed(folders):
        words = re.split(r"[^a-z]+", folder.lower())
        for word, partition in _PARTITION:
            if word in words:
                return partition
    return ""


PUBLISHED = {
    "train": {"neutral": 4710, "joy": 1743, "surprise": 1205, "anger": 1109, "sadness": 683,
              "disgust": 271, "fear": 268},
    "dev": {"neutral": 470, "joy": 163, "surprise": 150, "anger": 153, "sadness": 111,
            "disgust": 22, "fear": 40},
    "test": {"neutral": 1256, "joy": 402, "surprise": 281, "anger": 345, "sadness": 208,
             "disgust": 68, "fear": 50},
}
"""Utterances of each emotion in the tables."""

_DIALOGUES = {"train": 1038, "dev": 114, "test": 280}
_N_SPEAKERS = 290
_CANONICAL = {"joy": "happiness"}


def stand_ins() -> Iterator[StandIn]:
    """Give 13 708 films, the two damaged ones among them, with the published labels.

    Lengths of dialogues, speakers (six main characters, who speak five lines in six, and
    guests) and texts are our choice.
    """
    guests = [f"Guest {number}" for number in range(1, _N_SPEAKERS - len(GENDERS) + 1)]
    spoken = 0
    for partition, counts in PUBLISHED.items():
        words, n_dialogues = spread(counts), _DIALOGUES[partition]
        for index, word in enumerate(words):
            dialogue = index * n_dialogues // len(words)
            # the first line of the dialogue: the smallest i with i n / N >= dialogue
            turn = index - -(-dialogue * len(words) // n_dialogues)
            stem = f"dia{dialogue}_utt{turn}"
            spoken += 1
            speaker = (guests[spoken // 6 % len(guests)] if spoken % 6 == 0
                       else list(GENDERS)[(spoken + spoken // 6) % 6])
            yield StandIn(f"{FOLDERS[partition]}/{stem}.mp4", _CANONICAL.get(word, word), speaker,
                          GENDERS.get(speaker, ""), f"line {index % 200}")


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the three tables of some stand-ins, in the published columns."""
    head = ("Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,"
            "StartTime,EndTime")
    lines = {partition: [head] for partition in FOLDERS}
    sentiments = {"neutral": "neutral", "happiness": "positive", "surprise": "positive"}
    for item in stand_ins:
        folder, _, name = item.path.rpartition("/")
        partition = next(key for key, value in FOLDERS.items() if value == folder)
        dialogue, turn = _STEM.match(name).groups()
        word = "joy" if item.emotion == "happiness" else item.emotion
        lines[partition].append(
            f'{len(lines[partition])},"Well, {item.text}",{item.speaker},{word},'
            f'{sentiments.get(item.emotion, "negative")},{dialogue},{turn},1,1,'
            '"00:00:01,000","00:00:02,000"')
    return {f"{partition}_sent_emo.csv": "\n".join(rows) + "\n"
            for partition, rows in lines.items()}
