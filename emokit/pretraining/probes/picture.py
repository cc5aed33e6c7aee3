"""The picture of how clusters are used."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emokit.core.files import atomic
from emokit.pretraining.local_attributes.monitors import perplexity

MOST_SHOWN = 64
"""Clusters in the second half of the picture, those used most."""


def shares_by(words: np.ndarray, ids: np.ndarray, k: int) -> tuple[list[str], np.ndarray]:
    """Give words and, for each, its share of every cluster over the share of that cluster overall.

    Args:
        words: [n] of frames, empty ones left out.
        ids: [n] clusters.

    Returns:
        (W words, [W, k]: 1 where a word uses a cluster as all do; NaN of clusters never used).
    """
    known = sorted(set(words) - {""})
    counts = np.array([np.bincount(ids[words == word], minlength=k) for word in known], float)
    overall = counts.sum(0) / counts.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return known, counts / counts.sum(1, keepdims=True) / overall


def draw_usage(path: Path, ids: np.ndarray, k: int, table, owner: np.ndarray, name: str) -> None:
    """Draw the share of frames of each cluster, and which emotions use which more than others.

    Args:
        path: of the PNG file.
        ids: [n] cluster of each frame of dev.
        table: utterances, with `emotion`.
        owner: [n] utterance of each frame.
        name: of the clusters.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shares = np.bincount(ids, minlength=k) / len(ids)
    order = np.argsort(-shares, kind="stable")
    figure = Figure(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[1, 1.4])
    above.bar(np.arange(k), 100 * shares[order], width=1.0)
    above.axhline(100 / k, color="black", linewidth=0.8)
    above.set_title(f"{name} on dev: used like {perplexity(shares):.0f} of equal size, "
                    f"{int((shares == 0).sum())} never")
    above.set_xlabel("cluster, the commonest first (line: all alike)")
    above.set_ylabel("frames, %")
    words = table["emotion"].to_numpy(dtype=object)[owner].astype(str)
    emotions, ratios = shares_by(words, ids, k)
    shown = order[:MOST_SHOWN]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log2(ratios[:, shown])
    image = below.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-2, vmax=2,
                         interpolation="nearest")
    below.set_yticks(range(len(emotions)), emotions)
    below.set_xlabel(f"the {len(shown)} commonest clusters")
    figure.colorbar(image, ax=below, label="times as often as overall, log2")
    with atomic(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)
