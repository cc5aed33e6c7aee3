"""What a reader needs beside the tables of an experiment: what they rest on, what marks mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from emokit.evaluation.comparison import Comparison, where_of
from emokit.evaluation.contrast import CCC, explain
from emokit.evaluation.systems import System
from emokit.experiments.partitions import known_partitions, partition_notes

_PRIMARY = {
    "combined": "difference of seed means against the variance over test speakers and over seeds: "
                "a claim about the methods",
    "swap": "predictions of the two exchanged speaker by speaker: a claim about these trained "
            "models, not about the methods",
}


class Tables(Protocol):
    """What the notes speak of, see `emokit.experiments.results.Results`."""

    methods: list[str]
    reference: str
    headline: str
    metric: str
    word: str
    rows: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    systems: Mapping[str, System]
    comparisons: Mapping[str, Comparison]

    @property
    def level(self) -> str:
        """What share of intervals covers the truth, in percent."""


def notes(results: Tables) -> list[str]:
    """Give lines for below the tables: the outcome first, then what stands in the columns, the
    tests, the marks that occur, the partitions, and what is undefined and why."""
    headline = results.comparisons.get(results.headline)
    lines = [headline.sentence] if headline is not None else []
    lines += [_columns(results), _lines(results), *_tests(results), *_marks(results),
              *partition_notes(known_partitions(results.systems.values()))]
    if headline is not None:
        lines += [f"{headline.first}: {note}" for note in headline.notes]
        lines += [f"{where_of(row)}: {row['notes']}" for row in headline.rows if row["notes"]]
    return lines


def _columns(results: Tables) -> str:
    n_seeds = max((line["seeds"] for line in results.lines), default=0)
    fixed = [name for name, system in results.systems.items() if system.facts.get("deterministic")]
    of_values = results.metric == CCC
    text = (f"Cells: {'CCC on test' if of_values else 'UAR on test in percent'}, mean ± standard "
            f"deviation over {n_seeds} {'seed' if n_seeds == 1 else 'seeds'}"
            + (f" ({', '.join(fixed)}: nothing random, so no deviation)" if fixed else "")
            + "; bold: the best of a row. ")
    text += "N, Spk: utterances whose value is known, and their speakers." if of_values else (
        "N, Spk, K: utterances, speakers and classes of test; chance is 1/K.")
    headline = results.comparisons.get(results.headline)
    if headline is not None:
        text += (f" {results.headline} − {results.reference}: "
                 f"{'difference of CCC' if of_values else 'points of UAR'}, with the "
                 f"{results.level} % interval over test {headline.config.cluster}s"
                 + (" and seeds." if headline.primary == "combined" else "."))
    return text


def _tests(results: Tables) -> list[str]:
    """Name the primary test and what it was corrected for."""
    if not results.comparisons:
        return []
    kinds: dict[str, list[str]] = {}
    for name, comparison in results.comparisons.items():
        kinds.setdefault(comparison.primary, []).append(name)
    lines = [f"Primary test{'' if len(kinds) == 1 else ' of ' + ', '.join(names)}: {kind}, "
             f"{_PRIMARY[kind]}." for kind, names in kinds.items()]
    others = [name for name in results.comparisons if name != results.headline]
    families = []
    if results.headline in results.comparisons:
        families.append(f"over {_units(results.comparisons[results.headline].rows)} for "
                        f"{results.headline}, the headline")
    if others:
        n = sum(len(results.comparisons[name].rows) for name in others)
        families.append(f"over the {n} tests of all {'other ' if families else ''}columns together")
    if next(iter(results.comparisons.values())).config.correction == "holm":
        lines.append(f"Holm: {'; '.join(families)}.")
    return lines


def _units(rows: Sequence[Mapping[str, Any]]) -> str:
    n = len({row["corpus"] for row in rows})
    noun = f"{n} {'corpus' if n == 1 else 'corpora'}"
    return f"{len(rows)} dimensions of {noun}" if "dimension" in rows[0] else noun


def _marks(results: Tables) -> list[str]:
    if not results.comparisons:
        return []
    used = {mark for row in results.rows for name in (*results.methods, "")
            for mark in row.get(f"{name}_marks" if name else "marks", "").split()}
    config = next(iter(results.comparisons.values())).config
    return [f"{mark} {words}"
            for mark, words in explain(used, results.reference, config).items()]


def _lines(results: Tables) -> str:
    """Say what stands in the columns of the table with a row per method."""
    title = results.metric.upper()
    mixed = max(results.lines, key=lambda line: line["corpora"])["partitions"]
    text = (f"Rows by {results.word}: means over the corpora that every {results.word} has "
            f"({mixed}); bold: the best dev {title}, the one to choose by.")
    if results.comparisons:
        text += (f" Better, Worse: corpora with higher and lower {title}, as the sign test takes "
                 "them. ")
        text += ("+/-: dimensions significantly better/worse by the primary test, before and after "
                 "Holm's correction, and by ASO." if results.metric == CCC else
                 "+/-: corpora significantly better/worse by the primary test and by McNemar's, "
                 "each before and after Holm's correction, and by ASO.")
    if any(line["ratio"] is not None for line in results.lines):
        text += (" Stored: numbers kept to serve all corpora; × single: the same over one "
                 "single-corpus model; × a further corpus: its growth with each corpus more.")
    return text
