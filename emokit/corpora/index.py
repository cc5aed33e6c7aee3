"""All built corpora of a folder at a glance: index.csv, and the report beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from emokit.core.files import read_json, write_text
from emokit.corpora import checks, recordings
from emokit.corpora.store import BUILD, MANIFEST, built_names

INDEX, REPORT = "index.csv", "report.html"

COLUMNS = ("corpus", "utterances", "hours", "classes", "speakers", "partitions",
           "speaker_disjoint", "rejected", "synthetic", "waivers", "signature")


def write_index(out: Path, waived: Iterable[str] = (), draw: bool = True) -> bool:
    """Recompute `index.csv` and `report.html` from what is built in `out`, if anything changed.

    Args:
        out: folder of built corpora.
        waived: flags in force; `--allow-shared-audio` accepts identical audio in two corpora,
            `--allow-shared-recordings` one recording in another coding.
        draw: whether to make the report; without it an outdated one is removed.

    Returns:
        Whether they were written.

    Raises:
        CorpusError: two corpora hold identical audio or one recording. Both files then are as
            they were, so the next call looks again.
    """
    builds = [read_json(Path(out) / name / BUILD) for name in built_names(out)]
    nothing = not builds and not (Path(out) / INDEX).exists()
    if nothing or _is_current(Path(out), builds, draw):
        return False
    rows = {build["corpus"]: _utterances(out, build) for build in builds}
    findings = checks.shared_audio({name: {digest: utterance for utterance, digest in table}
                                    for name, table in rows.items()})
    findings += checks.shared_recordings(recordings.shared(
        {name: (Path(out) / name, table) for name, table in rows.items()}))
    named = " and ".join(_named(found.culprits for found in findings))
    waivers, _ = checks.settle(named or "all", findings, waived)
    shared = {name: [row["check"] for row in waivers if name in _named([row["culprits"]])]
              for name in rows}
    if draw:
        from emokit.corpora.report import report

        write_text(Path(out) / REPORT, report(out, builds, waivers))
    else:
        (Path(out) / REPORT).unlink(missing_ok=True)
    # last, because its rows say what the report was made of
    write_text(Path(out) / INDEX, _text(
        [_row(build, shared[build["corpus"]]) for build in builds]))
    return True


def read_index(out: Path) -> list[dict[str, str]]:
    """Give the rows of index.csv; none if there is no such file."""
    try:
        with open(Path(out) / INDEX, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return []


def _is_current(out: Path, builds: list[dict], draw: bool) -> bool:
    rows = {row.get("corpus"): row.get("signature") for row in read_index(out)}
    wanted = {build["corpus"]: _whole_signature(build) for build in builds}
    return rows == wanted and bool(builds) and (not draw or (out / REPORT).is_file())


def _whole_signature(build: dict[str, Any]) -> str:
    """Sign all of a corpus that the report shows, the waivers too."""
    from emokit.core.config import signature

    return f"{build['signature']}-{signature(build, 8)}"


def _row(build: dict[str, Any], shared: list[str]) -> dict[str, Any]:
    counts = build["counts"]
    waivers = [row["check"] for row in build["waivers"]] + shared
    return {
        "corpus": build["corpus"], "utterances": counts["utterances"],
        "hours": f"{counts['seconds'] / 3600:.4f}", "classes": " ".join(build["classes"]),
        "speakers": counts["speakers"], "partitions": build["partitions"]["kind"],
        "speaker_disjoint": str(build["partitions"]["speaker_disjoint"]).lower(),
        "rejected": counts["rejected"], "synthetic": str(build["synthetic"]).lower(),
        "waivers": "; ".join(waivers), "signature": _whole_signature(build),
    }


def _text(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _utterances(out: Path, build: dict[str, Any]) -> list[tuple[str, str]]:
    """Give utterance and hash of each row of the manifest."""
    with open(Path(out) / build["corpus"] / MANIFEST, newline="", encoding="utf-8") as file:
        return [(row["utterance"], row["audio_hash"]) for row in csv.DictReader(file)]


def _named(findings: Iterable[Iterable[str]]) -> list[str]:
    """Name the corpora that the culprits of findings speak of."""
    names = {part.partition("/")[0] for culprits in findings for text in culprits
             for part in text.split(" = ")}
    return sorted(names)
