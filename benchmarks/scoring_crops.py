"""Which crops of an utterance to score and average: trained cells, scored on dev in several ways.

    python benchmarks/scoring_crops.py runs/GROUP [runs/GROUP…] [--emoset emoset]

Scores the last weights of every complete cell, which dev did not choose, on dev with windows of
1, 2 and 3 s and whole utterances and with every crop rule of emokit. UAR in per cent, mean over
cells; the difference to the cell's own way is paired by cell, its interval Student's t over cells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

from emokit.corpora.store import open_emoset
from emokit.evaluation.metrics import uar_present
from emokit.loading.source import POOLED, fold_of, make_source
from emokit.training import checkpoint
from emokit.training.predict import score
from emokit.training.run import Group

WAYS = [(None, "whole"), *((window, rule) for window in (3.0, 2.0, 1.0)
                           for rule in ("multi", "center", "emonet"))]


def main() -> None:
    """Score, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("groups", nargs="+", type=Path)
    parser.add_argument("--emoset", default="emoset")
    options = parser.parse_args()
    cells = [cell for folder in options.groups for cell in Group(folder).cells()
             if cell.is_complete]
    if not cells:
        parser.error("no complete cell there")
    found = [figures(cell, options.emoset) for cell in cells]
    print(table(found))


def figures(cell, emoset: str) -> dict[tuple, float]:
    """Give {way: dev UAR in per cent, mean over the cell's corpora}, its own way as `own`."""
    model, loaded = checkpoint.load(cell.folder / "last.safetensors")
    facts = loaded.facts
    own = facts["window"], facts["scoring"]
    sums: dict[tuple, list[float]] = {}
    for corpus in open_emoset(emoset, list(facts["corpora"])):
        source = make_source(corpus, facts["target"], fold_of(corpus, facts["fold"]),
                             facts["corpora"][corpus.name]["head"] == POOLED)
        for way in dict.fromkeys([own, *WAYS]):
            scores = score(model, source, "dev", *way)
            labels = np.array(source.labels)
            known = scores.truth >= 0
            sums.setdefault(way, []).append(100 * uar_present(
                labels[scores.truth[known]], labels[scores.probabilities[known].argmax(1)],
                labels=source.labels))
    means = {way: float(np.mean(values)) for way, values in sums.items()}
    return {"own": means[own], **means}


def table(found: list[dict]) -> str:
    """Give the Markdown table of all ways that every cell has."""
    lines = ["| window | crops | dev UAR | Δ [95 %] |", "| --- | --- | ---: | ---: |"]
    own = np.array([each["own"] for each in found])
    for window, rule in (way for way in found[0] if way != "own"
                         and all(way in each for each in found)):
        values = np.array([each[window, rule] for each in found])
        gain = values - own
        text = f"{gain.mean():+.1f}"
        if len(gain) > 1:
            half = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain))
            text += f" [{gain.mean() - half:.1f}, {gain.mean() + half:.1f}]"
        words = f"{window:g} s" if window else "whole utterance"
        lines.append(f"| {words} | `{rule}` | {values.mean():.1f} | {text} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
