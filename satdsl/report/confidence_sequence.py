"""Bound the mean over all images from those that are measured, however often one looks: a confidence sequence.

The images of an evaluation are measured in blocks of one order that is drawn once: class by class at random, in which
every block has of each class its share of all (`ir.blocks`). What is measured is a sample without replacement from a
finite set, and only its mean over all n images is asked for, not what other images would give.

**The bet.** To test whether the mean is at most m, one unit of capital is bet on block after block. Before a block, of
R images that are left, their mean would be mu = (n m - sum so far) / R, as in Waudby-Smith and Ramdas, "Estimating
means of bounded random variables by betting" (J. R. Stat. Soc. B 86, 2024), section 5, equation (33), and "Confidence
sequences for sampling without replacement" (NeurIPS 2020), section 2. An image of value Y, at least `least`, multiplies
the capital by

    1 + bet (Y - mu) / (mu - least),    0 < bet < 1.

The capital is the mean over the capitals of several bets (the method of mixtures, there section 4.2 and appendix B). It
is a nonnegative supermartingale from block to block if the mean is at most m, so that by Ville's inequality it ever
reaches 1 / error with a probability of at most `error`: all m that make it that large are excluded, for good, and at
every look. It falls as m grows, so that the bound is found by bisection. The upper bound is the lower one of -Y.

**Why a class-balanced order is no harm.** One image is not drawn from all that are left, but from those of its class,
so that the factor's mean is 1 for no image by itself. It is at most 1 for a block: let the block have n_c of the N_b
images of class c, a share p_c, which depends on the sizes of the classes alone; let q_c be the class's share of the R
images that are left, and m_c their mean. With r_c = q_c / p_c, Y = r_c (X - a_c) + sum of q a over the classes, where
the a_c are numbers known before the block: the mean of p_c E[Y of class c] over the classes is mu for any a_c. The
factors f(Y) are nonnegative and grow with X, and

1. within a class the values drawn are negatively associated (Joag-Dev and Proschan, Ann. Stat. 11, 1983, theorem 2.11),
   so the mean of the product of their f is at most the product of its means;
2. classes are drawn independently of each other;
3. f is affine, so the mean of f is f of the mean, and the geometric mean of these over the block's images is at most
   the arithmetic one: f(sum of p_c E[Y of class c]) = f(mu) = 1.

Hence the mean of the product over the block is at most 1. (An order that is drawn from all images alike is the case of
one class.) A class of which the block has no image is counted with the least that it can have. The a_c are the means
so far, which takes from the spread what the classes differ by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

BETS = np.array([0.03, 0.08, 0.2, 0.4, 0.7])
"""The shares of what can be lost that are bet: small ones find small differences, large ones large differences soon."""

_SHRINK = 20.0
"""So many images at the mean of all count beside those of a class, where what a class has is guessed."""

_HALVINGS = 24
"""Steps of the bisection: of a range of two, the bound is found to within 1.2e-7, on the cautious side."""

_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Block:
    """A block of images: `counts[..., i]` of them have the value `values[..., i]` and belong to class `classes[i]`.

    The axes before the last are samples beside each other (a simulation's). All of them have as many images of a class.
    """

    values: Numbers
    counts: Numbers
    classes: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[Any], labels: NDArray[np.int64]) -> Block:
        """Return the block of images with these values and labels."""
        rows, counts = np.unique(np.column_stack([labels, values.astype(float)]), axis=0, return_counts=True)
        return cls(rows[:, 1], counts.astype(float), rows[:, 0].astype(np.int64))

    def of_each_class(self, amounts: Numbers, classes: int) -> Numbers:
        """Return the sums of amounts, [..., i], over each class: [..., class]."""
        return amounts @ np.eye(classes)[self.classes]

    def mapped(self, values: Numbers) -> Block:
        """Return the block with other values."""
        return Block(values, self.counts, self.classes)


@dataclass(frozen=True, eq=False)
class Bounds:
    """Two bounds on a number after each block: the last axis is the number of blocks seen, from 1."""

    low: Numbers
    high: Numbers

    def scaled(self, factor: float) -> Bounds:
        """Return the bounds on the number times a factor."""
        low, high = self.low * factor, self.high * factor
        return Bounds(low, high) if factor >= 0 else Bounds(high, low)

    def plus(self, other: Bounds) -> Bounds:
        """Return bounds on the sum of both numbers."""
        return Bounds(self.low + other.low, self.high + other.high)


@dataclass(frozen=True, eq=False)
class Population:
    """All images: how many of each class, and the least and the greatest value that one of a class can have."""

    sizes: Numbers
    least: Numbers
    greatest: Numbers

    @property
    def n(self) -> float:
        return float(self.sizes.sum())

    def mirrored(self) -> Population:
        """Return the images with minus their values."""
        return Population(self.sizes, -self.greatest, -self.least)


def mean_bounds(blocks: Sequence[Block], population: Population, error: float) -> Bounds:
    """Return bounds on the mean over all images, after each of the blocks.

    That any of them ever fails to hold it has at most the probability `error`.
    """
    low = _lower_bounds(blocks, population, error / 2)
    high = _lower_bounds([block.mapped(-block.values) for block in blocks], population.mirrored(), error / 2)
    return Bounds(low, -high)


def log_capital(blocks: Sequence[Block], population: Population, mean: Numbers) -> Numbers:
    """Return the logarithm of the capital won on the blocks from whoever says that the mean is at most this."""
    bets = _bets(blocks, population)
    return bets.log_capital(population.n, mean, bets.values.shape[-1])


@dataclass(frozen=True, eq=False)
class _Bets:
    """The images of all blocks as they are bet on, [..., i]: their values Y, and what is known before their blocks."""

    values: Numbers
    counts: Numbers
    least: Numbers
    """The least that Y can be."""
    total: Numbers
    """The sum of the values of all images before."""
    left: Numbers
    """How many images are left."""
    ends: tuple[int, ...]
    """Where each block's images end."""

    def log_capital(self, n: float, mean: Numbers, end: int) -> Numbers:
        """Return the logarithm of the capital after the first images, over all bets alike, if `mean` is that of all.

        A mean that the values seen rule out may give anything.
        """
        expected = (n * mean[..., None] - self.total[..., :end]) / self.left[..., :end]
        room = np.maximum(expected - self.least[..., :end], _TINY)
        gains = (self.values[..., :end] - expected) / room
        logs = (np.log1p(BETS[:, None] * gains[..., None, :]) * self.counts[..., None, :end]).sum(axis=-1)
        largest = logs.max(axis=-1)
        capital: Numbers = largest + np.log(np.exp(logs - largest[..., None]).mean(axis=-1))
        return capital


def _bets(blocks: Sequence[Block], population: Population) -> _Bets:
    seen = np.zeros(len(population.sizes))
    sums = np.zeros(len(population.sizes))
    found: list[tuple[Numbers, ...]] = []
    for block in blocks:
        found.append(_bet(block, population, seen, sums))
        seen = seen + _per_class(block, len(seen))
        sums = sums + block.of_each_class(block.values * block.counts, len(seen))
    values, counts, least, total, left = (np.concatenate(one, axis=-1) for one in zip(*found, strict=True))
    ends = accumulate(one[0].shape[-1] for one in found)
    return _Bets(values, counts, least, total, left, tuple(ends))


def _lower_bounds(blocks: Sequence[Block], population: Population, error: float) -> Numbers:
    """Return the lower bound on the mean over all images after each block."""
    n, sizes = population.n, population.sizes
    bets = _bets(blocks, population)
    seen, total = np.zeros(len(sizes)), np.zeros(())
    bounds: list[Numbers] = []
    best: Numbers = np.array((sizes * population.least).sum() / n)
    for block, end in zip(blocks, bets.ends, strict=True):
        seen = seen + _per_class(block, len(sizes))
        total = total + (block.values * block.counts).sum(axis=-1)
        left = sizes - seen
        least, most = (total + (left * ends).sum() for ends in (population.least, population.greatest))
        best = _excluded_up_to(bets, end, n, np.maximum(best, least / n), most / n, error)
        bounds.append(best)
    return np.stack(bounds, axis=-1)


def _per_class(block: Block, classes: int) -> Numbers:
    """Return how many images of each class a block has: as many in all of the samples beside each other."""
    found: Numbers = block.of_each_class(block.counts, classes).reshape(-1, classes)[0]
    return found


def _bet(block: Block, population: Population, seen: Numbers, sums: Numbers) -> tuple[Numbers, ...]:
    """Return a block's images as they are bet on, the first columns of `_Bets`.

    Before it `seen` images of each class were measured, with these sums of values.
    """
    left = population.sizes - seen
    every = left.sum()
    q = left / every
    drawn = _per_class(block, len(left))
    there = drawn > 0
    weight = np.where(there, q * drawn.sum() / np.maximum(drawn, 1), 0.0)
    centre = _centres(population, seen, sums)
    # Classes that the block has no image of are counted with the least that they can have.
    shift = (q * np.where(there, centre, population.least)).sum(axis=-1, keepdims=True)
    values = weight[block.classes] * (block.values - centre[..., block.classes]) + shift
    ends = np.where(there, weight * (population.least - centre), np.inf)
    least = ends.min(axis=-1, keepdims=True) + shift
    total = sums.sum(axis=-1, keepdims=True)
    columns = np.broadcast_arrays(values, block.counts, least, total, every)
    return tuple(columns)


def _centres(population: Population, seen: Numbers, sums: Numbers) -> Numbers:
    """Return the value that is expected of an image of each class, from what is seen before a block."""
    zero = np.clip(0.0, population.least, population.greatest)
    n = seen.sum()
    overall = (sums.sum(axis=-1, keepdims=True) / n) + 0 * zero if n else zero + 0 * sums
    guessed = (sums + _SHRINK * overall) / (seen + _SHRINK)
    centres: Numbers = np.clip(guessed, population.least, population.greatest)
    return centres


def _excluded_up_to(bets: _Bets, end: int, n: float, low: Numbers, high: Numbers, error: float) -> Numbers:
    """Return the largest mean between two bounds up to which all are excluded; `low` where none is."""
    threshold = math.log(1 / error)
    low, high = np.broadcast_arrays(low, high)
    if (bets.log_capital(n, low, end) < threshold).all():
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        out = bets.log_capital(n, middle, end) >= threshold
        low, high = np.where(out, middle, low), np.where(out, high, middle)
    return low
