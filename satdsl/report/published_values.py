"""Put what a publication gives for results beside the values that they have here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from satdsl.ir.plan import Plan, Point, Published
from satdsl.report.expressions import agrees
from satdsl.report.results import Measured, Unit


@dataclass(frozen=True)
class PublishedComparison:
    """A published value and the results that it is for: one, or several whose mean it is."""

    published: Published
    results: tuple[Measured, ...]

    @property
    def value(self) -> float | None:
        """The mean of the results; None as long as one of them is not run."""
        values = [one.value for one in self.results if one.value is not None]
        return fmean(values) if len(values) == len(self.results) else None

    @property
    def unit(self) -> Unit:
        return self.results[0].unit


class PublishedValues:
    """Finds the published value of some results: the one that is for these and no others."""

    def __init__(self, plan: Plan, results: Sequence[Measured]) -> None:
        by_name: dict[str, list[Measured]] = defaultdict(list)
        for one in results:
            by_name[one.result].append(one)
        self._found: dict[tuple[str, frozenset[Point]], PublishedComparison] = {}
        for published in plan.published:
            rows = {one.row: one for one in by_name[published.result] if agrees(one, published.at)}
            if group := tuple(rows.values()):
                self._found[_place(group)] = PublishedComparison(published, group)

    def of(self, group: Sequence[Measured]) -> Published | None:
        """Return what is published for one result, or for the mean of several."""
        found = self._found.get(_place(group))
        return found.published if found is not None else None

    def __iter__(self) -> Iterator[PublishedComparison]:
        return iter(self._found.values())


def add_published_values(plan: Plan, results: Sequence[Measured]) -> list[Measured]:
    """Return the results, each with the value that is published for it alone."""
    if not plan.published:
        return list(results)
    publications = PublishedValues(plan, results)
    found = []
    for one in results:
        published = publications.of([one])
        found.append(replace(one, published=published.value) if published is not None else one)
    return found


def _place(group: Sequence[Measured]) -> tuple[str, frozenset[Point]]:
    return group[0].result, frozenset(one.row for one in group)
