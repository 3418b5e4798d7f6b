"""Make an experiment so small that it runs in minutes without any data set, with everything in it at least once.

What an experiment is (its steps, networks, attacks, scores, subsets, displays and claims) stays; what makes it long is
cut: images, epochs, iterations, widths, and the values of its axes. Its numbers mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from satdsl.catalog.models import ModelEntry
from satdsl.ir.experiment import (
    PSEUDO_AXES,
    Assignment,
    AxisFacts,
    Dataset,
    Experiment,
    Measure,
    PointRef,
    SplitDefinition,
    SweepTable,
    TrainingDefinition,
    TransferDefinition,
)
from satdsl.ir.plan import Claim, Expression, Plan, Published, mentions
from satdsl.ir.steps import CatalogCall
from satdsl.plan.expand import expand
from satdsl.smoke import data, settings, small_subsets
from satdsl.smoke.points import kept
from satdsl.smoke.summary import summary

T = TypeVar("T")


def made_small(experiment: Experiment) -> tuple[Experiment, Plan]:
    """Return the small experiment and its plan, whose `smoke` says what was cut."""
    small = _small(experiment)
    plan = expand(small)
    shown = _Shown(plan)
    plan = replace(
        plan,
        claims=tuple(shown.claim(claim) for claim in plan.claims),
        published=tuple(value for value in plan.published if shown.published(value)),
    )
    return small, replace(plan, smoke=summary(experiment, small, plan))


def _small(experiment: Experiment) -> Experiment:
    sides, whole = _full_sides(experiment), _whole_networks(experiment)
    datasets = _all(experiment.datasets, lambda made, at: data.small(made, sides))

    def images(made: SplitDefinition | TrainingDefinition | TransferDefinition, at: Assignment) -> Dataset:
        return datasets[made.dataset].at(at)

    def epochs(name: str, at: Assignment) -> int:
        family = experiment.trainings.get(name) or experiment.transfers[name]
        number: int = family.at(at).recipe["epochs"]
        return number

    def model(given: PointRef, at: Assignment) -> PointRef:
        if given.epoch is None:
            return given
        there = {**at, **dict(given.fixed)}
        return replace(given, epoch=settings.completed_epoch(given.epoch, epochs(given.name, there)))

    def split(made: SplitDefinition, at: Assignment) -> SplitDefinition:
        small = small_subsets.small(made, experiment.datasets[made.dataset].at(at), images(made, at))
        rankings = tuple(
            replace(source, model=model(source.model, at), attack=settings.attack(source.attack))
            for source in small.rankings
        )
        return replace(small, rankings=rankings)

    def seen(made: TrainingDefinition, at: Assignment) -> int:
        """Return how many images a training sees; of a part whose size only the scores will tell, all."""
        known = None
        if made.split is not None and made.part is not None:
            on = splits[made.split].at(at)
            known = on.sizes[on.names.index(made.part)]
        return known or images(made, at).train or 0

    def train(made: TrainingDefinition, at: Assignment) -> TrainingDefinition:
        small = settings.train(made, seen(made, at), whole)
        return replace(small, start=small.start and model(small.start, at))

    def transfer(made: TransferDefinition, at: Assignment) -> TransferDefinition:
        return replace(settings.transfer(made, images(made, at)), source=model(made.source, at))

    def measure(trained: str, made: Measure, at: Assignment) -> Measure:
        small = settings.measure(made, epochs(trained, at))
        return replace(small, sources=tuple(source and model(source, at) for source in small.sources))

    splits = _all(experiment.splits, split)
    trainings = _all(experiment.trainings, train)
    transfers = _all(experiment.transfers, transfer)
    measured = tuple(
        replace(one, measures=_each(one.measures, partial(measure, one.trained))) for one in kept(experiment)
    )
    return replace(
        experiment,
        title=f"Smoke run: {experiment.title}",
        axes=tuple(_left(axis, (one.measures for one in measured)) for axis in experiment.axes),
        datasets=datasets,
        splits=splits,
        trainings=trainings,
        transfers=transfers,
        measured=measured,
    )


def _all(families: Mapping[str, SweepTable[T]], make: Callable[[T, Assignment], T]) -> dict[str, SweepTable[T]]:
    return {name: _each(family, make) for name, family in families.items()}


def _each(family: SweepTable[T], make: Callable[[T, Assignment], T]) -> SweepTable[T]:
    """Return a table with every instance changed; points that shared an instance share the new one if it is equal."""
    made: dict[tuple[int, T], T] = {}
    table: dict[tuple[str, ...], T] = {}
    for at, value in family.instances():
        new = make(value, at)
        table[tuple(at[axis] for axis in family.axes)] = made.setdefault((id(value), new), new)
    return SweepTable(family.name, family.axes, table)


def _left(axis: AxisFacts, families: Iterable[SweepTable[Any]]) -> AxisFacts:
    """Return an axis with the values that some result still has."""
    found = {dict(zip(f.axes, at, strict=True)).get(axis.name) for f in families for at in f.table}
    return AxisFacts(axis.name, tuple(label for label in axis.labels if label in found))


def _full_sides(experiment: Experiment) -> frozenset[int]:
    """Return heights and widths that a network may be made for: some take one size only, of libraries or users."""
    found: set[int] = set()
    for family in experiment.trainings.values():
        for at, train in family.instances():
            facts = experiment.datasets[train.dataset].at(at).facts
            others = ModelEntry.of(train.model).library or train.model.plugin is not None
            if others and facts is not None:
                found.update(facts.shape[1:])
    return frozenset(found)


def _whole_networks(experiment: Experiment) -> frozenset[CatalogCall]:
    """Return the networks whose weights come from a file: these fit only at the full width."""
    trainings = (train for family in experiment.trainings.values() for train in family.table.values())
    return frozenset(train.model for train in trainings if train.pretrained is not None)


class _Shown:
    """The parts of claims and published values that remain when points are cut away."""

    def __init__(self, plan: Plan) -> None:
        self.points: dict[str, list[frozenset[tuple[str, str]]]] = {}
        for result in plan.results:
            self.points.setdefault(result.name, []).append(frozenset(result.point))

    def claim(self, claim: Claim) -> Claim:
        """Return the claim without the comparisons whose points are cut away."""
        left = tuple(c for c in claim.comparisons if self._exists(c.left) and self._exists(c.right))
        return replace(claim, comparisons=left or claim.comparisons)

    def published(self, value: Published) -> bool:
        return self._any(value.result, value.at)

    def _exists(self, side: Expression) -> bool:
        return all(self._any(one.name, one.at) for one in mentions(side))

    def _any(self, name: str, at: Iterable[tuple[str, str]]) -> bool:
        wanted = {(axis, label) for axis, label in at if axis not in PSEUDO_AXES}
        return any(wanted <= point for point in self.points.get(name, ()))
