"""M3ED: turns of dialogues in 56 Chinese TV series, judged by three raters."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers.conversation import below_first, parse_listed, read_text, spread, votes
from emokit.corpora.parsers.tables import check_labels, parse_json, unique
from emokit.corpora.utterance import Misfit, Rating, StandIn, Utterance

SOURCE = (
    "Zhao, Zhang, Hu, Liu, Jin, Wang & Li, M3ED: Multi-modal Multi-scene Multi-label Emotional "
    "Dialogue Database, ACL 2022, pp. 5699-5710. https://github.com/AIM3-RUC/RUCM3ED"
)
EMOTIONS = {word: word.lower() for word in (
    "Happy", "Neutral", "Sad", "Disgust", "Anger", "Fear", "Surprise")}
LANGUAGE = "zh"
PARTITIONS = "train, val and test of the authors, cut by series: no role stands in two of them"
NOTES = (
    "Sound from TV series, with music. A turn may have several emotions; the label is the main "
    "one, column emotions holds all. Times in annotation.json belong to the films of the "
    "dialogues; the recordings of modality_speech are already cut."
)

_STEM = re.compile(r"([A-Z])_([a-z0-9]+(?:_[a-z]\w*)?_\d+_\d+)")
_SPLITS = {"train": "train", "val": "dev", "test": "test"}
OPTIONAL = {(f"splitInfo/movie_list_{split}.txt", f"movie_list_{split}.txt"):
            f"the series of the official partition {partition} are"
            for split, partition in _SPLITS.items()}


@dataclasses.dataclass(frozen=True)
class _Line:
    series: str
    dialogue: str
    role: dict[str, str]
    text: str
    main: str
    emotions: str
    raters: dict[str, str]


def recognises(root: Path) -> bool:
    """Tell by recordings such as `A_anjia_1_1` in `modality_speech/`, or beside its table."""
    if names.find_table(root, "annotation.json") is None:
        return any(below_first(root, folder, _STEM.fullmatch, depth)
                   for folder in names.folders_in(root) if folder.lower() == "modality_speech"
                   for depth in (0, 1))
    return (any(below_first(root, "", _STEM.fullmatch, depth) for depth in (0, 1, 2))
            or names.find_table(root, "splitInfo/movie_list_train.txt") is not None)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the turns; the label is the main emotion, `p_…` the choices of the raters.

    A role is called by series and name. Partitions come from `splitInfo/movie_list_….txt`; a
    copy without these lists has none.

    Raises:
        CorpusError: `annotation.json` is missing or not as published, or has an unknown emotion.
    """
    found = [(stem, line, f"annotation.json: turn {stem}") for stem, line in _lines(root)]
    check_labels(((line.main, place) for _, line, place in found), EMOTIONS)
    lines, partitions = unique(found), _partitions(root)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form A_anjia_1_1"
        if file.stem not in lines:
            return "annotation.json does not name it"
        line = lines[file.stem]
        label, name = EMOTIONS[line.main], line.role.get("Name", "").strip()
        extra = {"text": line.text, "language": LANGUAGE, "dialogue": line.dialogue,
                 "series": line.series, "emotions": line.emotions,
                 "age_group": line.role.get("Age", ""),
                 "gender": line.role.get("Gender", "").lower(),
                 **votes(map(_words, line.raters.values()), label, list(EMOTIONS.values()))}
        return Utterance(match[2], file.path, label, f"{line.series}_{name}" if name else "",
                         partition=partitions.get(line.series, ""),
                         extra={key: value for key, value in extra.items() if value != ""})

    listed = {stem: f"modality_speech/{stem}.wav" for stem in lines}
    yield from parse_listed(names.audio_files(root), read, listed, "annotation.json")


def ratings(root: Path) -> Iterator[Rating]:
    """Give the choice of every rater; raters have numbers, not names, so `1` is several people.

    Raises:
        CorpusError: `annotation.json` is missing or not as published.
    """
    for stem, line in _lines(root):
        for rater, text in line.raters.items():
            if words := _words(text):
                yield Rating(stem.partition("_")[2], rater, ";".join(words))


def _words(text: str) -> list[str]:
    """Read `Sad,Anger` as the corpus's own words."""
    words = (EMOTIONS.get(word.capitalize(), word.lower())
             for word in re.split(r"[\s,;/，、]+", text or "") if word)
    return list(dict.fromkeys(words))


def _lines(root: Path) -> Iterator[tuple[str, _Line]]:
    path = names.find_table(root, "annotation.json")
    if path is None:
        raise CorpusError(f"M3ED in '{root}' has no table annotation.json, where its labels are. "
                          "Put it there.")
    try:
        for series, dialogues in parse_json(read_text(path), str(path)).items():
            for dialogue, content in dialogues.items():
                for turn, facts in content["Dialog"].items():
                    emotions = facts["EmoAnnotation"]
                    raters = {key.removeprefix("EmoAnnotator"): value
                              for key, value in emotions.items()
                              if key.startswith("EmoAnnotator") and isinstance(value, str)}
                    role = content.get("SpeakerInfo", {}).get(facts["Speaker"], {})
                    yield f"{facts['Speaker']}_{turn}", _Line(
                        series, dialogue, role, str(facts.get("Text", "")).strip(),
                        str(emotions["final_main_emo"]).strip().capitalize(),
                        ";".join(_words(emotions.get("final_mul_emo", ""))), raters)
    except (ValueError, AttributeError, KeyError, TypeError):
        raise CorpusError(f"'{path}' is not {{series: {{dialogue: {{SpeakerInfo, Dialog: {{turn: "
                          "{Speaker, EmoAnnotation, …}}}}}. Put the published file there."
                          ) from None


def _partitions(root: Path) -> dict[str, str]:
    partitions = {}
    for split, partition in _SPLITS.items():
        name = f"movie_list_{split}.txt"
        path = names.find_table(root, f"splitInfo/{name}", name)
        for series in read_text(path).split() if path else ():
            partitions[series] = partition
    return partitions


_SIZES = {"train": (38, 17_427), "val": (7, 2_821), "test": (11, 4_201)}
"""Series and turns of each partition."""
_SHARES = {"Neutral": 42, "Anger": 21, "Sad": 16, "Happy": 9, "Surprise": 5, "Disgust": 5,
           "Fear": 2}
_N_ROLES = 626


def stand_ins() -> Iterator[StandIn]:
    """Give 24 449 turns; series (called `serie1` …), roles, genders and labels are our choice.

    The number of turns in each partition is the published one.
    """
    words = {"Happy": "happiness", "Sad": "sadness"}
    codes, series, total = spread(_SHARES), 0, sum(size[0] for size in _SIZES.values())
    for n_series, n_turns in _SIZES.values():
        for index in range(n_turns):
            here = index * n_series // n_turns
            number = series + here
            first, last = number * _N_ROLES // total, (number + 1) * _N_ROLES // total
            turn = index - -(-here * n_turns // n_series)
            dialogue, line = divmod(turn, 25)
            # two roles of the series talk with each other in each dialogue
            role = first + (2 * dialogue + line % 2) % (last - first)
            code = codes[(index + index // len(codes)) % len(codes)]
            yield StandIn(
                f"modality_speech/{'AB'[line % 2]}_serie{number + 1}_{dialogue + 1}_{line + 1}"
                ".wav",
                words.get(code, code.lower()), f"serie{number + 1}_role {role + 1}",
                "female" if role % 2 else "male", f"line {index % 200}")
        series += n_series


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give annotation and lists of series of some stand-ins; the raters are invented."""
    codes = {"happiness": "Happy", "sadness": "Sad", **{word.lower(): word for word in EMOTIONS}}
    table: dict[str, dict] = {}
    for item in stand_ins:
        letter, turn = _STEM.match(item.path.rpartition("/")[2]).groups()
        series, dialogue = turn.split("_")[0], turn.rpartition("_")[0]
        word = codes[item.emotion]
        content = table.setdefault(series, {}).setdefault(
            dialogue, {"SpeakerInfo": {}, "Dialog": {}})
        content["SpeakerInfo"][letter] = {"Name": item.speaker.partition("_")[2], "Age": "mid",
                                          "Gender": item.gender, "OtherName": []}
        content["Dialog"][turn] = {
            "StartTime": "00:00:00:01", "EndTime": "00:00:01:03", "Text": item.text,
            "Speaker": letter, "EmoAnnotation": {
                "EmoAnnotator1": word, "EmoAnnotator2": f"{word},Neutral",
                "EmoAnnotator3": "Neutral", "final_mul_emo": word, "final_main_emo": word}}
    tables, first = {"annotation.json": json.dumps(table, ensure_ascii=False, indent=1)}, 0
    for split, (n_series, _) in _SIZES.items():
        tables[f"splitInfo/movie_list_{split}.txt"] = "\n".join(
            f"serie{number + 1}" for number in range(first, first + n_series))
        first += n_series
    return tables
