"""Rows as text: for the terminal, CSV, JSON, LaTeX and Markdown."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emokit.core.errors import EmokitError, choices
from emokit.core.files import to_json

FORMATS = ("table", "csv", "json", "latex", "markdown")
NOTHING = "–"


@dataclasses.dataclass(frozen=True)
class Column:
    """One column for people.

    Args:
        name: key in the rows.
        head: what stands above it.
        kind: `text`, `count`, `percent` (one decimal), `points` (percent with sign), `number`,
            `change` (number with sign), `share` (percent, two decimals), `p`, or `interval`,
            `points_interval`, `number_interval`, `change_interval` (with `<name>_low` and
            `<name>_high`).
    """

    name: str
    head: str
    kind: str = "text"


def render(rows: Sequence[Mapping[str, Any]], format: str = "table",
           columns: Sequence[Column] | None = None, best: Iterable[tuple[int, str]] = ()) -> str:
    """Give rows as text.

    Args:
        columns: what people see, and how; csv and json hold every key at full precision.
        best: cells (row number, column name) that LaTeX and Markdown set in bold.

    Raises:
        EmokitError: unknown format, with the choices.

    Example:
        >>> print(render([{"corpus": "emodb", "uar": .7512}], "table",
        ...              [Column("corpus", "Corpus"), Column("uar", "UAR", "percent")]))
        Corpus   UAR
        ------  ----
        emodb   75.1
    """
    if format not in FORMATS:
        raise EmokitError(f"Unknown format '{format}'. {choices(format, FORMATS)}")
    if format == "json":
        lines = ",\n".join("  " + to_json(dict(row)) for row in rows)
        return f"[\n{lines}\n]" if rows else "[]"
    names = list(dict.fromkeys(key for row in rows for key in row)) or [
        column.name for column in columns or ()]
    if format == "csv":
        return _csv(rows, names)
    columns = list(columns or (Column(name, name, _kind(rows, name)) for name in names))
    cells = [[cell(row, column) for column in columns] for row in rows]
    right = [column.kind != "text" for column in columns]
    heads = [column.head for column in columns]
    bold = {(index, position) for index, name in best
            for position, column in enumerate(columns) if column.name == name}
    if format == "latex":
        return _latex(heads, cells, right, bold)
    if format == "markdown":
        return _markdown(heads, cells, right, bold)
    return _text(heads, cells, right)


def _kind(rows, name) -> str:
    values = [row[name] for row in rows if row.get(name) is not None]
    if values and all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return "count"
    return "number" if values and all(isinstance(value, float) for value in values) else "text"


def cell(row: Mapping[str, Any], column: Column) -> str:
    """Give one cell as people read it; what is missing or undefined is an en dash."""
    value = row.get(column.name)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    words = _number(value, column.kind.removesuffix("_interval"))
    if column.kind.endswith("interval") and f"{column.name}_low" in row:
        ends = row[f"{column.name}_low"], row.get(f"{column.name}_high")
        words += " " + limits(*ends, column.kind in ("number_interval", "change_interval"))
    return words


def limits(low: float | None, high: float | None, plain: bool = False) -> str:
    """Give an interval of shares in percent, `[71.2, 80.4]`, plain `[0.712, 0.804]`, or `[–]`."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return f"[{NOTHING}]"
    if plain:
        return f"[{low:.3f}, {high:.3f}]"
    return f"[{_plain(100 * low)}, {_plain(100 * high)}]"


def _plain(value: float) -> str:
    return f"{value:.1f}".replace("-0.0", "0.0") if abs(value) < 0.05 else f"{value:.1f}"


def _number(value: Any, kind: str) -> str:
    if kind == "text":
        return str(value)
    if kind == "count":
        return f"{int(value)}"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if kind in ("percent", "interval"):
        return _plain(100 * value)
    if kind == "share":
        return f"{100 * value:.2f}"
    if kind == "points":
        return f"{100 * value:+.1f}"
    if kind == "change":
        return f"{value:+.3f}"
    if kind == "p":
        return "<.0001" if value < 0.00005 else f"{value:.4f}".replace("0.", ".", 1)
    return f"{value:.3f}"


def best_by(rows: Sequence[Mapping[str, Any]], group: str, name: str) -> set[tuple[int, str]]:
    """Find the highest value of a column among rows of equal group; NaN is never best."""
    tops: dict[Any, float] = {}
    for row in rows:
        value = row.get(name, math.nan)
        if not math.isnan(value):
            tops[row[group]] = max(value, tops.get(row[group], -math.inf))
    return {(index, name) for index, row in enumerate(rows)
            if row.get(name, math.nan) == tops.get(row[group])}


def best_in_row(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> set[tuple[int, str]]:
    """Find the highest of several columns in each row; NaN is never best."""
    found = set()
    for index, row in enumerate(rows):
        values = {name: row[name] for name in names if not math.isnan(row.get(name, math.nan))}
        found |= {(index, name) for name, value in values.items() if value == max(values.values())}
    return found


def _csv(rows, names) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(["" if row.get(name) is None or row[name] != row[name]
                         else _csv_cell(row[name]) for name in names])
    return text.getvalue().rstrip("\n")


def _csv_cell(value: Any) -> Any:
    if isinstance(value, float):
        return repr(float(value))
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(letter) else
               2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _pad(text: str, width: int, right: bool) -> str:
    gap = " " * (width - _width(text))
    return gap + text if right else text + gap


def _text(heads, cells, right) -> str:
    widths = [max(map(_width, column)) for column in zip(heads, *cells)]
    lines = [heads, ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(_pad(*item) for item in zip(line, widths, right)).rstrip() for line in lines
    )


def _markdown(heads, cells, right, bold) -> str:
    def safe(text):
        return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")

    lines = ["| " + " | ".join(map(safe, heads)) + " |",
             "|" + "|".join("---:" if flush else "---" for flush in right) + "|"]
    for index, row in enumerate(cells):
        words = [f"**{safe(word)}**" if (index, position) in bold else safe(word)
                 for position, word in enumerate(row)]
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines)


_LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
          "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
          "–": "--", "−": "$-$", "×": r"$\times$", "±": r"$\pm$", "Δ": r"$\Delta$",
          "∞": r"$\infty$", "<": r"$<$", ">": r"$>$"}


def _latex(heads, cells, right, bold) -> str:
    def safe(text):
        return "".join(_LATEX.get(letter, letter) for letter in text)

    def line(words):
        return " & ".join(words) + r" \\"

    body = [line([rf"\textbf{{{safe(word)}}}" if (index, position) in bold else safe(word)
                  for position, word in enumerate(row)]) for index, row in enumerate(cells)]
    form = "".join("r" if flush else "l" for flush in right)
    return "\n".join([rf"\begin{{tabular}}{{{form}}}", r"\toprule", line(map(safe, heads)),
                      r"\midrule", *body, r"\bottomrule", r"\end{tabular}"])
