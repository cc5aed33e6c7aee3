"""What makes a corpus untrustworthy: leaks between partitions, lost classes, broken audio.

Each check gives a `Finding` or nothing; `settle` lets a build stop, or records what was waived.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NoReturn

from emokit.core.errors import CorpusError, culprits
from emokit.corpora.store import RATE
from emokit.corpora.utterance import source_id


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something wrong with a corpus.

    Args:
        check: short name, as it stands in build.json.
        words: one sentence, with the count and a few culprits.
        count: how many culprits there are.
        culprits: the first of them.
        flag: the option that waives it; empty for a mere warning.
        mend: how else to mend it, a sentence.
    """

    check: str
    words: str
    count: int
    culprits: tuple[str, ...]
    flag: str = ""
    mend: str = ""

    def record(self) -> dict:
        """Give the entry of build.json."""
        return {"check": self.check, "words": self.words, "count": self.count,
                "culprits": list(self.culprits), "flag": self.flag}


SHOWN = 10
"""Culprits kept in build.json for each finding."""


def finding(check: str, words: str, names: Iterable[str], flag: str = "", mend: str = ""):
    """Make a Finding; in `words`, `{n}` is the count and `{culprits}` the first few."""
    names = list(names)
    text = words.format(n=f"{len(names):,}", culprits=culprits(names))
    return Finding(check, text, len(names), tuple(names[:SHOWN]), flag, mend)


def settle(
    corpus: str, findings: Iterable[Finding], waived: Iterable[str]
) -> tuple[list[dict], list[dict]]:
    """Stop on findings that nobody waived.

    Args:
        corpus: for the message.
        findings: of all checks.
        waived: flags in force, e.g. "--allow-duplicates".

    Returns:
        Waivers and warnings as build.json keeps them.

    Raises:
        CorpusError: what is wrong, how to mend it, and the flag that waives it.
    """
    waived, findings = set(waived), list(findings)
    stops = [found for found in findings if found.flag and found.flag not in waived]
    if stops:
        first = stops[0]
        stop(corpus, stops, f" To build all the same, pass {first.flag}; every report will say so.")
    return ([found.record() for found in findings if found.flag],
            [found.record() for found in findings if not found.flag])


def stop(corpus: str, findings: Sequence[Finding], waive: str = "") -> NoReturn:
    """Raise the CorpusError of findings, the first in full; `waive` says what would let it pass."""
    first = findings[0]
    more = "".join(f" Also: {found.check} ({found.count:,}; {found.flag})."
                   for found in findings[1:])
    raise CorpusError(f"Corpus '{corpus}': {first.words} {first.mend}{waive}{more}")


def shared_speakers(table) -> list[Finding]:
    """Find speakers who speak in two partitions.

    Args:
        table: pandas, with `speaker` (empty if unknown) and `partition`.
    """
    known = table[table["speaker"] != ""]
    partitions = known.groupby("speaker")["partition"].unique()
    names = [f"{speaker} ({', '.join(sorted(found, key=_order))})"
             for speaker, found in partitions.items() if len(found) > 1]
    if not names:
        return []
    return [finding(
        "shared-speakers", "speakers stand in more than one partition ({n}): {culprits}.", names,
        "--allow-shared-speakers",
        "Scores would measure how well voices are known. Set 'partitions' of this corpus to a "
        "rule that keeps speakers together, such as auto.",
    )]


def missing_classes(table, classes: Sequence[str]) -> list[Finding]:
    """Find partitions that lack a class which train has, and classes train lacks.

    Args:
        table: pandas, with `emotion` and `partition`.
        classes: the corpus's class list.
    """
    present = {name: set(rows) for name, rows in table.groupby("partition")["emotion"]}
    train = present.get("train", set())
    names = []
    for partition in ("train", "dev", "test"):
        if partition not in present:
            names.append(f"{partition} is empty")
            continue
        # a class in no partition at all was reported when labels were assigned
        wanted = train if partition != "train" else set().union(*present.values())
        lost = [word for word in classes if word in wanted and word not in present[partition]]
        if lost:
            names.append(f"{partition} has no {culprits(lost, 4)}")
    if not names:
        return []
    return [finding(
        "missing-classes",
        "not every partition has every class: " + "; ".join(names) + ".", names,
        "--allow-missing-classes",
        "Scores over partitions with other classes do not compare. Change 'partitions', or keep "
        "fewer 'classes'.",
    )]


def one_class(table) -> list[Finding]:
    """Warn of a corpus in which every utterance has one label."""
    words = sorted(set(table["emotion"]))
    return [finding(
        "one-class", "every utterance has the class {culprits}: nothing can be told apart. Is this "
        "the whole corpus?", words)] if len(words) == 1 else []


def duplicates(table) -> list[Finding]:
    """Find identical audio: across partitions, across folds and under two labels it is wrong, else
    a warning.

    Args:
        table: pandas, with `utterance`, `emotion`, `partition`, `audio_hash` and, where there are
            folds, `fold`.
    """
    # two silent files of one length are equal, but they have a finding of their own
    copies = table[table["audio_hash"].duplicated(keep=False) & ~table["silent"]]
    crossing, folded, contradicting, harmless = [], [], [], []
    for _, rows in copies.groupby("audio_hash", sort=False):
        names = " = ".join(source_id(name) for name in rows["utterance"])
        if rows["partition"].nunique() > 1:
            crossing.append(f"{names} ({', '.join(sorted(set(rows['partition']), key=_order))})")
        elif "fold" in rows and rows["fold"].nunique() > 1:
            folded.append(f"{names} (folds {', '.join(sorted(set(rows['fold'])))})")
        elif rows["emotion"].nunique() > 1:
            contradicting.append(f"{names} ({', '.join(sorted(set(rows['emotion'])))})")
        else:
            harmless.append(names)
    findings = []
    if crossing:
        findings.append(finding(
            "duplicates-across-partitions",
            "identical audio stands in more than one partition ({n}): {culprits}.", crossing,
            "--allow-duplicates", "Remove the copies from the corpus or from its list of files.",
        ))
    if folded:
        findings.append(finding(
            "duplicates-across-folds",
            "identical audio stands in more than one fold ({n}): {culprits}.", folded,
            "--allow-duplicates", "With --folds a model would train on what it tests. Remove the "
            "copies from the corpus or from its list of files.",
        ))
    if contradicting:
        findings.append(finding(
            "duplicates-under-two-labels",
            "identical audio has more than one label ({n}): {culprits}.", contradicting,
            "--allow-duplicates", "Remove the copies whose label is wrong.",
        ))
    if harmless:
        findings.append(finding(
            "duplicates-within-partition",
            "identical audio stands more than once within one partition, under one label ({n}): "
            "{culprits}.", harmless,
        ))
    return findings


MISSING_SHARE = 0.05
"""Share of missing files from which a copy is not the corpus that its own list describes."""


def missing_files(missing: Sequence[str], n_listed: int) -> list[Finding]:
    """Report the files that a corpus's own list names but that are not there.

    A few are a warning; more than `MISSING_SHARE` of the list stop the build.

    Args:
        missing: their paths.
        n_listed: files that the list names.
    """
    if not missing:
        return []
    many = len(missing) > MISSING_SHARE * n_listed
    return [finding(
        "missing-files",
        f"{{n}} of the {n_listed:,} files that its own list names are missing: {{culprits}}.",
        missing, "--skip-unreadable" if many else "",
        "Scores on a part of the corpus do not compare with published ones. Obtain the rest.")]


def unreadable(
    n_files: int, problems: Sequence[tuple[str, str]], listed: object, what: str = "files",
    n_cut: int = 0,
) -> list[Finding]:
    """Report the files, or stretches of long files, that could not be read.

    Args:
        n_files: files in all.
        problems: (path, reason) of each.
        listed: the file in which all of them stand.
        what: what is counted.
        n_cut: how many of them are stretches that begin within their file and end past it.
    """
    from emokit.audio.read import STRETCH

    if not problems:
        return []
    path, reason = problems[0]
    n_times = sum(STRETCH in reason for _, reason in problems)
    mend = ("Mend their time stamps." if n_times == len(problems) else
            "Obtain them again, mend their time stamps or remove them." if n_times else
            "Obtain them again or remove them.")
    if n_cut:
        mend += " To keep what the files hold of them, pass --allow-cut-stretches."
    more = f"; all of them in '{listed}'" if len(problems) > 1 else ""
    return [Finding(
        "unreadable",
        f"{len(problems):,} of {n_files:,} {what} cannot be read; first: {culprits([path])} "
        f"({reason}){more}.",
        len(problems), tuple(f"{path} ({reason})" for path, reason in problems[:SHOWN]),
        "--skip-unreadable", mend,
    )]


def cut_stretches(table) -> list[Finding]:
    """Find utterances whose time stamps end past their file, so that they were cut there.

    Args:
        table: pandas, with `utterance` and `overrun`, in words, empty where there is nothing.
    """
    rows = table[table["overrun"] != ""]
    if not len(rows):
        return []
    return [finding(
        "cut-stretches", "stretches end past their file and were cut there ({n}): {culprits}.",
        [f"{source_id(row.utterance)} ({row.overrun})" for row in rows.itertuples()],
        "--allow-cut-stretches")]


def silent(table) -> list[Finding]:
    """Find utterances in which nothing can be heard.

    Args:
        table: pandas, with `path` and the bool column `silent`.
    """
    names = table.loc[table["silent"], "path"].tolist()
    if not names:
        return []
    return [finding(
        "silent", "files hold nothing but silence ({n}): {culprits}.", names,
        "--allow-silence", "Remove them.",
    )]


CLIPPED = 0.001
"""Share of clipped samples in an utterance from which it is worth a warning."""


def clipped(table) -> list[Finding]:
    """Find utterances with many samples beyond full scale, which 16 bits cannot hold.

    A few are usual: resampling and MP3 overshoot at the loudest points.
    """
    shares = table["clipped"] / (table["duration"] * RATE)
    names = [f"{path} ({100 * share:.1f} %)" for path, share in zip(table["path"], shares)
             if share > CLIPPED]
    if not names:
        return []
    return [finding(
        "clipped", "samples beyond full scale were clipped in files ({n}): {culprits}.", names)]


def shared_audio(hashes: dict[str, dict[str, str]]) -> list[Finding]:
    """Find identical audio in two corpora.

    Args:
        hashes: corpus to {hash of the samples: utterance}.
    """
    first: dict[str, str] = {}
    names = []
    for corpus in sorted(hashes):
        for digest, utterance in hashes[corpus].items():
            if digest in first:
                names.append(f"{first[digest]} = {utterance}")
        for digest, utterance in hashes[corpus].items():
            first.setdefault(digest, utterance)
    if not names:
        return []
    return [finding(
        "duplicates-across-corpora",
        "identical audio stands in more than one corpus ({n}): {culprits}.", names,
        "--allow-shared-audio",
        "Training on one corpus would see another's test audio. Drop the copies, or build these "
        "corpora into different folders with --emoset.",
    )]


def shared_recordings(pairs: Sequence[tuple[str, str, float]]) -> list[Finding]:
    """Report one recording in two corpora, in another coding, rate or level.

    Args:
        pairs: utterances of both and their likeness, of `emokit.corpora.recordings.shared`.
    """
    if not pairs:
        return []
    return [finding(
        "recordings-across-corpora",
        "one recording stands in more than one corpus, at another sample rate, level or coding "
        "({n}): {culprits}.",
        [f"{one} = {other} ({alike:.2f} alike)" for one, other, alike in pairs],
        "--allow-shared-recordings",
        "Training on one corpus would hear another's test audio. Drop the copies, or build these "
        "corpora into different folders with --emoset.",
    )]


def recordings_across_partitions(pairs: Sequence[tuple[str, str, float]]) -> list[Finding]:
    """Report one recording in two partitions, in another coding, rate or level.

    Args:
        pairs: of `emokit.corpora.recordings.across_partitions`.
    """
    if not pairs:
        return []
    return [finding(
        "recordings-across-partitions",
        "one recording stands in more than one partition or fold, at another sample rate, level or "
        "coding "
        "({n}): {culprits}.",
        [f"{source_id(one)} = {source_id(other)} ({alike:.2f} alike)"
         for one, other, alike in pairs],
        "--allow-duplicates", "Remove the copies from the corpus or from its list of files.")]


def _order(partition: str) -> int:
    return ("train", "dev", "test").index(partition)
