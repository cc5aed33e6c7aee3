"""How many files of each class each speaker has, from which stand-ins are made."""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources


@dataclasses.dataclass(frozen=True)
class SpeakerFiles:
    """One speaker of a published corpus.

    Args:
        age: years, None if unknown.
        files: number of files by the parser's code of the class.
    """

    speaker: str
    gender: str
    age: float | None
    files: Mapping[str, int]


@functools.cache
def published(corpus: str) -> tuple[SpeakerFiles, ...]:
    """Give the speakers of a corpus with their published counts, of `published_counts.csv`."""
    table = resources.files("emokit.corpora.facts").joinpath("published_counts.csv")
    speakers = []
    for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines()):
        if row["corpus"] == corpus:
            pairs = (cell.split(":") for cell in row["files"].split())
            speakers.append(SpeakerFiles(
                row["speaker"], row["gender"], float(row["age"]) if row["age"] else None,
                {code: int(count) for code, count in pairs}))
    return tuple(speakers)


def shared_out(
    totals: Mapping[str, int], speakers: Sequence[str]
) -> Iterator[tuple[str, str, int]]:
    """Share published totals of the classes out over the speakers, as evenly as may be.

    Returns:
        Class, speaker, and number of the file within both, from 0.

    Example:
        >>> list(shared_out({"A": 3, "N": 2}, ["x", "y"]))[:3]
        [('A', 'x', 0), ('A', 'y', 0), ('A', 'x', 1)]
    """
    start = 0
    for name, total in totals.items():
        for index in range(total):
            yield name, speakers[(start + index) % len(speakers)], index // len(speakers)
        # the next class goes on where this one stopped, so that no speaker gets every remainder
        start += total
