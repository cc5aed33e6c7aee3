"""Every metric of one system on one corpus."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from emokit.core.seeding import generator
from emokit.evaluation import metrics
from emokit.evaluation.clusters import bootstrap, jackknife, leave_one_out
from emokit.evaluation.counts import (MEASURES, PREDICTED, RIGHT, TRUE, Measure, _divide, macro_f1,
                                      uar, uar_present, wa)
from emokit.evaluation.results import NAN, Interval
from emokit.evaluation.systems import System, align


def score_classes(system: System, corpus: str, config, row: dict, detail: dict, notes: list
                  ) -> None:
    """Add UAR with its interval, WA, macro F1, ECE and the ends among clusters, means over seeds.

    Args:
        config: of the summary.
        row, detail, notes: what is added to.
    """
    cells = system.cells[corpus]
    aligned = align(corpus, [cells], config.cluster, [system.name])
    counts = aligned.counts(0)
    totals = counts.sum(1)
    support = totals[0, TRUE]
    scores = {"uar": uar(totals), "wa": wa(totals), "macro_f1": macro_f1(totals)}
    absent = [label for label, n in zip(aligned.labels, support) if not n]
    if absent and len(aligned.truth):
        notes.append(f"UAR undefined: no utterance of {', '.join(absent)} in truth")
    notes.extend(aligned.notes)
    row.update(n=len(aligned.truth), chance=1 / len(aligned.labels),
               speakers=aligned.speakers or None, clusters=len(aligned.cluster_names),
               cluster=aligned.kind)
    for name, values in scores.items():
        row[name] = float(values.mean())
        row[f"{name}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else NAN
    interval = _interval(counts, row["uar"], MEASURES["uar"], config, corpus)
    row.update(uar_low=interval.low, uar_high=interval.high,
               uar_present=float(uar_present(totals).mean()), k_present=int((support > 0).sum()))
    if interval.note and not math.isnan(row["uar"]):
        notes.append(interval.note)
    row["ece"] = _ece(cells)
    row.update(_speakers(counts, aligned))
    right, predicted = totals[:, RIGHT], totals[:, PREDICTED]
    detail.update(
        support=support.astype(int).tolist(),
        recall=_divide(right, totals[:, TRUE]).mean(0).tolist(),
        precision=_divide(right, predicted).mean(0).tolist(),
        confusion=_confusion(aligned).tolist(), seed_uar=scores["uar"].tolist(),
    )


def score_dimension(system: System, corpus: str, name: str, config, row: dict, notes: list
                    ) -> None:
    """Add CCC with its interval, RMSE and Pearson's correlation of a dimension, means over seeds.

    The interval is that of UAR, over the same clusters, cut to [-1, 1].
    """
    aligned = align(corpus, [system.cells[corpus]], config.cluster, [system.name], name)
    counts, truth = aligned.counts(0), aligned.truth
    row[f"n_{name}"] = len(truth)
    row.setdefault("clusters", len(aligned.cluster_names))
    row.setdefault("cluster", aligned.kind)
    for label in ("ccc", "rmse", "pearson"):
        values = [getattr(metrics, label)(truth, answers) for answers in aligned.answers[0]]
        row[f"{label}_{name}"] = float(np.mean(values))
        if label == "ccc":
            row[f"ccc_{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else NAN
    interval = _interval(counts, row[f"ccc_{name}"], MEASURES["ccc"], config, corpus, name)
    row[f"ccc_{name}_low"] = max(interval.low, -1.0)  # NaN stays
    row[f"ccc_{name}_high"] = min(interval.high, 1.0)
    if math.isnan(row[f"ccc_{name}"]):
        notes.append(f"CCC of {name} undefined: fewer than two utterances, or all values equal")
    for note in (*aligned.notes, interval.note if not math.isnan(row[f"ccc_{name}"]) else ""):
        if note and note not in notes:
            notes.append(note)


def _interval(counts, estimate, measure: Measure, config, *where: str) -> Interval:
    if config.interval == "bootstrap":
        rng = generator(config.seed, "bootstrap", *where)
        return bootstrap(counts, None, measure, rng, config.bootstrap_draws, config.alpha)
    return jackknife(estimate, leave_one_out(counts, measure), config.alpha)


def _ece(cells) -> float:
    values = []
    for one in (one.classified() for one in cells.values()):
        probabilities = one.probabilities
        if probabilities is None:
            return NAN
        values.append(metrics.ece(one.table["truth"], probabilities, labels=one.labels))
    return float(np.mean(values))


def _speakers(counts, aligned) -> dict[str, Any]:
    """Give the worst and best cluster's UAR, among those with every class."""
    values = uar(counts).mean(0)
    if aligned.unclustered or np.isnan(values).all():
        return {"worst_speaker": "", "worst_speaker_uar": NAN,
                "best_speaker": "", "best_speaker_uar": NAN}
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    return {"worst_speaker": aligned.cluster_names[low], "worst_speaker_uar": float(values[low]),
            "best_speaker": aligned.cluster_names[high], "best_speaker_uar": float(values[high])}


def _confusion(aligned) -> np.ndarray:
    k, answers = len(aligned.labels), aligned.answers[0]
    cells = np.broadcast_to(aligned.truth, answers.shape) * (k + 1) + answers
    matrix = np.bincount(cells.reshape(-1), minlength=k * (k + 1)).reshape(k, k + 1)
    return matrix if matrix[:, k].any() else matrix[:, :k]
