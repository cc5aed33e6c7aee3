"""What a reader needs beside the tables of an experiment: what they rest on, what marks mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emokit.experiments.partitions import known_partitions, partition_notes

if TYPE_CHECKING:
    from emokit.experiments.results import Results

MARKS = {
    "+": "better than {} by the primary test, Holm-adjusted",
    "-": "worse than {} by the primary test, Holm-adjusted",
    "(+)": "better than {} by McNemar's test alone, uncorrected, which takes utterances as "
           "independent",
    "(-)": "worse than {} by McNemar's test alone, uncorrected",
    "a": "almost stochastically better than {} over seeds (ASO below .2)",
    "-a": "almost stochastically worse than {} over seeds",
    "s": "too few test speakers for the primary test",
    "u": "no speaker known, utterances taken as independent",
    "o": "the partition shares speakers with training",
}
IN_CELL = ("+", "-", "(+)", "(-)", "a", "-a")
"""Marks that say which of two is better; the others speak of the partition."""
_PRIMARY = {
    "combined": "difference of seed means against the variance over test speakers and over seeds: "
                "a claim about the methods",
    "swap": "predictions of the two exchanged speaker by speaker: a claim about these trained "
            "models, not about the methods",
}


def notes(results: Results) -> list[str]:
    """Give lines for below the tables: the outcome first, then what stands in the columns, the
    tests, the marks that occur, the partitions, and what is undefined and why."""
    headline = results.comparisons.get(results.headline)
    lines = [headline.sentence] if headline is not None else []
    lines += [_columns(results), _lines(results), *_tests(results), *_marks(results),
              *partition_notes(known_partitions(results.systems.values()))]
    if headline is not None:
        lines += [f"{headline.first}: {note}" for note in headline.notes]
        lines += [f"{row['corpus']}: {row['notes']}" for row in headline.rows if row["notes"]]
    return lines


def _columns(results: Results) -> str:
    n_seeds = max((line["seeds"] for line in results.lines), default=0)
    fixed = [name for name, system in results.systems.items() if system.facts.get("deterministic")]
    text = (f"Cells: UAR on test in percent, mean ± standard deviation over {n_seeds} "
            f"{'seed' if n_seeds == 1 else 'seeds'}"
            + (f" ({', '.join(fixed)}: nothing random, so no deviation)" if fixed else "")
            + "; bold: the best of a row. N, Spk, K: utterances, speakers and classes of test; "
            "chance is 1/K.")
    headline = results.comparisons.get(results.headline)
    if headline is not None:
        text += (f" {results.headline} − {results.reference}: points of UAR, with the "
                 f"{results.level} % interval over test {headline.config.cluster}s"
                 + (" and seeds." if headline.primary == "combined" else "."))
    return text


def _tests(results: Results) -> list[str]:
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
        n = len(results.comparisons[results.headline].rows)
        families.append(f"over {n} {'corpus' if n == 1 else 'corpora'} for {results.headline}, the "
                        "headline")
    if others:
        n = sum(len(results.comparisons[name].rows) for name in others)
        families.append(f"over the {n} tests of all {'other ' if families else ''}columns together")
    if next(iter(results.comparisons.values())).config.correction == "holm":
        lines.append(f"Holm: {'; '.join(families)}.")
    return lines


def _marks(results: Results) -> list[str]:
    used = {mark for row in results.rows for name in (*results.methods, "")
            for mark in row.get(f"{name}_marks" if name else "marks", "").split()}
    return [f"{mark} {words.format(results.reference)}"
            for mark, words in MARKS.items() if mark in used]


def _lines(results: Results) -> str:
    """Say what stands in the columns of the table with a row per method."""
    mixed = max(results.lines, key=lambda line: line["corpora"])["partitions"]
    text = (f"Rows by {results.word}: means over the corpora that every {results.word} has "
            f"({mixed}); bold: the best dev UAR, the one to choose by.")
    if results.comparisons:
        text += (" Better, Worse: corpora with higher and lower UAR, as the sign test takes them. "
                 "+/-: corpora significantly better/worse by the primary test and by McNemar's, "
                 "each before and after Holm's correction, and by ASO.")
    if any(line["ratio"] is not None for line in results.lines):
        text += (" Stored: numbers kept to serve all corpora; × single: the same over one "
                 "single-corpus model; × a further corpus: its growth with each corpus more.")
    return text
