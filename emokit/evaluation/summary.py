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
from emokit.core.seeding import generator
from emokit.corpora.utterance import DIMENSIONS
from emokit.evaluation import metrics
from emokit.evaluation.clusters import bootstrap, jackknife, leave_one_out
from emokit.evaluation.counts import (MEASURES, PREDICTED, RIGHT, TRUE, _divide, macro_f1, moments,
                                      uar, uar_present, wa)
from emokit.evaluation.predictions import Predictions
from emokit.evaluation.results import NAN, Interval
from emokit.evaluation.systems import CLUSTERS, System, align
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
        return [column for column in columns
                if column.kind in ("text", "count") or any(
                    not math.isnan(row.get(column.name, NAN)) for row in self.rows)
                or column.name in kept]

    def header(self) -> list[str]:
        """Say for each corpus what the numbers rest on: partition, label list, scoring rule."""
        lines = {}
        for row, detail in zip(self.rows, self.details):
            facts = (self.facts[row["system"]].get("partitions") or {}).get(row["corpus"]) or {}
            shares = ", shares speakers (o)" if facts.get("speaker_disjoint") is False else ""
            words = [f"{row['partition'] or 'partition unknown'}"
                     + (f" ({row['partition_kind']}{shares})" if row["partition_kind"] else shares)]
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
        "scoring": system.facts.get("scoring", ""),
    }
    detail = {"system": system.name, "corpus": corpus, "labels": list(first.labels),
              "seed_values": sorted(cells)}
    notes = [] if len(first) else ["no utterances"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing are NaN, as documented
        if first.labels:
            _score_classes(system, corpus, config, row, detail, notes)
        for name in first.dimensions:
            _score_dimension(name, list(cells.values()), config, row, notes)
    row.setdefault("speakers", _n_speakers(first) or None)
    row["notes"] = "; ".join(notes)
    return row, detail


def _n_speakers(predictions: Predictions) -> int:
    if "speaker" not in predictions.table:
        return 0
    return len({name for name in predictions.table["speaker"] if name})


def _score_classes(system, corpus, config, row, detail, notes) -> None:
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
    interval = _interval(counts, row["uar"], config, corpus)
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


def _interval(counts, estimate, config, corpus) -> Interval:
    if config.interval == "bootstrap":
        rng = generator(config.seed, "bootstrap", corpus)
        return bootstrap(counts, None, MEASURES["uar"], rng, config.bootstrap_draws, config.alpha)
    return jackknife(estimate, leave_one_out(counts, MEASURES["uar"]), config.alpha)


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


def _score_dimension(name, several, config, row, notes) -> None:
    values = []
    sums = []
    for one in several:
        truth = one.table[f"truth_{name}"].to_numpy(float)
        prediction = one.table[name].to_numpy(float)
        known = ~np.isnan(truth)
        row[f"n_{name}"] = int(known.sum())
        truth, prediction = truth[known], prediction[known]
        values.append([metrics.ccc(truth, prediction), metrics.rmse(truth, prediction),
                       metrics.pearson(truth, prediction)])
        speakers = (one.table["speaker"] if "speaker" in one.table else one.table["utterance"])
        names, codes = np.unique(speakers.to_numpy(object)[known].astype(str), return_inverse=True)
        sums.append(moments(truth, prediction, codes, len(names)))
    for label, value in zip(("ccc", "rmse", "pearson"), np.mean(values, 0)):
        row[f"{label}_{name}"] = float(value)
    interval = jackknife(row[f"ccc_{name}"], leave_one_out(np.stack(sums), MEASURES["ccc"]),
                         config.alpha)
    row[f"ccc_{name}_low"], row[f"ccc_{name}_high"] = interval.low, interval.high
    if interval.note and interval.note not in notes:
        notes.append(interval.note)


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
    for name in DIMENSIONS:
        values = [one[f"ccc_{name}"] for one in rows if f"ccc_{name}" in one]
        if values:
            row[f"ccc_{name}"] = float(np.mean(values))
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
