"""One system against another: corpus by corpus, then over corpora, then in a sentence."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emokit.core.config import from_mapping
from emokit.core.errors import EmokitError
from emokit.core.files import write_json, write_text
from emokit.core.seeding import generator
from emokit.evaluation import corpora as over_corpora, seeds
from emokit.evaluation.contrast import LEGEND, Config, contrast, finish
from emokit.evaluation.results import NAN
from emokit.evaluation.summary import versions
from emokit.evaluation.systems import System
from emokit.evaluation.tables import Column, best_in_row, render


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` found; differences are first minus second.

    Args:
        primary: `combined` (speakers and seeds) or `swap` (these trained models).
        rows: a flat mapping per corpus.
        overall: tests with corpora as units.
        left_out: `{system: corpora that only it has}`.
        notes: what holds for the whole comparison.
    """

    first: str
    second: str
    primary: str
    rows: list[dict[str, Any]]
    overall: dict[str, Any]
    left_out: dict[str, list[str]]
    sentence: str
    notes: list[str]
    config: Config

    def columns(self) -> list[Column]:
        """Columns for people."""
        metric, mcnemar = self.config.metric, []
        if self.config.mcnemar:
            mcnemar = [Column("b", "b", "count"), Column("c", "c", "count"),
                       Column("mcnemar_p", "McNemar p", "p")]
        title = {"uar": "UAR", "wa": "WA", "macro_f1": "F1"}[metric]
        partition = [Column("partition_kind", "Partition")] if any(
            row.get("partition_kind") for row in self.rows) else []
        return [
            Column("corpus", "Corpus"), *partition, Column("n", "N", "count"),
            Column("clusters", "Clusters", "count"),
            Column(f"{metric}_a", f"{title} {self.first}", "percent"),
            Column(f"{metric}_b", f"{title} {self.second}", "percent"),
            Column("delta", f"Δ [{100 * (1 - self.config.alpha):g} %]", "points_interval"),
            Column("marks", "Marks"),
            Column("p", f"p {self.primary}", "p"),
            Column("p_adjusted", self.config.correction.capitalize(), "p"),
            *mcnemar,
        ]

    def text(self, format: str = "table") -> str:
        """Give the table for stdout; for people with the sentence, notes and legend below."""
        metric = self.config.metric
        table = render(self.rows, format, self.columns(),
                       best_in_row(self.rows, [f"{metric}_a", f"{metric}_b"]))
        if format not in ("table", "markdown"):
            return table
        bullet = "- " if format == "markdown" else ""
        used = [mark for mark in LEGEND
                if any(mark in row["marks"].split() for row in self.rows)]
        notes = [f"{row['corpus']}: {row['notes']}" for row in self.rows if row["notes"]]
        lines = [*self.notes, *notes, *(f"{mark} {LEGEND[mark]}" for mark in used)]
        return "\n".join([table, "", self.sentence, *([""] if lines else []),
                          *(bullet + line for line in lines)])


def compare(first: System, second: System, *, config: Config | None = None,
            **settings: Any) -> Comparison:
    """Compare two systems on the corpora that both have, pairing by utterance.

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
    batches, primaries = [], []
    for system in systems:
        if system.name == reference.name:
            raise EmokitError(f"Both systems are called '{system.name}'. Name them differently.")
        common = [corpus for corpus in sorted(set(system.cells) & set(reference.cells))
                  if not _dimensions_only(system, reference, corpus)]
        both = set(system.cells) & set(reference.cells)
        if not common and both:
            raise EmokitError(
                f"'{system.name}' and '{reference.name}' have dimensions only; the tests are of "
                "classes. Evaluate each by itself: their CCC comes with intervals."
            )
        if not common:
            raise EmokitError(
                f"'{system.name}' and '{reference.name}' have no corpus with classes in common: "
                f"{', '.join(sorted(system.cells)) or 'none'} against "
                f"{', '.join(sorted(reference.cells)) or 'none'}. Compare groups over the same "
                "corpora."
            )
        fewest = min(len(one.cells[corpus]) for one in (system, reference) for corpus in common)
        primaries.append("combined" if fewest >= seeds.FEWEST else "swap")
        batches.append([contrast(system, reference, corpus, primaries[-1], config)
                        for corpus in common])
    adjusted = over_corpora.adjust([row["p"] for rows in batches for row in rows],
                                   config.correction)
    planned, values = len(adjusted), iter(adjusted)
    for rows in batches:
        for row in rows:
            finish(row, float(next(values)), planned, config)
    return [_conclude(system, reference, rows, primary, config)
            for system, rows, primary in zip(systems, batches, primaries)]


def _dimensions_only(first: System, second: System, corpus: str) -> bool:
    return any(not one.labels for system in (first, second)
               for one in system.cells[corpus].values())


def _conclude(first, second, rows, primary, config) -> Comparison:
    left_out = {
        first.name: sorted(set(first.cells) - set(second.cells)),
        second.name: sorted(set(second.cells) - set(first.cells)),
    }
    notes = [f"Only '{name}' has {', '.join(names)}: left out."
             for name, names in left_out.items() if names]
    dimensional = [corpus for corpus in sorted(set(first.cells) & set(second.cells))
                   if _dimensions_only(first, second, corpus)]
    if dimensional:
        notes.append(f"Dimensions only, no classes to compare: {', '.join(dimensional)}.")
    if primary == "swap":
        notes.append("Not every corpus has three seeds of both systems: this compares these "
                     "trained models, not the methods behind them.")
    if config.mcnemar and any(max(row["seeds_a"], row["seeds_b"]) > 1 for row in rows):
        notes.append("McNemar's test is on the first seed of each system.")
    return Comparison(first.name, second.name, primary, rows, _over(rows, config), left_out,
                      sentence(first.name, second.name, rows, primary, config), notes, config)


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
    noun = "corpus" if len(rows) == 1 else "corpora"
    text = (f"{first} is better than {second} on {better} of {len(rows)} {noun} "
            f"({correction}, {test}), worse on {worse}")
    undecidable = sum(bool(row["too_few"]) or math.isnan(row["p"]) for row in rows)
    if undecidable:
        text += f"; {undecidable} cannot be decided (too few clusters, or undefined)"
    return text + "."


def _over(rows, config) -> dict[str, Any]:
    deltas = np.array([row["delta"] for row in rows], float)
    undefined = int(np.isnan(deltas).sum())
    signs, ranks = over_corpora.sign_test(deltas), over_corpora.wilcoxon(deltas)
    usable = not undefined or (config.skip_undefined and undefined < len(deltas))
    interval = over_corpora.mean_interval(deltas, generator(config.seed, "corpora"),
                                          alpha=config.alpha)
    notes = [f"{undefined} undefined corpora left out of the tests"] if undefined else []
    notes += [note for note in (signs.note, interval.note) if note]
    return {
        "corpora": len(rows), "metric": config.metric, "better": signs.better,
        "worse": signs.worse, "ties": signs.ties, "undefined": undefined, "sign_p": signs.p,
        "wilcoxon_w": ranks.statistic, "wilcoxon_p": ranks.p,
        "mean_delta": float(np.nanmean(deltas)) if usable else NAN,
        "mean_low": interval.low if usable else NAN,
        "mean_high": interval.high if usable else NAN, "notes": "; ".join(notes),
    }


def write_comparison(folder: str | Path, comparison: Comparison) -> list[Path]:
    """Write comparison.csv (a row per corpus), comparison.json and comparison.md."""
    folder, c = Path(folder), comparison
    flat = render(c.rows, "csv") + "\n"
    return [
        write_text(folder / "comparison.csv", flat),
        write_json(folder / "comparison.json", {
            "first": c.first, "second": c.second, "sentence": c.sentence, "rows": c.rows,
            "overall": c.overall, "left_out": c.left_out, "notes": c.notes, "legend": LEGEND,
            "settings": dataclasses.asdict(c.config), "versions": versions(),
            "tests": {"primary": c.primary, "swap": "cluster swap test",
                      "combined": "t over cluster jackknife and seeds",
                      "mcnemar": c.config.mcnemar_form, "correction": c.config.correction,
                      "corpora": "sign test, Wilcoxon signed rank"},
        }),
        write_text(folder / "comparison.md", c.text("markdown") + "\n\n"
                   + overall_text(c) + "\n"),
    ]


def overall_text(comparison: Comparison) -> str:
    """Say the corpora-level block in words."""
    over = comparison.overall

    def p(value):
        return "–" if math.isnan(value) else f"{value:.4g}"

    mean = "–" if math.isnan(over["mean_delta"]) else f"{100 * over['mean_delta']:+.1f} points"
    if not math.isnan(over["mean_low"]):
        mean += f" [{100 * over['mean_low']:+.1f}, {100 * over['mean_high']:+.1f}]"
    name = {"uar": "UAR", "wa": "WA", "macro_f1": "macro F1"}[over["metric"]]
    text = (f"Over corpora like these: {over['better']} with higher {name}, {over['worse']} with "
            f"lower, {over['ties']} tied (sign test p {p(over['sign_p'])}, Wilcoxon p "
            f"{p(over['wilcoxon_p'])}); mean difference {mean}.")
    return text + (f" {over['notes'][0].upper()}{over['notes'][1:]}." if over["notes"] else "")
