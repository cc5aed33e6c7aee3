"""The manifest: one row per utterance; its columns, reading, writing, validation."""

from __future__ import annotations

import os
from pathlib import Path

from emokit.core.errors import ManifestError, culprits
from emokit.core.files import beneath, read_csv, typed_column, write_csv

REQUIRED = {
    "utterance": "`corpus/source-id`, unique",
    "corpus": "id of the corpus",
    "path": "audio file below the corpus root",
    "start": "seconds into that file",
    "duration": "seconds of audio in the store",
    "speaker": "`corpus/speaker`; empty if unknown",
    "emotion_original": "the corpus's own word",
    "emotion": "class of the corpus",
    "partition": "train, dev or test of the default split",
    "fold": "test fold 0 … k-1; empty where the split is official",
    "audio_hash": "hash of the stored samples",
}
OPTIONAL = {
    "session": "recording session", "dialogue": "dialogue", "text": "what is said",
    "gender": "female or male", "age": "years", "language": "ISO 639 code",
    "intensity": "strength of the emotion as the corpus words it",
    "arousal": "on the corpus's own scale", "valence": "on the corpus's own scale",
    "dominance": "on the corpus's own scale", "agreement": "share of raters for the label, 0 to 1",
    "n_ratings": "number of ratings",
}
"""Known optional columns; `p_<class>` (soft label) are known too, any further column is kept."""

PARTITIONS = ("train", "dev", "test")
_FLOATS = ("start", "duration", "age", "arousal", "valence", "dominance", "agreement", "n_ratings")


def read(path: str | os.PathLike):
    """Read a manifest as a pandas table.

    Text columns stay text, with "" for unknown; numbers are float with NaN for unknown.

    Raises:
        ManifestError: missing file or column, or a number that is none.
    """
    table = read_csv(path, **dict.fromkeys(_FLOATS, "float"))
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise ManifestError(
            f"Manifest '{path}' lacks column {culprits(missing)}. Build the corpus again."
        )
    for name in table.columns:
        if name.startswith("p_"):
            table[name] = typed_column(table[name], "float", Path(path))
    return table


def write(path: str | os.PathLike, table) -> Path:
    """Write a manifest after validating it; known columns stand first."""
    validate(table)
    known = [name for name in (*REQUIRED, *OPTIONAL) if name in table]
    return write_csv(path, table[known + [name for name in table if name not in known]])


def validate(table) -> None:
    """Hold a manifest to its rules.

    Raises:
        ManifestError: missing columns, an utterance twice, ids or speakers of another corpus,
            unknown partitions, paths that leave the root, negative times. Culprits are named.
    """
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise ManifestError(f"A manifest lacks column {culprits(missing)}.")
    checks = (
        ("the same utterance twice", table["utterance"].duplicated()),
        ("utterance ids without their corpus",
         [not row.startswith(f"{corpus}/") for row, corpus in
          zip(table["utterance"], table["corpus"])]),
        ("speakers without their corpus",
         [bool(row) and not row.startswith(f"{corpus}/") for row, corpus in
          zip(table["speaker"], table["corpus"])]),
        (f"partitions other than {', '.join(PARTITIONS)}", ~table["partition"].isin(PARTITIONS)),
        ("negative times", (table["start"] < 0) | (table["duration"] < 0)),
    )
    for what, rows in checks:
        names = [name for name, bad in zip(table["utterance"], rows) if bad]
        if names:
            raise ManifestError(f"The manifest has {what} ({len(names)}): {culprits(names)}.")
    for path in table["path"]:
        beneath(".", path)
