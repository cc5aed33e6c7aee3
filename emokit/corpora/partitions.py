"""Which utterances train, which select, which test; and the folds."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from emokit.core.errors import ConfigError, ManifestError, choices, culprits
from emokit.core.files import read_csv
from emokit.core.seeding import generator
from emokit.corpora.balance import deal, divide
from emokit.corpora.manifest import PARTITIONS
from emokit.corpora.parsers.names import nfc
from emokit.corpora.spec import PartitionRule
from emokit.corpora.utterance import source_id

SHARES = np.array([0.6, 0.2, 0.2])
"""Wished shares of train, dev and test."""

N_FOLDS = 5
MOST_FOLDS = 100
MINIMUM_SPEAKERS = 3
FALLBACK = "few-speakers"
"""Name of the waiver that a fallback records."""


@dataclasses.dataclass(frozen=True)
class PartitionInfo:
    """How a corpus was divided.

    Args:
        kind: `official`, `speakers`, `auto`, `folds`, `csv`, `emobox`, or `text`, `utterance` for
            the fallbacks of `auto` and `folds`.
        words: a sentence for cards and reports.
        speaker_disjoint: no speaker stands in two partitions and every speaker is known.
        n_folds: number of folds, 0 without folds.
        waiver: what a fallback records: check, count, culprits, flag (empty: nobody had to ask).
    """

    kind: str
    words: str
    speaker_disjoint: bool
    n_folds: int = 0
    waiver: dict[str, Any] | None = None


def assign_partitions(table, rule: PartitionRule, seed: int = 0, where: str = ""):
    """Give each utterance its partition and its test fold.

    The result depends on the utterances, the rule and the seed alone: not on the order of rows,
    and not on other corpora.

    Args:
        table: pandas table of one corpus with `utterance, corpus, speaker, emotion`, where an
            empty speaker is unknown; optional `path`, `gender`, `text`, and `partition`, the
            official one, empty if there is none.
        rule: of `corpora.yaml`.
        seed: picks among equally good divisions.
        where: what to call the rule's place in messages ("corpora.yaml:7").

    Returns:
        Two text columns with the table's index, the partition (`train`, `dev`, `test`; empty only
        under the rule `emobox`, where EmoBox leaves an utterance out) and the
        fold ("0" …, empty for the rules official, speakers and csv), and the `PartitionInfo`.

    Raises:
        ConfigError: the rule names an unknown speaker, one twice, or leaves a partition empty.
        ManifestError: no official partition, or a list that leaves utterances out.

    Source:
        The objective of `auto` and `folds` is in `emokit.corpora.balance.divide`.
    """
    import pandas as pd

    place = f"{where}: " if where else ""
    # the answer must not depend on the order of rows
    ordered = table.sort_values("utterance", kind="stable")
    kind = rule.rule or ("official" if _has_official(ordered) else "auto")
    make = {"official": _official, "speakers": _speakers, "csv": _listed,
            "auto": _auto, "folds": _folds, "emobox": _emobox}[kind]
    if not len(ordered):
        raise ManifestError(f"{place}there is no utterance to divide into partitions.")
    partition, fold, info = make(ordered, rule, seed, place)
    partition = pd.Series(partition, index=ordered.index, dtype=object).reindex(table.index)
    fold = pd.Series(fold, index=ordered.index, dtype=object).reindex(table.index)
    return partition.rename("partition"), fold.rename("fold"), info


def shared_speakers(speakers, partitions) -> list[str]:
    """Name the known speakers who stand in more than one partition, sorted."""
    seen: dict[str, set[str]] = {}
    for speaker, partition in zip(speakers, partitions):
        if speaker:
            seen.setdefault(speaker, set()).add(partition)
    return sorted(speaker for speaker, several in seen.items() if len(several) > 1)


def _has_official(table) -> bool:
    return "partition" in table and bool((table["partition"] != "").any())


def _official(table, rule, seed, place):
    if not _has_official(table):
        raise ManifestError(
            f"{place}'{_corpus(table)}' has no official partitions. Use the rule 'auto'.")
    partition = table["partition"].tolist()
    without = [name for name, word in zip(table["utterance"], partition) if word not in PARTITIONS]
    if without:
        raise ManifestError(
            f"{place}{len(without)} of {len(table)} utterances have no official partition: "
            f"{culprits(without)}. Use the rule 'auto', or list them all."
        )
    words = "the corpus's official partitions"
    partition, words = _with_dev(table, partition, words, seed)
    _all_filled(table, partition, place)
    info = _info("official", words, table, partition)
    if rule.rule and not info.speaker_disjoint:
        # who asks for it by name gets it, and every report says so
        info = dataclasses.replace(info, waiver=_waiver("official-speakers", table, partition,
                                                        "partitions: official"))
    return partition, [""] * len(table), info


def _with_dev(table, partition: list[str], words: str, seed: int) -> tuple[list[str], str]:
    """Set a fifth of train apart where there is no dev, and say so."""
    if "dev" in partition or not {"train", "test"} <= set(partition):
        return partition, words
    train = table[[word == "train" for word in partition]]
    parts, how = _divide(train, np.array([0.8, 0.2]), seed, "dev")
    chosen = dict(zip(train["utterance"], parts))
    partition = [("train", "dev")[chosen.get(name, 0)] if word == "train" else word
                 for name, word in zip(table["utterance"], partition)]
    return partition, words + f", which have no dev: a fifth of train was set apart {how}"


def _emobox(table, rule, seed, place):
    from emokit.corpora.emobox_folds import fold_of

    partition, n_absent, n_folds = fold_of(table, rule.folder, rule.fold)
    words = f"for comparison only, fold {rule.fold} of {n_folds} of EmoBox"
    if n_absent:
        words += f" ({n_absent} of its records are not in this copy)"
    listed = [bool(word) for word in partition]
    if not all(listed):
        words += f", which leaves {listed.count(False)} utterances out"
    partition, words = _with_dev(table, partition, words, seed)
    _all_filled(table, partition, place)
    info = _info("emobox", words, table[listed], [word for word in partition if word])
    return partition, [""] * len(table), info


def _speakers(table, rule, seed, place):
    known = sorted(set(table["speaker"].map(source_id)) - {""})
    for name in [*rule.test, *rule.dev]:
        if name not in known:
            raise ConfigError(
                f"{place}'{_corpus(table)}' has no speaker '{name}'. {choices(name, known)}")
    twice = sorted(name for name in known if (rule.test + rule.dev).count(name) > 1)
    if twice:
        raise ConfigError(
            f"{place}speaker {culprits(map(repr, twice))} is listed twice in 'test' and 'dev'. "
            "Remove one of the two."
        )
    partition = ["test" if name in rule.test else "dev" if name in rule.dev else "train"
                 for name in table["speaker"].map(source_id)]
    _all_filled(table, partition, place)
    words = f"by speaker as chosen: test {', '.join(rule.test)}; dev {', '.join(rule.dev)}"
    return partition, [""] * len(table), _info("speakers", words, table, partition)


def _listed(table, rule, seed, place):
    listed = read_csv(rule.file)
    lacking = [name for name in ("file", "partition") if name not in listed]
    if lacking:
        raise ManifestError(f"'{rule.file}' lacks column {culprits(lacking)}.")
    wanted: dict[str, str] = {}
    for line, (file, word) in enumerate(zip(listed["file"], listed["partition"]), 2):
        if word not in PARTITIONS:
            raise ManifestError(
                f"{rule.file}:{line}: partition is '{word}'. {choices(word, PARTITIONS)}")
        if wanted.setdefault(_key(file), word) != word:
            raise ManifestError(
                f"{rule.file}:{line}: '{file}' is listed for both '{wanted[_key(file)]}' and "
                f"'{word}'. Remove one of the two."
            )
    paths = table["path"] if "path" in table else table["utterance"].map(source_id)
    partition = [wanted.get(_key(path), wanted.get(_key(source_id(name)), ""))
                 for path, name in zip(paths, table["utterance"])]
    without = [name for name, word in zip(table["utterance"], partition) if not word]
    if without:
        raise ManifestError(
            f"{place}'{rule.file}' says nothing of {len(without)} utterances of "
            f"'{_corpus(table)}': {culprits(without)}. List them too."
        )
    _all_filled(table, partition, place)
    words = f"as listed in {os.path.basename(rule.file)}"
    return partition, [""] * len(table), _info("csv", words, table, partition)


def _auto(table, rule, seed, place):
    parts, how = _divide(table, SHARES, seed, "partitions")
    partition = [PARTITIONS[part] for part in parts]
    n_folds = min(N_FOLDS, _n_groups(table))
    if n_folds < 3:
        fold, n_folds = [""] * len(table), 0
    else:
        folds, _ = _divide(table, np.full(n_folds, 1 / n_folds), seed, "folds")
        fold = [str(number) for number in folds]
    known = "gender" in table and len(set(table["gender"]) - {""}) > 1
    words = f"made by emokit {how}, balanced over classes{' and gender' if known else ''}"
    return partition, fold, _info("auto", words, table, partition, n_folds)


def _folds(table, rule, seed, place):
    if rule.by:
        return _folds_by(table, rule.by, place)
    n_groups = _n_groups(table)
    if rule.k > n_groups:
        what = {"auto": "speakers", "text": "sentences", "utterance": "utterances"}[_unit(table)]
        raise ConfigError(
            f"{place}{rule.k} folds need {rule.k} {what}; '{_corpus(table)}' has {n_groups}. "
            f"Set 'k' to at most {n_groups}."
        )
    folds, how = _divide(table, np.full(rule.k, 1 / rule.k), seed, "folds")
    partition = [{0: "test", 1: "dev"}.get(number, "train") for number in folds]
    words = f"{rule.k} folds made by emokit {how}; the single split tests fold 0, dev is fold 1"
    return (partition, [str(number) for number in folds],
            _info("folds", words, table, partition, rule.k))


def _folds_by(table, column: str, place: str):
    """Make every value of a column a fold: sessions, or groups that a paper fixed."""
    if column not in table:
        texts = [name for name in table if name not in ("utterance", "corpus", "path", "emotion")
                 and 1 < table[name].nunique() < len(table)]
        raise ConfigError(f"{place}'{_corpus(table)}' has no column '{column}' to make folds by. "
                          f"{choices(column, texts)}")
    values = [source_id(str(value)) for value in table[column]]
    without = [name for name, value in zip(table["utterance"], values) if value in ("", "nan")]
    if without:
        raise ManifestError(f"{place}{len(without)} of {len(table)} utterances have no '{column}' "
                            f"to make folds by: {culprits(without)}. Use the rule 'auto'.")
    order = sorted(set(values), key=lambda value: (len(value), value))
    if not 3 <= len(order) <= MOST_FOLDS:
        raise ConfigError(f"{place}'{column}' of '{_corpus(table)}' has {len(order)} values; folds "
                          f"by a column take 3 to {MOST_FOLDS}. Choose another column, or 'k'.")
    shared = shared_speakers(table["speaker"], values)
    if shared:
        raise ManifestError(f"{place}speakers ({len(shared)}) stand under several values of "
                            f"'{column}': {culprits(shared)}. Folds keep speakers apart; choose "
                            "another column, or 'k'.")
    folds = [order.index(value) for value in values]
    partition = [{0: "test", 1: "dev"}.get(number, "train") for number in folds]
    words = (f"{len(order)} folds, one for each {column}; the single split tests {column} "
             f"{order[0]}, dev is {column} {order[1]}")
    info = _info("folds", words, table, partition, len(order))
    return (partition, [str(number) for number in folds],
            dataclasses.replace(info, kind="folds"))


def _unit(table) -> str:
    """Say what is kept together: speakers (`auto`), otherwise sentences, otherwise nothing."""
    if len(set(table["speaker"]) - {""}) >= MINIMUM_SPEAKERS:
        return "auto"
    if "text" in table and (table["text"] != "").all() and table["text"].notna().all():
        # fewer sentences than folds would be no better than single utterances
        if N_FOLDS <= table["text"].nunique():
            return "text"
    return "utterance"


_HOW = {"auto": "by speaker", "text": "by sentence, not by speaker",
        "utterance": "by utterance, not by speaker"}


def _groups(table) -> list[str]:
    """Name the group of each utterance, which stays in one part."""
    unit = _unit(table)
    if unit == "text":
        return table["text"].tolist()
    if unit == "utterance":
        return table["utterance"].tolist()
    # utterances without a speaker are dealt singly, each with a name no speaker has
    return [speaker or f"\0{name}" for speaker, name in zip(table["speaker"], table["utterance"])]


def _n_groups(table) -> int:
    groups = set(_groups(table))
    if _unit(table) == "auto":
        groups = {name for name in groups if not name.startswith("\0")}
    return len(groups)


def _divide(table, targets: np.ndarray, seed: int, purpose: str) -> tuple[list[int], str]:
    """Divide whole groups, or single utterances where there are no groups to keep together."""
    rng = generator(seed, purpose, _corpus(table))
    unit = _unit(table)
    groups = np.array(_groups(table), dtype=object)
    single = np.array([unit == "utterance" or name.startswith("\0") for name in groups])
    # too few groups for the parts (train of an official split): single utterances, too
    if len(set(groups[~single])) < len(targets):
        single[:] = True
        unit = "utterance"
    parts = np.zeros(len(table), int)
    if not single.all():
        inside = table[~single]
        names = sorted(set(groups[~single]))
        row = {name: number for number, name in enumerate(names)}
        rows = np.array([row[name] for name in groups[~single]])
        counts = _count(rows, len(names), inside["emotion"])
        gender = inside["gender"] if "gender" in inside else inside["emotion"].map(lambda _: "")
        shares = _count(rows, len(names), gender)
        shares = shares[:, :0] if shares.shape[1] < 2 else shares
        parts[~single] = divide(counts, shares, targets, rng)[rows]
    if single.any():
        loose = table[single]
        strata = list(zip(loose["emotion"], loose["speaker"]))
        parts[single] = deal(loose["utterance"].tolist(), strata, targets, rng)
    return parts.tolist(), _HOW[unit]


def _count(rows: np.ndarray, n_rows: int, words) -> np.ndarray:
    columns, inverse = np.unique(np.array(words, dtype=str), return_inverse=True)
    counts = np.zeros((n_rows, len(columns)))
    np.add.at(counts, (rows, inverse), 1)
    return counts


def _info(kind, words, table, partition, n_folds=0) -> PartitionInfo:
    speakers = table["speaker"].tolist()
    shared, unknown = shared_speakers(speakers, partition), speakers.count("")
    n_speakers = len(set(speakers) - {""})
    disjoint = not shared and not unknown
    counts = {name: len({speaker for speaker, word in zip(speakers, partition)
                         if speaker and word == name}) for name in PARTITIONS}
    waiver = None
    if disjoint:
        words += f"; no speaker in two partitions ({n_speakers} speakers: " + ", ".join(
            f"{name} {count}" for name, count in counts.items()) + ")"
    else:
        if shared:
            words += f"; {len(shared)} of {n_speakers} speakers stand in several partitions"
        if unknown:
            words += f"; {unknown} of {len(table)} utterances have no known speaker"
        words += ": scores are not speaker-independent"
        if kind == "emobox":
            waiver = _waiver("emobox-speakers", table, partition, "--partitions emobox")
        elif kind in ("auto", "folds"):
            kind = kind if _unit(table) == "auto" else _unit(table)
            waiver = {**_waiver(FALLBACK, table, partition), "count": n_speakers}
    return PartitionInfo(kind, words[0].upper() + words[1:] + ".", disjoint, n_folds, waiver)


def _waiver(check: str, table, partition, flag: str = "") -> dict[str, Any]:
    """Record that speakers are shared between partitions, or unknown."""
    speakers = table["speaker"].tolist()
    shared = shared_speakers(speakers, partition)
    return {"check": check, "count": len(shared) or speakers.count(""),
            "culprits": shared[:3] if shared else ["unknown speakers"], "flag": flag}


def _all_filled(table, partition, place: str) -> None:
    empty = [name for name in PARTITIONS if name not in partition]
    if empty:
        raise ConfigError(
            f"{place}no utterance of '{_corpus(table)}' is in {culprits(empty)}. Choose other "
            "speakers or lists, or the rule 'auto'."
        )


def _corpus(table) -> str:
    return str(table["corpus"].iloc[0])


def _key(path: str) -> str:
    """Name a file as lists do: with `/`, without extension, accents composed."""
    return nfc(os.path.splitext(path.replace("\\", "/"))[0])
