"""One self-contained HTML page that says what was found, how, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.files import write_text
from emokit.core.page import facts_html, page, render
from emokit.corpora.utterance import DIMENSIONS
from emokit.evaluation import figures
from emokit.evaluation.comparison import Comparison, where_of
from emokit.evaluation.comparison_files import overall_text
from emokit.evaluation.contrast import CCC
from emokit.evaluation.summary import CLASS_COLUMNS, Summary, versions
from emokit.evaluation.tables import NOTHING, Column, cell


def write_report(path: str | Path, summary: Summary, *comparisons: Comparison, **facts: Any
                 ) -> Path:
    """Write report.html; see `report_html`."""
    return write_text(path, report_html(summary, *comparisons, **facts))


def report_html(summary: Summary, *comparisons: Comparison, title: str = "",
                history: Iterable[Mapping[str, Any]] = (),
                parameters: Mapping[str, Any] | None = None) -> str:
    """Give the page: equal input, equal bytes; everything from a corpus is escaped.

    Args:
        summary: of the systems, first the one that the report is about.
        comparisons: of the first two, if there is a second: of classes, dimensions, or both.
        title: heading; made from the names of the systems if empty.
        history: rows with `epoch`, `corpus`, `loss`, `dev_uar`, `learning_rate`; by default
            those among the systems' facts.
        parameters: part to number of parameters; by default among the first system's facts.
    """
    systems = list(summary.facts)
    names = " against ".join(systems[:2]) if comparisons else ", ".join(systems)
    main = summary.facts[systems[0]] if systems else {}
    history = list(history) or list(main.get("history") or [])
    body = render(
        "emokit.evaluation", "report.html",
        lead=facts_html(_lead(summary)), summary=_table(summary.rows, _summary_columns(summary)),
        overall=_table([row for row in summary.overall if row["corpora"] > 1],
                       _overall_columns(summary)),
        has_classes=any(row["k"] for row in summary.rows),
        has_dimensions=any(f"ccc_{name}" in row for row in summary.rows for name in DIMENSIONS),
        several=len(systems) > 1, notes=[row for row in summary.rows if row["notes"]],
        comparisons=[_compared(one) for one in comparisons],
        bars=figures.bars(summary.rows, systems) if any(row["k"] for row in summary.rows) else "",
        confusions=_confusions(summary, systems), curves=figures.learning_curves(history),
        recalls=_recalls(summary),
        rates=_rates(history),
        parameters=_parameters(parameters or main.get("parameters") or {}),
        partitions=_partitions(summary), waivers=_waivers(summary),
        origin=_origin(summary, comparisons), alpha=summary.config.alpha,
        cluster=summary.config.cluster, interval=summary.config.interval,
    )
    return page(title or f"Evaluation: {names}", body, _subtitle(summary, comparisons))


def _subtitle(summary: Summary, comparisons: Sequence[Comparison]) -> str:
    if comparisons:
        return " ".join(one.sentence for one in comparisons)
    words = []
    for row in summary.overall:
        noun = "corpus" if row["corpora"] == 1 else "corpora, mean"
        words.append(f"{row['system']}: {row['corpora']} {noun} "
                     + ", ".join(" ".join(pair) for pair in _means(row)))
    return "; ".join(words) + "."


def _means(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give (metric, value) of a system's means: UAR of classes, CCC of dimensions."""
    found = [(f"CCC {name}", _plain(row[f"ccc_{name}"])) for name in DIMENSIONS
             if f"ccc_{name}" in row]
    if row["left_out"] or not found or not math.isnan(row["uar"]):
        found.insert(0, ("UAR", NOTHING if math.isnan(row["uar"]) else f"{100 * row['uar']:.1f} %"))
    return found


def _plain(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.3f}"


def _lead(summary: Summary) -> dict[str, Any]:
    first = next(iter(summary.facts), None)
    rows = [row for row in summary.rows if row["system"] == first]
    facts: dict[str, Any] = {
        "corpora": len(rows), "utterances scored": sum(row["n"] for row in rows),
        "speakers": sum(row["speakers"] or 0 for row in rows),
        "seeds": max((row["seeds"] for row in rows), default=0),
    }
    for row in summary.overall:
        values = [row[f"ccc_{name}"] for name in DIMENSIONS if f"ccc_{name}" in row]
        means = [pair for pair in _means(row) if not pair[0].startswith("CCC")]
        # of dimensions one number; each stands in the table
        for metric, value in [*means, *([("CCC", _plain(math.fsum(values) / len(values)))]
                                        if values else [])]:
            facts[f"{'mean ' if row['corpora'] > 1 else ''}{metric}, {row['system']}"] = value
    return facts


_OVERALL = (Column("system", "System"), Column("corpus", "Over corpora"),
            Column("n", "N", "count"), Column("uar", "UAR", "percent"),
            Column("wa", "WA", "percent"), Column("macro_f1", "Macro F1", "percent"),
            *(Column(f"ccc_{name}", f"CCC {name}", "number") for name in DIMENSIONS))


def _overall_columns(summary: Summary) -> list[Column]:
    classes = any(row["k"] for row in summary.rows)
    return [column for column in _OVERALL
            if column.name in ("system", "corpus", "n")
            or (any(column.name in row for row in summary.overall)
                and (classes or column.name.startswith("ccc_")))]


def _summary_columns(summary: Summary) -> list[Column]:
    kind = Column("partition_name", "Partition")
    columns = [column for column in summary.columns()
               if column.name != "system" or len(summary.facts) > 1]
    several = any(row["partition_name"] for row in summary.rows)
    return [*columns[:2], kind, *columns[2:]] if several else columns


def _table(rows, columns) -> dict[str, Any]:
    """Give cells for the template: formatted texts, and which stand right."""
    return {"header": [column.head for column in columns],
            "rows": [[cell(row, column) for column in columns] for row in rows],
            "numeric": [index for index, column in enumerate(columns) if column.kind != "text"]}


def _compared(comparison: Comparison) -> dict[str, Any]:
    """Give one comparison for the template: its tables, words and legend."""
    of_values = comparison.metric == CCC
    every = [column for column in _EVERY_TEST
             if any(column.name in row for row in comparison.rows)]
    return {"first": comparison.first, "second": comparison.second, "metric": comparison.metric,
            "primary": comparison.primary, "cluster": comparison.config.cluster,
            "table": _table(comparison.rows, comparison.columns()),
            "legend": list(comparison.legend.items()), "over": overall_text(comparison),
            "every": _table(comparison.rows, every),
            "effects": _table(comparison.rows, _VALUES if of_values else _EFFECTS),
            "notes": comparison.notes,
            "noted": [(where_of(row), row["notes"]) for row in comparison.rows if row["notes"]]}


_EVERY_TEST = (
    Column("corpus", "Corpus"), Column("dimension", "Dimension"), Column("swap_p", "Swap", "p"),
    Column("combined_p", "Combined", "p"), Column("obuchowski_p", "Obuchowski", "p"),
    Column("mcnemar_exact", "McNemar exact", "p"),
    Column("mcnemar_chi2", "χ²", "p"), Column("mcnemar_mid_p", "mid-p", "p"),
    Column("permutation_p", "Seeds permuted", "p"), Column("aso", "ASO", "number"),
    Column("aso_reverse", "ASO reverse", "number"),
)
_EFFECTS = (
    Column("corpus", "Corpus"), Column("delta_uar", "Δ UAR", "points_interval"),
    Column("delta_wa", "Δ WA", "points_interval"),
    Column("discordance_share", "Discordant %", "percent"),
    Column("right", "b/n %", "interval"), Column("odds", "b/c", "number"),
    Column("cohens_g", "Cohen's g", "number"), Column("correlation", "ρ in cluster", "number"),
    Column("gap", "Resolvable gap", "percent"),
)


_VALUES = (
    Column("corpus", "Corpus"), Column("dimension", "Dimension"),
    Column("delta_ccc", "Δ CCC", "change_interval"), Column("rmse_a", "RMSE first", "number"),
    Column("rmse_b", "RMSE second", "number"), Column("sd_a", "± seeds, first", "number"),
    Column("sd_b", "± seeds, second", "number"),
)


def _confusions(summary: Summary, systems) -> list[dict[str, Any]]:
    found = []
    for system in systems:
        matrices = []
        for detail in summary.details:
            if detail["system"] == system and detail.get("confusion"):
                n = len(detail["seed_values"])
                caption = detail["corpus"] + (f", summed over {n} seeds" if n > 1 else "")
                matrices.append(figures.confusion_html(detail["labels"], detail["confusion"],
                                                       caption))
        if matrices:
            found.append({"system": system, "matrices": matrices})
    return found


def _recalls(summary: Summary) -> dict[str, Any]:
    """Give recall and precision by class, and the speakers at both ends."""
    ends = [{"system": row["system"], "corpus": row["corpus"], "worst": row["worst_speaker"],
             "worst_uar": row["worst_speaker_uar"], "best": row["best_speaker"],
             "best_uar": row["best_speaker_uar"]}
            for row in summary.rows if row.get("worst_speaker")]
    speakers = (Column("system", "System"), Column("corpus", "Corpus"), Column("worst", "Worst"),
                Column("worst_uar", "UAR", "percent"), Column("best", "Best"),
                Column("best_uar", "UAR", "percent"))
    return {"classes": _table(summary.class_rows(), CLASS_COLUMNS),
            "speakers": _table(ends, speakers)}


def _rates(history) -> str:
    rates = [row["learning_rate"] for row in history if row.get("learning_rate") is not None]
    return f"{min(rates):.3g} to {max(rates):.3g}" if rates else ""


def _parameters(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    if not parameters:
        return None
    return {"header": ["Part", "Parameters"], "numeric": [1],
            "rows": [[name, f"{value:,}" if isinstance(value, int) else
                      f"{value:.2f}" if isinstance(value, float) else str(value)]
                     for name, value in parameters.items()]}


def _partitions(summary: Summary) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in summary.rows:
        facts = (summary.facts[row["system"]].get("partitions") or {}).get(row["corpus"]) or {}
        words = facts.get("words", "") or found.get(row["corpus"], {}).get("words", "")
        shares = facts.get("speaker_disjoint") is False or bool(
            found.get(row["corpus"], {}).get("shares"))
        found[row["corpus"]] = {"corpus": row["corpus"], "words": words,
                                "kind": facts.get("kind", ""), "shares": "yes" if shares else ""}
    return [entry for entry in found.values() if entry["words"] or entry["shares"]]


def _waivers(summary: Summary) -> list[dict[str, Any]]:
    found: dict[tuple, dict[str, Any]] = {}
    for facts in summary.facts.values():
        for corpus, waivers in (facts.get("waivers") or {}).items():
            for waiver in waivers:
                culprits = waiver.get("culprits") or []
                culprits = culprits if isinstance(culprits, str) else ", ".join(map(str, culprits))
                entry = {"corpus": corpus, "check": waiver.get("check", ""),
                         "count": waiver.get("count", ""), "culprits": culprits,
                         "flag": waiver.get("flag", "")}
                found[(corpus, entry["check"], culprits)] = entry
    return list(found.values())


def _origin(summary: Summary, comparisons: Sequence[Comparison]) -> list[tuple[str, str]]:
    lines = []
    for system, facts in summary.facts.items():
        seeds = sorted({seed for detail in summary.details if detail["system"] == system
                        for seed in detail["seed_values"]})
        lines.append((f"{system}, seeds", ", ".join(map(str, seeds))))
        for key, head in (("command", "made by"), ("scoring", "scoring rule")):
            if facts.get(key):
                lines.append((f"{system}, {head}", str(facts[key])))
        if facts.get("versions"):
            lines.append((f"{system}, versions", _listed(facts["versions"])))
    labels = {detail["corpus"]: ", ".join(detail["labels"]) for detail in summary.details}
    lines += [(f"{corpus}, label order", words) for corpus, words in labels.items() if words]
    lines.append(("evaluated with", _listed(versions())))
    config = comparisons[0].config if comparisons else summary.config
    lines.append(("seed of the draws", str(config.seed)))
    for one in comparisons:
        of_values = one.metric == CCC
        lines.append((f"tests of {'dimensions' if of_values else 'classes'}",
                      f"{one.primary} on {one.metric}, clusters: {config.cluster}, level "
                      f"{config.alpha:g}, correction {config.correction}"
                      + ("" if of_values else f", McNemar {config.mcnemar_form}")))
    return lines


def _listed(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in mapping.items())
