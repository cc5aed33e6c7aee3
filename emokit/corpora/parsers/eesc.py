"""EESC: one Estonian woman reads; each sentence has the emotion that listeners heard."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Altrov & Pajupuu, Estonian Emotional Speech Corpus: theoretical base and implementation, "
    "4th International Workshop on Corpora for Research on Emotion, Sentiment & Social Signals, "
    "2012, pp. 50-53. http://peeter.eki.ee:5000"
)
EMOTIONS = {"anger": "anger", "joy": "joy", "neutral": "neutral", "sadness": "sadness"}
LANGUAGE = "et"
SPEAKER = "1"
NOTES = (
    "One speaker: no speaker-independent score is possible. Speech was read, not acted; the label "
    "of each sentence is the emotion that listeners recognised."
)

_TIER = ("IntervalTier", "TextTier")
_STRING = re.compile(r'"((?:[^"]|"")*)"')


def recognises(root: Path) -> bool:
    """Tell by recordings with a `.TextGrid` beside them that has the tiers emotion, sentence."""
    for path in sorted(Path(root).glob("*.[Tt]ext[Gg]rid"))[:5]:
        try:
            tiers = _tiers(path)
        except CorpusError:
            continue
        if {"emotion", "sentence"} <= set(tiers):
            return names.matches(
                root, "", lambda stem: (Path(root) / f"{stem}{path.suffix}").is_file())
    return False


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings; emotion and text stand in the `.TextGrid` of the same name.

    Raises:
        CorpusError: a `.TextGrid` cannot be read.
    """
    grids = {names.nfc(path.stem): path for path in sorted(Path(root).rglob("*"), reverse=True)
             if path.suffix.lower() == ".textgrid" and not path.name.startswith(".")}

    def read(file: names.AudioFile) -> Utterance | str:
        path = grids.get(file.stem)
        if path is None:
            return "no TextGrid of that name; recordings are of the form 1.wav with 1.TextGrid"
        tiers = _tiers(path)
        if "emotion" not in tiers:
            return f"{path.name} has no tier 'emotion'"
        word = tiers["emotion"].lower()
        if word not in EMOTIONS:
            return f"unknown emotion '{tiers['emotion']}' in {path.name}"
        return Utterance(
            file.stem, file.path, EMOTIONS[word], SPEAKER,
            extra={"text": tiers.get("sentence", ""), "gender": "female", "language": LANGUAGE},
        )

    yield from names.parse_files(names.audio_files(root), read)


def _tiers(path: Path) -> dict[str, str]:
    """Give the first text of each tier of a Praat TextGrid, in its long or its short form."""
    try:
        content = path.read_bytes()
        wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"Cannot read '{path}' ({error}). Put the published TextGrid there."
        ) from None
    strings = [found.replace('""', '"').strip() for found in _STRING.findall(text)]
    tiers: dict[str, str] = {}
    name = ""
    for before, here in zip([""] + strings, strings):
        if before in _TIER:
            name = here
            tiers[name] = ""
        elif name and here not in _TIER and not tiers[name]:
            tiers[name] = here
    return tiers


def stand_ins() -> Iterator[StandIn]:
    """Give 1234 files, the emotions in equal shares: the counts by emotion are not published."""
    canonical = dict(zip(EMOTIONS, ("anger", "happiness", "neutral", "sadness")))
    for number in range(1, 1235):
        yield StandIn(f"{number}.wav", list(canonical.values())[number % 4], SPEAKER, "female",
                      f"lause {number}")


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the TextGrid beside each stand-in, in Praat's long form."""
    words = {"happiness": "joy"}
    return {item.path.rpartition(".")[0] + ".TextGrid": _grid(
        emotion=words.get(item.emotion, item.emotion), sentence=item.text)
        for item in stand_ins}


def _grid(**tiers: str) -> str:
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", "xmax = 1",
             "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, text) in enumerate(tiers.items(), 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"',
                  f'        name = "{name}"', "        xmin = 0", "        xmax = 1",
                  "        intervals: size = 1", "        intervals [1]:",
                  "            xmin = 0", "            xmax = 1",
                  f'            text = "{text}"']
    return "\n".join(lines) + "\n"
