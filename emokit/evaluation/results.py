"""What a test or an interval gives back: numbers, and the reason where there are none."""

from __future__ import annotations

import dataclasses
import math

NAN = math.nan


@dataclasses.dataclass(frozen=True)
class Test:
    """A test's outcome.

    Args:
        name: the test, as reports print it.
        p: two-sided p, in (0, 1]; NaN if undefined.
        statistic: NaN for tests that have none.
        note: why p is undefined, or what it cannot say; empty if nothing is to be said.
    """

    __test__ = False  # pytest would take the name for a test class

    name: str
    p: float
    statistic: float = NAN
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Interval:
    """An interval around an estimate; NaN limits with a note where it is undefined."""

    low: float
    high: float
    standard_error: float = NAN
    degrees_of_freedom: float = NAN
    note: str = ""


def undefined(note: str) -> Interval:
    """Give the interval that does not exist, and why."""
    return Interval(NAN, NAN, note=note)
