"""McNemar's test in its three forms."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

from emokit.core.errors import EmokitError, choices

METHODS = ("auto", "exact", "chi2", "mid_p")
AGREE = "the systems agree on every utterance's correctness"


@dataclasses.dataclass(frozen=True)
class McNemar:
    """McNemar's test of two systems on the same utterances.

    Args:
        b: utterances that the first system has right and the second wrong.
        c: the reverse.
        exact, chi2, mid_p: the three p values.
        statistic: of `chi2`, with continuity correction.
        method: the form that `p` is.
        note: what p cannot say.
    """

    b: int
    c: int
    exact: float
    chi2: float
    mid_p: float
    statistic: float
    method: str
    p: float
    note: str = ""


def mcnemar(b: int, c: int, *, method: str = "auto", alpha: float = 0.05) -> McNemar:
    """Test whether two systems err equally often on the same, independent utterances.

    With n = b + c and m = min(b, c):
    exact = min(1, 2 Σ_{i≤m} C(n, i) 2^−n), from integers;
    chi2 = P(χ²₁ > max(0, |b − c| − 1)² / n);
    mid_p = 2 Σ_{i≤m} C(n, i) 2^−n − C(n, m) 2^−n, or 1 if b = c.

    Args:
        b, c: discordant counts, ≥ 0.
        method: the form `p` takes; `auto` is exact for n < 25, chi2 from there.
        alpha: level for the note that n is too small to reach it.

    Returns:
        All three; n = 0 gives p 1 and a NaN statistic.

    Raises:
        EmokitError: negative or fractional counts, an unknown method.

    Example:
        >>> test = mcnemar(10, 2)
        >>> round(test.exact, 6), round(test.chi2, 6), round(test.mid_p, 6), test.method
        (0.038574, 0.043308, 0.022461, 'exact')

    Source: McNemar 1947; Edwards 1948 (correction); Fagerland, Lydersen, Laake 2013 (mid-p).
    Deviation from statsmodels 0.15: b = c gives statistic 0, where it gives 1/n.
    """
    if method not in METHODS:
        raise EmokitError(f"Unknown form of McNemar's test '{method}'. {choices(method, METHODS)}")
    if b != int(b) or c != int(c) or b < 0 or c < 0:
        raise EmokitError(f"Discordant counts are {b} and {c}; give whole numbers from 0.")
    b, c = int(b), int(c)
    n, m = b + c, min(b, c)
    if n == 0:
        return McNemar(0, 0, 1.0, 1.0, 1.0, math.nan, _form(method, n), 1.0, AGREE)
    tail, term = 0, 1
    for i in range(m + 1):
        tail += term
        last, term = term, term * (n - i) // (i + 1)
    exact = min(1.0, float(Fraction(2 * tail, 2**n)))
    mid_p = 1.0 if b == c else float(Fraction(2 * tail - last, 2**n))
    statistic = max(0, abs(b - c) - 1) ** 2 / n
    # the survival function of χ² with one degree of freedom
    chi2 = math.erfc(math.sqrt(statistic / 2))
    # far tails underflow; p stays in (0, 1]
    exact, mid_p, chi2 = (max(value, 5e-324) for value in (exact, mid_p, chi2))
    form = _form(method, n)
    smallest = {"exact": 2.0 ** (1 - n), "mid_p": 2.0**-n}.get(form, 0.0) if n < 1000 else 0.0
    note = ""
    if smallest > alpha:
        note = f"McNemar cannot reach {alpha:g}: only {n} discordant utterances"
    p = {"exact": exact, "chi2": chi2, "mid_p": mid_p}[form]
    return McNemar(b, c, exact, chi2, mid_p, statistic, form, p, note)


def _form(method: str, n: int) -> str:
    return ("exact" if n < 25 else "chi2") if method == "auto" else method
