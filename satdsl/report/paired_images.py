"""Bound a sum of measured means, of which some have only a prefix of their images, by what each image adds to it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satdsl.report.confidence_sequence import Block, Population, mean_bounds
from satdsl.report.prefixes import Prefix
from satdsl.report.results import Measured, Sample
from satdsl.report.uncertainty import PSEUDO_IMAGES, Term, image_variance


@dataclass(frozen=True)
class Range:
    """Where a number lies."""

    low: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Range:
        """Return where the number times a factor lies."""
        ends = sorted((self.low * factor, self.high * factor))
        return Range(*ends)

    @property
    def squared(self) -> Range:
        """Where its square lies."""
        ends = sorted((self.low**2, self.high**2))
        return Range(0.0 if self.low <= 0 <= self.high else ends[0], ends[1])


NOTHING = Range(0.0, 0.0)


class Means:
    """A sum of measured means, each times its slope."""

    def __init__(self, slopes: Mapping[Term, float], results: Sequence[Measured]) -> None:
        terms = [_Mean(slope, results[term]) for term, slope in slopes.items() if slope]
        self._paired = _paired([one for one in terms if one.prefix is not None])
        whole: dict[str, list[_Mean]] = defaultdict(list)
        for one in terms:
            if one.prefix is None and not any(group.take(one) for group in self._paired):
                whole[one.universe].append(one)
        self._whole = dict(whole)
        self.now = sum(one.slope * one.value for one in terms)

    def where(self, error: float) -> Range:
        """Return where the sum lies, wrong with at most the probability `error`, however often one looks."""
        whole = sum(one.slope * one.value for terms in self._whole.values() for one in terms)
        found = Range(whole, whole)
        for group in self._paired:
            found += group.mean(error / len(self._paired))
        return found

    def variance(self, total: Range, error: float) -> Range:
        """Return where the sum's variance by its images lies, see `uncertainty`, if the sum lies in `total`."""
        by_universe: dict[str, list[Range]] = defaultdict(list)
        pseudo = NOTHING
        alone = len(self._paired) == 1 and not self._whole
        for group in self._paired:
            spreads, added = group.variance(total if alone else None, error / len(self._paired))
            by_universe[group.universe] += spreads
            pseudo += added
        for universe, terms in self._whole.items():
            slopes = dict(enumerate(one.slope for one in terms))
            known = image_variance(slopes, {i: one.sample for i, one in enumerate(terms) if one.sample is not None})
            by_universe[universe].append(Range(known, known))
        return sum(map(_together, by_universe.values()), pseudo)

    @property
    def n(self) -> int:
        """How many images of those groups are measured of which the least share is."""
        return self._least.n if self._paired else 0

    @property
    def of(self) -> int:
        """How many images these groups have."""
        return int(self._least.sizes.sum()) if self._paired else 0

    @property
    def _least(self) -> _Paired:
        return min(self._paired, key=lambda group: group.n / group.sizes.sum())


def _together(variances: Sequence[Range]) -> Range:
    """Return where the variance of a sum lies whose parts, over the same images, have these: Minkowski's inequality."""
    if len(variances) == 1:
        return variances[0]
    roots = [Range(math.sqrt(one.low), math.sqrt(one.high)) for one in variances]
    high = sum(one.high for one in roots)
    low = max(one.low - (high - one.high) for one in roots)
    return Range(max(0.0, low) ** 2, high**2)


@dataclass(frozen=True, eq=False)
class _Mean:
    """A measured mean in a sum: over all its images, or over a prefix of them."""

    slope: float
    measured: Measured

    @property
    def prefix(self) -> Prefix | None:
        return self.measured.prefix

    @property
    def sample(self) -> Sample | None:
        return self.measured.sample

    @property
    def value(self) -> float:
        assert self.measured.value is not None
        return self.measured.value

    @property
    def universe(self) -> str:
        part = self.measured.source.part
        return f"{part.data}/{part.base}"

    def of_images(self, index: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return which of some images it has a value of, and these values, 0 for the others."""
        if self.prefix is not None:
            own, values = self.prefix.index, self.prefix.values
        else:
            assert self.sample is not None
            own, values = self.sample.images.index, self.sample.values
        places = np.searchsorted(own, index).clip(max=len(own) - 1)
        there = own[places] == index
        return there, np.where(there, values[places], 0).astype(float)


def _paired(terms: Sequence[_Mean]) -> list[_Paired]:
    """Group means over prefixes by data set, where they agree on how many images a class has that they share."""
    groups: list[_Paired] = []
    for one in terms:
        assert one.prefix is not None
        fitting = (group for group in groups if group.universe == one.universe and group.fits(one.prefix.sizes))
        group = next(fitting, None)
        if group is None:
            groups.append(_Paired(one.universe, one.prefix.sizes))
            group = groups[-1]
        group.add(one, one.prefix.sizes)
    return groups


class _Paired:
    """Means over images of one data set, each over all images of some classes, of which a prefix is measured."""

    def __init__(self, universe: str, sizes: NDArray[np.int64]) -> None:
        self.universe = universe
        self.sizes = sizes
        self._terms: list[tuple[_Mean, NDArray[np.int64]]] = []

    def fits(self, sizes: NDArray[np.int64]) -> bool:
        """Return whether each class that both have has as many images in both."""
        return bool(((sizes == self.sizes) | (sizes == 0) | (self.sizes == 0)).all())

    def add(self, one: _Mean, sizes: NDArray[np.int64]) -> None:
        """Add a mean over all images, of these `sizes`, of the classes of which there is any."""
        self._terms.append((one, sizes))
        self.sizes = np.maximum(self.sizes, sizes)

    def take(self, one: _Mean) -> bool:
        """Add a mean over whole classes all of whose images are measured; else return False."""
        assert one.sample is not None
        if one.universe != self.universe or one.sample.values.dtype != bool:
            return False
        index, label = self._images()
        there, _ = one.of_images(index)
        classes = len(self.sizes)
        inside = np.bincount(label[there], minlength=classes)
        outside = np.bincount(label[~there], minlength=classes)
        sizes = np.where(inside > 0, self.sizes, 0)
        if (inside * outside).any() or sizes.sum() != len(one.sample.images.index):
            return False
        self.add(one, sizes)
        return True

    @property
    def n(self) -> int:
        """How many images are measured of all that need to be."""
        return sum(int(counts.sum()) for counts in (block.counts for block in self._blocks(self._terms)))

    def mean(self, error: float) -> Range:
        """Return where the sum of the means lies."""
        n = self.sizes.sum()
        scales = [one.slope * n / sizes.sum() for one, sizes in self._terms]
        least, greatest = np.zeros(len(self.sizes)), np.zeros(len(self.sizes))
        for scale, (_, sizes) in zip(scales, self._terms, strict=True):
            least += min(scale, 0.0) * (sizes > 0)
            greatest += max(scale, 0.0) * (sizes > 0)
        return _mean(self._blocks(self._terms), Population(self.sizes.astype(float), least, greatest), error)

    def variance(self, total: Range | None, error: float) -> tuple[list[Range], Range]:
        """Return where the variance of each sum over the same images lies, and what the images added contribute."""
        by_images: dict[tuple[int, ...], list[tuple[_Mean, NDArray[np.int64]]]] = defaultdict(list)
        for one, sizes in self._terms:
            by_images[tuple(sizes.tolist())].append((one, sizes))
        spreads, pseudo = [], NOTHING
        for terms in by_images.values():
            spread, added = self._variance(terms, total if len(by_images) == 1 else None, error / len(by_images))
            spreads.append(spread)
            pseudo += added
        return spreads, pseudo

    def _variance(
        self, terms: Sequence[tuple[_Mean, NDArray[np.int64]]], total: Range | None, error: float
    ) -> tuple[Range, Range]:
        """Return the same of means over the same images. `total` is where their sum lies, None where not known."""
        sizes = terms[0][1]
        n = float(sizes.sum())
        slopes = [one.slope for one, _ in terms]
        low, high = sum(min(slope, 0.0) for slope in slopes), sum(max(slope, 0.0) for slope in slopes)
        total = total or Range(low, high)
        blocks = [block.mapped(block.values**2) for block in self._blocks(terms)]
        zero = np.zeros(len(sizes))
        most = zero + max(low**2, high**2)
        squares = _mean(blocks, Population(sizes.astype(float), zero, most), error)
        spread = Range(max(0.0, squares.low - total.squared.high) / n, max(0.0, squares.high - total.squared.low) / n)
        # The ends are low - total and high - total: see `uncertainty`.
        down, up = Range(low - total.high, low - total.low), Range(high - total.high, high - total.low)
        return spread, (down.squared + up.squared).times(PSEUDO_IMAGES / n**2)

    def _images(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the images that any of the prefixes has, and their classes."""
        prefixes = [one.prefix for one, _ in self._terms if one.prefix is not None]
        index, first = np.unique(np.concatenate([one.index for one in prefixes]), return_index=True)
        return index, np.concatenate([one.label for one in prefixes])[first]

    def _blocks(self, terms: Sequence[tuple[_Mean, NDArray[np.int64]]]) -> list[Block]:
        """Return what each image adds to the sum of some of the means, block by block.

        Where the means have come to different places, it goes as far as all of them have. Where they are divided into
        other blocks, a block is what lies between two ends of any: each is a stretch of the one order of the images.
        """
        index, label = self._images()
        n = max(int(np.maximum.reduce([sizes for _, sizes in terms]).sum()), 1)
        known, values = np.zeros(len(index), bool), np.zeros(len(index))
        end, last = np.zeros(len(index)), 1.0
        missing = np.zeros(len(index), bool)
        for one, sizes in terms:
            asked = sizes[label] > 0
            there, found = one.of_images(index)
            known |= asked
            missing |= asked & ~there
            values += np.where(asked, one.slope * n / sizes.sum() * found, 0.0)
            if one.prefix is not None:
                end = np.maximum(end, np.where(asked & there, one.prefix.ends_of(index), 0.0))
                last = min(last, one.prefix.end.max(initial=0.0))
        known &= ~missing & (end <= last)
        label, values, end = label[known], values[known], end[known]
        return [Block.of(values[end == until], label[end == until]) for until in np.unique(end)]


def _mean(blocks: Sequence[Block], population: Population, error: float) -> Range:
    """Return where a mean over all images lies, from the blocks that are measured."""
    if not blocks:
        weights = population.sizes / population.n
        return Range(float(weights @ population.least), float(weights @ population.greatest))
    bounds = mean_bounds(blocks, population, error)
    return Range(*sorted((float(bounds.low[..., -1]), float(bounds.high[..., -1]))))
