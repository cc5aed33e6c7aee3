"""What generated pages of the documentation share."""

from __future__ import annotations

from collections.abc import Iterable

MADE = "<!-- Made by `make docs` from the code. Edit the code, not this page. -->"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Give a Markdown table; `|` within cells is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(
        str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines)
