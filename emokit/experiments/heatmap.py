"""A matrix of shares as a coloured picture with its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from emokit.core.page import PLOT_STYLE, figure_png, new_figure
from emokit.evaluation.tables import NOTHING

_PLAIN = str.maketrans({"$": r"\$"})


def heat_map(values: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str],
             words: Sequence[Sequence[str]] | None = None, *, row_title: str = "",
             column_title: str = "", caption: str = "", alt: str = "", low: float = 0.0):
    """Draw a matrix as a PNG in a `<figure>`.

    Args:
        values: [R, C] that decide the colour, `low` to 1; NaN stays white.
        words: [R, C] texts; by default the values in percent.
    """
    from matplotlib import rc_context

    matrix = np.array(values, float).reshape(len(rows), len(columns))
    with rc_context(PLOT_STYLE):
        figure, axes = new_figure(1.8 + 0.78 * len(columns), 1.3 + 0.42 * len(rows))
        axes.imshow(matrix, cmap="Blues", vmin=low, vmax=1, aspect="auto")
        for index, row in enumerate(matrix):
            for place, value in enumerate(row):
                text = NOTHING if math.isnan(value) else f"{100 * value:.0f}"
                if words is not None and not math.isnan(value):
                    text = words[index][place]
                dark = not math.isnan(value) and (value - low) / (1 - low) > 0.6
                axes.text(place, index, text, ha="center", va="center", fontsize=8.5,
                          color="white" if dark else "#1b2430")
        axes.set_xticks(range(len(columns)), [name.translate(_PLAIN) for name in columns],
                        rotation=35, ha="right")
        axes.set_yticks(range(len(rows)), [name.translate(_PLAIN) for name in rows])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlabel(column_title)
        axes.set_ylabel(row_title)
    return figure_png(figure, caption, alt)
