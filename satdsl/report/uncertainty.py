"""Estimate how far a number made of measured means is from what endless images and draws would give.

Every measured value is a mean over images. To first order a claim's difference is a sum of such means, each
times its derivative (the delta method). An image moves the difference by the sum of what it moves each mean
by, so results over the same images are compared image by image: for two accuracies the variance is that of
McNemar's test (Psychometrika 12, 1947). Results over different images add their variances. A mean over k
draws adds the variance between the draws over k; where there is a single draw, how another seed would differ
is not known and not counted.

When every image agrees, the variance found is zero, and the claim would look certain. As Agresti and Coull
(Am. Stat. 52, 1998) do for one share and Agresti and Min (Stat. Med. 24, 2005) for a paired difference,
images are added at the extremes of what one image can contribute: z²/2, about two, at either end.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from satdsl.report.intervals import Z
from satdsl.report.results import ImageSet, Sample

Term = int
"""A measured mean, by its place in the list of samples."""

PSEUDO_IMAGES = Z**2 / 2
"""How many images are added at either extreme."""


@dataclass(frozen=True)
class Spread:
    """A variance found from `degrees` + 1 draws, not from images.

    Where it is that of the mean of `draws`, these have their slopes, and `variance` is `factor` times their variance.
    """

    variance: float
    degrees: int
    draws: tuple[Mapping[Term, float], ...] = ()
    factor: float = 0.0

    def scaled(self, factor: float) -> Spread:
        """Return what it is of the number times a factor."""
        return Spread(self.variance * factor**2, self.degrees, self.draws, self.factor * factor**2)


@dataclass(frozen=True)
class Estimate:
    """A value, its derivative by each measured mean in it, and what the draws in it vary by."""

    value: float
    slopes: Mapping[Term, float] = field(default_factory=dict)
    draws: tuple[Spread, ...] = ()

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate times a factor."""
        return Estimate(
            self.value * factor,
            {term: slope * factor for term, slope in self.slopes.items()},
            tuple(spread.scaled(factor) for spread in self.draws),
        )


def combined(value: float, parts: Sequence[tuple[Estimate, float]]) -> Estimate:
    """Return `value` as a function of `parts`, each given with the function's derivative by it."""
    slopes: dict[Term, float] = defaultdict(float)
    draws: list[Spread] = []
    for part, derivative in parts:
        scaled = part.scaled(derivative)
        for term, slope in scaled.slopes.items():
            slopes[term] += slope
        draws.extend(scaled.draws)
    return Estimate(value, dict(slopes), tuple(draws))


def half_width(estimate: Estimate, samples: Mapping[Term, Sample]) -> float:
    """Return half of the 95 % interval around `estimate`, in its unit.

    With few draws the normal distribution's 1.96 becomes Student's t, its degrees of freedom those of Welch
    and Satterthwaite (Biometrics Bull. 2, 1946).
    """
    images = image_variance(estimate.slopes, samples)
    draws = sum(spread.variance for spread in estimate.draws)
    variance = images + draws
    if variance == 0:
        return 0.0
    doubt = sum(spread.variance**2 / spread.degrees for spread in estimate.draws)
    if doubt == 0:
        return Z * math.sqrt(variance)
    from scipy.special import stdtrit  # imported here because it takes a tenth of a second

    return float(stdtrit(variance**2 / doubt, 0.975)) * math.sqrt(variance)


def image_variance(slopes: Mapping[Term, float], samples: Mapping[Term, Sample]) -> float:
    """Return the variance of a sum of measured means, each times its slope, by their images."""
    by_images: dict[str, list[tuple[float, Sample]]] = defaultdict(list)
    for term, slope in slopes.items():
        if slope != 0:
            by_images[samples[term].images.identity].append((slope, samples[term]))
    by_universe: dict[str, list[_Influence]] = defaultdict(list)
    variance = 0.0
    for group in by_images.values():
        influence = _influence(group)
        by_universe[influence.images.universe].append(influence)
        variance += _pseudo_variance(group)
    return variance + sum(_squared(influences) for influences in by_universe.values())


@dataclass(frozen=True)
class _Influence:
    """By how much each image moves the estimate away from its value."""

    images: ImageSet
    moves: NDArray[np.float64]


def _influence(group: Sequence[tuple[float, Sample]]) -> _Influence:
    """Return the influence of the images on several means over them."""
    images = group[0][1].images
    moves = np.zeros(len(images.index))
    for slope, sample in group:
        moves += slope * (sample.values - sample.mean)
    return _Influence(images, moves / len(images.index))


def _pseudo_variance(group: Sequence[tuple[float, Sample]]) -> float:
    """Return what the images added at either extreme of the group's difference contribute."""
    low = high = 0.0
    for slope, sample in group:
        ends = [slope * (end - sample.mean) for end in _range(sample)]
        low += min(ends)
        high += max(ends)
    n = len(group[0][1].images.index)
    return PSEUDO_IMAGES * (low**2 + high**2) / n**2


def _range(sample: Sample) -> tuple[float, float]:
    """Return the least and the greatest value of an image: 0 and 1 if right or wrong, else those observed."""
    if sample.values.dtype == bool:
        return 0.0, 1.0
    return float(sample.values.min()), float(sample.values.max())


def _squared(influences: Sequence[_Influence]) -> float:
    """Return the sum over a data set's images of the square of all they move; the sets may overlap."""
    if len(influences) == 1:
        return float(np.square(influences[0].moves).sum())
    everywhere = np.unique(np.concatenate([influence.images.index for influence in influences]))
    moves = np.zeros(len(everywhere))
    for influence in influences:
        moves[np.searchsorted(everywhere, influence.images.index)] += influence.moves
    return float(np.square(moves).sum())
