"""A built corpus in the formats of other tools; table of the formats.

A module of `EXPORTERS` has `write(corpus, folder)`, which fills an empty folder from a
`BuiltCorpus`. What it writes, the format of the same name reads back: utterances, labels in their
order, speakers, partitions, further facts and every sample.
"""

from __future__ import annotations

import os
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.core.files import disk_errors, remove_tree
from emokit.core.registry import Registry

EXPORTERS = Registry("export format", {
    "audformat": "emokit.corpora.export.audformat",
    "huggingface": "emokit.corpora.export.huggingface",
})


def export(corpus, folder: str | os.PathLike, to: str) -> Path:
    """Write a built corpus as another tool's data set, whole or not at all.

    Recordings are what the store holds, 16 kHz mono of 16 bits, one utterance a file. Folds, and
    the places of utterances in their original files, are not written.

    Args:
        corpus: `emokit.corpora.store.BuiltCorpus`.
        folder: new or empty.
        to: a name in `EXPORTERS`.

    Raises:
        CorpusError: the folder is not empty, or the format's package is not installed.
        ConfigError: no such format.
    """
    exporter, folder = EXPORTERS[to], Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CorpusError(f"'{folder}' is not empty. Name a new folder.")
    target = Path(os.path.abspath(folder))
    work = target.with_name(f".{target.name}.exporting")
    remove_tree(work)
    try:
        with disk_errors(folder):
            work.mkdir(parents=True)
            exporter.write(corpus, work)
            if target.exists():
                target.rmdir()
            os.rename(work, target)
    finally:
        remove_tree(work)
    return folder
