"""IEMOCAP: ten American actors in five dyadic sessions, scripted and improvised."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers import invented
from emokit.corpora.parsers.conversation import (
    below_first, number, parse_listed, read_text, spread, votes,
)
from emokit.corpora.parsers.tables import check_labels, unique
from emokit.corpora.utterance import Misfit, Rating, StandIn, Utterance

SOURCE = (
    "Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee & Narayanan, IEMOCAP: Interactive "
    "emotional dyadic motion capture database, Language Resources and Evaluation 42, 335-359, "
    "2008. https://sail.usc.edu/iemocap"
)
EMOTIONS = {
    "ang": "anger", "hap": "happiness", "exc": "excited", "sad": "sadness", "neu": "neutral",
    "fru": "frustration", "sur": "surprise", "fea": "fear", "dis": "disgust", "oth": "other",
    "xxx": "no agreement",
}
LANGUAGE = "en"
SCALES = {"valence": (1, 5), "arousal": (1, 5), "dominance": (1, 5)}
OPTIONAL = {("Session1/dialog/transcriptions", "*/dialog/transcriptions",
             "*/*/dialog/transcriptions"): "texts are"}
NOTES = (
    "The file name's first F or M says who wears the markers, the last one who speaks. Turns "
    "without a majority are labelled xxx. Most papers keep anger, sadness, neutral, and happiness "
    "with excitement (5531 turns) and leave one session out. Some attribute ratings lack "
    "dominance."
)

# Ses03M_impro05 and Ses03M_impro08 come in two parts, a and b
_STEM = re.compile(r"(Ses0([1-5])[FM]_(impro|script)\d\d[a-z]?(?:_\d[a-z]?)?)_([FM])(\w+)")
_DIALOGUE = re.compile(r"Ses0[1-5][FM]_(impro|script)\d\d[a-z]?(_\d[a-z]?)?")
_HEAD = re.compile(r"\[([\d.]+) - ([\d.]+)\]\s+(\S+)\s+(\S+)\s+\[(.*)\]")
_RATER = re.compile(r"([CA])-([A-Z]\d+):(.*)")
_SPOKEN = re.compile(r"(\S+) \[[\d.]+-[\d.]+\]:(.*)")
_DIMENSIONS = {"val": "valence", "act": "arousal", "dom": "dominance"}
_WORDS = {"neutral state": "neutral", "excitement": "excited"}


@dataclasses.dataclass(frozen=True)
class _Turn:
    code: str
    means: dict[str, float]
    ratings: list[Rating]


def recognises(root: Path) -> bool:
    """Tell by `Session1/sentences/wav/<dialogue>/<turn>`, or by `dialog/EmoEvaluation` alone."""
    for session in names.folders_in(root):
        if re.fullmatch(r"(?i)session[1-5]", session):
            if below_first(root, f"{session}/sentences/wav", _STEM.fullmatch, 1):
                return True
            folder = names.find_table(root, f"{session}/dialog/EmoEvaluation")
            if folder is not None and any(_DIALOGUE.fullmatch(path.stem)
                                          for path in folder.glob("*.txt")):
                return True
    return False


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the turns; the label is the majority of the raters, `p_…` their votes.

    `valence`, `arousal`, `dominance` are the published means. The speakers' own reports count
    neither there nor in the votes. Recordings of whole dialogues are passed over.

    Raises:
        CorpusError: no table of labels, or one that is not as published: an unknown label, or a
            turn with two labels.
    """
    turns, texts = _turns(root), _texts(root)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form Ses01F_impro01_F000"
        if file.stem not in turns:
            return "EmoEvaluation has no label of it"
        turn = turns[file.stem]
        dialogue, session, style, letter, _ = match.groups()
        label = EMOTIONS[turn.code]
        extra = {"session": session, "dialogue": dialogue, "language": LANGUAGE,
                 "gender": "female" if letter == "F" else "male",
                 "style": "improvised" if style == "impro" else "scripted", **turn.means,
                 **votes((rating.emotion.split(";") for rating in turn.ratings
                          if not rating.rater.startswith("self")), label,
                         list(EMOTIONS.values())[:-1], "other")}
        if texts.get(file.stem):
            extra["text"] = texts[file.stem]
        return Utterance(file.stem, file.path, label, f"Ses0{session}{letter}", extra=extra)

    files = [file for file in names.audio_files(root) if not _DIALOGUE.fullmatch(file.stem)]
    listed = {name: f"Session{name[4]}/sentences/wav/{name.rpartition('_')[0]}/{name}.wav"
              for name in turns}
    yield from parse_listed(files, read, listed, "EmoEvaluation")


def ratings(root: Path) -> Iterator[Rating]:
    """Give every judgement; raters `E1` … are others, `self_F1` … the speakers themselves."""
    for turn in _turns(root).values():
        yield from turn.ratings


def _tables(root: Path, kind: str) -> dict[str, Path]:
    """Find the tables of one kind, by dialogue; a second copy of the tree is not read again."""
    tables: dict[str, Path] = {}
    for top in ["", *names.folders_in(root)]:
        for session in names.folders_in(root, top):
            folder = names.find_table(root, f"{session}/dialog/{kind}") if re.fullmatch(
                r"(?i)session[1-5]", session.rpartition("/")[2]) else None
            for path in sorted(folder.glob("*.txt")) if folder else ():
                if _DIALOGUE.fullmatch(path.stem):
                    tables.setdefault(path.stem, path)
    return tables


def _turns(root: Path) -> dict[str, _Turn]:
    tables = _tables(root, "EmoEvaluation")
    if not tables:
        raise CorpusError(
            f"IEMOCAP in '{root}' has no table Session1/dialog/EmoEvaluation/Ses01F_impro01.txt, "
            "where its labels are. Put the whole release there.")
    turns: dict[str, _Turn] = {}
    heads: list[tuple[str, tuple[str, dict[str, float]], str]] = []
    for path in tables.values():
        turn, answers = "", {}
        # raters' remarks are not all ASCII
        text = read_text(path, "utf-8-sig", "cp1252")
        for line_number, line in enumerate(text.splitlines(), 1):
            where = f"{path}:{line_number}"
            if line.startswith("["):
                match = _HEAD.fullmatch(line.strip())
                means = match[5].split(",") if match else []
                if len(means) != 3:
                    raise CorpusError(
                        f"{where}: '{line.strip()}' is not '[start - end] turn label [V, A, D]'. "
                        "Put the published EmoEvaluation there.")
                turn, answers = match[3], {}
                turns[turn] = _Turn(match[4], {
                    name: number(value.strip(), where)
                    for name, value in zip(SCALES, means)}, [])
                heads.append((turn, (match[4], turns[turn].means), where))
            elif turn and (match := _RATER.match(line)):
                _add(turns[turn].ratings, answers, turn, *match.groups(), where)
    check_labels(((code, where) for _, (code, _), where in heads), EMOTIONS)
    unique(heads)
    return turns


def _add(ratings_: list[Rating], answers: dict, turn: str, kind: str, rater: str, text: str,
         where: str) -> None:
    """Add a rater's line; the categorical and the attribute line of one rater become one."""
    rater = rater if rater.startswith("E") else f"self_{rater}"
    cells = [cell.strip() for cell in text.split("(")[0].split(";")]
    if kind == "C":
        words = [_WORDS.get(cell.lower(), cell.lower()) for cell in cells if cell]
        answer = Rating(turn, rater, ";".join(words))
    else:
        pairs = (cell.split() for cell in cells)
        answer = Rating(turn, rater, values={
            _DIMENSIONS[pair[0]]: number(pair[1], where)
            for pair in pairs if len(pair) == 2 and pair[0] in _DIMENSIONS})
    if not answer.emotion and not answer.values:
        return
    if rater in answers:
        at = answers[rater]
        former = ratings_[at]
        ratings_[at] = Rating(turn, rater, answer.emotion or former.emotion,
                              {**former.values, **answer.values})
    else:
        answers[rater] = len(ratings_)
        ratings_.append(answer)


def _texts(root: Path) -> dict[str, str]:
    texts = {}
    for path in _tables(root, "transcriptions").values():
        for line in read_text(path, "utf-8-sig", "cp1252").splitlines():
            if match := _SPOKEN.match(line):
                texts[match[1]] = match[2].strip()
    return texts


PUBLISHED = {"xxx": 2507, "fru": 1849, "neu": 1708, "ang": 1103, "sad": 1084, "exc": 1041,
             "hap": 595, "sur": 107, "fea": 40, "oth": 3, "dis": 2}
"""Turns of each label in the release."""

_CANONICAL = {"exc": "excitement", "xxx": "no_agreement"}


def stand_ins() -> Iterator[StandIn]:
    """Give 10 039 turns with the published labels, in the 151 dialogues of the release.

    Which dialogue has how many turns, and which turn which label, is our choice.
    """
    codes = spread(PUBLISHED)
    dialogues = list(_dialogues())
    for index, dialogue in enumerate(dialogues):
        session, name = dialogue[4], dialogue.partition("_")[2]
        here = codes[index * len(codes) // len(dialogues):
                     (index + 1) * len(codes) // len(dialogues)]
        for turn, code in enumerate(here):
            # both speak alternately; the second half of the turns continues the first
            letter = "FM"[(turn + index) % 2]
            path = (f"Session{session}/sentences/wav/{dialogue}/"
                    f"{dialogue}_{letter}{turn // 2:03d}.wav")
            yield StandIn(path, _CANONICAL.get(code, EMOTIONS[code]), f"Ses0{session}{letter}",
                          "female" if letter == "F" else "male", f"turn {turn % 60} of {name}")


def _dialogues() -> Iterator[str]:
    """Name the 151 dialogues: 28, 30, 32, 30 and 31 in the five sessions."""
    scripts = [f"script{part:02d}_{scene}" for part, scene in (
        (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1), (3, 2))]
    parted = {"impro05": ["impro05a", "impro05b"], "impro08": ["impro08a", "impro08b"]}
    for session in "12345":
        for markers in "FM":
            start = f"Ses0{session}{markers}"
            improvised = [f"impro{number:02d}" for number in range(1, 8 if session == "1" else 9)]
            for name in improvised + scripts:
                yield from (f"{start}_{part}" for part in (
                    parted.get(name, [name]) if start == "Ses03M" else
                    [name, "script01_1b"] if (start, name) == ("Ses05M", "script01_1") else
                    [name]))


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give EmoEvaluation and transcriptions of some stand-ins; raters and means are invented."""
    codes = {_CANONICAL.get(code, word): code for code, word in EMOTIONS.items()}
    spoken = {"exc": "Excited", "xxx": "Neutral; Frustration"}
    labels: dict[str, list[str]] = {}
    texts: dict[str, list[str]] = {}
    for item in stand_ins:
        turn = item.path.rpartition("/")[2].rsplit(".", 1)[0]
        dialogue, code = turn.rpartition("_")[0], codes[item.emotion]
        folder = f"Session{turn[4]}/dialog"
        word = spoken.get(code, EMOTIONS[code].capitalize())
        second = "Other" if code == "xxx" else word
        felt = invented.values(item.emotion, turn, SCALES)
        labels.setdefault(f"{folder}/EmoEvaluation/{dialogue}.txt", [
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"]).append("\n".join([
                "", f"[0.0000 - 1.0000]\t{turn}\t{code}\t[{felt['valence']:.4f}, "
                f"{felt['arousal']:.4f}, {felt['dominance']:.4f}]",
                f"C-E1:\t{word};\t()", f"C-E2:\t{second};\t()", f"C-E4:\t{word};\t()",
                f"C-{turn[-4]}1:\t{second};\t()", "A-E1:\tval 2; act 3; dom  ;\t()",
                "A-E3:\tval 3; act 3; dom  4;\t()"]))
        texts.setdefault(f"{folder}/transcriptions/{dialogue}.txt", []).append(
            f"{turn} [000.0000-001.0000]: {item.text}")
    return {path: "\n".join(lines) + "\n" for path, lines in {**labels, **texts}.items()}
