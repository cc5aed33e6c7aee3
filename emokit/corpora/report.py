"""One page that shows a whole emoset: what is in it, how it is divided, what was waived."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emokit.core.page import facts_html, page, render
from emokit.corpora import report_figures as figures
from emokit.corpora.card import divided, length
from emokit.corpora.manifest import PARTITIONS
from emokit.corpora.store import open_corpus


def report(out: Path, builds: list[dict[str, Any]], waivers: list[dict[str, Any]]) -> str:
    """Give `report.html`: self-contained, everything from corpora escaped, equal for equal input.

    Args:
        out: folder of built corpora.
        builds: their build.json, sorted by corpus.
        waivers: of checks over all corpora, as build.json keeps them.
    """
    corpora = [open_corpus(Path(out) / build["corpus"]) for build in builds]
    facts = {
        "corpora": len(builds),
        "utterances": sum(build["counts"]["utterances"] for build in builds),
        "of audio": length(sum(build["counts"]["seconds"] for build in builds)),
        "speakers": sum(build["counts"]["speakers"] for build in builds),
        "classes": len({word for build in builds for word in build["classes"]}),
    }
    words = [word for build in builds for word in build["classes"]]
    # the words that most corpora share come first
    words = sorted(set(words), key=lambda word: (-words.count(word), word))
    synthetic = [build["corpus"] for build in builds if build["synthetic"]]
    body = facts_html(facts) + render(
        "emokit.corpora", "report.html",
        length=length, builds=builds, synthetic=synthetic, waivers=waivers, partitions=PARTITIONS,
        overview_header=["corpus", "language", "utterances", "audio", "mean s", "classes",
                         "speakers", *PARTITIONS, "partitions"],
        overview=[_overview(corpus) for corpus in corpora],
        licences=[[build["corpus"], build["facts"].get("licence"), build["facts"].get("citation")]
                  for build in builds],
        findings=[(build["corpus"], build["waivers"], build["warnings"]) for build in builds
                  if build["waivers"] or build["warnings"]],
        rejected=[_rejected(Path(out), build) for build in builds
                  if build["counts"]["rejected"] or build["counts"].get("missing")],
        class_figure=figures.classes_by_corpora(builds, words) if builds else "",
        duration_figure=figures.durations(corpora) if builds else "",
        sections=[{
            "build": corpus.build, "counts": corpus.build["counts"],
            "class_rows": _class_rows(corpus.build),
            "speakers": figures.speakers(corpus),
            "spectrograms": figures.spectrograms(corpus),
        } for corpus in corpora],
    )
    names = ", ".join(build["corpus"] for build in builds) or "nothing is built"
    return page("Speech emotion corpora", body, f"What emokit built here: {names}.")


def _overview(corpus) -> list[Any]:
    build = corpus.build
    counts = build["counts"]
    languages = sorted(set(corpus.manifest["language"]) - {""}) if \
        "language" in corpus.manifest else []
    return [build["corpus"], ", ".join(languages) or build["facts"].get("language"),
            counts["utterances"], length(counts["seconds"]),
            f"{counts['seconds'] / max(1, counts['utterances']):.1f}", len(build["classes"]),
            counts["speakers"],
            *(counts["partitions"][name]["utterances"] for name in PARTITIONS),
            divided(build["partitions"])]


def _class_rows(build: dict[str, Any]) -> list[list[Any]]:
    rows = [[word, *(build["counts"]["classes"][word][name] for name in PARTITIONS)]
            for word in build["classes"]]
    rows.append(["all", *(sum(row[index + 1] for row in rows) for index in range(len(PARTITIONS)))])
    return [[*row, sum(row[1:])] for row in rows]


def _rejected(out: Path, build: dict[str, Any], shown: int = 20) -> dict[str, Any]:
    from emokit.core.files import read_csv

    table = read_csv(out / build["corpus"] / "rejected.csv")
    reasons = table["reason"].value_counts(sort=False)
    counts = build["counts"]
    return {"corpus": build["corpus"], "count": counts["rejected"],
            "missing": counts.get("missing", 0), "listed": counts.get("listed", 0),
            "more": max(0, len(table) - shown),
            "reasons": [[word, int(count)] for word, count in sorted(
                reasons.items(), key=lambda pair: (-pair[1], pair[0]))][:shown],
            "rows": table.head(shown).values.tolist()}
