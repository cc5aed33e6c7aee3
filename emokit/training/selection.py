"""What a checkpoint is selected by: figures of dev."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from emokit.core.errors import CorpusError, culprits
from emokit.evaluation.metrics import ccc
from emokit.loading.source import Source
from emokit.training.predict import Scores


def class_figures(probabilities: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Give (mean recall, mean negative log-likelihood).

    The mean is over the classes that occur, so it equals the UAR wherever that is defined; a dev
    partition whose missing class was waived at build can still select.
    """
    hits = probabilities.argmax(axis=1) == truth
    counts = np.bincount(truth)
    recalls = np.bincount(truth, weights=hits)[counts > 0] / counts[counts > 0]
    chosen = probabilities[np.arange(len(truth)), truth]
    return float(recalls.mean()), float(-np.log(np.maximum(chosen, 1e-12)).mean())


def figures(source: Source, scores: Scores) -> dict[str, float]:
    """Give the figures of dev by name; what is undefined is left out, never 0.

    Returns:
        `n`; with classes `uar`; with dimensions `ccc_<dimension>` of each that dev knows and their
        mean `ccc`; `score`, what selects: UAR, CCC or the mean of both; `loss`, for ties: negative
        log-likelihood plus 1 - CCC.
    """
    found: dict[str, float] = {"n": len(scores.truth)}
    score, losses = [], []
    known = scores.truth >= 0
    if source.labels and known.any():
        found["uar"], loss = class_figures(scores.probabilities[known], scores.truth[known])
        score.append(found["uar"])
        losses.append(loss)
    values = []
    for index, name in enumerate(source.dimensions):
        truth = scores.true_values[:, index]
        there = np.isfinite(truth)
        value = ccc(truth[there], scores.values[there, index])
        if not math.isnan(value):
            found[f"ccc_{name}"] = value
            values.append(value)
    if values:
        found["ccc"] = float(np.mean(values))
        score.append(found["ccc"])
        losses.append(1 - found["ccc"])
    return {**found, "score": float(np.mean(score)), "loss": sum(losses)} if score else found


def refuse_undecidable(sources: Sequence[Source]) -> list[str]:
    """Hold the dev partitions of one model to what its epochs can be chosen by.

    Returns:
        A line for each corpus whose dev says nothing, beside others that do.

    Raises:
        CorpusError: of no corpus does dev know a class, or two values of a dimension.
    """
    silent = [source.name for source in sources if not _decides(source)]
    if len(silent) < len(sources):
        return [f"dev of '{name}' knows no class, and no dimension of two utterances: the epoch is "
                "chosen by the other corpora" for name in silent]
    raise CorpusError(
        f"Dev of {culprits(silent)} knows no class, and no dimension of two utterances, so no "
        "epoch can be chosen there. Change its partitions in corpora.yaml and build it again, or "
        "choose another --target."
    )


def _decides(source: Source) -> bool:
    rows = source.rows["dev"]
    if source.labels and (source.classes[rows] >= 0).any():
        return True
    return bool((np.isfinite(source.own_values(rows)).sum(axis=0) >= 2).any())


MEANS = ("uar", "ccc", "score", "loss")


def means(corpora: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Average the figures of dev over the corpora that have them.

    Raises:
        CorpusError: none of them has a score.
    """
    found = {}
    for name in MEANS:
        values = [one[name] for one in corpora.values() if name in one]
        if values:
            found[name] = float(np.mean(values))
    if "score" not in found:
        raise CorpusError(f"UAR and CCC are undefined on dev of {culprits(corpora)}: nothing is "
                          "known there, or all values are equal. Change the partitions, or choose "
                          "another --target.")
    return found


def in_words(record: Mapping[str, float], prefix: str = "") -> str:
    """Say UAR and CCC of a record that has them."""
    return " ".join(f"{name.upper()} {record[prefix + name]:.3f}" for name in ("uar", "ccc")
                    if prefix + name in record)
