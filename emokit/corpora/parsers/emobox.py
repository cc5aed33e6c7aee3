"""Format `emobox`: a corpus as EmoBox prepared it, one JSON record a line.

Source:
    Z. Ma et al. (2024), EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and
    Benchmark, Interspeech; https://github.com/emo-box/EmoBox, folder `data`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from emokit.core.config import knob
from emokit.core.errors import ConfigError, CorpusError, ManifestError, choices, culprits
from emokit.corpora import catalogue
from emokit.corpora.parsers import names, records
from emokit.corpora.parsers.tables import parse_json
from emokit.corpora.utterance import Utterance

PARTS = {"train": "train", "valid": "dev", "test": "test"}
"""EmoBox's word for a partition to ours."""

MEANINGS = ("label_map.json", "label_dict.json")
"""File with the word of each code; emovo has the second."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the format `emobox`."""

    folder: str = knob(
        help="EmoBox's folder of the corpus (data/cafe), relative to root; ~ and ${VAR} are read.")
    speaker: str = knob(
        "", "Regular expression searched in each record's key; its first group is the speaker, "
        "which EmoBox does not give.")

    def __post_init__(self):
        try:
            groups = re.compile(self.speaker).groups
        except re.error as error:
            raise ConfigError(f"speaker '{self.speaker}' is no regular expression: {error}."
                              ) from None
        if self.speaker and not groups:
            raise ConfigError(f"speaker '{self.speaker}' has no group. Put (…) around the part "
                              "of the key that tells the speaker.")


def parse(root: Path, settings: Config) -> Iterator[Utterance]:
    """Read every record of the corpus, which fold 1 has in full.

    Labels are those of its label_map.json (or label_dict.json), or emotion words themselves.

    EmoBox names files from its own download folder (`downloads/cafe/CaFE_48k/…`): the fewest
    leading folders are taken off, for all files alike, with which files are found below the root.
    Partitions are left to the rule `emobox`, so that nobody takes them for the corpus's own.

    Raises:
        CorpusError: a list or files are missing.
        ManifestError: a line that is no record, or a label that means nothing.
    """
    root = Path(root)
    folder = _own_folder(root, settings)
    rows = [row for part in _lists(folder, 1) for row in part_records(folder, 1, part)]
    if not rows:
        raise CorpusError(f"The lists of fold 1 in '{folder}' are empty.")
    meaning = _meanings(folder, [row["label"] for row in rows])
    paths = _below(root, [row["file"] for row in rows])
    wanted = re.compile(settings.speaker) if settings.speaker else None
    silent = [row["key"] for row in rows if wanted and not wanted.search(row["key"])]
    if silent:
        raise ManifestError(
            f"'speaker' ({settings.speaker}) is not found in {len(silent)} of {len(rows)} keys: "
            f"{culprits(silent)}. Mend it."
        )
    utterances = [
        Utterance(row["key"], path, meaning[row["label"]],
                  wanted.search(row["key"])[1] or "" if wanted else "", row["start"], row["end"])
        for row, path in zip(rows, paths)]
    yield from sorted(utterances, key=lambda row: (row.path, row.start or 0.0, row.id))


def corpus_folder(data: Path, corpus: str) -> Path:
    """Find EmoBox's folder of a corpus: the one given, or the one in it that has its name.

    Args:
        data: `data/cafe`, or `data` itself.
        corpus: emokit's name; where EmoBox has another, the catalogue tells it.

    Raises:
        CorpusError: there is none.
    """
    if not data.is_dir():
        raise CorpusError(f"There is no folder '{data}'. Set 'folder' to EmoBox's folder 'data' or "
                          "to that of one corpus in it.")
    if (data / "fold_1").is_dir():
        return data
    found = names.folders_in(data)
    facts = catalogue.entries().get(corpus)
    name = facts.emobox if facts and facts.emobox else corpus
    if name not in found:
        raise CorpusError(f"EmoBox's '{data}' has no folder '{name}', which '{corpus}' would be. "
                          f"{choices(name, found)}")
    return data / name


def part_records(folder: Path, fold: int, part: str) -> list[dict[str, Any]]:
    """Read the records of one part of a fold: key, file, label, start and end.

    Args:
        folder: of the corpus.
        part: `train`, `valid` or `test`.

    Raises:
        CorpusError: no such list. ManifestError: a line that is no record; with its number.
    """
    path = _lists(folder, fold)[part]
    result = []
    try:
        with open(path, encoding="utf-8") as file:
            for line, text in enumerate(file, 1):
                if text.strip():
                    result.append(_record(text, f"{path}:{line}"))
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"Cannot read '{path}': {error}. Load it again from EmoBox.") from None
    return result


def n_folds(folder: Path) -> int:
    """Count the folds of a corpus."""
    return len([name for name in names.folders_in(folder) if re.fullmatch(r"fold_\d+", name)])


def _record(text: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
        # a few lists are of an older form: audio and label instead of wav and emo
        file = str(row.get("wav") or row["audio"]).replace("\\", "/")
        label = str(row.get("emo") or row["label"])
        start, end = (None if row.get(name) is None else float(row[name])
                      for name in ("start_time", "end_time"))
        return {"key": names.nfc(str(row["key"])), "file": file, "label": label, "start": start,
                "end": end}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(
            f"{where}: no record of EmoBox with key, wav and emo ({error}). Load the list again."
        ) from None


def _own_folder(root: Path, settings: Config) -> Path:
    folder = root / settings.folder
    if not (folder / "fold_1").is_dir():
        raise CorpusError(f"'{folder}' has no folder fold_1. Set 'folder' to EmoBox's folder of "
                          "the corpus, such as EmoBox/data/cafe.")
    return folder


def _lists(folder: Path, fold: int) -> dict[str, Path]:
    """Name the lists of a fold by part; `valid` only if there is one."""
    here = folder / f"fold_{fold}"
    found = {}
    for part in PARTS:
        # emodb has every list twice, the older without the second _
        paths = [path for pattern in (f"*_{part}_fold_{fold}.jsonl", f"*_{part}_fold{fold}.jsonl")
                 for path in sorted(here.glob(pattern))]
        if paths:
            found[part] = paths[0]
    lacking = {"train", "test"} - set(found)
    if lacking:
        raise CorpusError(
            f"'{here}' has no list *_{sorted(lacking)[0]}_fold_{fold}.jsonl. The corpus has "
            f"{n_folds(folder)} folds; set 'fold' to one of them."
        )
    return found


def _label_map(folder: Path) -> tuple[dict[str, str], str]:
    """Read the word of each code, and the name of the file; empty if there is none."""
    path = next((folder / name for name in MEANINGS if (folder / name).is_file()), None)
    if path is None:
        return {}, " or ".join(MEANINGS)
    try:
        return {str(code): str(word) for code, word
                in parse_json(path.read_text(encoding="utf-8"), str(path)).items()}, path.name
    except (OSError, ValueError, AttributeError) as error:
        raise CorpusError(f"Cannot read '{path}': {error}. Load it again from EmoBox.") from None


def _meanings(folder: Path, codes: Iterable[str]) -> dict[str, str]:
    """Give the word that each code means: by EmoBox's map, or because it is an emotion word.

    Raises:
        ManifestError: codes that mean nothing.
    """
    from emokit.corpora.words import canonical

    told, file = _label_map(folder)
    # emodb's map says Neutral where its records say neutral
    folded = {code.casefold(): word for code, word in told.items()}
    words, unknown = {}, []
    for code in sorted(set(codes)):
        word = told.get(code) or folded.get(code.casefold())
        if word is None and canonical(code) is None:
            unknown.append(code)
        words[code] = word or code
    if unknown:
        raise ManifestError(
            f"{file} in '{folder}' does not say what {len(unknown)} labels mean: "
            f"{culprits(map(repr, unknown), 8)}. Add them there: {{\"{unknown[0]}\": \"Angry\"}}.")
    return words


def _below(root: Path, files: list[str]) -> list[str]:
    """Give the files relative to the root, EmoBox's own leading folders taken off."""
    index = names.Index(root)
    for n_off in range(files[0].count("/") + 1):
        paths = ["/".join(file.split("/")[n_off:]) for file in files]
        # paths of whoever made the list may start at the top of a disk
        inside = [path for path in paths[:100] if path and not path.startswith(("/", ".."))]
        if any(map(index.find, inside)):
            found = records.require(root, paths, "Set 'root' to the folder of the complete corpus.")
            return [found[path] for path in paths]
    raise CorpusError(
        f"None of EmoBox's files, such as '{files[0]}', is below '{root}', with or without its "
        "leading folders. Set 'root' to the folder of the recordings."
    )
