"""Say in sentences what a smoke run has made small or left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeVar

from satdsl.catalog.attacks import AttackEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.ir.experiment import Dataset, Experiment, SplitDefinition, SweepTable, TrainingDefinition
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Data, ImageWeights, ScaledAttacks, Where
from satdsl.smoke.data import SELECTION
from satdsl.smoke.settings import BATCH, CLIP, EPOCHS
from satdsl.smoke.small_subsets import lists, parts, rankings

T = TypeVar("T")

SHOWN = 6
"""The most values of an axis that a sentence lists."""


def summary(real: Experiment, small: Experiment, plan: Plan) -> tuple[str, ...]:
    """Return one sentence for each kind of cut; `plan` is that of the small experiment."""
    runs = _images(real, small, plan), _training(real), _attacks(real), _subsets(real)
    return tuple(chain(*runs, _axes(real, small), _claims(real)))


def _images(real: Experiment, small: Experiment, plan: Plan) -> Iterator[str]:
    used = {step.settings.source for step in plan.steps.values() if isinstance(step.settings, Data)}
    seen = set()
    for name, family in real.datasets.items():
        for labels, was in family.table.items():
            now = small.datasets[name].table[labels]
            sentence = f"{name}: synthetic images, {_sizes(now)}, instead of {was.source.name}, {_sizes(was)}"
            if now.source in used and sentence not in seen:
                seen.add(sentence)
                yield sentence
    if any(data.holdout is not None for data in _all(real.datasets.values())):
        yield f"hold-outs: {SELECTION:.0%} of the images of one class"


def _sizes(data: Dataset) -> str:
    pixels = " x ".join(str(side) for side in data.facts.shape[1:]) if data.facts is not None else "?"
    return f"{data.train or 0:,} to train on and {data.val or 0:,} to measure, {pixels} pixels"


def _training(real: Experiment) -> Iterator[str]:
    trainings: list[TrainingDefinition] = _all(real.trainings.values())
    recipes = [train.recipe for train in trainings] + [t.recipe for t in _all(real.transfers.values())]
    epochs = sorted({recipe["epochs"] for recipe in recipes if recipe["epochs"] > EPOCHS})
    if epochs:
        real_epochs = _listed(f"{number:,}" for number in epochs)
        yield f"epochs: {EPOCHS} instead of {real_epochs}, with schedules shortened alike"
        if any(m.weights for one in real.measured for each in one.measures.table.values() for m in each.moments):
            yield f"results over epochs: each read at the one of {EPOCHS} that it corresponds to"
    if any(recipe["batch"] > BATCH for recipe in recipes):
        yield f"batches: at most {BATCH} images"
    if trainings:
        yield f"gradients: clipped to a norm of {CLIP:g}"
    if trainings:
        yield "networks: as narrow as their arguments allow" + (
            "; those with weights from a file are unchanged" if any(train.pretrained for train in trainings) else ""
        )


def _attacks(real: Experiment) -> Iterator[str]:
    trainings: list[TrainingDefinition] = _all(real.trainings.values())
    attacks = {attack for train in trainings for attack in train.every_attack}
    attacks |= {attack for train in trainings if train.select is not None for attack in train.select.attacks}
    attacks |= {attack for measured in real.measured for m in measured.measures.table.values() for attack in m.attacks}
    found = {AttackEntry.of(attack) for attack in attacks}
    yield from (f"{entry.name}: {entry.short}" for entry in sorted(found, key=lambda entry: entry.place) if entry.short)
    if any(isinstance(choice, ScaledAttacks) for train in trainings for choice in train.choices):
        yield "radii scaled by files: whole for every image, since their numbers belong to other images"
    measures = {m.own for measured in real.measured for m in measured.measures.table.values() if m.own is not None}
    own = {entry.name: entry.short for entry in map(MeasureEntry.of, measures)}
    yield from (f"{name}: {short}" for name, short in sorted(own.items()) if short)


def _subsets(real: Experiment) -> Iterator[str]:
    splits: list[SplitDefinition] = _all(real.splits.values())
    if any(isinstance(part, Where) for split in splits for one in split.subsets for part in parts(one)):
        yield "thresholds: a tenth of the examples is always above, a tenth always below"
    if any(ranking.digest for split in splits for ranking in rankings(split.subsets)):
        yield "rankings from files: a random order, since their numbers belong to other images"
    if any(isinstance(weight, ImageWeights) for split in splits for weight in split.weights):
        yield "loss weights from files: 1 for every image, since their numbers belong to other images"
    if any(lists(split.subsets) for split in splits):
        yield "examples listed in files: random draws, since their indices belong to other images"


def _axes(real: Experiment, small: Experiment) -> Iterator[str]:
    for was, now in zip(real.axes, small.axes, strict=True):
        if len(now.labels) < len(was.labels):
            yield f"axis {was.name}: {_listed(now.labels)} of {len(was.labels)} values"


def _claims(real: Experiment) -> Iterator[str]:
    if real.claims:
        yield "claims: computed, but neither confirmed nor refuted"


def _listed(words: Iterable[str]) -> str:
    every = list(words)
    return ", ".join(every[:SHOWN]) + (", ..." if len(every) > SHOWN else "")


def _all(families: Iterable[SweepTable[T]]) -> list[T]:
    """Return the instances of some definitions at every point."""
    return [value for family in families for value in family.table.values()]
