"""A system: its predictions by corpus and seed; and the alignment of several by utterance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from emokit.core.errors import EmokitError, ManifestError, choices, culprits
from emokit.evaluation.counts import class_counts
from emokit.evaluation.predictions import Predictions, concatenate

CLUSTERS = ("speaker", "session", "dialogue", "utterance")


@dataclasses.dataclass(frozen=True)
class System:
    """One system to evaluate.

    Args:
        name: as tables print it.
        cells: `{corpus: {seed: predictions}}`.
        facts: what a report says besides, all optional: `partitions` {corpus: {kind, words,
            speaker_disjoint}}, `waivers` {corpus: [{check, count, culprits, flag}]}, `scoring`,
            `command`, `versions`, `parameters` {part: number}, `history` [{epoch, corpus, …}].
    """

    name: str
    cells: Mapping[str, Mapping[int, Predictions]]
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def partition_facts(self, corpus: str) -> Mapping[str, Any]:
        """Say how the corpus was divided, `{}` if nobody told."""
        return (self.facts.get("partitions") or {}).get(corpus) or {}


def collect(name: str, predictions: Iterable[Predictions],
            facts: Mapping[str, Any] | None = None) -> System:
    """Make a system of predictions, joining the folds of one corpus and seed.

    Raises:
        ManifestError: parts of one corpus that cannot be joined.
    """
    found: dict[str, dict[int, list[Predictions]]] = {}
    for one in predictions:
        found.setdefault(one.corpus, {}).setdefault(one.seed or 0, []).append(one)
    cells = {
        corpus: {seed: parts[0] if len(parts) == 1 else concatenate(parts)
                 for seed, parts in sorted(seeds.items())}
        for corpus, seeds in sorted(found.items())
    }
    return System(name, cells, facts or {})


@dataclasses.dataclass(frozen=True)
class Aligned:
    """Predictions of one corpus by several systems over the same utterances.

    Args:
        truth: [N] class indices.
        answers: for each system [M, N], M seeds in rising order.
        clusters: [N] in 0 … S−1.
        kind: what a cluster is.
        unclustered: every utterance stands alone.
    """

    labels: tuple[str, ...]
    utterances: np.ndarray
    truth: np.ndarray
    answers: tuple[np.ndarray, ...]
    clusters: np.ndarray
    cluster_names: tuple[str, ...]
    kind: str
    unclustered: bool
    speakers: int
    notes: tuple[str, ...]

    def counts(self, system: int) -> np.ndarray:
        """Class counts [M, S, 3, K] of one system."""
        return np.stack([
            class_counts(self.truth, answers, len(self.labels), self.clusters,
                         len(self.cluster_names))
            for answers in self.answers[system]
        ])


def align(corpus: str, sides: list[Mapping[int, Predictions]], cluster: str = "speaker",
          names: Iterable[str] = ()) -> Aligned:
    """Pair the predictions of one corpus by utterance, where its class is known.

    Args:
        sides: predictions by seed of each system.
        cluster: what hangs together; what is unknown falls back, session and dialogue to
            speaker, speaker to utterance, with a note.
        names: of the systems, for messages.

    Raises:
        ManifestError: label lists, sets of utterances, truths or speakers differ; three culprits.
    """
    if cluster not in CLUSTERS:
        raise EmokitError(f"Unknown cluster '{cluster}'. {choices(cluster, CLUSTERS)}")
    names = list(names) or [f"system {index + 1}" for index in range(len(sides))]
    ordered = [[side[seed].classified() for seed in sorted(side)] for side in sides]
    first = ordered[0][0]
    titles = [[f"{name}, seed {seed}" for seed in sorted(side)] for name, side in zip(names, sides)]
    for predictions, title in zip(sum(ordered, []), sum(titles, [])):
        _check_pair(corpus, first, titles[0][0], predictions, title)
    every = sum(ordered, [])
    speakers = _merged(corpus, "speaker", every)
    clusters, cluster_names, kind, notes = _clusters(corpus, cluster, every, speakers)
    return Aligned(
        first.labels, first.utterances, first.truth,
        tuple(np.stack([one.answers for one in side]) for side in ordered),
        clusters, cluster_names, kind, kind == "utterance",
        len(set(speakers.tolist()) - {""}), tuple(notes),
    )


def _check_pair(corpus, first, first_title, other, title) -> None:
    if other is first:
        return
    if other.labels != first.labels:
        raise ManifestError(
            f"Label lists of '{corpus}' differ: {', '.join(first.labels)} ({first_title}), "
            f"{', '.join(other.labels)} ({title}). Compare systems with the same labels in the "
            "same order."
        )
    if not np.array_equal(first.utterances, other.utterances):
        here, there = set(first.utterances), set(other.utterances)
        parts = [f"{len(only)} only in {where}: {culprits(sorted(only))}"
                 for only, where in ((here - there, first_title), (there - here, title)) if only]
        raise ManifestError(
            f"Predictions for '{corpus}' are over different utterances; {'; '.join(parts)}. "
            "Predict the same partition with both."
        )
    differing = np.flatnonzero(first.truth != other.truth)
    if differing.size:
        raise ManifestError(
            f"Truths of '{corpus}' differ between {first_title} and {title} for {differing.size} "
            f"utterances: {culprits(first.utterances[differing])}. Predict from the same build."
        )


def _merged(corpus: str, column: str, several: list[Predictions]) -> np.ndarray:
    result = np.full(len(several[0]), "", object)
    for one in several:
        if column not in one.table:
            continue
        values = one.table[column].to_numpy(object)
        known = np.array([isinstance(value, str) and value != "" for value in values], bool)
        clash = known & (result != "") & (result != values)
        if clash.any():
            raise ManifestError(
                f"Column '{column}' of '{corpus}' differs between the tables for {clash.sum()} "
                f"utterances: {culprits(one.utterances[clash])}. Predict from the same build."
            )
        result[known] = values[known]
    return result


def _clusters(corpus, cluster, several, speakers):
    notes = []
    values = speakers if cluster == "speaker" else (
        np.full(len(speakers), "", object) if cluster == "utterance"
        else _merged(corpus, cluster, several)
    )
    kind = cluster
    if cluster in ("session", "dialogue") and not (values != "").any():
        notes.append(f"no {cluster} known: clustered by speaker")
        values, kind = speakers, "speaker"
    missing = values == ""
    if missing.all():
        if cluster != "utterance":
            notes.append("no speaker known: utterances are taken as independent")
        kind = "utterance"
    elif missing.any():
        notes.append(f"{int(missing.sum())} utterances without {kind} each stand alone")
    keys = values.astype(object)
    keys[missing] = ["\0" + str(name) for name in several[0].utterances[missing]]
    names, codes = np.unique(keys.astype(str), return_inverse=True)
    return codes.reshape(-1).astype(np.int64), tuple(names.tolist()), kind, notes
