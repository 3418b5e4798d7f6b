"""Summarise how far the nearest adversarial images are: their median or mean, with its 95 % interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satdsl.report.intervals import Interval, Z, median_ranks, normal

Distances = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Summary:
    """A value, its interval, and what each image counts as where a claim compares it with others.

    The mean of `influence` is the value; its spread over the root of n is the standard error.
    """

    value: float
    interval: Interval | None
    influence: Distances


def mean(distances: Distances) -> Summary | None:
    """Return the mean; None where nothing was found for an image, whose distance is infinite then."""
    if not np.isfinite(distances).all():
        return None
    value, n = float(distances.mean()), len(distances)
    return Summary(value, normal(value, float(distances.std(ddof=1)) if n > 1 else 0.0, n), distances)


def median(distances: Distances) -> Summary | None:
    """Return the median; None where it is infinite, since nothing was found for half of the images.

    The interval lies between two order statistics. Where a claim compares medians, an image counts as lying above or
    below by so much that the standard error fits that interval: to first order, this is the influence of an image.
    """
    value, n = float(np.median(distances)), len(distances)
    if not math.isfinite(value):
        return None
    ordered, ranks = np.sort(distances), median_ranks(n)
    interval = None
    if ranks is not None and math.isfinite(ordered[ranks[1] - 1]):
        interval = Interval(float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1]))
    error = (interval.high - interval.low) / (2 * Z) if interval is not None else 0.0
    sides = np.sign(distances - value)
    return Summary(value, interval, value + error * math.sqrt(n) * (sides - sides.mean()))
