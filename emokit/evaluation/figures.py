"""Pictures of a report: bars by corpus, learning curves, confusion matrices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emokit.core.page import COLOURS, PLOT_STYLE, figure_svg, new_figure
from emokit.evaluation.tables import NOTHING

MANY_CURVES = len(COLOURS)
"""With more corpora the curves turn grey and only their mean has a colour."""
_PLAIN_NAME = str.maketrans({"$": r"\$"})


def _name(text: Any) -> str:
    # matplotlib takes text between two dollars for a formula
    return str(text).translate(_PLAIN_NAME)


def bars(rows: Sequence[Mapping[str, Any]], systems: Sequence[str]):
    """Draw the UAR of each system on each corpus with its interval, and chance as a dashed tick.

    Args:
        rows: of a `Summary`.
        systems: in the order drawn.
    """
    from matplotlib import rc_context

    found = {(row["system"], row["corpus"]): row for row in rows}
    corpora = sorted({row["corpus"] for row in rows})
    thickness = 0.8 / max(len(systems), 1)
    inches = 0.17 * max(len(systems), 2) + 0.12
    with rc_context(PLOT_STYLE):
        figure, axes = new_figure(9.4, 0.85 + inches * len(corpora))
        for index, system in enumerate(systems):
            for place, corpus in enumerate(corpora):
                row = found.get((system, corpus), {})
                value = row.get("uar", math.nan)
                where = place + (index - (len(systems) - 1) / 2) * thickness
                if math.isnan(value):
                    axes.text(0.6, where, NOTHING, va="center", color="#5c6875")
                    continue
                axes.barh(where, 100 * value, thickness * 0.86, zorder=2,
                          color=COLOURS[index % len(COLOURS)])
                low, high = row["uar_low"], row["uar_high"]
                if not math.isnan(low):
                    axes.plot([100 * max(low, 0), 100 * min(high, 1)], [where, where],
                              color="#1b2430", linewidth=1.3, zorder=3)
        for place, corpus in enumerate(corpora):
            chances = [row["chance"] for (_, name), row in found.items()
                       if name == corpus and "chance" in row]
            if chances:
                axes.plot([100 * chances[0]] * 2, [place - 0.46, place + 0.46], color="#d55e00",
                          linewidth=1.6, linestyle=(0, (2.5, 1.5)), zorder=4)
        axes.set_yticks(range(len(corpora)), [_name(corpus) for corpus in corpora])
        axes.set_ylim(len(corpora) - 0.45, -0.55)
        axes.set_xlim(0, 100)
        axes.set_xlabel("UAR in percent")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#dfe4ea", linewidth=0.8, zorder=0)
        _legend(figure, systems)
    return figure_svg(figure, "Unweighted average recall. The thin line is the interval over "
                      "speakers, the dashed tick chance.", "UAR by corpus and system")


def _legend(figure, systems) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(color=COLOURS[index % len(COLOURS)], label=_name(system))
               for index, system in enumerate(systems)]
    handles.append(Line2D([], [], color="#d55e00", linestyle=(0, (2.5, 1.5)), label="chance"))
    figure.legend(handles=handles, loc="outside upper left", ncols=4, handlelength=1.4)


def learning_curves(history: Iterable[Mapping[str, Any]]):
    """Draw dev UAR or CCC and loss over epochs, one line a corpus; seeds are averaged.

    Args:
        history: rows with `epoch`, and `corpus`, `dev_uar`, `dev_ccc`, `loss`, each where it is
            known.

    Returns:
        Nothing if no row has an epoch and a number.
    """
    from matplotlib import rc_context

    rows = list(history)
    panels = [(name, title, scale) for name, title, scale in
              (("dev_uar", "UAR on dev, percent", 100.0), ("dev_ccc", "CCC on dev", 1.0),
               ("loss", "Training loss", 1.0))
              if _curves(rows, name)]
    if not panels:
        return None
    with rc_context(PLOT_STYLE):
        figure, axes = new_figure(9.4, 3.3, ncols=len(panels), squeeze=False)
        for place, (name, title, scale) in zip(axes[0], panels):
            curves = _curves(rows, name)
            many = len(curves) > MANY_CURVES
            for index, (corpus, points) in enumerate(sorted(curves.items())):
                epochs = sorted(points)
                place.plot(epochs, [scale * points[epoch] for epoch in epochs],
                           color="#b9c2cc" if many else COLOURS[index],
                           linewidth=1 if many else 1.8, label=_name(corpus),
                           marker="o" if len(epochs) == 1 else None)
            if many:
                epochs = sorted({epoch for points in curves.values() for epoch in points})
                means = [[points[epoch] for points in curves.values() if epoch in points]
                         for epoch in epochs]
                place.plot(epochs, [scale * sum(each) / len(each) for each in means],
                           color=COLOURS[0], linewidth=2.4, label="mean")
            place.set_title(title, fontweight="bold")
            place.set_xlabel("Epoch")
            place.xaxis.get_major_locator().set_params(integer=True)
            place.grid(axis="y", color="#dfe4ea", linewidth=0.8)
        handles, labels = axes[0][0].get_legend_handles_labels()
        shown = slice(-1, None) if labels[-1] == "mean" else slice(None)
        if any(labels[shown]):
            figure.legend(handles[shown], labels[shown], loc="outside lower center",
                          ncols=min(6, len(labels[shown])))
    return figure_svg(figure, "Seeds are averaged.", "Learning curves")


def _curves(rows, name) -> dict[str, dict[float, float]]:
    sums: dict[str, dict[float, list[float]]] = {}
    for row in rows:
        value, epoch = row.get(name), row.get("epoch")
        if value is None or epoch is None or not math.isfinite(value):
            continue
        sums.setdefault(str(row.get("corpus") or "all"), {}).setdefault(epoch, []).append(value)
    return {corpus: {epoch: sum(values) / len(values) for epoch, values in points.items()}
            for corpus, points in sums.items()}


def confusion_html(labels: Sequence[str], matrix: Sequence[Sequence[int]], caption: str):
    """Give a confusion matrix as a table, truth in rows, shaded by share of the row.

    Args:
        matrix: [K, K] counts, or [K, K + 1] with misses in the last column.
    """
    from markupsafe import Markup, escape

    heads = list(labels) + (["other"] if matrix and len(matrix[0]) > len(labels) else [])
    lines = ['<div class="scroll"><table class="confusion">',
             f"<caption>{escape(caption)}</caption>", '<thead><tr><th scope="col">truth</th>']
    lines += [f'<th scope="col" title="{escape(head)}"><span>{escape(head)}</span></th>'
              for head in heads]
    lines.append("</tr></thead><tbody>")
    for label, counts in zip(labels, matrix):
        total = sum(counts)
        lines.append(f'<tr><th scope="row">{escape(label)}</th>')
        for count in counts:
            share = count / total if total else 0.0
            ink = "#fff" if share > 0.55 else "#1b2430"
            words = f"{100 * share:.0f}" if total else NOTHING
            lines.append(f'<td style="background:rgba(0,94,150,{share:.3f});color:{ink}">'
                         f"<b>{words}</b><small>{count}</small></td>")
        lines.append("</tr>")
    lines.append("</tbody></table></div>")
    return Markup("".join(lines))
