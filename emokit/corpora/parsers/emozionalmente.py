"""Emozionalmente: 431 Italian amateur actors, 18 sentences, seven emotions, five votes a clip."""

from __future__ import annotations

import collections
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers.conversation import parse_listed
from emokit.corpora.parsers.tables import check_labels, read_table, unique
from emokit.corpora.utterance import Misfit, Rating, StandIn, Utterance

SOURCE = (
    "Catania, Wilke & Garzotto, Emozionalmente: A Crowdsourced Corpus of Simulated Emotional "
    "Speech in Italian, IEEE Transactions on Audio, Speech and Language Processing 33, 1142-1155, "
    "2025. https://zenodo.org/record/6569824"
)
EMOTIONS = {word: word for word in (
    "anger", "disgust", "fear", "joy", "neutrality", "sadness", "surprise")}
LANGUAGE = "it"
OPTIONAL = {
    ("metadata/users.csv", "users.csv"): "gender and age are",
    ("metadata/evaluations.csv", "evaluations.csv"): "votes and agreement of the raters are",
}
NOTES = (
    "Recorded at home: 3.8 % of the votes call the quality of a clip bad. Listeners agree with the "
    "acted emotion in 66 % of the votes. 34 times a rater judged a clip more than once; each of "
    "these votes counts, so that every clip has five. The split that version 1.1 adds is not read."
)

_SAMPLES = ("file_name", "sentence", "actor", "emotion_expressed")
_GENDERS = ("female", "male")
_QUALITY = {"good": 1.0, "bad": 0.0}
_N_SENTENCES, _N_ACTORS, _N_MEN, _N_ROUNDS = 18, 431, 131, 986


def recognises(root: Path) -> bool:
    """Tell by a table `metadata/samples.csv` whose columns are the published ones."""
    path = _table(root, "samples")
    try:
        return path is not None and "emotion_expressed" in path.read_bytes()[:200].decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the clips of `metadata/samples.csv`; the label is the acted emotion, `p_…` the votes.

    `agreement` is the share of votes for the acted emotion, `perceived` the majority (a tie as
    `anger:disgust`). Without `evaluations.csv` and `users.csv` these, gender and age stay
    unknown.

    Raises:
        CorpusError: no `samples.csv`, or a table that lacks its columns, has an unknown emotion
            or rows that contradict each other.
    """
    path = _table(root, "samples")
    if path is None:
        raise CorpusError(
            f"'{root}' has no metadata/samples.csv, which says who speaks how. Put the published "
            "table there."
        )
    rows = list(read_table(path, _SAMPLES))
    check_labels(((row["emotion_expressed"], row.place) for row in rows), EMOTIONS)
    samples = unique((_stem(row["file_name"]), row.of(*_SAMPLES[1:]), row.place) for row in rows)
    people, votes = _people(root), _votes(root)

    def read(file: names.AudioFile) -> Utterance | str:
        if not file.stem.isdigit():
            return "the name is not of the form 1612871026347"
        if file.stem not in samples:
            return "not listed in samples.csv"
        row = samples[file.stem]
        extra = {"text": row["sentence"], "language": LANGUAGE, **people.get(row["actor"], {}),
                 **_soft_label(votes.get(file.stem, []), row["emotion_expressed"])}
        return Utterance(file.stem, file.path, EMOTIONS[row["emotion_expressed"]], row["actor"],
                         extra=extra)

    yield from parse_listed(names.audio_files(root), read,
                            {stem: f"audio/{stem}.wav" for stem in samples}, path.name)


def ratings(root: Path) -> Iterator[Rating]:
    """Read every judgement: the emotion heard, and `quality`, 1 for good and 0 for bad.

    Raises:
        CorpusError: `evaluations.csv` lacks its columns, or has an unknown emotion.
    """
    path = _table(root, "evaluations")
    columns = ("file_name", "evaluator", "audio_quality", "emotion_recognized")
    rows = list(read_table(path, columns)) if path else []
    # who gave no answer did not recognise another emotion
    check_labels(((row["emotion_recognized"], row.place) for row in rows), [*EMOTIONS, ""])
    for row in rows:
        quality = _QUALITY.get(row["audio_quality"])
        yield Rating(_stem(row["file_name"]), row["evaluator"], row["emotion_recognized"],
                     {} if quality is None else {"quality": quality})


def _table(root: Path, name: str) -> Path | None:
    return names.find_table(root, f"metadata/{name}.csv", f"{name}.csv")


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _people(root: Path) -> dict[str, dict[str, str | float]]:
    path = _table(root, "users")
    people = []
    for row in read_table(path, ("username", "gender", "age")) if path else ():
        facts: dict[str, str | float] = {}
        if row["gender"] in _GENDERS:
            facts["gender"] = row["gender"]
        if row["age"].isdigit():
            facts["age"] = float(row["age"])
        people.append((row["username"], facts, row.place))
    return unique(people)


def _votes(root: Path) -> dict[str, list[str]]:
    votes = collections.defaultdict(list)
    for rating in ratings(root):
        if rating.emotion:
            votes[rating.utterance].append(rating.emotion)
    return votes


def _soft_label(votes: list[str], acted: str) -> dict[str, str | float]:
    if not votes:
        return {}
    counts = {word: votes.count(word) for word in EMOTIONS}
    most = max(counts.values())
    return {"n_ratings": len(votes), "agreement": counts[acted] / len(votes),
            "perceived": ":".join(word for word, count in counts.items() if count == most),
            **{f"p_{word}": count / len(votes) for word, count in counts.items()}}


def stand_ins() -> Iterator[StandIn]:
    """Give 6902 files, 986 of each emotion by 431 actors as published.

    File names are times of recording and actors are hashes, so both are invented here, and so is
    who said how much: two or three rounds of the seven emotions each, where the real actors made
    one to 105 clips. Men, women and ages are as many and as old as published, roughly.
    """
    canonical = {"joy": "happiness", "neutrality": "neutral"}
    number = 0
    for place in range(_N_ACTORS):
        actor = hashlib.sha256(f"actor {place}".encode()).hexdigest()
        gender = "male" if place * _N_MEN % _N_ACTORS < _N_MEN else "female"
        n_rounds = _N_ROUNDS // _N_ACTORS + (place < _N_ROUNDS % _N_ACTORS)
        for turn in range(n_rounds):
            for word in EMOTIONS:
                sentence = f"frase {(place + 7 * turn) % _N_SENTENCES + 1}"
                yield StandIn(f"audio/{1612871026347 + 1123456 * number}.wav",
                              canonical.get(word, word), actor, gender, sentence,
                              age=18.0 + place % 40)
                number += 1


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the three tables for some stand-ins; the five votes a clip are invented.

    About two thirds of them name the acted emotion, as published.
    """
    own = {"happiness": "joy", "neutral": "neutrality"}
    words = list(EMOTIONS)
    samples = ["file_name,sentence,sentence_language,actor,emotion_expressed"]
    votes = ["file_name,evaluator,audio_quality,emotion_recognized"]
    users = {}
    for item in stand_ins:
        name, acted = item.path.rpartition("/")[2], own.get(item.emotion, item.emotion)
        samples.append(f"{name},{item.text},italian,{item.speaker},{acted}")
        users[item.speaker] = f"{item.speaker},{item.gender},{item.age:g},italian"
        draw = hashlib.sha256(name.encode()).digest()
        for rater in range(5):
            heard = acted if draw[rater] < 155 else words[draw[rater + 5] % len(words)]
            quality = "bad" if draw[rater + 10] < 10 else "good"
            votes.append(f"{name},rater{draw[15] % 50 + 50 * rater:03d},{quality},{heard}")
    return {"metadata/samples.csv": "\n".join(samples) + "\n",
            "metadata/evaluations.csv": "\n".join(votes) + "\n",
            "metadata/users.csv": "\n".join(["username,gender,age,mother_tongue",
                                             *users.values()]) + "\n"}
