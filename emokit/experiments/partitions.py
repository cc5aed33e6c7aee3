"""How the tested utterances of a corpus were set apart, in the same words in every table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from emokit.evaluation.systems import partition_name
from emokit.loading.source import fold_of

_DEALT = {"auto": "by speaker", "text": "by sentence, not by speaker",
          "utterance": "by utterance, not by speaker"}
"""Kinds of `emokit.corpora.partitions` whose folds emokit made, and what these keep together."""
NO_SPEECH = "Synthetic stand-in, no real speech: "


def partition_facts(build: Mapping[str, Any], folds: Collection[int | None] = ()
                    ) -> dict[str, Any]:
    """Say how a corpus was divided for the scores at hand.

    Args:
        build: `build.json` of the corpus.
        folds: its own folds that were scored; empty or None alone for its default partitions.

    Returns:
        `kind`: `official`, `auto`, `speakers`, `csv`, `emobox`, `text`, `utterance`; `folds` where
        every fold was scored, `fold 2 of 5` where one was. `words`: a sentence.
        `speaker_disjoint`: whether every speaker is known and stands on one side only.

    Example:
        >>> facts = partition_facts({"partitions": {"kind": "auto", "words": "By speaker.",
        ...                          "speaker_disjoint": True}, "counts": {"folds": 5}}, {0, 2})
        >>> facts["kind"], facts["words"]
        ('2 folds of 5', '5 folds made by emokit by speaker; folds 0, 2 tested.')
    """
    found = dict(build["partitions"])
    found.setdefault("speaker_disjoint", True)
    n_folds, chosen = build.get("counts", {}).get("folds", 0), sorted(set(folds) - {None})
    if n_folds and chosen:
        found |= _folded(found, n_folds, chosen)
    if build.get("synthetic"):
        words = found["words"][:1].lower() + found["words"][1:]
        found |= {"kind": f"{found['kind']}, synthetic", "words": NO_SPEECH + words}
    return found


def _folded(found: Mapping[str, Any], n_folds: int, chosen: list[int]) -> dict[str, str]:
    how = f"{n_folds} folds made by emokit {_DEALT.get(found['kind'], '')}".rstrip()
    if found["kind"] == "folds":
        how = found["words"].split(";")[0]  # "5 folds, one for each session"
    if not found["speaker_disjoint"]:
        how += "; speakers stand in several folds or are unknown: not speaker-independent"
    if len(chosen) == n_folds:
        return {"kind": "folds", "words": f"{how}; each utterance tested once."}
    listed = ", ".join(map(str, chosen))
    if len(chosen) == 1:
        return {"kind": f"fold {listed} of {n_folds}", "words": f"{how}; fold {listed} tested."}
    return {"kind": f"{len(chosen)} folds of {n_folds}", "words": f"{how}; folds {listed} tested."}


def partition_of(corpus, fold: int | None) -> str:
    """Name the scheme of a built corpus in a run's fold; corpora with fewer folds go modulo."""
    return partition_name(partition_facts(corpus.build, {fold_of(corpus, fold)}))


def partition_notes(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Explain the names of partitions, one line for all corpora of which the same is true.

    Args:
        facts: corpus to what `partition_facts` gives.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for corpus, one in sorted(facts.items()):
        if one.get("kind"):
            told.setdefault((partition_name(one), _short(one)), []).append(corpus)
    return [f"Partition {name} ({', '.join(corpora)}): {words}"
            for (name, words), corpora in told.items()]


def _short(facts: Mapping[str, Any]) -> str:
    """Leave out the counts of speakers, which differ in every corpus."""
    words = facts["words"]
    head, found, tail = words.partition("; no speaker in two partitions")
    if found:
        words = f"{head}; no speaker in two partitions."
    return words[:1].lower() + words[1:]


def known_partitions(systems: Iterable) -> dict[str, Mapping[str, Any]]:
    """Give corpus to partition facts, as far as any of the systems tells."""
    known: dict[str, Mapping[str, Any]] = {}
    for system in systems:
        for corpus, one in (system.facts.get("partitions") or {}).items():
            known.setdefault(corpus, one)
    return known
