"""What a benchmark says last: what it measured, the reach, and whether it is met."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence

MARK = "=> "


def say(what: str, value: float, reach: float, unit: str = "", at_least: bool = False,
        quick: bool = False, note: str = "") -> bool:
    """Print the line that `table.py` reads; give whether the reach is met.

    Args:
        what: the row, in the words of docs/performance.md.
        value, reach: in `unit`; a ratio where that is empty or `x`.
        at_least: the reach is a lower bound; otherwise an upper one.
        note: stands behind the measured value.
        quick: sizes were those of a trial, so that the figure decides nothing.
    """
    met = value >= reach if at_least else value <= reach
    word = "trial size" if quick else "met" if met else "NOT MET"
    bound = "at least" if at_least else "at most"
    note = f" ({note})" if note else ""
    print(f"{MARK}{what} | {_number(value, unit)}{note} | {bound} {_number(reach, unit)} | {word}",
          flush=True)
    return met


def read(text: str) -> list[list[str]]:
    """Give the cells of the lines that `say` printed, [what, measured, reach, verdict] each.

    Example:
        >>> read("noise\\n=> a step | 1.02 | at most 1.1 | met\\n")
        [['a step', '1.02', 'at most 1.1', 'met']]
    """
    return [line.removeprefix(MARK).split(" | ") for line in text.splitlines()
            if line.startswith(MARK)]


def seconds(command: Sequence[object]) -> tuple[float, float, str]:
    """Run Python with these arguments; give seconds by the clock, of processor, and its stdout.

    On a busy machine the second is what the command itself took.
    """
    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    started, before = time.perf_counter(), spent()
    result = subprocess.run([sys.executable, *map(str, command)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    if result.returncode:
        raise SystemExit(result.stderr[-2000:])
    return time.perf_counter() - started, spent() - before, result.stdout


def not_measured(what: str, why: str, reach: str) -> None:
    """Print the line of a row that cannot be measured here."""
    print(f"{MARK}{what} | {why} | {reach} | not measured", flush=True)


def _number(value: float, unit: str) -> str:
    return f"{value:.3g}{' ' if unit else ''}{unit}"
