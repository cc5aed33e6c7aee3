"""Speakers whom one training hears and another is tested by, under the names of two corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.errors import CorpusError, culprits
from emokit.core.files import read_json
from emokit.corpora.store import BUILD, open_corpus
from emokit.loading.source import Source, fold_of, make_source


def refuse_shared_speakers(tested: Source, learnt: Source) -> None:
    """Refuse a test or dev partition with speakers of another source's train partition.

    Ids are compared between corpora that one parser read in one folder; elsewhere equal ids are
    other people.

    Raises:
        CorpusError: there are some.
    """
    if tested.name != learnt.name and _place(tested.corpus.build) != _place(learnt.corpus.build):
        return
    for partition in ("test", "dev"):
        both = sorted(_speakers(tested, partition) & _speakers(learnt, "train"))
        if both:
            fold = "" if tested.fold is None else f" (fold {tested.fold})"
            raise CorpusError(
                f"{len(both)} speakers of {partition} of '{tested.name}' are in train of "
                f"'{learnt.name}'{fold}: {culprits(both)}. Divide both corpora the same way in "
                "corpora.yaml, e.g. partitions: {rule: folds, by: session}, build them again, and "
                "train with --folds all.")


def refuse_known_speakers(several: Sequence[Mapping[str, Any]], base: Path,
                          sources: Sequence[Source]) -> None:
    """Refuse a base that heard speakers of our dev or test in a corpus of another name.

    Only corpora that lie beside ours can be looked at.

    Args:
        several: `target`, `fold` and `manifests` of the base and of what it began from.
        base: its file.

    Raises:
        CorpusError: there are some, or another build of such a corpus is there now.
    """
    for facts in several:
        for source in sources:
            for name, signature in facts["manifests"].items():
                folder = source.corpus.folder.parent / name
                if name == source.name or not (folder / BUILD).is_file():
                    continue
                build = read_json(folder / BUILD)
                if _place(build) != _place(source.corpus.build):
                    continue
                if build["signature"] != signature:
                    raise CorpusError(
                        f"The base '{base}' saw another build of '{name}', which is of the same "
                        f"recordings as '{source.name}', so nobody can tell whether it heard these "
                        "speakers. Train the base again.")
                other = open_corpus(folder)
                # files from before there were dimensions do not say what they learnt: classes
                refuse_shared_speakers(source, make_source(
                    other, facts.get("target", "emotion"), fold_of(other, facts["fold"])))


def _place(build: Mapping[str, Any]) -> tuple[str, str]:
    return build["reader"], build["root"]


def _speakers(source: Source, partition: str) -> set[str]:
    names = source.corpus.manifest["speaker"].iloc[source.rows[partition]]
    return {name.partition("/")[2] for name in names if name}
