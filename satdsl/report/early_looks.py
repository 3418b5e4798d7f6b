"""Look at a difference of averages before all images are measured: bounds on what all of them will give.

A claim's verdict, from all images, depends on its difference d and on half of the interval around it, h (see
`uncertainty`): it is clear if |d| > h, and too close to call otherwise. Both are numbers of a finite set of images, so
both are bounded by confidence sequences from the images measured so far. If all that lies within the bounds has the
same verdict, that is the verdict, wrong with at most the probability `ERROR` for a claim, however often one looks.

Results over images of one data set are compared image by image: z is what an image adds to the difference. Its mean is
the difference, and the mean of its square bounds h. Where seeds are averaged, h also depends on how they differ; each
one's distance from their mean is a difference of such averages as well.

The error is divided (the union bound): among the parts of a claim, and in each among what has to be bounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from satdsl.report.intervals import Z
from satdsl.report.paired_images import NOTHING, Means, Range
from satdsl.report.results import Measured
from satdsl.report.uncertainty import Estimate, Spread

ERROR = 0.05
"""The probability that a claim's verdict from some of the images is another than that from all of them."""

FOR_SQUARES, FOR_SPREADS = 0.1, 0.1
"""Shares of the error: of the bounds on how images differ and on how seeds do. The difference has the rest."""

_MOST_SPREADS = 8
"""Of more groups of draws, only the fewest degrees of freedom of any is used."""


@dataclass(frozen=True)
class Look:
    """What some of the images say of a difference from all: where it lies, and where half of its interval lies."""

    difference: Range
    half: Range
    n: int
    of: int

    @property
    def sign(self) -> int | None:
        """Return 1 or -1 if the difference is clear in this direction, 0 if too close to call, None if not known."""
        if self.difference.low > self.half.high:
            return 1
        if self.difference.high < -self.half.high:
            return -1
        if max(abs(self.difference.low), abs(self.difference.high)) <= self.half.low:
            return 0
        return None


def look(difference: Estimate, results: Sequence[Measured], error: float) -> Look:
    """Return what is known of a difference that some of its measured means have only a prefix of."""
    means = Means(difference.slopes, results)
    constant = difference.value - means.now
    for_spreads = FOR_SPREADS if difference.draws else 0.0
    summed = means.where(error * (1 - FOR_SQUARES - for_spreads))
    images = means.variance(summed, error * FOR_SQUARES)
    contrasts = sum(len(spread.draws) for spread in difference.draws)
    between = [_between(spread, results, error * for_spreads / contrasts) for spread in difference.draws]
    return Look(summed + Range(constant, constant), half_width_range(images, between), means.n, means.of)


def half_width_range(images: Range, spreads: Sequence[tuple[Range, int]]) -> Range:
    """Return where half of the interval lies, from where the variance by images and those between draws do.

    The multiplier is Student's with the degrees of freedom of Welch and Satterthwaite, see `uncertainty.half_width`:
    the square of a sum of variances by a sum of squares. Its root is linear by a norm, so it is least at a corner.
    """
    low = math.sqrt(images.low + sum(one.low for one, _ in spreads))
    high = math.sqrt(images.high + sum(one.high for one, _ in spreads))
    if not any(one.high > 0 for one, _ in spreads):
        return Range(Z * low, Z * high)
    from scipy.special import stdtrit  # imported here because it takes a tenth of a second

    if len(spreads) > _MOST_SPREADS:
        degrees: float = min(degrees for _, degrees in spreads)
    else:
        degrees = min(_degrees(corner, spreads) for corner in _corners(images, spreads))
    multiplier = float(stdtrit(degrees, 0.975)) if math.isfinite(degrees) else Z
    return Range(Z * low, multiplier * high)


def _corners(images: Range, spreads: Sequence[tuple[Range, int]]) -> Iterator[tuple[float, ...]]:
    return product(*((one.low, one.high) for one in (images, *(spread for spread, _ in spreads))))


def _degrees(corner: Sequence[float], spreads: Sequence[tuple[Range, int]]) -> float:
    doubt = sum(variance**2 / degrees for variance, (_, degrees) in zip(corner[1:], spreads, strict=True))
    return sum(corner) ** 2 / doubt if doubt else math.inf


def _between(spread: Spread, results: Sequence[Measured], error: float) -> tuple[Range, int]:
    """Return where the variance of the mean of some draws lies, and its degrees of freedom."""
    terms = {term for draw in spread.draws for term in draw}
    mean = {term: sum(draw.get(term, 0.0) for draw in spread.draws) / len(spread.draws) for term in terms}
    squares = NOTHING
    for draw in spread.draws:
        apart = {term: draw.get(term, 0.0) - mean[term] for term in terms}
        squares += Means(apart, results).where(error).squared
    # Constants are the same in all draws of one thing, and drop out.
    return squares.times(spread.factor / spread.degrees), spread.degrees
