"""Compute the 95 % interval of a share, a mean and a median."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


@dataclass(frozen=True)
class Interval:
    """Where a value lies with 95 % confidence, in the value's own unit."""

    low: float
    high: float


def wilson(successes: int, n: int) -> Interval:
    """Return Wilson's score interval of a share (J. Am. Stat. Assoc. 22, 1927), `n` at least 1."""
    share = successes / n
    shrink = 1 + Z**2 / n
    centre = (share + Z**2 / (2 * n)) / shrink
    half = Z / shrink * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low, high)


def normal(mean: float, deviation: float, n: int) -> Interval | None:
    """Return mean ± 1.96 · deviation / sqrt(n); None for a single value, which says nothing about its spread."""
    if n < 2:
        return None
    half = Z * deviation / math.sqrt(n)
    return Interval(mean - half, mean + half)


def median_ranks(n: int) -> tuple[int, int] | None:
    """Return which of n values, from the least counted from 1, lie at the ends of the interval of their median.

    Whatever the distribution, how many of them lie below the median is binomial with one half, so that the interval
    holds the median with at least 95 % (Conover, Practical Nonparametric Statistics, 1999, section 3.2). None where
    the least and the greatest of so few values hold it with less.
    """
    from scipy.special import bdtr  # imported here because it takes a tenth of a second

    below = bdtr(range(n // 2 + 1), n, 0.5)
    low = int((below <= 0.025).sum())
    return (low, n + 1 - low) if low else None
