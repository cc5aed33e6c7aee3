"""MSP-IMPROV: twelve American actors in six sessions, the same sentences read and improvised."""

from __future__ import annotations

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
    "Busso, Parthasarathy, Burmania, AbdelWahab, Sadoughi & Provost, MSP-IMPROV: An Acted Corpus "
    "of Dyadic Interactions to Study Emotion Perception, IEEE Transactions on Affective Computing "
    "8(1), 67-80, 2017. https://ecs.utdallas.edu/research/researchlabs/msp-lab"
)
EMOTIONS = {"A": "angry", "S": "sad", "H": "happy", "N": "neutral", "O": "other",
            "X": "no agreement"}
LANGUAGE = "en"
SCALES = {"arousal": (1, 5), "valence": (1, 5), "dominance": (1, 5)}
NOTES = (
    "The labels are in one text file, Evaluation.txt or Evalution.txt, whose clips are called "
    "UTD-IMPROV where the recordings are called MSP-IMPROV. The letter after the sentence is the "
    "emotion that the scene was written for, not the label."
)
STYLES = {"P": "natural", "R": "read", "S": "improvised", "T": "target improvised"}

_STEM = re.compile(r"(?:MSP|UTD)-(IMPROV-(S\d\d)([AHNS])-([FM])(0[1-6])-([PRST])-[FM][FM]\d+)")
_DIMENSIONS = {"A": "arousal", "V": "valence", "D": "dominance", "N": "naturalness"}


def recognises(root: Path) -> bool:
    """Tell by `session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01`, here or in a folder `Audio`."""
    for folder in ["", *(top for top in names.folders_in(root) if top.lower() == "audio")]:
        if any(below_first(root, session, _STEM.fullmatch, 2)
               for session in names.folders_in(root, folder)
               if re.fullmatch(r"(?i)session ?[1-6]", session.rpartition("/")[2])):
            return True
    table = _table(root)
    return table is not None and _STEM.search(_start(table)) is not None


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the turns; the label is the consensus of the workers, `p_…` their votes.

    `style` is `read`, `target improvised` (the same sentence within a scene), `improvised` (the
    rest of the scene) or `natural` (between the scenes).

    Raises:
        CorpusError: no table of labels, or one that is not as published: an unknown label, or a
            clip with two labels.
    """
    clips = _clips(root)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form MSP-IMPROV-S01A-F01-P-FM01"
        name, sentence, target, letter, session, style = match.groups()
        if name not in clips:
            return "the table of labels does not name it"
        code, means, given = clips[name]
        label = EMOTIONS[code]
        extra = {"session": str(int(session)), "language": LANGUAGE, "style": STYLES[style],
                 "gender": "female" if letter == "F" else "male", "scene": sentence,
                 "target": EMOTIONS[target], **means,
                 **votes((rating.emotion.split(";") for rating in given), label,
                         list(EMOTIONS.values())[:-1], "other")}
        if style in "RT":
            extra["text"] = f"sentence {sentence}"
        return Utterance(f"MSP-{name}", file.path, label, letter + session, extra=extra)

    listed = {f"MSP-{name}": f"session{int(name[13:15])}/{name[7:11]}/{name[16]}/MSP-{name}.wav"
              for name in clips}
    yield from parse_listed(names.audio_files(root), read, listed, "the table of labels",
                            lambda file: file.stem.replace("UTD-", "MSP-", 1))


def ratings(root: Path) -> Iterator[Rating]:
    """Give every worker's choices and attributes (`naturalness`, too) where the table has them.

    Raises:
        CorpusError: no table of labels, or one that is not as published.
    """
    for _, _, given in _clips(root).values():
        yield from given


def _table(root: Path) -> Path | None:
    return names.find_table(root, *(f"{folder}{stem}.{suffix}" for folder in (
        "", "Labels/", "Label/") for stem in ("Evaluation", "Evalution")
        for suffix in ("txt", "csv")))


def _start(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(200).decode("latin-1")
    except OSError:
        return ""


def _clips(root: Path) -> dict[str, tuple[str, dict[str, float], list[Rating]]]:
    """Read label, means and ratings of each clip, `IMPROV-…` without the first syllable."""
    path = _table(root)
    if path is None:
        raise CorpusError(f"MSP-IMPROV in '{root}' has no table Evaluation.txt, where its labels "
                          "are. Put it there.")
    clips: dict[str, tuple[str, dict[str, float], list[Rating]]] = {}
    heads: list[tuple[str, tuple[str, dict[str, float]], str]] = []
    given: list[Rating] | None = None
    for line_number, line in enumerate(read_text(path, "utf-8-sig", "cp1252").splitlines(), 1):
        cells = [cell.strip() for cell in line.split(";")]
        if len(cells) < 2:
            continue
        where = f"{path}:{line_number}"
        values = {_DIMENSIONS[cell[0]]: number(cell[2:].strip(), where)
                  for cell in cells[1:] if re.match(r"[AVDN]:.*\d", cell)}
        if match := _STEM.match(cells[0]):
            given = []
            clips[match[1]] = cells[1], values, given
            heads.append((match[1], (cells[1], values), where))
            name = match[1]
        elif given is None:
            raise CorpusError(f"{where}: '{line[:60]}' is no line of a clip, such as "
                              "'UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:3.0; V:3.5;'. Put the "
                              "published table there.")
        else:
            chosen = "" if ":" in cells[1] else cells[1].lower()
            words = [word.strip() for word in chosen.split(",") if word.strip()]
            if words or values:
                given.append(Rating(f"MSP-{name}", cells[0], ";".join(words), values))
    if not clips:
        raise CorpusError(f"'{path}' names no clip. Put the published table there.")
    check_labels(((code, where) for _, (code, _), where in heads), EMOTIONS)
    unique(heads)
    return clips


PUBLISHED = {"N": 3477, "H": 2644, "S": 885, "A": 792, "X": 540, "O": 100}
"""Turns of each label; how the last 640 divide into no agreement and other is our choice."""
_CANONICAL = {"A": "anger", "S": "sadness", "H": "happiness", "X": "no_agreement"}
_STYLE_SIZES = {"S": 4381, "P": 2785, "T": 652, "R": 620}


def stand_ins() -> Iterator[StandIn]:
    """Give 8438 turns with the published numbers of labels and styles.

    Which speaker and scene has how many turns is our choice.
    """
    styles = spread(_STYLE_SIZES)
    turns: dict[tuple, int] = {}
    for index, code in enumerate(spread(PUBLISHED)):
        style = styles[index]
        # twelve speakers in blocks, so that each has every label and style
        which = index * 12 // len(styles)
        session, letter = which // 2 + 1, "FM"[which % 2]
        scene = f"S{index // 4 % 20 + 1:02d}{'AHNS'[index % 4]}"
        place = scene, letter, session, style
        turns[place] = turns.get(place, 0) + 1
        stem = (f"MSP-IMPROV-{scene}-{letter}{session:02d}-{style}-"
                f"{letter}{'MF'[which % 2]}{turns[place]:02d}")
        yield StandIn(f"session{session}/{scene}/{style}/{stem}.wav",
                      _CANONICAL.get(code, EMOTIONS[code]), f"{letter}{session:02d}",
                      "female" if letter == "F" else "male", f"sentence {scene[:3]}")


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the labels and workers of some stand-ins; attributes and votes are invented."""
    codes = {_CANONICAL.get(code, word): code for code, word in EMOTIONS.items()}
    lines = []
    for item in stand_ins:
        stem = item.path.rpartition("/")[2].rsplit(".", 1)[0].replace("MSP-", "UTD-")
        code = codes[item.emotion]
        word = EMOTIONS[code].capitalize()
        given = ("Happy", "Sad", "Neutral") if code == "X" else (word, f"{word},Other", word)
        felt = invented.values(item.emotion, stem, SCALES)
        lines.append(f"{stem}.avi; {code}; A:{felt['arousal']:.6f}; V:{felt['valence']:.6f}; "
                     f"D:{felt['dominance']:.6f}; N:3.000000; ")
        lines += [f"worker-p{number_}; {choice}; A:3; V:2; D:4; N:3; "
                  for number_, choice in enumerate(given, 1)]
        lines.append("")
    return {"Evalution.txt": "\n".join(lines) + "\n"}
