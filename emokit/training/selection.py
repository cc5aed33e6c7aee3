"""What a checkpoint is selected by: figures of dev."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

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
    """Give the figures of dev by name.

    Returns:
        `n`; with classes `uar`; with dimensions `ccc_<dimension>` of each that dev knows and their
        mean `ccc`; `score`, what selects: UAR, CCC or the mean of both; `loss`, for ties: negative
        log-likelihood plus 1 - CCC.
    """
    found: dict[str, float] = {"n": len(scores.truth)}
    score, loss = [], 0.0
    known = scores.truth >= 0
    if source.labels and known.any():
        found["uar"], loss = class_figures(scores.probabilities[known], scores.truth[known])
        score.append(found["uar"])
    for index, name in enumerate(source.dimensions):
        truth = scores.true_values[:, index]
        there = np.isfinite(truth)
        value = ccc(truth[there], scores.values[there, index])
        if not math.isnan(value):
            found[f"ccc_{name}"] = value
    if source.dimensions:
        found["ccc"] = float(np.mean([found[name] for name in found if name[:4] == "ccc_"] or [0]))
        score.append(found["ccc"])
        loss += 1 - found["ccc"]
    return {**found, "score": float(np.mean(score)), "loss": loss}


MEANS = ("uar", "ccc", "score", "loss")


def means(corpora: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Average the figures of dev over the corpora that have them."""
    found = {}
    for name in MEANS:
        values = [one[name] for one in corpora.values() if name in one]
        if values:
            found[name] = float(np.mean(values))
    return found


def in_words(record: Mapping[str, float], prefix: str = "") -> str:
    """Say UAR and CCC of a record that has them."""
    return " ".join(f"{name.upper()} {record[prefix + name]:.3f}" for name in ("uar", "ccc")
                    if prefix + name in record)
