"""Pair the clean and the robust accuracy of each network, those that differ in nothing but seeds together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from satdsl.ir.plan import Accuracy, Part, Plan
from satdsl.ir.steps import CatalogCall, Key
from satdsl.report.number_text import images
from satdsl.report.pivot import Cell, cell_of
from satdsl.report.replicates import Replicates, common_point, with_seeds
from satdsl.report.results import Measured
from satdsl.report.shown_names import ShownNames
from satdsl.show.text import attack_text
from satdsl.show.wording import value

_Weights = tuple[Key, int | None, Key, str]
"""The network, the epoch of its weights, and the images: whose accuracies without attack and under one are a pair."""


@dataclass(frozen=True)
class Method:
    """A point of the figure: what the networks of a method are right on, without attack and under one."""

    name: str
    clean: Cell
    robust: Cell

    @property
    def title(self) -> str:
        """`sat[order=hardest], 3 seeds`, and `200 of 400 images` where the others are not measured yet."""
        partial = self.robust.partial or self.clean.partial
        return with_seeds(self.name, self.robust.over) + (f", {images(*partial)} images" if partial else "")


@dataclass(frozen=True)
class Comparison:
    """Methods measured on the same part: their accuracy without attack and under the same `attack`, in words."""

    attack: str
    part: str
    methods: tuple[Method, ...]


@dataclass(frozen=True)
class _Group:
    """The robust accuracies under the same attacks on the same images, by their methods."""

    attacks: tuple[CatalogCall, ...]
    part: Part
    data: str
    methods: dict[tuple[str, str, int | None], list[Measured]]


def clean_against_robust(plan: Plan, results: Sequence[Measured]) -> list[Comparison]:
    """Return a comparison for each robust accuracy that two methods or more have beside their clean one.

    A mean is over the networks that have both.
    """
    replicates, names = Replicates(plan), ShownNames(plan)
    clean: dict[_Weights, Measured] = {}
    groups: dict[tuple[str, ...], _Group] = {}
    for one in results:
        measure, part = one.source.measure, one.source.part
        if one.value is None or one.source.by_class or not isinstance(measure, Accuracy):
            continue
        if measure.radius is not None or any(measure.made_on):
            continue
        if not measure.attacks:
            clean.setdefault(_weights(plan, one), one)
            continue
        data = replicates.of_images(part)
        alike = (*map(replicates.of_call, measure.attacks), data, one.part)
        group = groups.setdefault(alike, _Group(measure.attacks, part, data, {}))
        method = (
            one.result.partition(".")[0],
            replicates.of_step(plan.network_of(one.source)),
            plan.epoch_of(one.source),
        )
        group.methods.setdefault(method, []).append(one)
    found = []
    for group in groups.values():
        pairs = ([(clean.get(_weights(plan, one)), one) for one in measured] for measured in group.methods.values())
        both = ([(without, one) for without, one in method if without is not None] for method in pairs)
        methods = tuple(_method(method, names) for method in both if method)
        if len(methods) > 1:
            found.append((group, methods))
    shown = [group for group, _ in found]
    return [
        Comparison(_attacks_in_words(group, shown), _part_in_words(group, shown, plan), methods)
        for group, methods in found
    ]


def _weights(plan: Plan, one: Measured) -> _Weights:
    return plan.network_of(one.source), plan.epoch_of(one.source), one.source.part.data, one.part


def _method(pairs: Sequence[tuple[Measured, Measured]], names: ShownNames) -> Method:
    clean, robust = (_once(side) for side in zip(*pairs, strict=True))
    first = robust[0]
    common = tuple(item for item in common_point([one.point for one in robust]) if item[0] != "part")
    return Method(names.training(first.result.partition(".")[0], common), cell_of(clean), cell_of(robust))


def _once(results: Sequence[Measured]) -> list[Measured]:
    """Return each measurement once: of several names for the same steps the first."""
    return list({one.source.measure.steps: one for one in reversed(results)}.values())[::-1]


def _short(group: _Group) -> str:
    return ", ".join(map(attack_text, group.attacks))


def _attacks_in_words(group: _Group, shown: Sequence[_Group]) -> str:
    """Return `pgd-7 L2 0.5`, or with what tells it from others that are the same in short: `..., step_size=0.1`."""
    alike = [other.attacks for other in shown if _short(other) == _short(group)]
    each = (_in_words(attack, [attacks[i] for attacks in alike]) for i, attack in enumerate(group.attacks))
    return ", ".join(each)


def _in_words(attack: CatalogCall, alike: Sequence[CatalogCall]) -> str:
    differ = (arg for arg, given in attack.args if arg != "seed" and any(other.get(arg) != given for other in alike))
    return ", ".join((attack_text(attack), *(f"{arg}={value(attack[arg])}" for arg in differ)))


def _part_in_words(group: _Group, shown: Sequence[_Group], plan: Plan) -> str:
    """Return `val`, or `val of digits10` where another comparison is on the images so called of other data."""
    name, data = group.part.name, {other.data for other in shown if other.part.name == group.part.name}
    return name if len(data) == 1 else f"{name} of {plan.labels[group.part.data].removeprefix('data ')}"
