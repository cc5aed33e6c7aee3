"""CREMA-D: 91 American actors, twelve sentences, six emotions, crowd-sourced votes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.corpora.parsers import names
from emokit.corpora.parsers.conversation import number
from emokit.corpora.parsers.tables import read_table, unique
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Cao, Cooper, Keutmann, Gur, Nenkova & Verma, CREMA-D: Crowd-sourced Emotional Multimodal "
    "Actors Dataset, IEEE Transactions on Affective Computing 5(4), 377-390, 2014. "
    "https://github.com/CheyneyComputerScience/CREMA-D"
)
EXACT = True
EMOTIONS = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear",
    "HAP": "happiness", "NEU": "neutral", "SAD": "sadness",
}
LANGUAGE = "en"
SENTENCES = {
    "IEO": "It's eleven o'clock", "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting", "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full", "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock", "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket", "ITS": "I think I've seen this before",
    "TSI": "The surface is slick", "WSI": "We'll stop in a couple of minutes",
}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
DAMAGED = {"1076_MTI_SAD_XX": "holds no signal in the official release"}
OPTIONAL = {
    ("VideoDemographics.csv",): "gender and age are",
    ("processedResults/tabulatedVotes.csv", "tabulatedVotes.csv"):
        "votes and agreement of the raters are",
}
FOLDS = {"emo_superb": "the five folds of EMO-SUPERB (Wu et al. 2024), each with its own actors"}
NOTES = (
    "No partition is official. The label is the emotion that was acted; the votes of the raters "
    "on the voice alone come along as soft labels, `perceived` and `agreement`."
)

EMO_SUPERB = {
    **dict.fromkeys(range(1037, 1055), "1"), **dict.fromkeys(range(1001, 1019), "2"),
    **dict.fromkeys(range(1073, 1092), "3"), **dict.fromkeys(range(1055, 1073), "4"),
    **dict.fromkeys(range(1019, 1037), "5"),
}
"""Actor to the fold of EMO-SUPERB (Wu et al. 2024), in its order."""

_VOTES = dict(zip("ADFHNS", EMOTIONS.values()))
# one published file is spelt 1040_ITH_SAD_X
_STEM = re.compile(r"(1\d{3})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX?)")
_ABSENT = (
    {f"{actor}_{sentence}_{emotion}_XX" for actor, sentence in
     (("1008", "WSI"), ("1009", "MTI"), ("1019", "ITH")) for emotion in EMOTIONS}
    | {"1002_TIE_NEU_XX", "1076_ITS_NEU_XX"}
)


def recognises(root: Path) -> bool:
    """Tell by names such as `1001_DFA_ANG_XX` in `AudioWAV/`, or by the tables alone."""
    if any(names.matches(root, folder, _STEM.fullmatch) for folder in ("AudioWAV", "AudioMP3", "")):
        return True
    return (names.find_table(root, "VideoDemographics.csv") is not None
            and names.find_table(root, "SentenceFilenames.csv") is not None)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the clips; the label is the acted emotion, `p_…` the votes on the voice alone.

    `agreement` is the share of voice votes for the acted emotion, `perceived` the voice majority
    (a tie as `anger:disgust`). Without the tables these and gender and age stay unknown.
    `emo_superb` is the actor's fold in EMO-SUPERB, for `{rule: folds, by: emo_superb}`.

    Raises:
        CorpusError: a table lacks its columns, has a cell that is no number or rows that
            contradict each other.
    """
    people, votes = _demographics(root), _voice_votes(root)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form 1001_DFA_ANG_XX"
        actor, sentence, code, level = match.groups()
        if sentence not in SENTENCES or code not in EMOTIONS:
            return f"unknown sentence or emotion in the name ({sentence}, {code})"
        stem = f"{actor}_{sentence}_{code}_{'XX' if level == 'X' else level}"
        extra = {"text": SENTENCES[sentence], "language": LANGUAGE, "intensity": LEVELS[level],
                 "emo_superb": EMO_SUPERB.get(int(actor), ""),
                 **people.get(actor, {})}
        if stem in votes:
            extra |= _soft_label(votes[stem], EMOTIONS[code])
        return Utterance(stem, file.path, EMOTIONS[code], actor, extra=extra)

    yield from names.parse_files(names.audio_files(root), read)


def _demographics(root: Path) -> dict[str, dict[str, str | float]]:
    path = names.find_table(root, "VideoDemographics.csv")
    if path is None:
        return {}
    return unique(
        (row["ActorID"],
         {"gender": row["Sex"].lower(), "age": number(row["Age"], f"{row.place}: Age")}, row.place)
        for row in read_table(path, ("ActorID", "Age", "Sex")))


def _voice_votes(root: Path) -> dict[str, dict[str, int]]:
    path = names.find_table(root, "processedResults/tabulatedVotes.csv", "tabulatedVotes.csv")
    if path is None:
        return {}
    votes = []
    for row in read_table(path, ("", *_VOTES, "fileName")):
        # the first column is modality * 100000 + clip; modality 1 is the voice alone
        if number(row[""], f"{row.place}: first column") // 100_000 == 1:
            votes.append((row["fileName"], {
                word: int(number(row[letter], f"{row.place}: votes {letter}"))
                for letter, word in _VOTES.items()}, row.place))
    return unique(votes)


def _soft_label(votes: dict[str, int], acted: str) -> dict[str, str | float]:
    total = sum(votes.values())
    if not total:
        return {}
    most = max(votes.values())
    perceived = ":".join(word for word, count in votes.items() if count == most)
    return {"n_ratings": total, "agreement": votes[acted] / total, "perceived": perceived,
            **{f"p_{word}": count / total for word, count in votes.items()}}


def stand_ins() -> Iterator[StandIn]:
    """Give the 7442 files of the release; 20 of the full design are absent there too.

    Genders here are invented (48 men, 43 women as published); the true ones are in the tables.
    """
    strength = {"LO": 0.2, "MD": 0.5, "HI": 0.9, "XX": 0.6}
    for place, actor in enumerate(range(1001, 1092)):
        gender = "male" if place % 2 == 0 or place in (1, 31) else "female"
        for sentence, text in SENTENCES.items():
            for code, emotion in EMOTIONS.items():
                graded = sentence == "IEO" and code != "NEU"
                for level in ("LO", "MD", "HI") if graded else ("XX",):
                    stem = f"{actor}_{sentence}_{code}_{level}"
                    if stem in _ABSENT:
                        continue
                    if stem == "1040_ITH_SAD_XX":
                        stem = stem[:-1]
                    yield StandIn(f"AudioWAV/{stem}.wav", emotion, str(actor), gender, text,
                                  strength[level])


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the demographics and votes of some stand-ins in the published columns.

    Ages and votes are invented: ten votes a clip, most for the acted emotion.
    """
    people, rows = {}, []
    for item in stand_ins:
        stem = item.path.rpartition("/")[2].rsplit(".", 1)[0]
        stem += "X" if stem.endswith("_X") else ""
        draw = hashlib.sha256(stem.encode()).digest()
        people[item.speaker] = f'{item.speaker},{20 + int(item.speaker) % 55},' \
                               f'"{item.gender.capitalize()}","",""'
        votes = dict.fromkeys(_VOTES, 0)
        acted = next(letter for letter, word in _VOTES.items() if word == item.emotion)
        for index in range(10):
            votes[acted if draw[index] < 150 else "ADFHNS"[draw[index] % 6]] += 1
        rows.append((stem, votes))
    votes_text = ['"","A","D","F","H","N","S","fileName","numResponses"']
    votes_text += [f'"{100_001 + index}",{",".join(map(str, votes.values()))},"{stem}",10'
                   for index, (stem, votes) in enumerate(rows)]
    demographics = ['"ActorID","Age","Sex","Race","Ethnicity"', *people.values()]
    return {"VideoDemographics.csv": "\n".join(demographics) + "\n",
            "processedResults/tabulatedVotes.csv": "\n".join(votes_text) + "\n"}
