"""PAVOQUE: one German actor in five speaking styles, long recordings with a table of times."""

from __future__ import annotations

import collections
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from emokit.core.errors import CorpusError, choices
from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Steiner, Schröder & Klepp, The PAVOQUE corpus as a resource for analysis and synthesis of "
    "expressive speech, Phonetik & Phonologie 9, 2013. https://github.com/marytts/pavoque-data"
)
EMOTIONS = {
    "angry": "angry", "happy": "happy", "neutral": "neutral", "poker": "poker", "sad": "sad",
}
LANGUAGE = "de"
SPEAKER = "stefan_roettig"
NOTES = (
    "One FLAC and one YAML per style, the recordings are cut by the times in the YAML. A sixth "
    "pair, outtakes, holds 1892 takes of all styles that were spoken again, each under the name "
    "of its sentence and a letter. One speaker: there is no split by speaker."
)

PROMPTS = {
    "angry": {"angry": (("m", 400), ("spike", 151), ("poker_a", 50))},
    "happy": {"happy": (("m", 400), ("poppy", 159), ("poker_f", 25))},
    "neutral": {"neutral": (("a", 1526), ("e", 1500), ("prudence", 100))},
    "poker": {"poker": (("m", 400), ("poker_n", 175))},
    "sad": {"sad": (("m", 400), ("obadiah", 124), ("poker_d", 32))},
    "outtakes": {"neutral": (("a", 544), ("e", 650), ("prudence", 24)),
                 "happy": (("m", 122), ("poppy", 35), ("poker_f", 5)),
                 "poker": (("m", 180), ("poker_n", 64)),
                 "sad": (("m", 110), ("obadiah", 31), ("poker_d", 4)),
                 "angry": (("m", 98), ("spike", 22), ("poker_a", 3))},
}
"""Recording to style to prompts and their number: 7334 as published. The parts of neutral alone
are our choice, made to meet its total."""

_STEM = re.compile(r"pavoque-([a-z]+)", re.IGNORECASE)
_SECONDS = 2.0


def recognises(root: Path) -> bool:
    """Tell by recordings `pavoque-angry` … in the folder itself, or by the tables alone."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[1].lower() in PROMPTS

    return names.matches(root, "", test) or all(
        names.find_table(root, f"pavoque-{style}.yaml") for style in EMOTIONS)


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Cut the recordings by the times in the YAML beside each; the style is the emotion.

    Raises:
        CorpusError: a recording without its YAML, or one that is not the published table.
    """
    files = names.audio_files(root)
    tables = _tables(root, {file.path.rpartition("/")[0] for file in files})
    heard = {file.stem.lower() for file in files}
    for stem, table in sorted(tables.items()):
        if stem not in heard:
            yield Misfit(f"{stem}.flac", f"listed in {table}, but there is no such file",
                         len(tables))
    for item in names.parse_files(files, _read):
        if isinstance(item, Misfit):
            yield item
        else:
            yield from _utterances(root, item.path)


def _tables(root: Path, folders: Iterable[str]) -> dict[str, str]:
    """Find the YAML of each recording, at the top and beside recordings, by its stem."""
    found = {}
    for folder in sorted({"", *folders}):
        here = Path(root) / folder
        for name in sorted(os.listdir(here)) if here.is_dir() else ():
            stem, extension = os.path.splitext(name.lower())
            match = _STEM.fullmatch(stem)
            if match and match[1] in PROMPTS and extension == ".yaml":
                found.setdefault(stem, name)
    return found


def _read(file: names.AudioFile) -> Utterance | str:
    match = _STEM.fullmatch(file.stem)
    if not match:
        return "the name is not of the form pavoque-angry"
    if match[1].lower() not in PROMPTS:
        return f"unknown style '{match[1]}' in the name"
    return Utterance(file.stem.lower(), file.path, "")


def _utterances(root: Path, path: str) -> Iterator[Utterance]:
    name = os.path.splitext(path)[0] + ".yaml"
    # some put all tables at the top, where the repository has them
    table = names.find_table(root, name, name.rpartition("/")[2])
    if table is None:
        raise CorpusError(
            f"'{Path(root) / path}' has no {name.rpartition('/')[2]} beside it, which says where "
            "its utterances lie. Take it from https://github.com/marytts/pavoque-data."
        )
    found = []
    for number, entry in enumerate(_entries(table), 1):
        try:
            prompt, style = entry["prompt"], entry["style"]
            start, end = float(entry["start"]), float(entry["end"])
        except (KeyError, TypeError, ValueError) as error:
            raise CorpusError(
                f"'{table}': entry {number} lacks prompt, style, start or end ({error}). Put the "
                "published table there."
            ) from None
        if style not in EMOTIONS:
            raise CorpusError(
                f"'{table}': {prompt} has the style '{style}'. {choices(style, EMOTIONS)}")
        if not 0 <= start < end < float("inf"):
            raise CorpusError(
                f"'{table}': {prompt} lies from {start:g} to {end:g} s. Put the published table "
                "there."
            )
        extra = {"text": str(entry.get("text") or prompt), "gender": "male",
                 "language": LANGUAGE, "prompt": prompt}
        if name.endswith("outtakes.yaml"):
            extra["take"] = "outtake"
        found.append(Utterance(f"{style}_{prompt}", path, EMOTIONS[style], SPEAKER, start, end,
                               extra=extra))
    yield from sorted(found, key=lambda item: (item.start, item.id))


def _entries(table: Path) -> list[dict[str, Any]]:
    import yaml

    # all scalars stay text, so that the sentence "Ja" or "No" is no truth value
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        with open(table, encoding="utf-8-sig") as file:
            # nine lines in ten are phonetic segments, which nobody needs here
            text = "".join(line for line in file if not line.startswith("  - {"))
        entries = yaml.load(text, Loader=loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CorpusError(
            f"Cannot read '{table}' ({' '.join(str(error).split())}). Put the published table "
            "there, as UTF-8."
        ) from None
    if not isinstance(entries, list):
        raise CorpusError(f"'{table}' is no list of utterances. Put the published table there.")
    return entries


def stand_ins() -> Iterator[StandIn]:
    """Give 7334 utterances in six recordings with the published number for each style and kind.

    Numbers run without the gaps of the real prompts, and each outtake has the letter a.
    """
    canonical = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
    for recording, styles in sorted(PROMPTS.items()):
        for style, kinds in styles.items():
            for kind, count in kinds:
                for number in range(1, count + 1):
                    sentence = f"{kind}{number:04d}"
                    prompt = sentence + ("a" if recording == "outtakes" else "")
                    yield StandIn(
                        f"pavoque-{recording}.flac/{style}_{prompt}",
                        canonical.get(style, style), SPEAKER, "male", sentence,
                        within=f"pavoque-{recording}.flac",
                    )


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the YAML of each recording; utterances follow one another without a gap."""
    tables: dict[str, str] = collections.defaultdict(str)
    ends: dict[str, float] = collections.defaultdict(float)
    for item in stand_ins:
        name = os.path.splitext(item.file)[0] + ".yaml"
        style, _, prompt = item.path.rpartition("/")[2].partition("_")
        start = ends[name]
        ends[name] += item.seconds or _SECONDS
        tables[name] += (f"- prompt: {prompt}\n  text: {item.text}\n  style: {style}\n"
                         f"  start: {start:.6f}\n  end: {ends[name]:.6f}\n")
    return dict(tables)
