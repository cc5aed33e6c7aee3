"""One row per method: means over the corpora, and on how many of them it is better or worse."""

from __future__ import annotations

import collections
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.evaluation.comparison import Comparison
from emokit.evaluation.contrast import CCC
from emokit.evaluation.systems import partition_name
from emokit.experiments.rows import unit_of


def line_of(name: str, runs: Sequence[Mapping[str, Any]], full: Sequence[tuple[str, str]],
            comparison: Comparison | None, stored: Mapping[str, Any],
            facts: Mapping[str, Mapping[str, Any]], metric: str = "uar") -> dict[str, Any]:
    """Sum up one method over the corpora, or their dimensions, that every method has.

    Args:
        runs: its rows by corpus, dimension and seed.
        full: those corpora and dimensions, see `unit_of`.
        comparison: with the reference, if it has one.
        stored: `stored`, `ratio`, `per_further_corpus`.
        facts: corpus to what its partition is.
        metric: `uar` or `ccc`.
    """
    chosen = [run for run in runs if unit_of(run) in full]
    seeds = sorted({run["seed"] for run in chosen})
    # the mean over corpora of each seed, so that the deviation is one of seeds
    means = [np.mean([run[metric] for run in chosen if run["seed"] == seed]) for seed in seeds]
    dev = [run[f"dev_{metric}"] for run in chosen if run[f"dev_{metric}"] is not None]
    corpora = sorted({run["corpus"] for run in chosen})
    kinds = collections.Counter(partition_name(facts.get(corpus, {})) or "unknown"
                                for corpus in corpora)
    line: dict[str, Any] = {
        "method": name, "corpora": len(corpora),
        "partitions": "; ".join(f"{kind}: {n}" for kind, n in sorted(kinds.items())),
        "seeds": len(seeds), f"dev_{metric}": float(np.mean(dev)) if dev else math.nan,
        metric: float(np.mean([np.mean([run[metric] for run in chosen if unit_of(run) == unit])
                               for unit in full])) if chosen else math.nan,
        f"{metric}_sd": float(np.std(means, ddof=1)) if len(means) > 1 else math.nan,
    }
    if metric == CCC:
        line["dimensions"] = len({unit_of(run) for run in chosen})
    if comparison is not None:
        line |= _counts(comparison)
    return line | {key: stored.get(key) for key in ("stored", "ratio", "per_further_corpus")}


def _counts(comparison: Comparison) -> dict[str, Any]:
    """Count corpora better and worse, before and after correction, as `better/worse`."""
    over, alpha, rows = comparison.overall, comparison.config.alpha, comparison.rows
    marks = [row["marks"].split() for row in rows]

    def pair(p: str, first: str, second: str = "", decidable: bool = False) -> str:
        found = [row for row in rows if row[p] < alpha and not (decidable and row["too_few"])]
        gains = [row[first] - (row[second] if second else 0) for row in found]
        return f"{sum(gain > 0 for gain in gains)}/{sum(gain < 0 for gain in gains)}"

    return {
        "mean_delta": over["mean_delta"], "mean_delta_low": over["mean_low"],
        "mean_delta_high": over["mean_high"], "better": f"{over['better']}/{over['corpora']}",
        "worse": f"{over['worse']}/{over['corpora']}", "sign_p": over["sign_p"],
        "wilcoxon_p": over["wilcoxon_p"], "uncorrected": pair("p", "delta", decidable=True),
        "holm": pair("p_adjusted", "delta", decidable=True),
        **({} if comparison.metric == CCC else {
            "mcnemar": pair("mcnemar_p", "b", "c"),
            "mcnemar_holm": pair("mcnemar_p_adjusted", "b", "c")}),
        "aso": f"{sum('a' in each for each in marks)}/{sum('-a' in each for each in marks)}",
    }
