"""Make splits of the small data sets: counts are scaled, thresholds leave no subset empty, files are replaced.

No subset that has images becomes empty, and subsets that are disjoint stay so: counts are scaled by a function that
grows with the count, and the easiest k of n are those that the hardest n - k leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from satdsl.ir import batches
from satdsl.ir.draws import count
from satdsl.ir.experiment import Dataset, SplitDefinition
from satdsl.ir.steps import (
    Combined,
    Everything,
    ImageWeights,
    Listed,
    Nothing,
    OfClasses,
    Origin,
    Pick,
    Ranking,
    Rest,
    Subset,
    Where,
)

HARD = (">", ">=", "!=")
"""Comparisons that take the high scores; the others take the low ones."""

SURE = 10
"""One in so many images is on the hard side of every threshold, and as many on the easy side."""


def small(split: SplitDefinition, real: Dataset, data: Dataset) -> SplitDefinition:
    """Return the split of a data set, `real`, for the small `data`. Loss weights that are known stay the same."""
    found = [part for subset in split.subsets for part in parts(subset)]
    files = dict.fromkeys(part.digest for part in found if isinstance(part, Listed))
    reader = _Reader(real, data, list(files), [part for part in found if isinstance(part, Origin)])
    subsets = [reader.subset(subset) for subset in split.subsets]
    alone = [i for i, subset in enumerate(split.subsets) if isinstance(subset, Listed)]
    if alone and not any(isinstance(subset, Rest) for subset in subsets):
        subsets[alone[-1]] = Rest()
    weights = tuple(1.0 if isinstance(weight, ImageWeights) else weight for weight in split.weights)
    every, sizes, shares = None if split.every is None else 1, _sizes(subsets, data), _shares(split.shares)
    return replace(split, subsets=tuple(subsets), sizes=sizes, weights=weights, every=every, shares=shares)


def _shares(given: tuple[float | None, ...]) -> tuple[float | None, ...]:
    """Return shares of which none is so small that a small epoch has no image of its subset; 0 stays 0."""
    left = batches.PARTS - sum(batches.parts(share) for share in given if share is not None)
    above = [share for share in given if share]
    least = min([*above, *([left / batches.PARTS] if left else [])], default=1.0)
    if least * SURE >= 1:
        return given
    even = batches.parts(1 / (len(above) + (left > 0)))
    first = batches.PARTS - even * (len(above) - 1) if not left else even
    parts = iter([first, *[even] * (len(above) - 1)])
    return tuple(next(parts) / batches.PARTS if share else share for share in given)


def parts(subset: Subset) -> Iterator[Subset]:
    """Give a definition and the definitions in it."""
    yield subset
    inside: tuple[Subset | None, ...] = ()
    if isinstance(subset, Combined):
        inside = subset.left, subset.right
    elif isinstance(subset, Pick):
        inside = (subset.within,)
    yield from chain.from_iterable(parts(one) for one in inside if one is not None)


def lists(subsets: Sequence[Subset]) -> list[Listed]:
    """Return the lists of images that are read from files."""
    return [part for subset in subsets for part in parts(subset) if isinstance(part, Listed)]


def rankings(subsets: Sequence[Subset]) -> list[Ranking]:
    """Return the rankings that are used."""
    found = (part.ranking for subset in subsets for part in parts(subset) if isinstance(part, (Pick, Where)))
    return [ranking for ranking in found if ranking is not None]


def _from_file(ranking: Ranking | None) -> bool:
    return ranking is not None and ranking.digest is not None


class _Reader:
    def __init__(self, real: Dataset, data: Dataset, files: list[str], origins: Sequence[Origin]) -> None:
        self.real, self.data, self.files = real, data, files
        self.total = data.train or 0
        self.cuts = sorted({0, real.whole or 0, *(end for one in origins for end in (one.start, one.end))})

    def subset(self, given: Subset) -> Subset:
        match given:
            case Combined():
                return Combined(given.operator, self.subset(given.left), self.subset(given.right))
            case Listed():
                return self._listed(given)
            case Origin():
                return Origin(self._cut(given.start), self._cut(given.end), given.name)
            case Where():
                return self._where(given)
            case Pick():
                return self._pick(given)
        return given

    def _cut(self, at: int) -> int:
        """Return where joined data sets meet among the images that stand for all of them: each has as many."""
        return self.cuts.index(at) * self.total // (len(self.cuts) - 1)

    def _listed(self, given: Listed) -> Subset:
        """Return a random draw for each file, disjoint from those of the other files."""
        each, place = max(1, self.total // (len(self.files) + 1)), self.files.index(given.digest)
        drawn = Pick("random", each * (place + 1), "examples", seed=0)
        return Combined("-", drawn, replace(drawn, amount=each * place)) if place else drawn

    def _where(self, given: Where) -> Subset:
        """Return a threshold that the hardest tenth always exceeds and the easiest never, whatever the scores are."""
        hard = given.comparison in HARD
        if _from_file(given.ranking):
            half = Pick("hardest" if hard else "easiest", count(0.5, self.total), "examples", ranking=given.ranking)
            return self._drawn(half if hard else replace(half, amount=self.total - count(0.5, self.total)), self.total)
        sure = max(1, self.total // SURE)
        hardest = Pick("hardest", sure, "examples", ranking=given.ranking)
        not_easiest = replace(hardest, amount=self.total - sure)
        if hard:
            return Combined("&", Combined("+", given, hardest), not_easiest)
        return Combined("-", Combined("+", given, Combined("-", Everything(), not_easiest)), hardest)

    def _pick(self, given: Pick) -> Subset:
        within = None if given.within is None else self.subset(given.within)
        pick = replace(given, within=within)
        of: int | None = None
        if given.unit == "classes":
            of = len(within.classes) if isinstance(within, OfClasses) else None
            of = len(self.data.facts.classes) if within is None and self.data.facts is not None else of
        else:
            of = size(within or Everything(), self.data)
            pick = replace(pick, amount=self._amount(given, of))
        return self._drawn(pick, of) if _from_file(given.ranking) else pick

    def _amount(self, given: Pick, of: int | None) -> int | float:
        if given.per_class or isinstance(given.amount, float):
            least = 0.1 if given.within is None else 0.3
            return min(max(float(given.amount), least), 1 - least) if 0 < given.amount < 1 else given.amount
        real = size(given.within or Everything(), self.real)
        if real is None or of is None:
            return 0.5 if given.amount else 0
        if given.order == "easiest":
            return of - scaled(real - given.amount, real, of)
        return scaled(given.amount, real, of)

    def _drawn(self, pick: Pick, of: int | None) -> Subset:
        """Return a random order in place of one from a file."""
        assert pick.ranking is not None
        assert pick.ranking.digest is not None
        drawn = replace(pick, order="random", ranking=None, seed=int(pick.ranking.digest[:8], 16))
        if pick.order == "hardest":
            return drawn
        if isinstance(pick.amount, float):
            return Combined("-", pick.within or Everything(), replace(drawn, amount=1 - pick.amount))
        if of is None:
            return replace(drawn, seed=0)
        return Combined("-", pick.within or Everything(), replace(drawn, amount=of - pick.amount))


def scaled(amount: int, of: int, small: int) -> int:
    """Return how many of `small` correspond to `amount` of `of`: none or all only where these are none or all."""
    if amount in (0, of):
        return small if amount else 0
    return min(max(count(amount / of, small), 1), small - 1)


def size(subset: Subset, data: Dataset) -> int | None:
    """Return how many training images a subset has, or None if that is known only after scoring."""
    counts = data.train_counts
    match subset:
        case Everything():
            return data.train
        case Nothing():
            return 0
        case Origin():
            return subset.end - subset.start if not data.parts else None
        case OfClasses():
            return None if counts is None else sum(counts[c] for c in subset.classes)
        case Pick(unit="examples", per_class=True):
            if counts is None or not isinstance(subset.within, OfClasses | None):
                return None
            classes = range(len(counts)) if subset.within is None else subset.within.classes
            return sum(count(float(subset.amount), counts[c]) for c in classes)
        case Pick(unit="examples"):
            return subset.amount if isinstance(subset.amount, int) else None
    return None


def _sizes(subsets: Sequence[Subset], data: Dataset) -> tuple[int | None, ...]:
    known = [size(subset, data) for subset in subsets]
    others = [found for subset, found in zip(subsets, known, strict=True) if not isinstance(subset, Rest)]
    if data.train is None or None in others:
        return tuple(known)
    left = data.train - sum(found for found in others if found is not None)
    return tuple(left if isinstance(subset, Rest) else found for subset, found in zip(subsets, known, strict=True))
