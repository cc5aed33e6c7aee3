"""The table of the protocol `peft`: a row per method, what it costs and what it gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.core.config import from_mapping
from emokit.evaluation import corpora as over_corpora, seeds
from emokit.evaluation.clusters import jackknife, leave_one_out
from emokit.evaluation.contrast import Config
from emokit.evaluation.counts import MEASURES
from emokit.evaluation.systems import System, align
from emokit.evaluation.tables import Column
from emokit.experiments.results import Results


def mean_difference(first: System, second: System, corpora: Sequence[str], config: Config
                    ) -> dict[str, float]:
    """Compare the means of UAR over these very corpora.

    delta = (1/C) sum_c (A_c - B_c), its error over speakers sqrt(sum_c se_c^2) / C with se_c the
    cluster jackknife of corpus c, its error over seeds that of each seed's mean over corpora, both
    put together as `emokit.evaluation.seeds.combined` does for one corpus.

    Returns:
        `delta`, `low`, `high`, `p`; with fewer than three seeds the interval is over speakers
        alone and p is NaN. A claim about these corpora, not about others like them.
    """
    from scipy.special import stdtrit

    measure, scores, errors, degrees = MEASURES["uar"], [[], []], [], []
    shared = sorted(set.intersection(*(set(side.cells[corpus]) for side in (first, second)
                                       for corpus in corpora)))
    for corpus in corpora:
        sides = [{seed: side.cells[corpus][seed] for seed in shared} for side in (first, second)]
        aligned = align(corpus, sides, config.cluster, [first.name, second.name])
        counts = [aligned.counts(0), aligned.counts(1)]
        values = [measure.value(side.sum(1)) for side in counts]
        without = leave_one_out(counts[0], measure) - leave_one_out(counts[1], measure)
        interval = jackknife(float(values[0].mean() - values[1].mean()), without, config.alpha)
        errors.append(interval.standard_error)
        degrees.append(counts[0].shape[1] - 1)
        for side, value in zip(scores, values):
            side.append(value)
    a, b = (np.mean(side, axis=0) for side in scores)
    delta = float(a.mean() - b.mean())
    error = math.sqrt(sum(one**2 for one in errors)) / len(errors)
    # Satterthwaite, as there; one speaker alone has no error
    spread = sum(one**4 / many if many else math.nan for one, many in zip(errors, degrees))
    freedom = sum(one**2 for one in errors)**2 / spread if spread else math.nan
    both = seeds.combined(delta, error, freedom + 1, a, b, paired=config.paired_seeds,
                          alpha=config.alpha)
    if min(len(a), len(b)) >= seeds.FEWEST:
        return {"delta": delta, "low": both.low, "high": both.high, "p": both.p}
    half = float(stdtrit(freedom, 1 - config.alpha / 2)) * error
    return {"delta": delta, "low": delta - half, "high": delta + half, "p": math.nan}


def rows_of(results: Results, facts: Mapping[str, Mapping[str, Any]],
            settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give a row per method: what it is and costs, UAR of each corpus, and the test of its mean.

    Args:
        facts: method to what stands first in its row.
        settings: of the comparison.
    """
    config = from_mapping(Config, dict(settings), "compare")
    corpora = [row["corpus"] for row in results.rows]
    lines = {line["method"]: line for line in results.lines}
    full = [corpus for corpus in corpora
            if all(corpus in system.cells for system in results.systems.values())]
    rows = []
    for name in results.methods:
        line = lines[name]
        row = {"method": name, **facts.get(name, {}), "seeds": line["seeds"],
               "dev_uar": line["dev_uar"]}
        for found in results.rows:
            row |= {f"{found['corpus']}{part}": found[f"{name}{part}"]
                    for part in ("", "_sd", "_marks")}
        row |= {"uar": line["uar"], "uar_sd": line["uar_sd"], "delta": math.nan}
        if results.reference and name in results.comparisons and full:
            found = mean_difference(results.systems[name], results.systems[results.reference],
                                    full, config)
            row |= {"delta": found["delta"], "delta_low": found["low"],
                    "delta_high": found["high"], "p": found["p"]}
        rows.append(row)
    _adjust(rows, results.headline, config)
    return rows


def _adjust(rows: Sequence[dict[str, Any]], headline: str, config: Config) -> None:
    """Add p corrected over all methods but the headline, which was planned."""
    others = [row for row in rows if "p" in row and row["method"] != headline]
    for row, value in zip(others, over_corpora.adjust([row["p"] for row in others],
                                                      config.correction)):
        row["p_adjusted"] = float(value)
    for row in rows:
        if row["method"] == headline and "p" in row:
            row["p_adjusted"] = row["p"]


def columns(results: Results) -> list[Column]:
    """Columns for people, what one looks for first at the left; UAR reads `71.2 ± 1.1 +`."""
    level = f" [{results.level} %]" if results.level else ""
    found = [Column("method", "Method"), Column("share", "% of encoder", "share"),
             Column("time", "Time"), Column("dev_uar", "Dev UAR", "percent"),
             Column("uar_words", "Mean UAR")]
    if results.reference:
        found += [Column("delta", f"Δ to {results.reference}{level}", "points_interval"),
                  Column("p_adjusted", "Holm p", "p")]
    found += [Column(f"{row['corpus']}_words", f"{row['corpus']}") for row in results.rows]
    return [*found, Column("learning_rate", "Rate"), Column("learns", "Learns", "count"),
            Column("stored", "Stored", "count")]


def shown(rows: Sequence[Mapping[str, Any]], results: Results) -> list[dict[str, Any]]:
    """Give rows with what people see in place of several numbers."""
    def words(row, name):
        value, deviation = row[name], row[f"{name}_sd"]
        if math.isnan(value):
            return None
        text = f"{100 * value:.1f}" + ("" if math.isnan(deviation) else
                                       f" ± {100 * deviation:.1f}")
        return f"{text} {row.get(f'{name}_marks', '')}".rstrip()

    names = [row["corpus"] for row in results.rows] + ["uar"]
    return [{**row, **{f"{name}_words": words(row, name) for name in names},
             "learning_rate": None if row.get("learning_rate") is None
             else f"{row['learning_rate']:g}",
             "time": None if row.get("time_ratio") is None else f"{row['time_ratio']:.2f} ×"}
            for row in rows]
