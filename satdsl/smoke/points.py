"""Choose the points of the sweep that a smoke run has.

These are the ends of the axes and one draw, and whatever else is needed for each kind of thing, and each result that
the file names, to happen once.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import chain
from typing import Any

from satdsl.ir.experiment import (
    Assignment,
    Dataset,
    Experiment,
    Measurement,
    PointRef,
    SplitDefinition,
    SweepTable,
    TrainingDefinition,
    TransferDefinition,
)
from satdsl.ir.plan import Claim, Selected, mentions
from satdsl.ir.steps import CatalogCall, OfClasses, Pick, Subset
from satdsl.records import Record

NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?%?")

WORDS = 3
"""An axis of so many words keeps them all: `[hardest, easiest, random]`."""

Labels = tuple[str, ...]


def kept(experiment: Experiment) -> tuple[Measurement, ...]:
    """Return what is measured, at the points that remain."""
    draws = _draws(experiment)
    chosen = {id(m): dict.fromkeys(_ends(m.measures, draws)) for m in experiment.measured}
    _add_kinds(experiment, chosen)
    for wanted in _named(experiment):
        _add_named(experiment.measured, wanted, chosen)
    return tuple(
        replace(m, measures=SweepTable(m.measures.name, m.measures.axes, _part(m.measures, chosen[id(m)])))
        for m in experiment.measured
    )


def _part(family: SweepTable[Any], labels: Mapping[Labels, None]) -> dict[Labels, Any]:
    return {at: value for at, value in family.table.items() if at in labels}


# --- the ends of the axes ------------------------------------------------------------------------


def _ends(family: SweepTable[Any], draws: frozenset[str]) -> Iterator[Labels]:
    """Give the points at the ends of each axis; a conditional axis is cut at each value of the axes before it."""
    keep: dict[Labels, frozenset[str]] = {}
    values: dict[Labels, dict[str, None]] = {}
    for labels in family.table:
        for i, label in enumerate(labels):
            values.setdefault(labels[:i], {})[label] = None
    for before, found in values.items():
        keep[before] = frozenset(_few(list(found), family.axes[len(before)] in draws))
    for labels in family.table:
        if all(label in keep[labels[:i]] for i, label in enumerate(labels)):
            yield labels


def _few(labels: Sequence[str], is_draw: bool) -> Sequence[str]:
    if is_draw:
        return labels[:1]
    if len(labels) <= WORDS and not all(NUMBER.fullmatch(label) for label in labels):
        return labels
    return labels[0], labels[-1]


def _draws(experiment: Experiment) -> frozenset[str]:
    """Return the axes that are averaged away somewhere, or that choose nothing but seeds."""
    averaged = {axis for display in experiment.displays for axis in display.mean}
    families: list[SweepTable[Any]] = [
        *experiment.trainings.values(),
        *experiment.transfers.values(),
        *experiment.splits.values(),
        *experiment.datasets.values(),
        *(measured.measures for measured in experiment.measured),
    ]
    numbered = [axis.name for axis in experiment.axes if all(NUMBER.fullmatch(label) for label in axis.labels)]
    return frozenset(averaged | {axis for axis in numbered if all(_only_seeds(f, axis) for f in families)})


def _only_seeds(family: SweepTable[Any], axis: str) -> bool:
    if axis not in family.axes:
        return True
    tied = [other for other in family.axes if _together(family, axis, other)]
    seen: dict[Labels, Any] = {}
    for labels, value in family.table.items():
        others = tuple(label for name, label in zip(family.axes, labels, strict=True) if name not in tied)
        if seen.setdefault(others, value) is not value and _seedless(seen[others]) != _seedless(value):
            return False
    return True


def _together(family: SweepTable[Any], axis: str, other: str) -> bool:
    """Whether two axes move together: each value of one comes with one value of the other."""
    places = family.axes.index(axis), family.axes.index(other)
    pairs = {tuple(labels[place] for place in places) for labels in family.table}
    return all(len({pair[i] for pair in pairs}) == len(pairs) for i in (0, 1))


def _seedless(value: Any) -> Any:
    if isinstance(value, TrainingDefinition | TransferDefinition):
        return replace(value, seed=0)
    if isinstance(value, SplitDefinition):
        return value.names, tuple(_undrawn(subset) for subset in value.subsets), value.weights, value.rankings
    return value


def _undrawn(subset: Subset) -> Hashable:
    if isinstance(subset, OfClasses) and subset.drawn:
        return len(subset.classes)
    return replace(subset, seed=None) if isinstance(subset, Pick) else subset


# --- every kind of thing -------------------------------------------------------------------------


def _add_kinds(experiment: Experiment, chosen: Mapping[int, dict[Labels, None]]) -> None:
    """Add each point at which something happens that happens at no earlier point, in the order of the file."""
    demands = Demands(experiment)
    seen: set[Hashable] = set()
    for measured in experiment.measured:
        for labels in chosen[id(measured)]:
            seen |= demands.of(measured, labels)
    for measured in experiment.measured:
        for labels in measured.measures.table:
            new = demands.of(measured, labels) - seen
            if new:
                seen |= new
                chosen[id(measured)][labels] = None


class Demands:
    """The kinds of things that a result needs: everything but numbers in the definitions behind it."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self._kinds: dict[int, frozenset[Hashable]] = {}
        self._of: dict[tuple[str, Labels], frozenset[Hashable]] = {}

    def of(self, measured: Measurement, labels: Labels) -> frozenset[Hashable]:
        """Return the kinds at one point of what is measured."""
        at = dict(zip(measured.measures.axes, labels, strict=True))
        measure = measured.measures.table[labels]
        found = self._once(measure) | self._trained(measured.trained, at)
        for part in measure.parts:
            found |= self._data(part.dataset, at)
        for source in filter(None, measure.sources):
            found |= self._refer(source, at)
        return found | {measured.full_name}

    def _trained(self, name: str, at: Assignment) -> frozenset[Hashable]:
        family: SweepTable[TrainingDefinition] | SweepTable[TransferDefinition]
        family = self.experiment.trainings.get(name) or self.experiment.transfers[name]
        place = name, tuple(at[axis] for axis in family.axes)
        if place not in self._of:
            self._of[place] = self._behind(family.at(at), at)
        return self._of[place]

    def _behind(self, made: TrainingDefinition | TransferDefinition, at: Assignment) -> frozenset[Hashable]:
        found = self._once(made) | self._data(made.dataset, at)
        if isinstance(made, TransferDefinition):
            return found | self._refer(made.source, at)
        if made.split is not None:
            split = self.experiment.splits[made.split].at(at)
            found |= self._once(split).union(*(self._refer(source.model, at) for source in split.rankings))
        return found if made.start is None else found | self._refer(made.start, at)

    def _refer(self, reference: PointRef, at: Assignment) -> frozenset[Hashable]:
        return self._trained(reference.name, {**at, **dict(reference.fixed)})

    def _data(self, name: str, at: Assignment) -> frozenset[Hashable]:
        data: Dataset = self.experiment.datasets[name].at(at)
        return self._once(data)

    def _once(self, value: Record) -> frozenset[Hashable]:
        if id(value) not in self._kinds:
            self._kinds[id(value)] = frozenset(kinds(value, type(value).__name__))
        return self._kinds[id(value)]


NO_KIND = ("facts", "root", "path", "digest", "fixed")


def kinds(value: Any, role: str) -> Iterator[Hashable]:
    """Give each record, entry and word in `value` with the role that it has there; all numbers count as the same."""
    if isinstance(value, CatalogCall):
        yield role, value.name
        for arg, given in value.args:
            yield from kinds(given, f"{value.name}.{arg}")
    elif isinstance(value, Record):
        yield role, type(value).__name__
        for field in fields(value):
            if field.name not in NO_KIND:
                yield from kinds(getattr(value, field.name), f"{type(value).__name__}.{field.name}")
    elif isinstance(value, tuple):
        for item in value:
            yield from kinds(item, role)
    elif value is None or isinstance(value, bool | str):
        yield role, value


# --- what the file names -------------------------------------------------------------------------


def _named(experiment: Experiment) -> Iterator[Selected]:
    """Give the results that displays and claims ask for; for a claim `for all` values of an axis, one is enough."""
    for display in experiment.displays:
        yield from (*display.results, *display.baselines)
    for claim in experiment.claims:
        yield from _needed(claim)


def _needed(claim: Claim) -> Iterable[Selected]:
    single = [comparison for comparison in claim.comparisons if not comparison.at] or claim.comparisons[:1]
    return chain.from_iterable(mentions(side) for comparison in single for side in (comparison.left, comparison.right))


def _add_named(every: Sequence[Measurement], wanted: Selected, chosen: Mapping[int, dict[Labels, None]]) -> None:
    """Add the first point that a name picks, where none that remains does, for all that is measured of the model."""
    measured = next(m for m in every if m.full_name == wanted.name)
    at = {axis: label for axis, label in wanted.at if axis in measured.measures.axes}
    labels = _first(measured, at, chosen[id(measured)]) or _first(measured, at, measured.measures.table)
    assert labels is not None
    point = dict(zip(measured.measures.axes, labels, strict=True))
    for other in (m for m in every if m.trained == measured.trained):
        shared = {axis: label for axis, label in point.items() if axis in other.measures.axes}
        if _first(other, shared, chosen[id(other)]) is None:
            added = _first(other, shared, other.measures.table)
            if added is not None:
                chosen[id(other)][added] = None


def _first(measured: Measurement, at: Mapping[str, str], among: Iterable[Labels]) -> Labels | None:
    axes = measured.measures.axes
    return next((labels for labels in among if at.items() <= dict(zip(axes, labels, strict=True)).items()), None)
