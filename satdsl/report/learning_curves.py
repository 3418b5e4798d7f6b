"""Put the curves of trainings that differ in nothing but seeds together: their mean and spread, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from satdsl.ir.plan import Plan
from satdsl.report.curves import Curve, finite
from satdsl.report.replicates import Replicates, common_point, with_seeds
from satdsl.report.shown_names import ShownNames


@dataclass(frozen=True)
class Quantity:
    """What is drawn over the epochs on axes of its own; `of` reads it off an epoch, None where it has none."""

    name: str
    unit: str
    of: Callable[[Mapping[str, Any]], float | None]


def _of(name: str, scale: float = 1.0) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda epoch: finite(epoch.get(name), scale)


def _of_probe(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda epoch: finite(epoch.get("probe", {}).get(name), 100.0)


QUANTITIES = (
    Quantity("training loss", "", _of("loss")),
    Quantity("training accuracy", "%", _of("accuracy", 100.0)),
    Quantity("probe, clean accuracy", "%", _of_probe("clean")),
    Quantity("probe, robust accuracy", "%", _of_probe("robust")),
)
"""Losses and accuracies of training are of its images as attacked; the probe's are of a few images beside."""


@dataclass(frozen=True)
class Spread:
    """The mean of some draws after an epoch, and one standard deviation of them; none of a single draw."""

    epoch: int
    mean: float
    std: float | None


@dataclass(frozen=True)
class CurveGroup:
    """Trainings that differ in nothing but seeds: what each quantity was after each epoch that all of them have."""

    name: str
    draws: int
    lines: Mapping[str, tuple[Spread, ...]]

    @property
    def title(self) -> str:
        """`sat[order=hardest], 3 seeds`"""
        return with_seeds(self.name, self.draws)


def curve_groups(plan: Plan, trained: Sequence[Curve]) -> list[CurveGroup]:
    """Return the stored trainings of a plan in groups, in its order."""
    replicates, names = Replicates(plan), ShownNames(plan)
    members: dict[tuple[str, str], dict[str, Curve]] = {}
    for curve in trained:
        members.setdefault((curve.training, replicates.of_step(curve.key)), {}).setdefault(curve.key, curve)
    return [_group(list(found.values()), names) for found in members.values()]


def _group(curves: Sequence[Curve], names: ShownNames) -> CurveGroup:
    first = curves[0]
    common = common_point([curve.point for curve in curves])
    lines = {quantity.name: _line([_values(curve, quantity) for curve in curves]) for quantity in QUANTITIES}
    return CurveGroup(
        names.training(first.training, common), len(curves), {name: line for name, line in lines.items() if line}
    )


def _values(curve: Curve, quantity: Quantity) -> dict[int, float]:
    known = {int(epoch["epoch"]): quantity.of(epoch) for epoch in curve.epochs}
    return {epoch: value for epoch, value in known.items() if value is not None}


def _line(draws: Sequence[Mapping[int, float]]) -> tuple[Spread, ...]:
    shared = sorted(set.intersection(*(set(draw) for draw in draws)))
    at = ((epoch, [draw[epoch] for draw in draws]) for epoch in shared)
    return tuple(Spread(epoch, fmean(found), stdev(found) if len(found) > 1 else None) for epoch, found in at)
