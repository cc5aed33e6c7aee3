"""What is known of one built corpus: build.json, and card.md for people."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from emokit.core.files import file_digest, to_json, write_text
from emokit.corpora.manifest import PARTITIONS
from emokit.corpora.ratings import scales_of
from emokit.corpora.store import RATE
from emokit.corpora.synthetic import read_marker


def describe(plan, table, rejected, waivers: list, warnings: list, inputs: str,
             manifest: Path, n_ratings: int = 0) -> dict[str, Any]:
    """Give what goes into build.json; equal inputs give equal bytes.

    Args:
        plan: what was to be built.
        table: the manifest's rows that were.
        rejected: pandas, file and reason.
        waivers, warnings: of `checks.settle`.
        inputs: signature of files, settings and code.
        manifest: the file as written, part of the signature of the content.
        n_ratings: single judgements in `ratings.csv`.
    """
    spec, info = plan.spec, plan.partitions
    if info.waiver:
        waivers = [{"words": info.words, **info.waiver}, *waivers]
    content = hashlib.sha256(file_digest(manifest).encode())
    content.update("\0".join(plan.classes).encode())
    if plan.views:
        content.update(to_json(plan.views).encode())
    scales = {name: scale for name, scale in scales_of(spec).items() if name in table}
    if scales:
        content.update(to_json(scales).encode())
    return {
        "corpus": spec.name,
        "signature": content.hexdigest()[:16],
        "inputs": inputs,
        "root": os.path.abspath(spec.root),
        "reader": f"format {spec.format}" if spec.format else f"parser {spec.parser}",
        "synthetic": read_marker(spec.root) is not None,
        "classes": list(plan.classes),
        "absent_classes": list(plan.absent),
        "dropped": plan.dropped,
        "views": plan.views,
        "partitions": {"kind": info.kind, "words": info.words,
                       "speaker_disjoint": bool(info.speaker_disjoint)},
        "counts": {**_counts(table, plan.classes, rejected, plan.missing, plan.n_listed),
                   "single_ratings": n_ratings},
        "scales": scales,
        "waivers": waivers,
        "warnings": warnings,
        "facts": catalogue_facts(spec),
        "versions": _versions(),
    }


def _counts(table, classes, rejected, missing, n_listed: int) -> dict[str, Any]:
    pairs = table.groupby(["emotion", "partition"]).size().to_dict()
    speakers = {name: sorted(set(rows["speaker"]) - {""})
                for name, rows in table.groupby("partition")}
    samples = int((table["duration"] * RATE).round().astype("int64").sum())
    return {
        "utterances": len(table), "samples": samples, "seconds": samples / RATE,
        "speakers": int(table.loc[table["speaker"] != "", "speaker"].nunique()),
        "unknown_speakers": int((table["speaker"] == "").sum()),
        "rejected": len(rejected) - len(missing), "missing": len(missing), "listed": n_listed,
        "clipped_samples": int(table["clipped"].sum()),
        "folds": int(table.loc[table["fold"].astype(str) != "", "fold"].nunique()),
        "classes": {word: {name: int(pairs.get((word, name), 0)) for name in PARTITIONS}
                    for word in classes},
        "partitions": {name: {
            "utterances": int((table["partition"] == name).sum()),
            "seconds": float(table.loc[table["partition"] == name, "duration"].sum().round(4)),
            "speakers": [speaker.partition("/")[2] for speaker in speakers.get(name, [])],
        } for name in PARTITIONS},
        "agreement": _agreement(table),
    }


def _agreement(table) -> dict[str, float] | None:
    if "agreement" not in table:
        return None
    import pandas as pd

    known = pd.to_numeric(table["agreement"], errors="coerce").dropna()
    if not len(known):
        return None
    return {"mean": round(float(known.mean()), 4), "lowest": round(float(known.min()), 4),
            "utterances": len(known)}


def catalogue_facts(spec) -> dict[str, str]:
    """Take title, licence and citation from the catalogue; a corpus of one's own has none."""
    from emokit.corpora.catalogue import entries

    found = entries().get(spec.parser or spec.name)
    if found is None:
        return {}
    return {name: value for name in ("title", "licence", "citation", "language", "where")
            if (value := getattr(found, name))}


def _versions() -> dict[str, str]:
    import platform

    import numpy
    import soundfile
    import soxr

    from emokit import __version__

    return {"emokit": __version__, "python": platform.python_version(),
            "numpy": numpy.__version__, "soundfile": soundfile.__version__,
            "libsndfile": soundfile.__libsndfile_version__, "soxr": soxr.__version__}


def divided(partitions: dict[str, Any]) -> str:
    """Say in two words how a corpus was divided, from its build.json."""
    fallbacks = {"text": "auto, by sentence", "utterance": "auto, by utterance"}
    return fallbacks.get(partitions["kind"], partitions["kind"])


def length(seconds: float) -> str:
    """Say how much audio that is, in the unit that suits it.

    Example:
        >>> length(9000), length(90), length(6)
        ('2.50 h', '1.5 min', '6.0 s')
    """
    return (f"{seconds / 3600:.2f} h" if seconds >= 3600 else
            f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s")


def write(path: Path, build: dict[str, Any]) -> Path:
    """Write card.md from build.json."""
    return write_text(path, card(build))


def card(build: dict[str, Any]) -> str:
    """Give the card of a corpus as Markdown."""
    counts, facts, partitions = build["counts"], build["facts"], build["partitions"]
    lines = [f"# {facts.get('title', build['corpus'])}", ""]
    if build["synthetic"]:
        lines += ["**Synthetic stand-in:** a program made these voices; they are no recordings.",
                  ""]
    lines += [
        f"- Id: `{build['corpus']}`, read by {build['reader']}",
        f"- {counts['utterances']:,} utterances, {length(counts['seconds'])}, "
        f"{counts['speakers']} speakers"
        + (f", speaker unknown for {counts['unknown_speakers']:,} utterances"
           if counts["unknown_speakers"] else ""),
        f"- Partitions ({divided(partitions)}): {partitions['words']}",
        f"- Licence: {facts.get('licence', 'not in the catalogue; see its authors')}",
        f"- Citation: {facts.get('citation', 'not in the catalogue')}",
    ]
    if counts["agreement"]:
        agreement = counts["agreement"]
        lines.append(f"- Agreement of the raters: mean {agreement['mean']:.2f}, lowest "
                     f"{agreement['lowest']:.2f}, known for {agreement['utterances']:,} utterances")
    if counts["single_ratings"]:
        lines.append(f"- Single ratings: {counts['single_ratings']:,}, in `ratings.csv`")
    for name, (low, high) in build["scales"].items():
        lines.append(f"- {name.capitalize()}: from {low:g} to {high:g}")
    if build["dropped"]:
        lines.append("- Labels dropped: " + ", ".join(
            f"{word} ({count:,})" for word, count in build["dropped"].items()))
    if build["absent_classes"]:
        lines.append("- Classes without utterances here: " + ", ".join(build["absent_classes"]))
    lines += ["", "## Utterances", "", _row(["class", *PARTITIONS, "all"]),
              _row(["---", *["---:"] * (len(PARTITIONS) + 1)])]
    for word in build["classes"]:
        cells = [counts["classes"][word][name] for name in PARTITIONS]
        lines.append(_row([word, *cells, sum(cells)]))
    sums = [counts["partitions"][name]["utterances"] for name in PARTITIONS]
    lines.append(_row(["all", *sums, sum(sums)]))
    lines += ["", "## Speakers", "", _row(["partition", "speakers", "utterances", "length"]),
              _row(["---", "---", "---:", "---:"])]
    for name in PARTITIONS:
        part = counts["partitions"][name]
        shown = ", ".join(part["speakers"][:40]) or "–"
        more = f" and {len(part['speakers']) - 40} more" if len(part["speakers"]) > 40 else ""
        lines.append(_row([name, shown + more, part["utterances"],
                           length(part["seconds"])]))
    for heading, rows in (("Waived checks", build["waivers"]), ("Warnings", build["warnings"])):
        if rows:
            lines += ["", f"## {heading}", ""]
            lines += [f"- {row['check']}: {row['words']}"
                      + (f" (`{row['flag']}`)" if row.get("flag") else "") for row in rows]
    if counts.get("missing"):
        lines += ["", f"Missing {counts['missing']:,} of {counts['listed']:,} listed files; "
                  "`rejected.csv` names them."]
    if counts["rejected"]:
        lines += ["", f"{counts['rejected']:,} files were left out; `rejected.csv` says why."]
    return "\n".join(_plain(line) for line in lines) + "\n"


def _plain(line: str) -> str:
    """Keep names of a corpus from breaking the line or becoming markup."""
    return line.replace("\n", "\\n").replace("<", "&lt;")


def _row(cells) -> str:
    return "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else
                             str(cell).replace("|", "\\|") for cell in cells) + " |"
