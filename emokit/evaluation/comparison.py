"""One system against another: corpus by corpus, then over corpora, then in a sentence."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emokit.core.config import from_mapping
from emokit.core.errors import EmokitError
from emokit.core.seeding import generator
from emokit.corpora.utterance import DIMENSIONS
from emokit.evaluation import corpora as over_corpora, seeds
from emokit.evaluation.contrast import CCC, Config, contrast, explain, finish
from emokit.evaluation.results import NAN
from emokit.evaluation.systems import System
from emokit.evaluation.tables import Column, best_in_row, render


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` found; differences are first minus second.

    Args:
        primary: `combined` (speakers and seeds) or `swap` (these trained models).
        metric: what it decides on: that of the config, or `ccc` of dimensions.
        rows: a flat mapping per corpus, of dimensions one per corpus and dimension.
        overall: tests with corpora as units.
        left_out: `{system: corpora that only it has}`.
        notes: what holds for the whole comparison.
    """

    first: str
    second: str
    primary: str
    metric: str
    rows: list[dict[str, Any]]
    overall: dict[str, Any]
    left_out: dict[str, list[str]]
    sentence: str
    notes: list[str]
    config: Config

    @property
    def legend(self) -> dict[str, str]:
        """What the marks that occur mean."""
        used = {mark for row in self.rows for mark in row["marks"].split()}
        return explain(used, self.second, self.config)

    def columns(self) -> list[Column]:
        """Columns for people."""
        metric, mcnemar, of_values = self.metric, [], self.metric == CCC
        if self.config.mcnemar and not of_values:
            mcnemar = [Column("b", "b", "count"), Column("c", "c", "count"),
                       Column("mcnemar_p", "McNemar p", "p")]
        title = {"uar": "UAR", "wa": "WA", "macro_f1": "F1", CCC: "CCC"}[metric]
        one, gap = ("number", "change_interval") if of_values else ("percent", "points_interval")
        partition = [Column("partition_name", "Partition")] if any(
            row.get("partition_name") for row in self.rows) else []
        return [
            Column("corpus", "Corpus"), *partition,
            *([Column("dimension", "Dimension")] if of_values else []), Column("n", "N", "count"),
            Column("clusters", "Clusters", "count"),
            Column(f"{metric}_a", f"{title} {self.first}", one),
            Column(f"{metric}_b", f"{title} {self.second}", one),
            Column("delta", f"Δ [{100 * (1 - self.config.alpha):g} %]", gap),
            Column("marks", "Marks"),
            Column("p", f"p {self.primary}", "p"),
            Column("p_adjusted", self.config.correction.capitalize(), "p"),
            *mcnemar,
        ]

    def text(self, format: str = "table") -> str:
        """Give the table for stdout; for people with the sentence, notes and legend below."""
        metric = self.metric
        table = render(self.rows, format, self.columns(),
                       best_in_row(self.rows, [f"{metric}_a", f"{metric}_b"]))
        if format not in ("table", "markdown"):
            return table
        bullet = "- " if format == "markdown" else ""
        notes = [f"{where_of(row)}: {row['notes']}" for row in self.rows if row["notes"]]
        lines = [*self.notes, *notes,
                 *(f"{mark} {words}" for mark, words in self.legend.items())]
        return "\n".join([table, "", self.sentence, *([""] if lines else []),
                          *(bullet + line for line in lines)])


def where_of(row: Mapping[str, Any]) -> str:
    """Name the corpus of a row, and its dimension where there is one."""
    return ", ".join(row[name] for name in ("corpus", "dimension") if row.get(name))


def compare(first: System, second: System, *, config: Config | None = None,
            **settings: Any) -> Comparison:
    """Compare the classes of two systems on the corpora that both have, pairing by utterance.

    The primary test is the combined one over speakers and seeds if every corpus has at least
    three seeds of both, otherwise the swap test, which speaks of these trained models only.

    Args:
        config: or its fields by name in `settings`.

    Raises:
        EmokitError: no common corpus, two systems of one name.
        ManifestError: differing utterances, truths or label lists of a corpus.
    """
    return compare_all([first], second, config=config, **settings)[0]


def compare_all(systems: Sequence[System], reference: System, *, config: Config | None = None,
                **settings: Any) -> list[Comparison]:
    """Compare several systems with one reference; the correction covers systems × corpora."""
    config = config or from_mapping(Config, settings, "compare")
    return _compare_all(systems, reference, config, config.metric)


def compare_dimensions(systems: Sequence[System], reference: System, *,
                       config: Config | None = None, **settings: Any) -> list[Comparison]:
    """Compare the CCC of dimensions, each by itself, by the tests that `compare` has for UAR.

    The correction covers systems × corpora × dimensions; it is a family of its own beside that of
    the classes. McNemar's test is left out: values are not right or wrong.

    Raises:
        EmokitError: no dimension in common.
        ManifestError: differing utterances or truths, or a value that is not predicted.
    """
    return _compare_all(systems, reference, config or from_mapping(Config, settings, "compare"),
                        CCC)


def shared_dimensions(first: System, second: System) -> list[tuple[str, str]]:
    """Give (corpus, dimension) of what both systems predict, in a fixed order."""
    def of(system, corpus):
        return {name for one in system.cells[corpus].values() for name in one.dimensions}

    return [(corpus, name) for corpus in sorted(set(first.cells) & set(second.cells))
            for name in DIMENSIONS if name in of(first, corpus) & of(second, corpus)]


def shared_classes(first: System, second: System) -> list[tuple[str, str]]:
    """Give (corpus, "") of the corpora whose classes both systems predict, in a fixed order."""
    return [(corpus, "") for corpus in sorted(set(first.cells) & set(second.cells))
            if all(one.labels for system in (first, second)
                   for one in system.cells[corpus].values())]


def _compare_all(systems, reference, config: Config, metric: str) -> list[Comparison]:
    batches, primaries = [], []
    for system in systems:
        if system.name == reference.name:
            raise EmokitError(f"Both systems are called '{system.name}'. Name them differently.")
        common = (shared_dimensions if metric == CCC else shared_classes)(system, reference)
        if not common:
            raise _nothing_common(system, reference, metric)
        fewest = min(len(one.cells[corpus]) for one in (system, reference)
                     for corpus, _ in common)
        primaries.append("combined" if fewest >= seeds.FEWEST else "swap")
        batches.append([contrast(system, reference, corpus, primaries[-1], config, dimension)
                        for corpus, dimension in common])
    adjusted = over_corpora.adjust([row["p"] for rows in batches for row in rows],
                                   config.correction)
    planned, values = len(adjusted), iter(adjusted)
    for rows in batches:
        for row in rows:
            finish(row, float(next(values)), planned, config)
    return [_conclude(system, reference, rows, primary, metric, config)
            for system, rows, primary in zip(systems, batches, primaries)]


def _nothing_common(first: System, second: System, metric: str) -> EmokitError:
    if set(first.cells) & set(second.cells):
        kind, other = ("dimensions", "classes") if metric == CCC else ("classes", "dimensions")
        return EmokitError(
            f"'{first.name}' and '{second.name}' have no {kind} in common that both predict. "
            f"Evaluate each by itself, or compare systems whose --target has {kind}; "
            f"{other} are compared by themselves."
        )
    return EmokitError(
        f"'{first.name}' and '{second.name}' have no corpus in common: "
        f"{', '.join(sorted(first.cells)) or 'none'} against "
        f"{', '.join(sorted(second.cells)) or 'none'}. Compare groups over the same corpora."
    )


def _conclude(first, second, rows, primary, metric, config) -> Comparison:
    left_out = {
        first.name: sorted(set(first.cells) - set(second.cells)),
        second.name: sorted(set(second.cells) - set(first.cells)),
    }
    notes = [f"Only '{name}' has {', '.join(names)}: left out."
             for name, names in left_out.items() if names]
    scored = {row["corpus"] for row in rows}
    others = sorted((set(first.cells) & set(second.cells)) - scored)
    if others:
        what = "No dimension that both predict" if metric == CCC else (
            "Dimensions only, no classes to compare")
        notes.append(f"{what}: {', '.join(others)}.")
    if primary == "swap":
        notes.append("Not every corpus has three seeds of both systems: this compares these "
                     "trained models, not the methods behind them.")
    if metric != CCC and config.mcnemar and any(
            max(row["seeds_a"], row["seeds_b"]) > 1 for row in rows):
        notes.append("McNemar's test is on the first seed of each system.")
    return Comparison(first.name, second.name, primary, metric, rows, _over(rows, metric, config),
                      left_out, sentence(first.name, second.name, rows, primary, config), notes,
                      config)


def sentence(first: str, second: str, rows: Sequence[dict[str, Any]], primary: str,
             config: Config) -> str:
    """Say what the marks of the rows say."""
    marks = [row["marks"].split() for row in rows]
    better = sum("+" in each for each in marks)
    worse = sum("-" in each for each in marks)
    test = {"combined": "combined speakers and seeds", "swap": "swap test by cluster"}[primary]
    kinds = {row["cluster"] for row in rows}
    if primary == "swap" and len(kinds) == 1:
        test = f"swap test by {kinds.pop()}"
    correction = "Holm" if config.correction == "holm" else "uncorrected"
    n = len({row["corpus"] for row in rows})
    noun = "corpus" if n == 1 else "corpora"
    if rows and "dimension" in rows[0]:
        noun = f"dimension{'s' if len(rows) > 1 else ''} of {n} {noun} by CCC"
    text = (f"{first} is better than {second} on {better} of {len(rows)} {noun} "
            f"({correction}, {test}), worse on {worse}")
    undecidable = sum(bool(row["too_few"]) or math.isnan(row["p"]) for row in rows)
    if undecidable:
        text += f"; {undecidable} cannot be decided (too few clusters, or undefined)"
    return text + "."


def _over(rows, metric: str, config) -> dict[str, Any]:
    by_corpus: dict[str, list[float]] = {}
    for row in rows:
        by_corpus.setdefault(row["corpus"], []).append(row["delta"])
    # dimensions of one corpus hang together: their mean is one unit
    deltas = np.array([np.mean(values) for values in by_corpus.values()], float)
    undefined = int(np.isnan(deltas).sum())
    signs, ranks = over_corpora.sign_test(deltas), over_corpora.wilcoxon(deltas)
    usable = not undefined or (config.skip_undefined and undefined < len(deltas))
    interval = over_corpora.mean_interval(deltas, generator(config.seed, "corpora"),
                                          alpha=config.alpha)
    notes = [f"{undefined} undefined corpora left out of the tests"] if undefined else []
    notes += [note for note in (signs.note, interval.note) if note]
    return {
        "corpora": len(deltas), "metric": metric, "better": signs.better,
        "worse": signs.worse, "ties": signs.ties, "undefined": undefined, "sign_p": signs.p,
        "wilcoxon_w": ranks.statistic, "wilcoxon_p": ranks.p,
        "mean_delta": float(np.nanmean(deltas)) if usable else NAN,
        "mean_low": interval.low if usable else NAN,
        "mean_high": interval.high if usable else NAN, "notes": "; ".join(notes),
    }
