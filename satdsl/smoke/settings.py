"""Make recipes and attacks short and networks narrow, each of the same kind."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from math import ceil

from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.heads import HeadEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.perturbations import PerturbationEntry
from satdsl.catalog.registry import changed
from satdsl.catalog.schedules import ScheduleEntry
from satdsl.ir.experiment import Dataset, Measure, TrainingDefinition, TransferDefinition
from satdsl.ir.steps import Attacks, CatalogCall, Phase, Pretrained, Selection, SeveralAttacks, unscaled

EPOCHS, BATCH = 2, 32

CLIP = 10.0
"""The largest norm of a gradient. Batch norm's statistics lag after two epochs: features may be huge, and so may the
steps of a head that is trained on them."""

UPDATES = 10
"""An epoch has at least so many, where that takes batches of no fewer than four images."""


def train(given: TrainingDefinition, images: int, whole: Collection[CatalogCall]) -> TrainingDefinition:
    """Return the training on so many `images`; networks among `whole` keep their width."""
    epochs = given.recipe["epochs"]
    return replace(
        given,
        model=given.model if given.model in whole else narrow(given.model),
        recipe=recipe(given.recipe, images),
        attacks=tuple(map(attacks, given.attacks)),
        changes=tuple(tuple(_later(phases, epochs)) for phases in given.changes),
        select=given.select
        and Selection(_attacks(given.select.attacks), completed_epochs(given.select.epochs, epochs)),
        snapshots=completed_epochs(given.snapshots, epochs),
        keep_weights=completed_epochs(given.keep_weights, epochs),
        pretrained=given.pretrained and _provable(given.pretrained),
        head=given.head and narrow_head(given.head),
    )


def _provable(given: Pretrained) -> Pretrained:
    """Return weights from a file without the accuracy that they have on all images, which a smoke run does not have."""
    if given.proof is None or given.proof.clean is None:
        return given
    proof = replace(given.proof, clean=None, within=None)
    return replace(given, proof=proof if proof.images is not None else None)


def transfer(given: TransferDefinition, data: Dataset) -> TransferDefinition:
    return replace(given, recipe=recipe(given.recipe, data.train or 0), head=narrow_head(given.head))


def measure(given: Measure, epochs: int) -> Measure:
    """Return a measure of a training of so many epochs. Results over epochs keep their places on the axis `epoch`."""
    moments = tuple(replace(moment, weights=completed_epoch(moment.weights, epochs)) for moment in given.moments)
    own = given.own and MeasureEntry.of(given.own).shortened(given.own)
    sources = given.sources or (None,) * len(given.attacks)
    shortened = [(attack(choice), source) for choice, source in zip(given.attacks, sources, strict=True)]
    left = [(choice, source) for choice, source in shortened if choice is not None]
    return replace(
        given,
        attacks=tuple(choice for choice, _ in left),
        sources=tuple(source for _, source in left) if given.sources else (),
        own=own,
        moments=moments,
    )


def _attacks(choices: Sequence[CatalogCall]) -> tuple[CatalogCall, ...]:
    return tuple(found for choice in choices if (found := attack(choice)) is not None)


def attack(choice: CatalogCall | None) -> CatalogCall | None:
    """Return the same attack with few steps."""
    return choice and AttackEntry.of(choice).shortened(choice)


def attacks(choice: Attacks | None) -> Attacks | None:
    """Return the same attacks with few steps each, of the whole radius on every image."""
    choice = unscaled(choice)
    if isinstance(choice, SeveralAttacks):
        return replace(choice, attacks=tuple(map(attack, choice.attacks)))
    return attack(choice)


def _later(phases: Sequence[Phase], epochs: int) -> Iterator[Phase]:
    """Give the phases of a long training as those of a short one: the first epoch has the first, the last the last."""
    if epochs <= EPOCHS:
        yield from (replace(phase, attack=attacks(phase.attack)) for phase in phases)
    elif phases:
        yield replace(phases[-1], first=EPOCHS, attack=attacks(phases[-1].attack))


def narrow(model: CatalogCall) -> CatalogCall:
    """Return the same network at a small width."""
    return ModelEntry.of(model).narrowed(model)


def narrow_head(head: CatalogCall) -> CatalogCall:
    """Return the same head at a small width."""
    return HeadEntry.of(head).narrowed(head)


def recipe(choice: CatalogCall, images: int) -> CatalogCall:
    """Return the same recipe for two epochs over so many images, with its schedule compressed."""
    epochs = choice["epochs"]
    short = changed(choice, batch=_batch(choice["batch"], images), clip=min(choice["clip"] or CLIP, CLIP))
    if epochs <= EPOCHS:
        return short
    schedule, perturb, swa = choice["schedule"], choice.get("perturb"), choice.get("swa")
    return changed(
        short,
        epochs=EPOCHS,
        warmup=min(choice["warmup"], EPOCHS - 1),
        schedule=ScheduleEntry.of(schedule).shortened(schedule, epochs, EPOCHS),
        perturb=perturb and PerturbationEntry.of(perturb).shortened(perturb, EPOCHS),
        swa=swa and min(_epoch(swa, epochs), EPOCHS - 1),
    )


def _batch(size: int, images: int) -> int:
    """Return a small batch size that leaves no single image over: batch norm has no variance for one image."""
    most = min(size, BATCH)
    small = min(most, max(4, images // UPDATES))
    sizes = *range(small, most + 1), *range(small - 1, 1, -1)
    return next((number for number in sizes if images % number != 1), small)


def completed_epochs(numbers: tuple[int, ...], epochs: int) -> tuple[int, ...]:
    """Return numbers of completed epochs of a long training as those of a short one; several stay several."""
    if epochs <= EPOCHS:
        return numbers
    return tuple(range(1, EPOCHS + 1)) if len(numbers) > 1 else tuple(_epoch(number, epochs) for number in numbers)


def completed_epoch(number: int | None, epochs: int) -> int | None:
    """Return a number of completed epochs of a long training as that of a short one; None stands for none."""
    return number if number is None or epochs <= EPOCHS else _epoch(number, epochs)


def _epoch(number: int, epochs: int) -> int:
    return ceil(number * EPOCHS / epochs)
