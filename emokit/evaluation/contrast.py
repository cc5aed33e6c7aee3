"""Two systems on one corpus: every test, interval, effect size, and the marks they earn."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Collection
from typing import Any

import numpy as np

from emokit.core.config import knob
from emokit.core.seeding import generator
from emokit.evaluation import corpora as over_corpora, effects, mcnemar as _mcnemar, seeds
from emokit.evaluation.clusters import (bootstrap, intra_cluster_correlation, jackknife,
                                        leave_one_out, obuchowski, swap_test)
from emokit.evaluation.counts import MEASURES
from emokit.evaluation.results import NAN
from emokit.evaluation.systems import CLUSTERS, Aligned, System, align, partition_name

FEWEST_CLUSTERS = 6
"""With fewer the smallest p of the swap test, 2^(1−S), is above .05."""
ASO_MARK, ASO_LEANING = 0.2, 0.5
METRICS = ("uar", "wa", "macro_f1")
CCC = "ccc"
"""The metric on which dimensions are decided."""
MARKS = {
    "+": "better than {other} by the primary test, {correction}",
    "-": "worse than {other} by the primary test, {correction}",
    "(+)": "better than {other} by McNemar's test alone, uncorrected, which takes utterances as "
           "independent",
    "(-)": "worse than {other} by McNemar's test alone, uncorrected",
    "a": "almost stochastically better than {other} over seeds (ASO below .2)",
    "-a": "almost stochastically worse than {other} over seeds",
    "s": "too few test {cluster}s for the primary test",
    "u": "no speaker known, utterances taken as independent",
    "o": "the partition shares speakers with training",
}
"""What the marks of every table mean, in this one place."""
IN_CELL = ("+", "-", "(+)", "(-)", "a", "-a")
"""Marks that say which of two is better; the others speak of the partition."""


@dataclasses.dataclass(frozen=True)
class Config:
    """How two systems are compared."""

    metric: str = knob("uar", "Metric of classes that the primary test decides on; that of "
                       "dimensions is CCC.", choices=METRICS)
    cluster: str = knob("speaker", "What hangs together in tests and intervals.", choices=CLUSTERS)
    interval: str = knob("jackknife", "How intervals are made.", choices=("jackknife", "bootstrap"))
    alpha: float = knob(0.05, "Level of the tests.", above=0, below=1)
    correction: str = knob("holm", "Correction over corpora, and over corpora and dimensions.",
                           choices=over_corpora.CORRECTIONS)
    mcnemar: bool = knob(True, "Print McNemar's test and its marks.")
    mcnemar_form: str = knob("auto", "Form of McNemar's test that is marked.",
                             choices=_mcnemar.METHODS)
    paired_seeds: bool = knob(False, "Seed i of both systems share what the seed decides.")
    draws: int = knob(10_000, "Draws of the swap test beyond 16 clusters.", minimum=100)
    bootstrap_draws: int = knob(2000, "Draws of a bootstrap interval.", minimum=100)
    seed: int = knob(0, "Seed of the draws.")
    skip_undefined: bool = knob(False, "Leave undefined corpora out of means, saying how many.")


def explain(used: Collection[str], other: str, config: Config) -> dict[str, str]:
    """Say what marks mean, in the order of `MARKS`.

    Args:
        used: those that occur.
        other: what is compared with.

    Example:
        >>> explain({"a"}, "scratch", Config())
        {'a': 'almost stochastically better than scratch over seeds (ASO below .2)'}
    """
    correction = "Holm-adjusted" if config.correction == "holm" else "uncorrected"
    return {mark: words.format(other=other, correction=correction, cluster=config.cluster)
            for mark, words in MARKS.items() if mark in used}


def contrast(first: System, second: System, corpus: str, primary: str, config: Config,
             dimension: str = "") -> dict[str, Any]:
    """Give every number of two systems on one corpus, as a flat mapping; first minus second.

    Args:
        primary: `combined` or `swap`, the test whose p goes into the correction.
        dimension: compare the CCC of this one; the classes if empty.

    Raises:
        ManifestError: differing utterances, truths or label lists.
    """
    sides = [first.cells[corpus], second.cells[corpus]]
    aligned = align(corpus, sides, config.cluster, [first.name, second.name], dimension)
    row: dict[str, Any] = {
        "corpus": corpus, "partition": next(iter(sides[0].values())).partition,
        **({"dimension": dimension} if dimension else {}),
        "n": len(aligned.truth), **({} if dimension else {"k": len(aligned.labels)}),
        "speakers": aligned.speakers or None,
        "clusters": len(aligned.cluster_names), "cluster": aligned.kind,
        "seeds_a": len(sides[0]), "seeds_b": len(sides[1]), "primary": primary,
        "partition_kind": first.partition_facts(corpus).get("kind", "")
        or second.partition_facts(corpus).get("kind", ""),
        "unclustered": aligned.unclustered,
        "shares_speakers": any(one.partition_facts(corpus).get("speaker_disjoint") is False
                               for one in (first, second)),
    }
    row["partition_name"] = partition_name({
        "kind": row["partition_kind"], "speaker_disjoint": not row["shares_speakers"]})
    notes = list(aligned.notes) if row["n"] else ["no utterances"]
    main = CCC if dimension else config.metric
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing are NaN, as documented
        counts = [aligned.counts(0), aligned.counts(1)]
        for metric in (CCC,) if dimension else METRICS:
            _differences(row, metric, counts, primary, [corpus, dimension], config, notes,
                         metric == main)
    for name in ("delta", "delta_low", "delta_high"):
        row[name] = row[name.replace("delta", f"delta_{main}")]
    row["p"] = row["combined_p"] if primary == "combined" else row["swap_p"]
    if dimension:
        _values(row, aligned, notes)
    else:
        absent = [label for index, label in enumerate(aligned.labels)
                  if not (aligned.truth == index).any()]
        if absent and row["n"]:
            notes.append(f"UAR undefined: no utterance of {', '.join(absent)} in truth")
        _pairs(row, aligned, config, notes)
    row["notes"] = notes
    return row


def _values(row, aligned: Aligned, notes) -> None:
    """Add the RMSE of both, a description, and why a CCC is undefined."""
    for side, answers in zip("ab", aligned.answers):
        errors = np.sqrt(np.mean((answers - aligned.truth) ** 2, axis=1)) if row["n"] else [NAN]
        row[f"rmse_{side}"] = float(np.mean(errors))
    if row["n"] and math.isnan(row["delta"]):
        notes.append("CCC undefined: fewer than two utterances, or all values equal")


def _differences(row, metric, counts, primary, where, config, notes, is_main) -> None:
    """Add the scores of both, their difference with its interval, and of the main metric tests.

    Args:
        where: corpus and dimension, which name the random draws.
    """
    where = [name for name in where if name]
    measure = MEASURES[metric]
    scores = [measure.value(side.sum(1)) for side in counts]
    means = [float(values.mean()) for values in scores]
    delta = means[0] - means[1]
    without = leave_one_out(counts[0], measure) - leave_one_out(counts[1], measure)
    interval = jackknife(delta, without, config.alpha)
    both = seeds.combined(delta, interval.standard_error, counts[0].shape[1], *scores,
                          paired=config.paired_seeds and len(scores[0]) == len(scores[1]),
                          alpha=config.alpha)
    if primary == "combined":
        low, high = both.low, both.high
    elif config.interval == "bootstrap":
        interval = bootstrap(counts[0], counts[1], measure,
                             generator(config.seed, "bootstrap", *where, metric),
                             config.bootstrap_draws, config.alpha)
        low, high = interval.low, interval.high
    else:
        low, high = interval.low, interval.high
    row.update({f"{metric}_a": means[0], f"{metric}_b": means[1], f"delta_{metric}": delta,
                f"delta_{metric}_low": low, f"delta_{metric}_high": high})
    if not is_main:
        return
    if interval.note and not math.isnan(delta):
        notes.append(interval.note)
    swap = swap_test(*counts, measure, generator(config.seed, "swap", *where), config.draws)
    row.update(swap_p=swap.p, swap_draws=swap.draws, swap_able=swap.able, combined_p=both.p,
               combined_df=both.degrees_of_freedom)
    for side, values in zip("ab", scores):
        row[f"sd_{side}"] = float(values.std(ddof=1)) if len(values) > 1 else NAN
    order = seeds.aso(*scores, generator(config.seed, "aso", *where), alpha=config.alpha)
    row.update(aso=order.epsilon_min, aso_reverse=order.reverse_min)
    units = seeds.permutation(*scores, rng=generator(config.seed, "permutation", *where))
    row["permutation_p"] = units.p if min(map(len, scores)) > 1 else NAN


def _pairs(row, aligned: Aligned, config, notes) -> None:
    """Add McNemar on the first seed of each, effect sizes and the gap that can be resolved."""
    right = [(answers == aligned.truth) for answers in aligned.answers]
    one, other = right[0][0], right[1][0]
    test = _mcnemar.mcnemar(int(np.sum(one & ~other)), int(np.sum(other & ~one)),
                            method=config.mcnemar_form, alpha=config.alpha)
    row.update(b=test.b, c=test.c, discordant=test.b + test.c, mcnemar_exact=test.exact,
               mcnemar_chi2=test.chi2, mcnemar_chi2_statistic=test.statistic,
               mcnemar_mid_p=test.mid_p, mcnemar_form=test.method, mcnemar_p=test.p)
    if test.note and config.mcnemar:
        notes.append(test.note)
    nets = np.bincount(aligned.clusters, weights=one.astype(float) - other,
                       minlength=len(aligned.cluster_names))
    clustered = obuchowski(nets)
    row.update(obuchowski_statistic=clustered.statistic, obuchowski_p=clustered.p)
    effect = effects.discordance(test.b, test.c, row["n"], config.alpha)
    row.update({f"discordance_{name}" if name == "share" else name: value
                for name, value in dataclasses.asdict(effect).items()})
    difference = right[0].mean(0) - right[1].mean(0) if row["n"] else np.zeros(0)
    row["correlation"] = intra_cluster_correlation(difference, aligned.clusters)
    row["gap"] = effects.resolvable_gap(effect.share, row["n"],
                                        row["n"] / max(row["clusters"], 1), row["correlation"])


def finish(row, adjusted: float, planned: int, config: Config) -> None:
    """Add what depends on all p-values: the adjusted one, marks, what cannot be reached."""
    row["p_adjusted"] = adjusted
    smallest = 2.0 ** (1 - min(row["clusters"], 1000))
    row["too_few"] = row["clusters"] < FEWEST_CLUSTERS or smallest > config.alpha
    words = "too few speakers" if row["cluster"] == "speaker" else f"too few {row['cluster']}s"
    notes, alpha = row["notes"], config.alpha
    if row["too_few"]:
        notes.append(f"cannot reach {alpha:g}: {words} ({row['clusters']}; smallest p of the swap "
                     f"test {min(smallest, 1):.3g})")
    elif row["primary"] == "swap":
        if smallest * planned > alpha and config.correction == "holm":
            notes.append(f"cannot reach the first Holm step, {alpha:g}/{planned}, with "
                         f"{row['clusters']} clusters")
        if 0 < row["swap_able"] < FEWEST_CLUSTERS:
            notes.append(f"cannot reach {alpha:g}: only {row['swap_able']} of {row['clusters']} "
                         "clusters differ")
    row["marks"] = " ".join(_marks(row, config))
    gap = row.get("gap", NAN)
    if row["p"] >= alpha and abs(row.get("delta_wa", NAN)) < gap:
        notes.append(f"WA differences below {100 * gap:.1f} points are not resolvable with this "
                     "test partition")
    if ASO_MARK <= row["aso"] < ASO_LEANING:
        notes.append(f"ASO leans to the first system ({row['aso']:.2f})")
    if ASO_MARK <= row["aso_reverse"] < ASO_LEANING:
        notes.append(f"ASO leans to the second system ({row['aso_reverse']:.2f})")
    row["notes"] = "; ".join(dict.fromkeys(notes))


def _marks(row, config) -> list[str]:
    marks = []
    if row["p_adjusted"] < config.alpha and not row["too_few"] and row["delta"]:
        marks.append("+" if row["delta"] > 0 else "-")
    elif config.mcnemar and row.get("mcnemar_p", NAN) < config.alpha:
        marks.append("(+)" if row["b"] > row["c"] else "(-)")
    if row["aso"] < ASO_MARK:
        marks.append("a")
    if row["aso_reverse"] < ASO_MARK:
        marks.append("-a")
    for mark, name in (("s", "too_few"), ("u", "unclustered"), ("o", "shares_speakers")):
        if row[name]:
            marks.append(mark)
    return marks
