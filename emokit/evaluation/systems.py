"""A system: its predictions by corpus and seed; and the alignment of several by utterance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from emokit.core.errors import EmokitError, ManifestError, choices, culprits
from emokit.evaluation.counts import class_counts, moments
from emokit.evaluation.predictions import Predictions, concatenate

CLUSTERS = ("speaker", "session", "dialogue", "utterance")
SHARES = "shares speakers"
SAME_TRUTH = 1e-4
"""How far two tables may differ in a true value: other toolkits print four digits."""


def partition_name(facts: Mapping[str, Any]) -> str:
    """Name a scheme for a table: its kind, and that it shares speakers if it does; '' if unknown.

    Example:
        >>> partition_name({"kind": "text", "speaker_disjoint": False})
        'text, shares speakers'
    """
    shares = facts.get("speaker_disjoint") is False
    return ", ".join(word for word in (facts.get("kind", ""), SHARES if shares else "") if word)


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
        labels: class list; empty for a dimension.
        truth: [N] class indices, or true values.
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
        """Class counts [M, S, 3, K] of one system; of a dimension moments [M, S, 6]."""
        if not self.labels:
            # CCC is that of values less a constant; large ones would eat the digits of the sums
            centre = self.truth.mean() if len(self.truth) else 0.0
            return np.stack([
                moments(self.truth - centre, answers - centre, self.clusters,
                        len(self.cluster_names))
                for answers in self.answers[system]])
        return np.stack([
            class_counts(self.truth, answers, len(self.labels), self.clusters,
                         len(self.cluster_names))
            for answers in self.answers[system]
        ])


def align(corpus: str, sides: list[Mapping[int, Predictions]], cluster: str = "speaker",
          names: Iterable[str] = (), dimension: str = "") -> Aligned:
    """Pair the predictions of one corpus by utterance, where what is predicted is known.

    Args:
        sides: predictions by seed of each system.
        cluster: what hangs together; what is unknown falls back, session and dialogue to
            speaker, speaker to utterance, with a note.
        names: of the systems, for messages.
        dimension: `arousal`, `valence` or `dominance`; the class if empty.

    Raises:
        ManifestError: label lists, sets of utterances, truths or speakers differ; three culprits.
            A dimension that a table lacks, or does not predict for an utterance that has it.
    """
    if cluster not in CLUSTERS:
        raise EmokitError(f"Unknown cluster '{cluster}'. {choices(cluster, CLUSTERS)}")
    names = list(names) or [f"system {index + 1}" for index in range(len(sides))]
    titles = [f"{name}, seed {seed}" for name, side in zip(names, sides) for seed in sorted(side)]
    every = [side[seed] for side in sides for seed in sorted(side)]
    if dimension:
        every = [_rated(corpus, one, dimension, title) for one, title in zip(every, titles)]
        truths = [one.table[f"truth_{dimension}"].to_numpy(float) for one in every]
        answers = [one.table[dimension].to_numpy(float) for one in every]
    else:
        every = [one.classified() for one in every]
        _check_labels(corpus, every, titles)
        truths, answers = [one.truth for one in every], [one.answers for one in every]
    what = f"'{corpus}', {dimension}," if dimension else f"'{corpus}'"
    for one, truth, title in zip(every, truths, titles):
        _check_pair(what, (every[0], truths[0], titles[0]), (one, truth, title))
    speakers = _merged(corpus, "speaker", every)
    clusters, cluster_names, kind, notes = _clusters(corpus, cluster, every, speakers)
    split = iter(answers)
    return Aligned(
        () if dimension else every[0].labels, every[0].utterances, truths[0],
        tuple(np.stack([next(split) for _ in side]) for side in sides),
        clusters, cluster_names, kind, kind == "utterance",
        len(set(speakers.tolist()) - {""}), tuple(notes),
    )


def _rated(corpus: str, predictions: Predictions, dimension: str, title: str) -> Predictions:
    """Keep the utterances whose dimension is known, and hold their predictions to be there."""
    if dimension not in predictions.dimensions:
        raise ManifestError(
            f"Predictions of '{corpus}' lack {dimension} or truth_{dimension} ({title}). Predict "
            "with systems that both learnt it."
        )
    known = predictions.table[f"truth_{dimension}"].notna().to_numpy()
    if not known.all():
        predictions = predictions.part(known)
    missing = ~np.isfinite(predictions.table[dimension].to_numpy(float))
    if missing.any():
        raise ManifestError(
            f"'{corpus}' has {dimension} of {int(missing.sum())} utterances that are not "
            f"predicted ({title}): {culprits(predictions.utterances[missing])}. Give a number for "
            f"each, or leave their truth_{dimension} empty."
        )
    return predictions


def _check_labels(corpus: str, every, titles) -> None:
    for other, title in zip(every, titles):
        if other.labels != every[0].labels:
            raise ManifestError(
                f"Label lists of '{corpus}' differ: {', '.join(every[0].labels)} ({titles[0]}), "
                f"{', '.join(other.labels)} ({title}). Compare systems with the same labels in "
                "the same order."
            )


def _check_pair(what: str, first, second) -> None:
    """Refuse tables of different utterances or truths; each is (predictions, truth, title)."""
    (one, truth, title), (other, other_truth, other_title) = first, second
    if one is other:
        return
    if not np.array_equal(one.utterances, other.utterances):
        here, there = set(one.utterances), set(other.utterances)
        parts = [f"{len(only)} only in {where}: {culprits(sorted(only))}"
                 for only, where in ((here - there, title), (there - here, other_title)) if only]
        raise ManifestError(
            f"Predictions for {what} are over different utterances; {'; '.join(parts)}. "
            "Predict the same partition with both."
        )
    differing = np.flatnonzero(np.abs(truth - other_truth) > SAME_TRUTH)
    if differing.size:
        raise ManifestError(
            f"Truths of {what} differ between {title} and {other_title} for {differing.size} "
            f"utterances: {culprits(one.utterances[differing])}. Predict from the same build"
            f"{', on the same scale' if truth.dtype.kind == 'f' else ''}."
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
