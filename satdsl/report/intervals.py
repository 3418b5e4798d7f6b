"""95 % intervals of a share, of a mean, and the multipliers they are made with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Z = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


@dataclass(frozen=True)
class Interval:
    """Where a value lies with 95 % confidence, in the value's own unit."""

    low: float
    high: float


def wilson(successes: int, n: int) -> Interval:
    """Wilson's score interval of a share (J. Am. Stat. Assoc. 22, 1927), `n` at least 1."""
    share = successes / n
    shrink = 1 + Z**2 / n
    centre = (share + Z**2 / (2 * n)) / shrink
    half = Z / shrink * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low, high)


def normal(mean: float, deviation: float, n: int) -> Interval | None:
    """mean ± 1.96 · deviation / sqrt(n); None for a single value, which tells nothing of its spread."""
    if n < 2:
        return None
    half = Z * deviation / math.sqrt(n)
    return Interval(mean - half, mean + half)


def student(degrees: float) -> float:
    """The 97.5 % point of Student's t for `degrees` of freedom, not always whole; fewer than 1 count as 1.

    Exact for 1, 2 and 3 degrees and interpolated between these (at most 3 % too large, never too small);
    above, the expansion of Abramowitz & Stegun 26.7.5, to 0.2 %.
    """
    if degrees <= 3:
        places = [(1 / known, math.log(point)) for known, point in _STUDENT]
        return math.exp(_interpolated(1 / max(degrees, 1), places))
    z = Z
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / degrees**power for power, term in enumerate(terms))


_STUDENT = ((3, 3.182446305284263), (2, 4.302652729911275), (1, 12.706204736432095))


def _interpolated(x: float, places: Sequence[tuple[float, float]]) -> float:
    """The line through `places`, which are in ascending order, at `x` among them."""
    for (left, low), (right, high) in pairwise(places):
        if x <= right:
            return low + (high - low) * (x - left) / (right - left)
    return places[-1][1]
