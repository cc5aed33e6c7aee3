"""What a parser gives: utterances, and files that are none."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

DIMENSIONS = ("arousal", "valence", "dominance")
"""Columns of the manifest, on the corpus's own scale."""


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One labelled unit as the corpus describes it, before any choice of the experimenter.

    Args:
        id: unique within the corpus and stable between releases, usually the stem of the file.
        path: audio file, relative to the corpus root, with `/`.
        emotion: the corpus's own word, a value of the parser's `EMOTIONS`.
        speaker: the corpus's own speaker id; empty if unknown.
        start, end: seconds within the file; None means from its start, to its end.
        partition: official partition (`train`, `dev`, `test`) if the corpus has one, else empty.
        extra: further facts by manifest column (`gender`, `age`, `text`, `language`, `session`,
            `intensity`, `arousal`, `p_anger`, …); left-out keys are unknown.
    """

    id: str
    path: str
    emotion: str
    speaker: str = ""
    start: float | None = None
    end: float | None = None
    partition: str = ""
    extra: Mapping[str, str | float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Misfit:
    """A file that is audio by name but no utterance, or that a list names in vain, and why.

    Misfits go to `rejected.csv`; only too many missing ones stop a build.

    Args:
        path: relative to the root.
        reason: in words.
        listed: for a file that the corpus's own list names but that is missing, how many files
            that list names; 0 for a file that is there.
    """

    path: str
    reason: str
    listed: int = 0


@dataclasses.dataclass(frozen=True)
class Rating:
    """One judgement of one rater, where a corpus publishes them singly.

    Args:
        utterance: id of the utterance, as in `Utterance`.
        rater: the corpus's own id of the rater.
        emotion: the rater's word or words joined by `;`, a word of the parser's where it is one;
            empty if none was given.
        values: further answers by name (`arousal`, `valence`, `dominance` on the corpus's own
            scale, …); left-out keys were not answered.
    """

    utterance: str
    rater: str
    emotion: str = ""
    values: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class StandIn:
    """One file of a corpus's published layout, for writing synthetic stand-ins.

    Args:
        path: as published, relative to the corpus root, with the published extension.
        emotion: canonical word that the voice should play (`emokit.corpora.words.CANONICAL`).
        speaker: speaker id, equal for all files of one voice.
        gender: `female`, `male` or empty.
        text: what is said, or a stable name of the sentence: equal text, equal phones.
        intensity: 0 (weak) to 1 (strong).
        age: years, or None if unknown.
        within: the one long recording that holds this and others, one after the other in the
            order of the list; `path` is then only a name. Empty: the file at `path` is its own.
        seconds: length once it is spoken, for the times in a corpus's own tables.
    """

    path: str
    emotion: str
    speaker: str
    gender: str = ""
    text: str = ""
    intensity: float = 0.5
    age: float | None = None
    within: str = ""
    seconds: float | None = None

    @property
    def file(self) -> str:
        """The audio file that it lies in, relative to the corpus root."""
        return self.within or self.path


def source_id(name: str) -> str:
    """Take the corpus off the id of an utterance or speaker.

    Example:
        >>> source_id("emodb/03a01Fa"), source_id("03a01Fa")
        ('03a01Fa', '03a01Fa')
    """
    return name.partition("/")[2] or name
