"""MSP-Podcast: turns cut from podcasts, each judged by several crowd workers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers import invented
from emokit.corpora.parsers.conversation import (
    fitting, number, parse_listed, read_text, spread, votes,
)
from emokit.corpora.parsers.tables import check_labels, parse_json, read_table, unique
from emokit.corpora.utterance import Misfit, Rating, StandIn, Utterance

SOURCE = (
    "Lotfian & Busso, Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving "
    "Emotional Speech from Existing Podcast Recordings, IEEE Transactions on Affective Computing "
    "10(4), 471-483, 2019. https://ecs.utdallas.edu/research/researchlabs/msp-lab"
)
EMOTIONS = {
    "A": "angry", "S": "sad", "H": "happy", "U": "surprise", "F": "fear", "D": "disgust",
    "C": "contempt", "N": "neutral", "O": "other", "X": "no agreement",
}
LANGUAGE = "en"
SCALES = {"arousal": (1, 7), "valence": (1, 7), "dominance": (1, 7)}
PARTITIONS = ("Train, Development and the test sets of the corpus; Test1 and Test2 together are "
              "test, column split tells them apart; no known speaker stands in two of them")
OPTIONAL = {
    ("Transcripts/Transcripts", "Transcripts"): "texts are",
    ("Labels/labels_detailed.csv", "labels_detailed.csv", "Labels/labels_detailed.json",
     "labels_detailed.json"): "single judgements of the raters are",
}
NOTES = (
    "Releases grow, so results compare only within one release. Labels of Test3 are not "
    "published. Part of the speakers is Unknown. Nearly a fifth of the turns has no agreement."
)

_STEM = re.compile(r"MSP-PODCAST_\d{4}_\d{4}\w*")
_SPLITS = {"train": "train", "development": "dev", "validation": "dev",
           "test": "test", "test1": "test", "test2": "test"}
_DIMENSIONS = {"EmoAct": "arousal", "EmoVal": "valence", "EmoDom": "dominance"}
_LETTERS = {"A": "arousal", "V": "valence", "D": "dominance"}
_WORKER = ("Workers", "WorkerID", "Worker", "Annotator")


def recognises(root: Path) -> bool:
    """Tell by names such as `MSP-PODCAST_0001_0008` in `Audios/`, or by its labels alone."""
    if names.matches_below(root, lambda name: name in ("audios", "audio"), _STEM.fullmatch):
        return True
    return _table(root, "labels_consensus.csv", "labels_concensus.csv") is not None


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the turns; the label is the consensus, `p_…` the primary choices of the workers.

    Files of Test3, whose labels are hidden, are misfits.

    Raises:
        CorpusError: no table of labels, or one that is not as published: an unknown label or
            partition, or rows of one turn that contradict each other.
    """
    path = _table(root, "labels_consensus.csv", "labels_concensus.csv")
    if path is None:
        raise CorpusError(f"MSP-Podcast in '{root}' has no table Labels/labels_consensus.csv, "
                          "where its labels are. Put the whole release there.")
    rows = list(read_table(path, ("FileName", "EmoClass")))
    check_labels(((row["EmoClass"], row.place) for row in rows if not _is_hidden(row)), EMOTIONS)
    check_labels(((row["Split_Set"].lower(), row.place) for row in rows
                  if row.get("Split_Set") and not _is_hidden(row)), _SPLITS)
    rows = unique((_stem(row["FileName"]), {**row, "FileName": ""}, row.place) for row in rows)
    splits, speakers = _pairs(root, "Partitions.txt"), _pairs(root, "Speaker_ids.txt")
    judged: dict[str, list[str]] = {}
    for rating in ratings(root):
        judged.setdefault(rating.utterance, []).append(rating.emotion)
    texts = names.find_table(root, "Transcripts/Transcripts") or names.find_table(
        root, "Transcripts")

    def read(file: names.AudioFile) -> Utterance | str:
        if not _STEM.fullmatch(file.stem):
            return "the name is not of the form MSP-PODCAST_0001_0008"
        row = rows.get(file.stem, {})
        split = row.get("Split_Set") or splits.get(file.stem, "")
        if split.lower() == "test3":
            return "its label is hidden (Test3)"
        if not row:
            return f"{path.name} has no label of it"
        if split and split.lower() not in _SPLITS:
            return f"unknown partition '{split}' in the tables"
        label = EMOTIONS[row["EmoClass"]]
        speaker = row.get("SpkrID") or speakers.get(file.stem, "")
        extra = {"language": LANGUAGE, "split": split, **{
            name: number(row[column], f"{path}: {column} of {file.stem}")
            for column, name in _DIMENSIONS.items() if row.get(column)}}
        extra |= votes(([word] for word in judged.get(file.stem, ())), label,
                       list(EMOTIONS.values())[:-1], "other")
        if row.get("Gender", "").lower() in ("female", "male"):
            extra["gender"] = row["Gender"].lower()
        if texts and (text := texts / f"{file.stem}.txt").is_file():
            extra["text"] = read_text(text, "utf-8-sig", "cp1252").strip()
        return Utterance(
            file.stem, file.path, label, "" if speaker.lower() == "unknown" else speaker,
            partition=_SPLITS.get(split.lower(), ""),
            extra={key: value for key, value in extra.items() if value != ""})

    yield from parse_listed(names.audio_files(root), read,
                            {stem: f"Audios/{stem}.wav" for stem in rows}, path.name)


def _is_hidden(row: Mapping[str, str]) -> bool:
    return row.get("Split_Set", "").lower() == "test3"


def ratings(root: Path) -> Iterator[Rating]:
    """Give every worker's primary choice and three attributes, from `labels_detailed`.

    A choice written in, `Other-Curious` say, counts as `other`; secondary choices are left out.

    Raises:
        CorpusError: the table is not as published.
    """
    path = _table(root, "labels_detailed.csv", "labels_detailed.json")
    if path is None:
        return
    for name, worker, word, values in (
            _from_json(path) if path.suffix.lower() == ".json" else _from_csv(path)):
        yield Rating(_stem(name), worker, _word(word), values)


def _from_json(path: Path) -> Iterator[tuple[str, str, str, dict[str, float]]]:
    try:
        table = parse_json(read_text(path), str(path))
        for name, workers in table.items():
            for worker, row in workers.items():
                yield name, worker, row["EmoClass_Major"], _values(row, f"{path}: {name}")
    except (ValueError, AttributeError, KeyError, TypeError):
        raise CorpusError(f"'{path}' is not {{file: {{worker: {{EmoClass_Major, …}}}}}}. Put the "
                          "published table there.") from None


def _from_csv(path: Path) -> Iterator[tuple[str, str, str, dict[str, float]]]:
    # workers' own words are not all ASCII
    for row in read_table(path, ("FileName",), encoding=fitting(path, "utf-8-sig", "cp1252")):
        where = f"{path}: {row['FileName']}"
        worker = next((row[name] for name in _WORKER if name in row), None)
        if "EmoDetail" in row:
            # WORKER00000001; Neutral; Neutral,Concerned; A:3.0; V:4.0; D:4.0;
            cells = [cell.strip() for cell in row["EmoDetail"].split(";")]
            if len(cells) < 3:
                raise CorpusError(f"{where}: '{row['EmoDetail']}' is not 'worker; choice; …'. Put "
                                  "the published table there.")
            yield row["FileName"], cells[0], cells[1], {
                _LETTERS[match[1]]: number(match[2], where) for cell in cells
                if (match := re.fullmatch(r"([AVD]): *([\d.]+)", cell))}
        elif worker is not None and "EmoClass_Major" in row:
            yield row["FileName"], worker, row["EmoClass_Major"], _values(row, where)
        else:
            raise CorpusError(f"'{path}' has neither EmoDetail nor worker and EmoClass_Major. Put "
                              "the published table there.")


def _values(row: dict[str, str], where: str) -> dict[str, float]:
    return {name: number(row[column], where) for column, name in _DIMENSIONS.items()
            if row.get(column) not in (None, "")}


def _word(text: str) -> str:
    word = text.strip().lower()
    return word if word in EMOTIONS.values() or not word else "other"


def _stem(name: str) -> str:
    return name.strip().rpartition("/")[2].removesuffix(".wav")


def _table(root: Path, *wanted: str) -> Path | None:
    return names.find_table(root, *(f"{folder}{name}" for folder in ("Labels/", "")
                                    for name in wanted))


def _pairs(root: Path, name: str) -> dict[str, str]:
    """Read `Train; MSP-PODCAST_0001_0008.wav`, in either order, as {stem: word}."""
    path = _table(root, name)
    pairs = []
    for number_, line in enumerate(read_text(path).splitlines() if path else (), 1):
        cells = [cell.strip() for cell in line.split(";")]
        if len(cells) > 1:
            file, word = cells[:2] if _STEM.fullmatch(_stem(cells[0])) else cells[1::-1]
            pairs.append((_stem(file), word, f"{path}:{number_}"))
    return unique(pairs)


_SIZES = {"Train": 84_030, "Development": 19_815, "Test1": 30_647, "Test2": 14_815}
_SHARES = {"N": 30, "H": 20, "X": 19, "S": 9, "A": 9, "C": 4, "U": 4, "D": 2, "O": 2, "F": 1}
_N_SPEAKERS = 2000
_CANONICAL = {"A": "anger", "S": "sadness", "H": "happiness", "X": "no_agreement"}


def stand_ins() -> Iterator[StandIn]:
    """Give the 149 307 labelled turns of release 1.11, without the hidden Test3.

    The sizes of the partitions are the published ones; numbers in the names, speakers (one turn
    in seven unknown), genders and labels are our choice.
    """
    for index, (split, code, speaker) in enumerate(_dealt()):
        gender = "" if not speaker else "female" if int(speaker) % 2 else "male"
        word = _CANONICAL.get(code, EMOTIONS[code])
        yield StandIn(f"Audios/MSP-PODCAST_{index // 60 + 1:04d}_{index % 60 + 1:04d}.wav",
                      word, speaker, gender, f"turn {index}")


def _dealt() -> Iterator[tuple[str, str, str]]:
    """Give partition, label and speaker of each stand-in; a speaker has one partition."""
    codes, first, done = spread(_SHARES), 0, 0
    total = sum(_SIZES.values())
    for split, size in _SIZES.items():
        done += size
        n_speakers = _N_SPEAKERS * done // total - first
        for index in range(size):
            code = codes[index % len(codes)]
            speaker = str(first + index * n_speakers // size + 1) if index % 7 else ""
            yield split, code, speaker
        first += n_speakers


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give consensus and workers of some stand-ins; attributes and votes are invented."""
    codes = {_CANONICAL.get(code, word): code for code, word in EMOTIONS.items()}
    dealt = list(_dealt())
    consensus = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    workers = ["FileName,EmoDetail"]
    for item in stand_ins:
        name = item.path.rpartition("/")[2]
        podcast, turn = name.removesuffix(".wav").split("_")[1:]
        code = codes[item.emotion]
        felt = invented.values(item.emotion, name, SCALES)
        consensus.append(f"{name},{code},{felt['arousal']:.1f},{felt['valence']:.1f},"
                         f"{felt['dominance']:.1f},{item.speaker or 'Unknown'},"
                         f"{item.gender.capitalize() or 'Unknown'},"
                         f"{dealt[(int(podcast) - 1) * 60 + int(turn) - 1][0]}")
        word = EMOTIONS[code].capitalize()
        given = ("Happy", "Sad", "Neutral") if code == "X" else (word, word, "Neutral")
        workers += [f'{name},"WORKER{number_:08d}; {choice}; {choice},Concerned; A:4.0; V:3.0; '
                    'D:5.0;"' for number_, choice in enumerate(given, 1)]
    return {"Labels/labels_consensus.csv": "\n".join(consensus) + "\n",
            "Labels/labels_detailed.csv": "\n".join(workers) + "\n"}
