"""Every metric of every system on every corpus."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emokit.core.config import from_mapping, knob
from emokit.core.errors import EmokitError
from emokit.core.files import write_json, write_text
from emokit.corpora.utterance import DIMENSIONS
from emokit.evaluation.predictions import Predictions
from emokit.evaluation.results import NAN
from emokit.evaluation.scoring import score_classes, score_dimension
from emokit.evaluation.systems import CLUSTERS, System, partition_name
from emokit.evaluation.tables import Column, best_by, render

CLASS_COLUMNS = (
    Column("system", "System"), Column("corpus", "Corpus"), Column("class", "Class"),
    Column("n", "N", "count"), Column("recall", "Recall", "percent"),
    Column("precision", "Precision", "percent"),
)
COLUMNS = (
    Column("system", "System"), Column("corpus", "Corpus"), Column("n", "N", "count"),
    Column("k", "K", "count"), Column("speakers", "Speakers", "count"),
    Column("seeds", "Seeds", "count"), Column("chance", "Chance", "percent"),
    Column("uar", "UAR", "interval"), Column("uar_sd", "± seeds", "percent"),
    Column("wa", "WA", "percent"), Column("macro_f1", "Macro F1", "percent"),
    Column("ece", "ECE", "percent"),
)


@dataclasses.dataclass(frozen=True)
class Config:
    """How single systems are scored."""

    cluster: str = knob("speaker", "What hangs together in intervals.", choices=CLUSTERS)
    interval: str = knob("jackknife", "How intervals are made.", choices=("jackknife", "bootstrap"))
    alpha: float = knob(0.05, "Intervals cover 1 - alpha.", above=0, below=1)
    bootstrap_draws: int = knob(2000, "Draws of a bootstrap interval.", minimum=100)
    seed: int = knob(0, "Seed of the draws.")
    skip_undefined: bool = knob(False, "Leave undefined corpora out of means, saying how many.")


@dataclasses.dataclass(frozen=True)
class Summary:
    """What `summarise` found.

    Args:
        rows: a flat mapping per system and corpus.
        details: beside each row: labels, support, recall, precision, confusion (counts summed
            over seeds, truth in rows, a last column for misses if there are any), seeds.
        overall: a mapping per system: means over corpora.
        facts: of each system.
    """

    rows: list[dict[str, Any]]
    details: list[dict[str, Any]]
    overall: list[dict[str, Any]]
    facts: dict[str, Mapping[str, Any]]
    config: Config

    def text(self, format: str = "table") -> str:
        """Give the table for stdout, with the means over corpora below it."""
        rows = self.rows
        if format in ("table", "markdown", "latex"):
            rows = rows + [row for row in self.overall if row["corpora"] > 1]
            several = len(self.facts) > 1
            columns = [column for column in self.columns() if several or column.name != "system"]
            best = best_by(self.rows, "corpus", "uar") if several else set()
            return render(rows, format, columns, best) + self._notes(format)
        return render(rows, format)

    def columns(self) -> list[Column]:
        """Columns for people: a dimension's CCC where there is one, nothing that is empty."""
        ccc = [Column(f"ccc_{name}", f"CCC {name}", "number_interval") for name in DIMENSIONS]
        # what was asked for stays, even where it is undefined
        kept = {"uar", "wa"} if any(row["k"] for row in self.rows) else set()
        kept |= {column.name for column in ccc if any(column.name in row for row in self.rows)}
        level = f"UAR [{100 * (1 - self.config.alpha):g} %]"
        columns = [dataclasses.replace(column, head=level) if column.name == "uar" else column
                   for column in (*COLUMNS, *ccc)]
        lost = () if any(row["k"] for row in self.rows) else ("k",)
        return [column for column in columns if column.name not in lost
                and (column.kind in ("text", "count") or any(
                    not math.isnan(row.get(column.name, NAN)) for row in self.rows)
                    or column.name in kept)]

    def header(self) -> list[str]:
        """Say for each corpus what the numbers rest on: partition, label list, scoring rule."""
        lines = {}
        for row, detail in zip(self.rows, self.details):
            words = [row["partition"] or "partition unknown"]
            words[0] += f" ({row['partition_name']})" if row["partition_name"] else ""
            words += [f"classes {', '.join(detail['labels'])}"] if detail["labels"] else []
            words += [f"scoring {row['scoring']}"] if row["scoring"] else []
            lines.setdefault(row["corpus"], f"{row['corpus']}: {'; '.join(words)}")
        return list(lines.values())

    def class_rows(self) -> list[dict[str, Any]]:
        """Give recall and precision of each class, a row per system, corpus and class."""
        return [
            {"system": detail["system"], "corpus": detail["corpus"], "class": label, "n": n,
             "recall": recall, "precision": precision}
            for detail in self.details if detail["labels"]
            for label, n, recall, precision in zip(
                detail["labels"], detail["support"], detail["recall"], detail["precision"])
        ]

    def _notes(self, format: str) -> str:
        if format == "latex":
            return ""
        lines = [*self.header(), *(f"{row['system']}, {row['corpus']}: {row['notes']}"
                                   for row in self.rows if row["notes"])]
        return "\n" + "".join(f"\n{'- ' if format == 'markdown' else ''}{line}" for line in lines)


def summarise(*systems: System, config: Config | None = None, **settings: Any) -> Summary:
    """Score systems on their corpora; what is undefined is NaN with a note.

    Args:
        config: or its fields by name in `settings`.

    Raises:
        EmokitError: two systems of one name; ManifestError: seeds over different utterances.
    """
    config = config or from_mapping(Config, settings, "summarise")
    if len({system.name for system in systems}) < len(systems):
        raise EmokitError(f"Systems need different names, got {[one.name for one in systems]}.")
    rows, details = [], []
    for corpus in sorted({corpus for system in systems for corpus in system.cells}):
        for system in systems:
            if corpus in system.cells:
                row, detail = _score(system, corpus, config)
                rows.append(row)
                details.append(detail)
    overall = [_overall(system.name, [row for row in rows if row["system"] == system.name], config)
               for system in systems]
    return Summary(rows, details, overall, {one.name: dict(one.facts) for one in systems}, config)


def _score(system: System, corpus: str, config: Config) -> tuple[dict, dict]:
    cells = system.cells[corpus]
    first = cells[min(cells)]
    facts = system.partition_facts(corpus)
    row = {
        "system": system.name, "corpus": corpus, "partition": first.partition, "n": len(first),
        "k": len(first.labels), "seeds": len(cells),
        "partition_kind": facts.get("kind", ""), "partition_words": facts.get("words", ""),
        "partition_name": partition_name(facts), "scoring": system.facts.get("scoring", ""),
    }
    detail = {"system": system.name, "corpus": corpus, "labels": list(first.labels),
              "seed_values": sorted(cells)}
    notes = [] if len(first) else ["no utterances"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing are NaN, as documented
        if first.labels:
            score_classes(system, corpus, config, row, detail, notes)
        for name in first.dimensions:
            score_dimension(system, corpus, name, config, row, notes)
    row.setdefault("speakers", _n_speakers(first) or None)
    row["notes"] = "; ".join(notes)
    return row, detail


def _n_speakers(predictions: Predictions) -> int:
    if "speaker" not in predictions.table:
        return 0
    return len({name for name in predictions.table["speaker"] if name})


def _overall(name: str, rows: list[dict], config: Config) -> dict[str, Any]:
    row: dict[str, Any] = {"system": name, "corpus": f"mean of {len(rows)}", "corpora": len(rows)}
    scored = [one for one in rows if one.get("k")]
    defined = [one for one in scored if not math.isnan(one["uar"])]
    kept = defined if config.skip_undefined else scored
    row["left_out"] = len(scored) - len(kept)
    if row["left_out"]:
        row["corpus"] += f", {row['left_out']} undefined left out"
    for metric in ("uar", "wa", "macro_f1", "ece"):
        values = [one[metric] for one in kept]
        row[metric] = float(np.mean(values)) if values else NAN
    lost = 0
    for name in DIMENSIONS:
        values = [one[f"ccc_{name}"] for one in rows if f"ccc_{name}" in one]
        known = [value for value in values if not math.isnan(value)]
        lost += len(values) - len(known)
        if values:
            kept = known if config.skip_undefined else values
            row[f"ccc_{name}"] = float(np.mean(kept)) if kept else NAN
    if lost and config.skip_undefined:
        row["corpus"] += f", {lost} undefined CCC left out"
    if any(f"ccc_{name}" in row and f"ccc_{name}" not in one for one in rows
           for name in DIMENSIONS):
        row["corpus"] += ", CCC over those that have it"
    row["n"] = sum(one["n"] for one in rows)
    return row


def write_summary(folder: str | Path, summary: Summary) -> list[Path]:
    """Write summary.csv (a row per system and corpus), summary.json and summary.md."""
    folder = Path(folder)
    return [
        write_text(folder / "summary.csv", render(summary.rows, "csv") + "\n"),
        write_json(folder / "summary.json", {
            "rows": summary.rows, "details": summary.details, "overall": summary.overall,
            "settings": dataclasses.asdict(summary.config), "facts": summary.facts,
            "versions": versions(),
        }),
        write_text(folder / "summary.md", summary.text("markdown") + "\n"),
    ]


def versions() -> dict[str, str]:
    """Give the versions of what computed the numbers."""
    import platform
    from importlib.metadata import version

    from emokit import __version__

    libraries = {name: version(name) for name in ("numpy", "scipy", "pandas", "statsmodels")}
    return {"emokit": __version__, "python": platform.python_version(), **libraries}
