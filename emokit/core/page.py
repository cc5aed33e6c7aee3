"""One self-contained HTML page: the look that every report shares, and its building blocks."""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any


def page(title: str, body, subtitle: str = "", footer: str = "") -> str:
    """Give a whole HTML page in the look of emokit's reports; it loads nothing from elsewhere.

    Args:
        title: heading and title of the page.
        body: `markupsafe.Markup` of the content, e.g. from `render`. Plain text is escaped.
        subtitle: the one sentence below the heading.
        footer: words after the version.

    Example:
        >>> "&lt;b&gt;" in page("<b>", "text")
        True
    """
    from markupsafe import escape

    from emokit import __version__

    template = environment().from_string(_source("emokit.core", "page.html"))
    return template.render(title=title, body=escape(body), subtitle=subtitle, footer=footer,
                           version=__version__)


def render(package: str, name: str, **values: Any):
    """Fill the template file `name` of a package with values, every one escaped unless Markup.

    Templates may call `table(rows, header, …)`, which is `table_html`.
    """
    from markupsafe import Markup

    template = environment().from_string(_source(package, name))
    return Markup(template.render(table=table_html, **values))


def environment():
    """Make the jinja2 environment of reports: escapes everything, an unknown name is an error."""
    import jinja2

    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)


def _source(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


_PROSE, _LONG_NAME = 60, 28
"""Letters beyond which a cell, or one of the first column, may break into lines in any table."""


def table_html(
    rows: Iterable[Sequence[Any]],
    header: Sequence[str],
    *,
    numeric: Iterable[int] | None = None,
    wide: bool = False,
    broad: bool = False,
    total: bool = False,
    caption: str = "",
):
    """Give a table as Markup; cells are escaped, None and NaN become an en dash, 0 turns pale.

    Args:
        rows: cells, as many as the header has; texts, numbers or Markup.
        header: column heads.
        numeric: columns set flush right; by default those whose cells are all numbers.
        wide: stretch to the page's width.
        broad: for many columns: spill over the page's margins where the window has room.
        total: set the last row apart.
        caption: a line above.
    """
    from markupsafe import Markup, escape

    rows = [list(row) for row in rows]
    if numeric is None:
        numeric = [index for index in range(len(header))
                   if rows and all(_is_number(row[index]) for row in rows)]
    numeric = set(numeric)

    def cell(kind, value, index):
        words = ["number"] if index in numeric else []
        text = escape(_cell_text(value))
        if kind == "td" and _is_number(value) and value == 0:
            words.append("zero")
        if kind == "td" and len(text) > (_PROSE if index else _LONG_NAME):
            words.append("prose")
        mark = f' class="{" ".join(words)}"' if words else ""
        return f"<{kind}{mark}>{text}</{kind}>"

    box, kind = "scroll broad" if broad else "scroll", ' class="wide"' if wide else ""
    lines = [f'<div class="{box}"><table{kind}>']
    if caption:
        lines.append(f"<caption>{escape(caption)}</caption>")
    lines.append("<thead><tr>" + "".join(cell("th", word, index)
                                         for index, word in enumerate(header)) + "</tr></thead>")
    lines.append("<tbody>")
    for number, row in enumerate(rows):
        last = total and number == len(rows) - 1
        lines.append(('<tr class="total">' if last else "<tr>") + "".join(
            cell("td", value, index) for index, value in enumerate(row)) + "</tr>")
    lines.append("</tbody></table></div>")
    return Markup("\n".join(lines))


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, (str, bool))


def _cell_text(value: Any) -> Any:
    if value is None or (_is_number(value) and float(value) != float(value)):
        return "–"
    if hasattr(value, "__html__"):
        return value
    if _is_number(value):
        return f"{value:,}" if float(value).is_integer() else f"{value:g}"
    return str(value)


def facts_html(facts: Mapping[str, Any]):
    """Give a row of large numbers with their names below, as Markup."""
    from markupsafe import Markup, escape

    cells = "".join(f"<div><b>{escape(_cell_text(value))}</b><span>{escape(name)}</span></div>"
                    for name, value in facts.items())
    return Markup(f'<div class="facts">{cells}</div>')


def figure_svg(figure, caption: str = "", alt: str = ""):
    """Give a matplotlib figure as inline SVG in a `<figure>`, equal bytes for an equal figure.

    The figure is closed. Ids get a prefix of their content, so that several figures on a page do
    not share clip paths.
    """
    import hashlib

    import matplotlib
    from markupsafe import Markup, escape

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "emokit", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
    _close(figure)
    svg = text.getvalue()
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    prefix = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    return _figure(Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)),
                   caption)


def figure_png(figure, caption: str = "", alt: str = "", dpi: int = 120):
    """Give a matplotlib figure as a PNG data URI in a `<figure>`; for pictures full of pixels."""
    from markupsafe import Markup, escape

    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.01,
                   metadata={"Software": None})
    width = figure.get_size_inches()[0] * 100
    _close(figure)
    text = base64.b64encode(data.getvalue()).decode()
    return _figure(Markup(f'<img alt="{escape(alt)}" style="width:{width:.0f}px" '
                          f'src="data:image/png;base64,{text}">'), caption)


def _figure(content, caption: str):
    from markupsafe import Markup, escape

    words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return Markup(f"<figure>{content}{words}</figure>")


def _close(figure) -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)


PLOT_STYLE = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": "#5c6875", "axes.labelcolor": "#1b2430", "text.color": "#1b2430",
    "xtick.color": "#5c6875", "ytick.color": "#5c6875", "axes.titlesize": 10.5,
    "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.grid": False,
    "legend.frameon": False, "figure.facecolor": "white",
}
"""matplotlib settings that fit the page; use as `matplotlib.rc_context(PLOT_STYLE)`."""

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c7a2b", "#5c6875")
"""Colours that colour-blind readers tell apart (after Okabe and Ito, 2008)."""


def new_figure(width: float = 9.0, height: float = 3.0, **subplots: Any):
    """Make a matplotlib figure and its axes in the look of the page; sizes in inches.

    Needs no display. Draw within `matplotlib.rc_context(PLOT_STYLE)`, so that titles and texts
    set later have the look too.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(PLOT_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.subplots(**subplots)
