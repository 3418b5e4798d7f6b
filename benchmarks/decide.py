"""Simulate `run --decide`: how often an early verdict is not that of all images, and how many images it needs.

Pairs of networks are made up, image by image: how often exactly one of the two withstands the attack, and by how many
points they differ. Each repetition draws other images and another order; after each block the claim that the first is
better is looked at. A verdict is wrong if it is not the one that all images give. Nothing is trained or attacked:

    python benchmarks/decide.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import timing
from numpy.typing import NDArray
from timing import RESULTS

from satdsl.ir import blocks as order
from satdsl.report.confidence_sequence import Block, Bounds, Population, mean_bounds
from satdsl.report.early_looks import ERROR, FOR_SPREADS, FOR_SQUARES, half_width_range
from satdsl.report.intervals import Z
from satdsl.report.paired_images import Range
from satdsl.report.uncertainty import PSEUDO_IMAGES, Estimate, Spread, half_width

IMAGES = {287: 5, 1000: 8, 9000: 20}
"""Numbers of images, each with the number of blocks that AutoAttack's evaluations of so many are divided into."""

POINTS = (0, 1, 2, 5, 10)
"""By how many points two networks differ."""

ONE_ALONE = {"alike": 0.05, "unlike": 0.25}
"""On what share of images, beside the difference, one of two networks alone is right."""

TOGETHER = 1000
"""Repetitions that are computed at once."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """What the repetitions of a setting gave: which verdicts were wrong, and the share of images that each needed."""

    wrong: NDArray[np.bool_]
    share: Numbers

    @property
    def passes(self) -> float:
        """By how many times fewer images are attacked, all repetitions together."""
        return 1 / float(self.share.mean())

    @property
    def cells(self) -> tuple[str, str, str]:
        """The share that is wrong, the images that half of the repetitions need, and how many times fewer they are."""
        return f"{self.wrong.mean():.2%}", f"{np.median(self.share):.0%}", f"{self.passes:.1f}"


# --- one pair of networks ------------------------------------------------------------------------


def pairs(n: int, points: float, alone: float, repeated: int, rng: np.random.Generator) -> Found:
    """Decide whether one network is better than another, each repetition with images of its own."""
    parts = [_pairs(n, points, alone, min(TOGETHER, repeated - k), rng) for k in range(0, repeated, TOGETHER)]
    return Found(np.concatenate([one.wrong for one in parts]), np.concatenate([one.share for one in parts]))


def _pairs(n: int, points: float, alone: float, repeated: int, rng: np.random.Generator) -> Found:
    ends = [k * n // IMAGES[n] for k in range(IMAGES[n] + 1)]
    better, worse = alone / 2 + points / 100, alone / 2
    values, found = np.array([1.0, -1.0, 0.0]), []
    for first, last in pairwise(ends):
        counts = rng.multinomial(last - first, [better, worse, 1 - better - worse], size=repeated)
        found.append(Block(np.tile(values, (repeated, 1)), counts.astype(float), np.zeros(3, np.int64)))
    one, zero = np.ones(1), np.zeros(1)
    where = mean_bounds(found, Population(one * n, -one, one), ERROR * (1 - FOR_SQUARES))
    squares = mean_bounds(
        [block.mapped(block.values**2) for block in found], Population(one * n, zero, one), ERROR * FOR_SQUARES
    )
    least, most = _half_widths(where, squares, n)
    early = _signs(where, least, most)
    total = np.sum([block.counts for block in found], axis=0)
    return _compared(early, _sign_of_all(total, n), np.array(ends[1:]) / n)


def _half_widths(where: Bounds, squares: Bounds, n: int) -> tuple[Numbers, Numbers]:
    """Return bounds on half of the interval that all images give, as `paired_images` does, for many at once."""
    largest = np.maximum(where.low**2, where.high**2)
    smallest = np.where((where.low <= 0) & (where.high >= 0), 0.0, np.minimum(where.low**2, where.high**2))
    added = PSEUDO_IMAGES * 2 / n**2
    low = np.maximum(squares.low - largest, 0) / n + added * (1 + smallest)
    high = np.maximum(squares.high - smallest, 0) / n + added * (1 + largest)
    return Z * np.sqrt(low), Z * np.sqrt(high)


def _signs(where: Bounds, least: Numbers, most: Numbers) -> Numbers:
    """Return after each block 1 or -1 for a clear difference, 0 for too close to call, NaN for none of these yet."""
    close = np.maximum(abs(where.low), abs(where.high)) <= least
    return np.where(where.low > most, 1.0, np.where(where.high < -most, -1.0, np.where(close, 0.0, np.nan)))


def _sign_of_all(total: Numbers, n: int) -> Numbers:
    """Return the same from all images, by the formula of a full run."""
    mean, square = (total[:, 0] - total[:, 1]) / n, (total[:, 0] + total[:, 1]) / n
    half = Z * np.sqrt((square - mean**2) / n + PSEUDO_IMAGES * 2 * (1 + mean**2) / n**2)
    return np.where(abs(mean) > half, np.sign(mean), 0.0)


def _compared(early: Numbers, whole: Numbers, shares: Numbers) -> Found:
    """Compare the first verdict of each repetition with that of all its images."""
    known = ~np.isnan(early)
    first = np.where(known.any(axis=-1), known.argmax(axis=-1), len(shares) - 1)
    verdict = np.take_along_axis(early, first[:, None], axis=-1)[:, 0]
    return Found(~np.isnan(verdict) & (verdict != whole), shares[first])


# --- means of several networks -------------------------------------------------------------------


def seeds(n: int, points: float, draws: int, repeated: int, rng: np.random.Generator) -> Found:
    """Decide whether the mean of several networks is better than that of as many others.

    Whether a network is right is decided by how hard an image is for all (three quarters of the variance) and for it.
    Networks of one kind differ by a standard deviation of about one point.
    """
    parts = [_seeds(n, points, draws, min(50, repeated - k), rng) for k in range(0, repeated, 50)]
    return Found(np.concatenate([one.wrong for one in parts]), np.concatenate([one.share for one in parts]))


def _seeds(n: int, points: float, draws: int, repeated: int, rng: np.random.Generator) -> Found:
    hard = rng.standard_normal((repeated, n, 1), dtype=np.float32)
    own = rng.standard_normal((repeated, n, 2 * draws), dtype=np.float32)
    level = rng.normal(0, 0.025, (repeated, 1, 2 * draws)) + np.repeat([0.025 * points, 0.0], draws)
    right = np.sqrt(0.75) * hard + 0.5 * own < level
    ends = [k * n // IMAGES[n] for k in range(IMAGES[n] + 1)]
    error = ERROR * (1 - FOR_SQUARES - FOR_SPREADS)
    sums = right[..., :draws].sum(axis=-1) - right[..., draws:].sum(axis=-1)  # -draws .. draws
    whole = np.arange(-draws, draws + 1)
    where = _bounds(sums, whole / draws, -draws, ends, error)
    squares = _bounds(abs(sums), (np.arange(draws + 1) / draws) ** 2, 0, ends, ERROR * FOR_SQUARES)
    spreads = [_between(right[..., side], ends, ERROR * FOR_SPREADS / (2 * draws)) for side in _sides(draws)]
    early, truth = np.full((repeated, IMAGES[n]), np.nan), np.zeros(repeated)
    for k in range(repeated):
        for block in range(IMAGES[n]):
            total = Range(where.low[k, block], where.high[k, block])
            least, most = _half_widths(_at(where, k, block), _at(squares, k, block), n)
            images = Range((float(least) / Z) ** 2, (float(most) / Z) ** 2)
            between = [(Range(one.low[k, block], one.high[k, block]), draws - 1) for one in spreads]
            half = half_width_range(images, between)
            early[k, block] = _signs(Bounds(np.array(total.low), np.array(total.high)), half.low, half.high)
        truth[k] = _sign_of_draws(right[k], sums[k] / draws, draws)
    return _compared(early, truth, np.array(ends[1:]) / n)


def _sides(draws: int) -> tuple[slice, slice]:
    return slice(0, draws), slice(draws, 2 * draws)


def _at(bounds: Bounds, sample: int, block: int) -> Bounds:
    return Bounds(bounds.low[sample, block], bounds.high[sample, block])


def _bounds(numbers: NDArray[np.integer], values: Numbers, least: int, ends: list[int], error: float) -> Bounds:
    """Return bounds on the mean of `values`, of which each image has the one at place `numbers` - `least`."""
    found = []
    for first, last in pairwise(ends):
        counts = np.stack([(numbers[:, first:last] == least + k).sum(axis=1) for k in range(len(values))], axis=-1)
        tiled = np.tile(values, (len(numbers), 1)).astype(float)
        found.append(Block(tiled, counts.astype(float), np.zeros(len(values), np.int64)))
    ones = np.ones(1)
    return mean_bounds(found, Population(ones * ends[-1], ones * values.min(), ones * values.max()), error)


def _between(right: NDArray[np.bool_], ends: list[int], error: float) -> Bounds:
    """Return bounds on the variance of the mean of some networks."""
    draws, every = right.shape[-1], right.sum(axis=-1)
    low, high = np.zeros(()), np.zeros(())
    for one in range(draws):
        apart = right[..., one] * draws - every  # by how many times 1/draws it lies above the mean
        values = np.arange(-draws, draws + 1) / draws
        found = _bounds(apart, values, -draws, ends, error)
        inside = (found.low <= 0) & (found.high >= 0)
        low = low + np.where(inside, 0.0, np.minimum(found.low**2, found.high**2))
        high = high + np.maximum(found.low**2, found.high**2)
    return Bounds(low / (draws * (draws - 1)), high / (draws * (draws - 1)))


def _sign_of_draws(right: NDArray[np.bool_], z: Numbers, draws: int) -> float:
    """Return what all images give, with the interval of a full run."""
    n, mean = len(z), float(z.mean())
    images = float(z.var()) / n + PSEUDO_IMAGES * 2 * (1 + mean**2) / n**2
    between = [Spread(float(right[:, side].mean(axis=0).var(ddof=1)) / draws, draws - 1) for side in _sides(draws)]
    known = Spread(images, 10**9)  # that by images counts as known
    half = half_width(Estimate(mean, {}, (known, *between)), {})
    return float(np.sign(mean)) if abs(mean) > half else 0.0


# --- classes that are arranged against it --------------------------------------------------------


def arranged(n: int, repeated: int, rng: np.random.Generator) -> float:
    """Return how often the bounds miss the mean of images whose class decides the difference, in a balanced order."""
    labels = rng.permutation(np.repeat(np.arange(10), [n - 9 * (n // 12), *[n // 12] * 9])).tolist()
    values = np.where(np.array(labels) % 2, 0.95, -0.9)
    right = rng.random(n) < abs(values)
    z = np.sign(values) * right
    places = np.array(order.order(labels, list(range(n))))
    label = np.array(labels)
    ends = [k * n // IMAGES[n] for k in range(IMAGES[n] + 1)]
    sizes = np.bincount(label, minlength=10).astype(float)
    ones = np.ones(10)
    blocks = [np.zeros((repeated, 30)) for _ in ends[1:]]
    for k in range(repeated):
        shuffled = z.copy()
        for klass in range(10):  # the order within a class is drawn, the sequence of classes stays
            own = np.flatnonzero(label == klass)
            shuffled[own] = rng.permutation(z[own])
        code = 3 * label[places] + shuffled[places].astype(int) + 1
        for block, (first, last) in enumerate(pairwise(ends)):
            blocks[block][k] = np.bincount(code[first:last], minlength=30)
    tiled = np.tile([-1.0, 0.0, 1.0], (repeated, 10))
    found = [Block(tiled, counts, np.repeat(np.arange(10), 3)) for counts in blocks]
    bounds = mean_bounds(found, Population(sizes, -ones, ones), ERROR)
    missed = (bounds.low > z.mean() + 1e-9) | (bounds.high < z.mean() - 1e-9)
    return float(missed.any(axis=-1).mean())


# --- the page ------------------------------------------------------------------------------------


def page(options: argparse.Namespace) -> Iterator[str]:
    """Simulate, and give the lines of the page."""
    rng = np.random.default_rng(options.seed)
    yield "# Verdicts with fewer attacks"
    yield ""
    yield from timing.paragraph(
        "Written by `benchmarks/decide.py`: made-up pairs of networks, of which `run --decide` is asked whether the "
        f"first is better. Each line is {options.repeated:,} repetitions, each with other images in another order, "
        "looked at after every block until the verdict is certain. *Wrong* is a verdict that is not the one that all "
        f"images give; at most {ERROR:.0%} is what is promised. *One alone* is on how many images exactly one of the "
        "two networks is right. *Times fewer* is all images over those attacked."
    )
    yield ""
    rows, worst, reached = [], 0.0, []
    for n in options.images:
        for points in POINTS:
            for name, beside in ONE_ALONE.items():
                found = pairs(n, points, beside, options.repeated, rng)
                worst = max(worst, float(found.wrong.mean()))
                if (n, points) == (9000, 5):
                    reached.append((name, found.passes))
                rows.append((f"{n:,}", str(points), f"{beside + points / 100:.0%}", *found.cells))
                print(*rows[-1], flush=True)
    heads = ("images", "points", "one alone", "wrong", "images needed (median)", "times fewer")
    yield from timing.table(heads, rows)
    yield ""
    yield f"The largest share of wrong verdicts is **{worst:.2%}**; aim at most 5 %: {_verdict(worst <= 0.05)}."
    for name, passes in reached:
        yield f"Where 9,000 images differ by 5 points, networks that are {name}: **{passes:.1f} times fewer** images"
        yield f"are attacked; aim 5: {_verdict(passes >= 5)}."
    yield ""
    yield from _of_seeds(options, rng)
    yield from _of_classes(options, rng)


def _of_seeds(options: argparse.Namespace, rng: np.random.Generator) -> Iterator[str]:
    yield "## Means over seeds"
    yield ""
    yield from timing.paragraph(
        "The mean of as many networks on either side. How seeds differ widens the interval of a full run, and how they "
        "differ on all images is not known before all are measured, so that more images are needed than for a pair."
    )
    yield ""
    rows = []
    for n in options.images:
        for draws in options.draws:
            for points in (0, 5, 10):
                found = seeds(n, points, draws, options.repeated_seeds, rng)
                rows.append((f"{n:,}", str(draws), str(points), f"{options.repeated_seeds:,}", *found.cells))
                print(*rows[-1], flush=True)
    heads = ("images", "seeds", "points", "repetitions", "wrong", "images needed (median)", "times fewer")
    yield from timing.table(heads, rows)
    yield ""


def _of_classes(options: argparse.Namespace, rng: np.random.Generator) -> Iterator[str]:
    yield "## Classes arranged against it"
    yield ""
    yield from timing.paragraph(
        "Ten classes of different sizes in the order of `ir.blocks`, in five of which the first network alone is right "
        "on 95 % of the images, and in five the second alone on 90 %. How often a bound ever misses the mean of all:"
    )
    yield ""
    rows = [(f"{n:,}", f"{options.repeated:,}", f"{arranged(n, options.repeated, rng):.2%}") for n in options.images]
    yield from timing.table(("images", "repetitions", "missed"), rows)
    yield ""


def _verdict(reached: bool) -> str:
    return "reached" if reached else "missed"


def main() -> None:
    """Simulate, print, and write the result page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeated", type=int, default=10_000, help="repetitions of each pair")
    parser.add_argument("--repeated-seeds", type=int, default=2_000, help="repetitions of each mean over seeds")
    parser.add_argument("--draws", type=int, nargs="+", default=[2, 3, 5], help="networks on either side of a mean")
    parser.add_argument("--images", type=int, nargs="+", default=list(IMAGES), choices=list(IMAGES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS / "decide.md")
    options = parser.parse_args()
    load = timing.load_average()
    timing.publish(options.output, [*page(options), *timing.machine("cpu", (), load)])


if __name__ == "__main__":
    main()
