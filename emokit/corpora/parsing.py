"""The utterances of a corpus, by its parser or its format."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from emokit.core.errors import CorpusError, culprits
from emokit.corpora.parsers import FORMATS, PARSERS, names
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.utterance import Misfit, Utterance

log = logging.getLogger("emokit")


def _tell_absent(spec: CorpusSpec, root: Path) -> None:
    """Log which of the corpus's own tables are not there, and what stays unknown without each."""
    for places, unknown in getattr(PARSERS[spec.parser], "OPTIONAL", {}).items():
        if names.find_table(root, *places) is None:
            log.info(f"{spec.name}: no {places[0]} below '{root}': {unknown} unknown.")


def parse(spec: CorpusSpec) -> Iterator[Utterance | Misfit]:
    """Read the utterances and misfits of a corpus with its parser or format, sorted by path.

    Raises:
        CorpusError: no such folder, nothing in it, or no utterance among its files.
    """
    root = Path(spec.root)
    if not root.is_dir():
        kind = "is a file, not a folder" if root.exists() else "does not exist"
        raise CorpusError(
            f"Corpus '{spec.name}': its root '{root}' {kind}. Set 'root' of {spec.name} in "
            "corpora.yaml to the unpacked download."
        )
    if not any(root.iterdir()):
        raise CorpusError(
            f"Corpus '{spec.name}': its root '{root}' is empty. Unpack the download there or mend "
            f"'root' of {spec.name} in corpora.yaml."
        )
    if spec.format:
        items = FORMATS[spec.format].parse(root, spec.settings)
    else:
        _tell_absent(spec, root)
        items = PARSERS[spec.parser].parse(root)
    n_utterances, misfits = 0, []
    for item in items:
        if any("\ud800" <= sign <= "\udfff" for sign in item.path):
            raise CorpusError(
                f"Corpus '{spec.name}': the name of {os.fsencode(item.path)} is not UTF-8. Rename "
                "it, for example with convmv."
            )
        if isinstance(item, Utterance):
            n_utterances += 1
            if spec.language and "language" not in item.extra:
                item = dataclasses.replace(
                    item, extra={**item.extra, "language": spec.language})
        else:
            misfits.append(item)
        yield item
    if not n_utterances:
        found = (f"no utterance below '{root}' among {len(misfits)} audio files, such as "
                 f"{culprits([misfits[0].path])} ({misfits[0].reason})") if misfits else (
            f"the lists in '{root}' name no file" if spec.format == "csv" else
            f"no audio file below '{root}'")
        raise CorpusError(f"Corpus '{spec.name}': {found}. Is this the folder of "
                          f"{spec.parser or 'the corpus'}?")
