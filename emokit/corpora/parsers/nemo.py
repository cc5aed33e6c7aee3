"""nEMO: nine Polish actors, ninety sentences, six emotions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.parsers.conversation import number, parse_listed
from emokit.corpora.parsers.tables import check_labels, read_table, unique
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Christop, nEMO: Dataset of Emotional Speech in Polish, LREC-COLING 2024, pp. 12111-12116. "
    "https://github.com/amu-cai/nEMO"
)
EMOTIONS = {
    "anger": "anger", "fear": "fear", "happiness": "happiness",
    "neutral": "neutral", "sadness": "sadness", "surprised": "surprised",
}
OPTIONAL = {("data.tsv",): "texts are"}
LANGUAGE = "pl"
SPEAKERS = {
    "EB0": ("female", 27), "IC0": ("female", 28), "KD0": ("female", 28), "KS0": ("male", 23),
    "MK0": ("female", 23), "MP0": ("male", 24), "SM0": ("male", 24), "TP0": ("male", 26),
    "WR0": ("male", 23),
}
"""Gender and age in years of each speaker."""

_STEM = re.compile(r"([A-Z]{2}\d)_([a-z]+)_(\d+)")


def recognises(root: Path) -> bool:
    """Tell by names such as `EB0_neutral_13` in `samples/`, or in the folder itself."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[1] in SPEAKERS and match[2] in EMOTIONS

    return any(names.matches(root, folder, test) for folder in ("samples", ""))


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by name; texts come from `data.tsv` if that table is there.

    Raises:
        CorpusError: `data.tsv` lacks its columns, has an unknown emotion, an age that is no number
            or rows that contradict each other.
    """
    rows = _rows(root)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form EB0_neutral_13"
        speaker, emotion, sentence = match.groups()
        if emotion not in EMOTIONS:
            return f"unknown emotion '{emotion}' in the name"
        gender, age = SPEAKERS.get(speaker, ("", ""))
        facts = {"text": f"sentence {sentence}", "gender": gender,
                 "age": float(age) if age else "", "language": LANGUAGE, "sentence": sentence,
                 **rows.get(file.stem, {})}
        return Utterance(file.stem, file.path, EMOTIONS[emotion], speaker,
                         extra={key: value for key, value in facts.items() if value != ""})

    yield from parse_listed(names.audio_files(root), read,
                            {stem: f"samples/{stem}.wav" for stem in rows}, "data.tsv")


def _rows(root: Path) -> dict[str, dict[str, str | float]]:
    """Read what the table says of each file; nothing if it is not there."""
    path = names.find_table(root, "data.tsv")
    rows = list(read_table(path, ("file_id", "raw_text", "gender", "age"), "\t")) if path else []
    check_labels(((row["emotion"], row.place) for row in rows if row.get("emotion")), EMOTIONS)
    found = []
    for row in rows:
        facts: dict[str, str | float] = {"text": row["raw_text"], "gender": row["gender"]}
        if row["age"]:
            facts["age"] = number(row["age"], row.place)
        found.append((row["file_id"].rsplit(".", 1)[0],
                      {key: value for key, value in facts.items() if value != ""}, row.place))
    return unique(found)


def stand_ins() -> Iterator[StandIn]:
    """Give 4481 files as published: about ninety for each speaker and emotion.

    The exact list is not public in machine form: MK0 has no `surprised`, and MP0 has 17 to 49
    files in five emotions; which of those has how many is our choice, made to meet the total.
    """
    few = {"anger": 17, "fear": 30, "happiness": 32, "sadness": 33, "surprised": 49}
    for speaker, (gender, age) in SPEAKERS.items():
        for emotion in EMOTIONS:
            n_sentences = few.get(emotion, 90) if speaker == "MP0" else 90
            if (speaker, emotion) == ("MK0", "surprised"):
                continue
            for sentence in range(1, n_sentences + 1):
                yield StandIn(
                    f"samples/{speaker}_{emotion}_{sentence}.wav",
                    "surprise" if emotion == "surprised" else emotion, speaker, gender,
                    f"sentence {sentence}", age=age,
                )


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give `data.tsv` for some stand-ins, blanks before the speaker as published."""
    lines = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    for item in stand_ins:
        name = item.path.rpartition("/")[2]
        emotion = name.split("_")[1]
        lines.append(f"{name}\t{emotion}\t{item.text}\t{item.text}\t        {item.speaker}"
                     f"\t{item.gender}\t{item.age}")
    return {"data.tsv": "\n".join(lines) + "\n"}
