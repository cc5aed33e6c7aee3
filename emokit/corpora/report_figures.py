"""Pictures of built corpora for the report."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emokit.audio.compiled import load_librosa
from emokit.core.page import COLOURS, PLOT_STYLE, figure_png, figure_svg, new_figure
from emokit.corpora.manifest import PARTITIONS
from emokit.corpora.store import RATE

PARTITION_COLOURS = dict(zip(PARTITIONS, (COLOURS[0], COLOURS[1], COLOURS[2])))


def _styled(draw: Callable) -> Callable:
    @functools.wraps(draw)
    def styled(*args, **kwargs):
        import matplotlib

        with matplotlib.rc_context(PLOT_STYLE):
            return draw(*args, **kwargs)

    return styled


def _plain(text: str) -> str:
    """Keep matplotlib from reading `$` in a corpus's words as a formula."""
    return text.replace("$", r"\$")


@_styled
def classes_by_corpora(builds: Sequence[dict[str, Any]], words: Sequence[str]):
    """Draw utterances of each class (columns) in each corpus (rows), darker for more."""
    from matplotlib.colors import LinearSegmentedColormap

    counts = np.array([[sum(build["counts"]["classes"].get(word, {}).values()) for word in words]
                       for build in builds], float)
    width = min(10.8, 1.6 + 0.62 * len(words))
    figure, axes = new_figure(width, 1.1 + 0.36 * len(builds))
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    colours = LinearSegmentedColormap.from_list("blues", ["#e8f1f7", "#0072b2"])
    axes.pcolormesh(np.where(counts > 0, shares, np.nan), cmap=colours, vmin=0,
                    vmax=max(0.3, float(shares.max())), edgecolors="white", linewidth=2)
    # a masked cell is not drawn at all
    axes.set_facecolor("#f7f8f9")
    axes.invert_yaxis()
    if len(words) <= 16:
        limit = 0.6 * max(0.3, float(shares.max()))
        for row, column in zip(*np.nonzero(counts)):
            colour = "white" if shares[row, column] > limit else "#1b2430"
            axes.text(column + 0.5, row + 0.5, f"{int(counts[row, column]):,}", ha="center",
                      va="center", fontsize=9, color=colour)
    axes.set_xticks(np.arange(len(words)) + 0.5, [_plain(word) for word in words], rotation=40,
                    ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.set_yticks(np.arange(len(builds)) + 0.5, [build["corpus"] for build in builds])
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return figure_svg(figure, "Darker: a larger share of the corpus.",
                      alt="Utterances of each class in each corpus")


@_styled
def durations(corpora: Sequence[Any]):
    """Draw the spread of durations, one line a corpus."""
    figure, axes = new_figure(9.2, 0.75 + 0.36 * len(corpora))
    longest = 0.0
    for row, corpus in enumerate(corpora):
        low, quarter, middle, three, high = np.percentile(
            corpus.manifest["duration"], [1, 25, 50, 75, 99])
        longest = max(longest, high)
        axes.plot([low, high], [row, row], color="#aeb8c2", linewidth=1.4, zorder=1)
        axes.plot([quarter, three], [row, row], color=COLOURS[0], linewidth=7, alpha=0.55,
                  solid_capstyle="butt", zorder=2)
        axes.plot([middle], [row], "o", color=COLOURS[0], markersize=7, zorder=3,
                  markeredgecolor="white")
        axes.annotate(f"{middle:.1f} s", (middle, row), (0, 8), textcoords="offset points",
                      ha="center", fontsize=8.5, color="#5c6875")
    axes.set_yticks(range(len(corpora)), [corpus.name for corpus in corpora])
    axes.set_ylim(len(corpora) - 0.4, -0.75)
    axes.set_xlim(0, 1.03 * longest)
    axes.set_xlabel("seconds")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color="#edf0f3")
    axes.set_axisbelow(True)
    return figure_svg(figure, alt="Durations of utterances")


@_styled
def speakers(corpus):
    """Draw utterances of each speaker, coloured by partition; of many speakers only their sizes."""
    table = corpus.manifest
    known = table[table["speaker"] != ""]
    counts = known.groupby(["speaker", "partition"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(PARTITIONS), fill_value=0)
    if not len(counts):
        return ""
    order = sorted(counts.index, key=lambda name: (
        int(np.argmax(counts.loc[name].to_numpy())), name))
    counts = counts.loc[order]
    few = len(counts) <= 30
    figure, axes = new_figure(5.2, max(1.5, 0.75 + 0.17 * len(counts)) if few else 3.2)
    left = np.zeros(len(counts))
    places = np.arange(len(counts))
    for name in PARTITIONS:
        values = counts[name].to_numpy()
        if values.any():
            axes.barh(places, values, 0.74 if few else 1.0, left=left,
                      color=PARTITION_COLOURS[name], label=name)
        left += values
    if few:
        axes.set_yticks(places, [_plain(name.partition("/")[2]) for name in order], fontsize=8.5)
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(counts)} speakers")
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.set_xlabel("utterances")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper left", ncols=3, handlelength=0.9, handleheight=0.9,
                  fontsize=9, columnspacing=1.2)
    return figure_svg(figure, alt=f"Utterances by speaker of {corpus.name}")


@_styled
def spectrograms(corpus, seconds: float = 2.6, most: int = 32):
    """Draw one log-mel spectrogram per class: the utterance whose length is nearest the median.

    Taken from train, so that no report tempts anyone to look at test audio.
    """
    words = corpus.classes[:most]
    n_columns = min(4 if len(words) <= 8 else 6, max(4, len(words)))
    n_rows = math.ceil(len(words) / n_columns)
    # all tiles in one axes: thirty axes would take seconds to lay out
    tile, gap, head = 1.0, 0.05, 0.3
    high = 0.42 * tile + head
    figure, _ = new_figure(10.4, 10.4 * n_rows * high / (n_columns * (tile + gap)))
    figure.clear()
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, n_columns * (tile + gap)), ylim=(n_rows * high, 0))
    axes.set_axis_off()
    for place, word in enumerate(words):
        index = _typical(corpus.manifest, word)
        if index is None:
            continue
        left, top = place % n_columns * (tile + gap), place // n_columns * high
        axes.imshow(_log_mel(corpus.audio.read(index), seconds), aspect="auto", cmap="magma",
                    vmin=-70, vmax=0, origin="lower", interpolation="bilinear",
                    extent=(left, left + tile, top + high, top + head))
        speaker = corpus.manifest["speaker"].iloc[index].partition("/")[2]
        axes.text(left, top + head - 0.06, _plain(word), fontsize=9.5, fontweight="bold")
        if n_columns < 5:
            axes.text(left + tile, top + head - 0.06, _plain(speaker), fontsize=8.5, ha="right",
                      color="#5c6875")
    axes.set(xlim=(0, n_columns * (tile + gap)), ylim=(n_rows * high, 0))
    return figure_png(
        figure, f"One utterance of each class, from train: {seconds} s, 64 mel bands up to 8 kHz, "
        "70 dB from black to white.", dpi=110, alt=f"Log-mel spectrograms of {corpus.name}")


def _typical(table, word: str) -> int | None:
    rows = np.flatnonzero(((table["emotion"] == word) & (table["partition"] == "train")).to_numpy())
    if not len(rows):
        rows = np.flatnonzero((table["emotion"] == word).to_numpy())
    if not len(rows):
        return None
    lengths = table["duration"].to_numpy()[rows]
    return int(rows[np.argmin(np.abs(lengths - np.median(lengths)))])


def _log_mel(samples: np.ndarray, seconds: float) -> np.ndarray:
    """Give [64, T] decibels below the loudest point, of the loudest `seconds` of an utterance."""
    librosa = load_librosa()
    waveform = samples.astype(np.float32) / 32768
    length = int(seconds * RATE)
    if len(waveform) > length:
        energy = np.concatenate([[0.0], np.cumsum(waveform.astype(float) ** 2)])
        start = int(np.argmax(energy[length:] - energy[:-length]))
        waveform = waveform[start:start + length]
    else:
        waveform = np.pad(waveform, (0, length - len(waveform)))
    mel = librosa.feature.melspectrogram(y=waveform, sr=RATE, n_fft=512, hop_length=128,
                                         n_mels=64, fmin=20, fmax=8000)
    return librosa.power_to_db(mel, ref=max(float(mel.max()), 1e-10), top_db=70)
