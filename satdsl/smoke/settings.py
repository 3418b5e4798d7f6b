"""Recipes, attacks and networks to short and narrow ones of the same kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from satdsl.ir.experiment import Dataset, Measure, Train, Transfer
from satdsl.ir.steps import CatalogCall, Selection
from satdsl.plan.autoattack import Effort, shortened

EPOCHS, BATCH, STEPS = 2, 32, 2

CLIP = 10.0
"""The largest norm of a gradient. Batch norm's statistics lag after two epochs: features may be huge, and so may the
steps of a head that is trained on them."""

UPDATES = 10
"""An epoch has at least so many, where that takes batches of no fewer than four images."""

EFFORT = Effort(iterations=3, queries=5, targets=1, restarts=2, samples=2)
"""Of AutoAttack. With three iterations APGD under L1 still has one at each of its three radii."""

WIDTHS = {
    "small_cnn": {"width": 4},
    "preact_resnet18": {"width": 8},
    "wide_resnet": {"width": 1, "depth": 16},
    "mlp": {"hidden": 16},
}
"""What networks and heads are made narrow to, at most."""

BOTTLENECK = 8
"""The width of the first 3x3 convolutions of the deep ResNets, which no specification can set: 64 as published."""

WITH_BOTTLENECKS = ("resnet50", "resnet101", "resnet152")


def train(given: Train, data: Dataset, whole: Collection[CatalogCall]) -> Train:
    """A training on small `data`; networks among `whole` keep their width."""
    epochs = given.recipe["epochs"]
    return replace(
        given,
        model=given.model if given.model in whole else narrow(given.model),
        recipe=recipe(given.recipe, data.train or 0),
        attacks=tuple(attack(choice) for choice in given.attacks),
        select=given.select
        and Selection(_attacks(given.select.attacks), completed_epochs(given.select.epochs, epochs)),
        snapshots=completed_epochs(given.snapshots, epochs),
        keep_weights=completed_epochs(given.keep_weights, epochs),
    )


def transfer(given: Transfer, data: Dataset) -> Transfer:
    return replace(given, recipe=recipe(given.recipe, data.train or 0), head=narrow(given.head))


def measure(given: Measure) -> Measure:
    return replace(given, attacks=_attacks(given.attacks))


def _attacks(choices: Sequence[CatalogCall]) -> tuple[CatalogCall, ...]:
    return tuple(found for choice in choices if (found := attack(choice)) is not None)


def attack(choice: CatalogCall | None) -> CatalogCall | None:
    """The same attack with few steps."""
    if choice is None or choice.name not in ("pgd", "autoattack"):
        return choice
    if choice.name == "autoattack":
        return shortened(choice, EFFORT)
    return _with(choice, steps=min(choice["steps"], STEPS), restarts=min(choice["restarts"], EFFORT.restarts))


def narrow(model: CatalogCall) -> CatalogCall:
    """The same network or head at a small width."""
    if model.name in WITH_BOTTLENECKS:
        return replace(model, args=(*model.args, ("bottleneck", BOTTLENECK)))
    limits = WIDTHS.get(model.name, {})
    return _with(model, **{arg: min(model[arg], most) for arg, most in limits.items()})


def recipe(choice: CatalogCall, images: int) -> CatalogCall:
    """The same recipe for two epochs over so many images, its schedule drawn together."""
    epochs = choice["epochs"]
    short = _with(choice, batch=_batch(choice["batch"], images), clip=min(choice["clip"] or CLIP, CLIP))
    if epochs <= EPOCHS:
        return short
    schedule = choice["schedule"]
    if schedule.name == "step":
        schedule = _with(schedule, at=tuple(sorted({min(_epoch(at, epochs), EPOCHS - 1) for at in schedule["at"]})))
    elif schedule.name == "cyclic":
        schedule = _with(schedule, peak=schedule["peak"] * EPOCHS / epochs)
    return _with(short, epochs=EPOCHS, warmup=min(choice["warmup"], EPOCHS - 1), schedule=schedule)


def _batch(size: int, images: int) -> int:
    """A small batch that leaves no single image over: batch norm has no variance to divide by for one."""
    most = min(size, BATCH)
    small = min(most, max(4, images // UPDATES))
    sizes = *range(small, most + 1), *range(small - 1, 1, -1)
    return next((number for number in sizes if images % number != 1), small)


def completed_epochs(numbers: tuple[int, ...], epochs: int) -> tuple[int, ...]:
    """Numbers of completed epochs, of a training of so many, in a short one; several stay several."""
    if epochs <= EPOCHS:
        return numbers
    return tuple(range(1, EPOCHS + 1)) if len(numbers) > 1 else tuple(_epoch(number, epochs) for number in numbers)


def _epoch(number: int, epochs: int) -> int:
    return ceil(number * EPOCHS / epochs)


def _with(choice: CatalogCall, **changes: Any) -> CatalogCall:
    return replace(choice, args=tuple((arg, changes.get(arg, value)) for arg, value in choice.args))
