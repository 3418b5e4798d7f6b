"""Evaluate the expressions of claims: an estimate at every point that an expression leaves open."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from satdsl.ir.plan import Arithmetic, Expression, Number, Plan, Point, Reduced, Selected
from satdsl.report.replicates import Replicates
from satdsl.report.results import Measured, ReportError
from satdsl.report.uncertainty import Estimate, Spread, Term, combined, half_width


@dataclass(frozen=True)
class PointEstimate:
    """An expression at one point of the axes that it leaves open.

    `estimate` is None where something in it is not run. `replicate` is equal for draws of the same thing.
    """

    point: Point
    estimate: Estimate | None
    replicate: str


class NoImagesError(ReportError):
    """The part that a result is measured on has no image of the class at which it is asked for."""


class Expressions:
    """Evaluates expressions over one plan's measured results."""

    def __init__(self, plan: Plan, results: Sequence[Measured]) -> None:
        self._replicates = Replicates(plan)
        self.results = results
        self._samples = {term: measured.sample for term, measured in enumerate(results) if measured.sample is not None}
        self._named: dict[str, list[Term]] = defaultdict(list)
        for term, measured in enumerate(results):
            self._named[measured.result].append(term)

    def value(self, expression: Expression) -> Estimate | None:
        """Return the one estimate that the expression amounts to; None where it is not run.

        Raises:
            ReportError: it chooses no result, or leaves axes open.
        """
        entries = self.entries(expression)
        if len(entries) != 1:
            axes = ", ".join(dict.fromkeys(axis for entry in entries for axis, _ in entry.point))
            raise ReportError(
                f"{len(entries)} values stand where one is compared; open axes: {axes}",
                "choose a point in brackets, or reduce with mean, std, min or max",
            )
        return entries[0].estimate

    def entries(self, expression: Expression) -> list[PointEstimate]:
        """Return the expression at every point that it leaves open."""
        match expression:
            case Number(value):
                return [PointEstimate((), Estimate(value), "")]
            case Selected():
                return self._selected(expression)
            case Arithmetic(operator, left, right):
                return _joined(operator, self.entries(left), self.entries(right))
            case Reduced(function, over):
                return [PointEstimate((), _reduced(function, self.entries(over)), "")]

    def half_width(self, estimate: Estimate) -> float:
        """Return half of the 95 % interval around an estimate that came from here."""
        return half_width(estimate, self._samples)

    def on_some_images(self, estimate: Estimate) -> bool:
        """Return whether a mean in an estimate that came from here is over the first blocks of its images alone."""
        return any(slope and self.results[term].prefix is not None for term, slope in estimate.slopes.items())

    def is_share(self, expression: Expression) -> bool:
        """Return whether the expression is a share of images rather than a score or a plain number."""
        match expression:
            case Number():
                return False
            case Selected(name):
                return any(self.results[term].unit == "share" for term in self._named[name])
            case Reduced(_, over):
                return self.is_share(over)
            case Arithmetic("/", left, right):
                return self.is_share(left) and not self.is_share(right)
            case Arithmetic(_, left, right):
                return self.is_share(left) or self.is_share(right)

    def _selected(self, selected: Selected) -> list[PointEstimate]:
        terms = [term for term in self._named[selected.name] if agrees(self.results[term], selected.at)]
        if not terms:
            raise self._absent(selected)
        rows = {self.results[term].row: term for term in reversed(terms)}
        return _open([self._entry(term) for term in sorted(rows.values())])

    def _absent(self, selected: Selected) -> ReportError:
        """Return why nothing is selected. A stored result by class has no value for a class without images."""
        point = dict(selected.at)
        of_another_class = tuple(item for item in selected.at if item[0] != "class")
        others = [self.results[term] for term in self._named[selected.name]]
        parts = {one.part: None for one in others if "class" in dict(one.point) and agrees(one, of_another_class)}
        if "class" in point and parts:
            return NoImagesError(f"{selected.name}: there is no image of class {point['class']} in {', '.join(parts)}")
        at = ", ".join(f"{axis}={label}" for axis, label in selected.at)
        return ReportError(f"there is no result {selected.name}" + (f"[{at}]" if at else ""))

    def _entry(self, term: Term) -> PointEstimate:
        measured = self.results[term]
        estimate = None if measured.value is None else Estimate(measured.value, {term: 1.0})
        replicate = self._replicates.of(measured.source, dict(measured.point).get("class"))
        return PointEstimate(measured.row, estimate, replicate)


def agrees(measured: Measured, at: Point) -> bool:
    """Return whether a measured value lies at this place. Its part has a name also where that is no axis."""
    place = {"part": measured.part} | dict(measured.point)
    return all(place.get(axis) == label for axis, label in at)


def _open(entries: list[PointEstimate]) -> list[PointEstimate]:
    """Return the entries with only those axes in their points that tell them apart."""
    labels: Mapping[str, set[str]] = defaultdict(set)
    for entry in entries:
        for axis, label in entry.point:
            labels[axis].add(label)
    return [
        replace(entry, point=tuple((axis, label) for axis, label in entry.point if len(labels[axis]) > 1))
        for entry in entries
    ]


def _joined(operator: str, left: Sequence[PointEstimate], right: Sequence[PointEstimate]) -> list[PointEstimate]:
    """Combine both sides wherever their points agree on the axes that both leave open."""
    joined = [
        PointEstimate(
            point=a.point + tuple(item for item in b.point if item not in a.point),
            estimate=_arithmetic(operator, a.estimate, b.estimate),
            replicate=f"({a.replicate}{operator}{b.replicate})",
        )
        for a in left
        for b in right
        if _compatible(a.point, b.point)
    ]
    if not joined:
        raise ReportError(f"the two sides of {operator} have no point in common")
    return joined


def _compatible(a: Point, b: Point) -> bool:
    labels = dict(a)
    return all(labels.get(axis, label) == label for axis, label in b)


def _arithmetic(operator: str, left: Estimate | None, right: Estimate | None) -> Estimate | None:
    if left is None or right is None:
        return None
    x, y = left.value, right.value
    match operator:
        case "+":
            return combined(x + y, [(left, 1.0), (right, 1.0)])
        case "-":
            return combined(x - y, [(left, 1.0), (right, -1.0)])
        case "*":
            return combined(x * y, [(left, y), (right, x)])
        case _ if y == 0:
            return Estimate(math.nan)
        case _:
            return combined(x / y, [(left, 1 / y), (right, -x / y / y)])  # y**2 could be 0


def _reduced(function: str, entries: Sequence[PointEstimate]) -> Estimate | None:
    estimates = [entry.estimate for entry in entries if entry.estimate is not None]
    if len(estimates) < len(entries):
        return None
    if any(math.isnan(one.value) for one in estimates):
        return Estimate(math.nan)  # the least of NaN and 1 is not 1
    return _REDUCE[function](estimates, [entry.replicate for entry in entries])


def _mean(estimates: Sequence[Estimate], replicates: Sequence[str]) -> Estimate:
    """Return the mean; each group of draws of the same thing adds the variance of its own mean."""
    k = len(estimates)
    mean = combined(fmean(one.value for one in estimates), [(one, 1 / k) for one in estimates])
    groups: Mapping[str, list[Estimate]] = defaultdict(list)
    for estimate, replicate in zip(estimates, replicates, strict=True):
        groups[replicate].append(estimate)
    between = tuple(_spread(draws, (len(draws) / k) ** 2) for draws in groups.values() if len(draws) > 1)
    return replace(mean, draws=mean.draws + between)


def _spread(draws: Sequence[Estimate], factor: float) -> Spread:
    """Return the variance of the mean of some draws, times a factor."""
    factor /= len(draws)
    variance = factor * stdev(one.value for one in draws) ** 2
    return Spread(variance, len(draws) - 1, tuple(one.slopes for one in draws), factor)


def _std(estimates: Sequence[Estimate], replicates: Sequence[str]) -> Estimate:
    """Return the standard deviation; among k draws of the same thing its own variance is about s² / 2(k - 1)."""
    k = len(estimates)
    if k < 2:
        raise ReportError("std needs at least two values", "reduce over an axis with several values")
    values = [one.value for one in estimates]
    mean, spread = fmean(values), stdev(values)
    slopes = [(x - mean) / ((k - 1) * spread) if spread > 0 else 0.0 for x in values]
    found = combined(spread, list(zip(estimates, slopes, strict=True)))
    if len(set(replicates)) > 1:
        return found
    return replace(found, draws=(*found.draws, Spread(spread**2 / (2 * (k - 1)), k - 1)))


def _min(estimates: Sequence[Estimate], replicates: Sequence[str]) -> Estimate:
    return min(estimates, key=lambda one: one.value)


def _max(estimates: Sequence[Estimate], replicates: Sequence[str]) -> Estimate:
    return max(estimates, key=lambda one: one.value)


_REDUCE: Mapping[str, Callable[[Sequence[Estimate], Sequence[str]], Estimate]] = {
    "mean": _mean,
    "std": _std,
    "min": _min,
    "max": _max,
}
