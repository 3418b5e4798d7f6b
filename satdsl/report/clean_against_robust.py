"""Pair the clean and the robust accuracy of each network, those that differ in nothing but seeds together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from satdsl.ir.plan import Accuracy, Plan, Point
from satdsl.report.pivot import Cell, cell_of
from satdsl.report.replicates import Replicates
from satdsl.report.results import Measured
from satdsl.report.shown_names import ShownNames
from satdsl.show.text import attack_text

_Network = tuple[str, str, int | None, str]
"""The training's name, the network without its seeds, the epoch of its weights, and the images."""


@dataclass(frozen=True)
class Method:
    """A point of the figure: what the networks of a method are right on, without attack and under one."""

    name: str
    clean: Cell
    robust: Cell

    @property
    def title(self) -> str:
        """`sat[order=hardest], 3 seeds`"""
        return self.name + (f", {self.robust.over} seeds" if self.robust.over > 1 else "")


@dataclass(frozen=True)
class Comparison:
    """Methods measured on the same part: their accuracy without attack and under the same `attack`, in words."""

    attack: str
    part: str
    methods: tuple[Method, ...]


def clean_against_robust(plan: Plan, results: Sequence[Measured]) -> list[Comparison]:
    """Return a comparison for each robust accuracy that two methods or more have beside their clean one."""
    replicates, names = Replicates(plan), ShownNames(plan)
    clean: dict[_Network, list[Measured]] = {}
    robust: dict[tuple[str, str], dict[_Network, list[Measured]]] = {}
    for one in results:
        measure = one.source.measure
        if one.value is None or one.source.by_class or not isinstance(measure, Accuracy):
            continue
        if measure.radius is not None or any(measure.made_on):
            continue
        training = one.result.partition(".")[0]
        network = replicates.of_step(plan.network_of(one.source))
        of = (training, network, plan.epoch_of(one.source), one.part)
        group = (
            robust.setdefault((", ".join(map(attack_text, measure.attacks)), one.part), {})
            if measure.attacks
            else clean
        )
        group.setdefault(of, []).append(one)
    found = []
    for (attack, part), networks in robust.items():
        methods = tuple(_method(clean[of], measured, names) for of, measured in networks.items() if of in clean)
        if len(methods) > 1:
            found.append(Comparison(attack, part, methods))
    return found


def _method(clean: Sequence[Measured], robust: Sequence[Measured], names: ShownNames) -> Method:
    first, draws = robust[0], _once(robust)
    common: Point = tuple(item for item in first.point if item[0] != "part" and all(item in one.point for one in draws))
    return Method(names.training(first.result.partition(".")[0], common), cell_of(_once(clean)), cell_of(draws))


def _once(results: Sequence[Measured]) -> list[Measured]:
    """Return each measurement once: of several names for the same steps the first."""
    return list({one.source.measure.steps: one for one in reversed(results)}.values())[::-1]
