"""What will be built, settled before any audio is decoded: utterances, classes, partitions."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from emokit.audio.cells import file_of
from emokit.core.errors import CorpusError, choices, culprits
from emokit.core.files import beneath
from emokit.corpora.blocks import Item
from emokit.corpora.parsing import parse
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.utterance import Misfit, Utterance

_OWN = ("utterance", "corpus", "path", "start", "duration", "speaker", "emotion_original",
        "emotion", "partition", "fold", "audio_hash", "silent", "clipped", "overrun", "end")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A corpus ready to be decoded.

    Args:
        spec: what the experimenter chose.
        classes: the ordered class list.
        table: pandas; one row per utterance, the manifest's columns without what only the
            audio tells.
        stretches: (path, start, end) of each row, None where the file is taken whole.
        rejected: (path, reason) of files left out.
        partitions: the `PartitionInfo` of the rule that was applied.
        dropped: original words left out, with their counts.
        absent: classes that the corpus has but no utterance here.
        views: what the experimenter said of classes under other views, see `views.own_rows`.
        missing: paths that the corpus's own list names but that are not there; they are among
            `rejected`.
        n_listed: files that this list names, where any of them is missing.
    """

    spec: CorpusSpec
    classes: tuple[str, ...]
    table: Any
    stretches: tuple[tuple[str, float | None, float | None], ...]
    rejected: tuple[tuple[str, str], ...]
    partitions: Any
    dropped: dict[str, int]
    absent: tuple[str, ...]
    views: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    missing: tuple[str, ...] = ()
    n_listed: int = 0

    def items(self) -> list[Item]:
        """Give what is to be decoded, row by row, with size and time of each file."""
        files = [file_of(path) for path, _, _ in self.stretches]
        facts: dict[str, tuple[int, int]] = {}
        for file, n_here in collections.Counter(files).items():
            try:
                stat = os.stat(os.path.join(self.spec.root, file))
                # many stretches of one long file are no more work than many small files
                facts[file] = stat.st_size // n_here, stat.st_mtime_ns
            except OSError:
                # decoding says what is wrong with it
                facts[file] = -1, -1
        return [Item(*stretch, *facts[file]) for stretch, file in zip(self.stretches, files)]


def make_plan(spec: CorpusSpec, seed: int) -> Plan:
    """Parse a corpus, map its labels and divide it.

    Raises:
        EmokitError: the folder, the labels or the partition rule are wrong; says how to mend it.
    """
    from emokit.corpora.labels import absent_classes, assign_classes
    from emokit.corpora.partitions import assign_partitions
    from emokit.corpora.ratings import scales_of
    from emokit.corpora.views import own_rows

    damaged = _damaged(spec)
    utterances, rejected = [], []
    missing, n_listed = [], 0
    for found in parse(spec):
        if isinstance(found, Misfit):
            rejected.append((found.path, found.reason))
            if found.listed:
                missing.append(found.path)
                n_listed = max(n_listed, found.listed)
        elif damaged and (found.id in damaged or Path(found.path).stem in damaged):
            reason = damaged.get(found.id) or damaged[Path(found.path).stem]
            rejected.append((found.path, f"known to be damaged: {reason}"))
        else:
            utterances.append(found)
    _check_ids(spec.name, spec.root, utterances)
    for column, values in spec.only.items():
        utterances, others = _only(spec, utterances, column, values)
        rejected += others
    words = [utterance.emotion for utterance in utterances]
    classes, mapping = assign_classes(spec, words)
    absent = absent_classes(spec, words)
    views = own_rows(spec, [*classes, *absent])
    scales_of(spec)  # a scale that cannot be shall be told before anything is decoded
    dropped = collections.Counter(word for word in words if mapping[word] is None)
    kept = [utterance for utterance in utterances if mapping[utterance.emotion] is not None]
    table = _table(spec, kept, mapping, classes)
    partition, fold, info = assign_partitions(
        table, spec.partitions, seed, spec.at("partitions"))
    table["partition"], table["fold"] = list(partition), list(fold)
    divided = (table["partition"] != "").tolist()
    rejected += [(utterance.path, f"left out by the rule '{spec.partitions.rule}'")
                 for utterance, keep in zip(kept, divided) if not keep]
    table = table[divided].reset_index(drop=True)
    stretches = tuple((utterance.path, utterance.start, utterance.end)
                      for utterance, keep in zip(kept, divided) if keep)
    return Plan(spec, tuple(classes), table, stretches, tuple(rejected), info,
                dict(sorted(dropped.items())), absent, views, tuple(missing), n_listed)


def _only(spec: CorpusSpec, utterances: list[Utterance], column: str, values: list[str]
          ) -> tuple[list[Utterance], list[tuple[str, str]]]:
    """Keep the utterances with one of these values; give them, and (path, reason) of the others.

    Raises:
        CorpusError: no utterance has the column, or one of the values.
    """
    found = [utterance.speaker if column == "speaker" else utterance.extra.get(column)
             for utterance in utterances]
    where = spec.at("only", column)
    if all(value in (None, "") for value in found):
        known = dict.fromkeys(["speaker", *(key for one in utterances for key in one.extra)])
        raise CorpusError(f"{where}: 'only' of '{spec.name}' names the column '{column}', which "
                          f"none of its utterances has. {choices(column, known)}")
    words = ["" if value is None else str(value) for value in found]
    for value in values:
        if value not in words:
            raise CorpusError(f"{where}: 'only' of '{spec.name}' keeps {column} '{value}', which "
                              f"none of its utterances has. "
                              f"{choices(value, sorted(set(words) - {''})[:20])}")
    keep = [word in values for word in words]
    return ([utterance for utterance, kept in zip(utterances, keep) if kept],
            [(utterance.path, f"left out by 'only': {column} is '{word}'")
             for utterance, word, kept in zip(utterances, words, keep) if not kept])


def _damaged(spec: CorpusSpec) -> dict[str, str]:
    from emokit.corpora.parsers import PARSERS

    return getattr(PARSERS[spec.parser], "DAMAGED", {}) if not spec.format else {}


def _check_ids(corpus: str, root: str, utterances: Iterable[Utterance]) -> None:
    seen: dict[str, str] = {}
    twice = []
    for utterance in utterances:
        if utterance.id in seen:
            twice.append(f"{utterance.id} ({seen[utterance.id]}, {utterance.path})")
        seen[utterance.id] = utterance.path
        if ".." in utterance.path or "\0" in utterance.path or os.path.isabs(utterance.path):
            # asked only where there is cause, because there may be a hundred thousand paths
            beneath(root, utterance.path)
    if twice:
        raise CorpusError(
            f"Corpus '{corpus}': {len(twice)} utterances have an id that another one has: "
            f"{culprits(twice)}. Remove one of each."
        )


def _table(spec: CorpusSpec, utterances: list[Utterance], mapping: dict, classes):
    """Make the manifest's columns, as far as they are known before decoding."""
    import pandas as pd

    from emokit.corpora.labels import soft_label

    table = pd.DataFrame([{
        "utterance": f"{spec.name}/{utterance.id}",
        "corpus": spec.name,
        "path": utterance.path,
        "start": utterance.start or 0.0,
        "speaker": f"{spec.name}/{utterance.speaker}" if utterance.speaker else "",
        "emotion_original": utterance.emotion,
        "emotion": mapping[utterance.emotion],
        "partition": utterance.partition,
        **{name: value for name, value in soft_label(
            mapping, utterance.extra, utterance.emotion).items() if name not in _OWN},
    } for utterance in utterances])
    soft = [f"p_{word}" for word in classes]
    if any(name in table for name in soft):
        # who has votes has none for a class that nobody voted for
        table = table.reindex(columns=[*table, *(name for name in soft if name not in table)])
        rated = table[soft].notna().any(axis=1)
        table.loc[rated, soft] = table.loc[rated, soft].astype(float).fillna(0.0)
    for name in table:
        if not pd.api.types.is_numeric_dtype(table[name]):
            table[name] = table[name].fillna("")
    return table
