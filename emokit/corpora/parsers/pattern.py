"""Format `pattern`: a corpus whose paths say everything, described by one regular expression."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path

from emokit.core.config import knob
from emokit.core.errors import ConfigError, CorpusError
from emokit.corpora.parsers import csv_list, names
from emokit.corpora.utterance import Misfit, Utterance

_OWN = ("emotion", "speaker", "partition", "utterance")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the format `pattern`."""

    pattern: str = knob(
        help="Regular expression searched in the path below root, with named groups: "
        "(?P<emotion>…) is needed, (?P<speaker>…), (?P<partition>…) and (?P<utterance>…) are "
        "known, others (text, gender, session, …) become columns.")

    def __post_init__(self):
        compiled(self.pattern)


def compiled(pattern: str) -> re.Pattern:
    """Compile a pattern.

    Raises:
        ConfigError: not a regular expression, no group `emotion`, or a group that has the name
            of a manifest column which emokit fills.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"pattern '{pattern}' is no regular expression: {error}. Mend it; '(?P<name>…)' "
            "names a part, '[^/]+' is one folder."
        ) from None
    if "emotion" not in expression.groupindex:
        raise ConfigError(
            f"pattern '{pattern}' has no group (?P<emotion>…). Name the part of the path that "
            "tells the emotion."
        )
    taken = [name for name in expression.groupindex if name in csv_list._RESERVED
             and name != "emotion"]
    if taken:
        raise ConfigError(
            f"pattern '{pattern}' has a group '{taken[0]}', a column that emokit fills. Give the "
            "group another name."
        )
    return expression


def _search(expression: re.Pattern, file: names.AudioFile) -> re.Match | None:
    """Search in a path; the case of its extension says nothing, `.WAV` is as good as `.wav`."""
    stem, extension = os.path.splitext(names.nfc(file.path))
    return next(filter(None, map(expression.search, (
        stem + extension, stem + extension.lower(), stem + extension.upper()))), None)


def parse(root: Path, settings: Config) -> Iterator[Utterance | Misfit]:
    """Search the pattern in every audio path; paths in which it is not found are misfits.

    Raises:
        CorpusError: it is found in no path; the first one is shown.
        ManifestError: a partition or number in the path is none.
    """
    expression = compiled(settings.pattern)
    files = names.audio_files(root)
    if files and not any(_search(expression, file) for file in files):
        raise CorpusError(
            f"The pattern '{settings.pattern}' is found in none of {len(files)} audio paths below "
            f"'{root}', such as '{files[0].path}'. Mend 'pattern'."
        )

    def read(file: names.AudioFile) -> Utterance | str:
        match = _search(expression, file)
        if not match:
            return "the pattern is not found in its path"
        groups = {name: value for name, value in match.groupdict().items() if value}
        if "emotion" not in groups:
            return "the pattern finds no emotion in its path"
        partition = groups.get("partition", "")
        return Utterance(
            id=groups.get("utterance") or names.nfc(os.path.splitext(file.path)[0]),
            path=file.path, emotion=groups["emotion"], speaker=groups.get("speaker", ""),
            partition=partition and csv_list.partition_word(partition, file.path),
            extra={name: csv_list._number(value, name, file.path)
                   if name in csv_list.NUMBERS else value
                   for name, value in groups.items() if name not in _OWN},
        )

    yield from names.parse_files(files, read)
