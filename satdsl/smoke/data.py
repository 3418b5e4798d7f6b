"""Data sets to small stand-ins with the same classes and channels, made on the spot."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from satdsl.check.datasets import counted
from satdsl.check.experiment import Dataset
from satdsl.plan.steps import Choice, Holdout

LARGE, SMALL = 32, 16
"""Pixels a side of the images: of those that have more than 64, and of the others at most."""

SELECTION = 0.5
"""The share of a hold-out, so that it takes one of two images."""

FEW = 20
"""Up to so many classes have two training images each; beyond, one."""

MOST, REPORTED = 8, 4
"""Further images of the first class, to train on and to measure. Networks of two epochs find out which class is
frequent, so some of its images are right without attack, and there is something to attack."""


def side(pixels: int, kept: Collection[int] = ()) -> int:
    """The height or width of small images; 0 (known only once the images are read) counts as large."""
    if pixels in kept:
        return pixels
    return min(pixels, SMALL) if 0 < pixels <= 64 else LARGE


def small(data: Dataset, kept: Collection[int]) -> Dataset:
    """A data set's stand-in; images whose sides are among `kept` keep their size."""
    facts = data.facts
    if facts is None:
        return data
    classes = len(facts.classes)
    held = data.holdout.source if data.holdout is not None else None
    more = max(MOST, classes // 4)
    train = _counts(classes, 2 if classes <= FEW else 1, more, facts.train_counts, twice=held == "train")
    val = _counts(classes, 1, REPORTED, facts.val_counts, twice=held == "val")
    channels, height, width = facts.shape
    shape = channels, side(height, kept), side(width, kept)
    source = Choice(
        "stand_in",
        (("of", data.source.name), ("classes", facts.classes), ("shape", shape), ("train", train), ("val", val)),
    )
    return counted(
        replace(
            data,
            source=source,
            augment=tuple(_augmentation(change, shape[1]) for change in data.augment),
            holdout=Holdout(SELECTION, held) if held is not None else None,
            root=None,
            facts=replace(facts, shape=shape, train=sum(train), val=sum(val), train_counts=train, val_counts=val),
        )
    )


def _counts(classes: int, each: int, more: int, real: tuple[int, ...] | None, *, twice: bool) -> tuple[int, ...]:
    """How many images each class has: `each`, the first `more` than that, none more than there are in fact."""
    wanted = (1 + twice) * (each + more), *[(1 + twice) * each] * (classes - 1)
    return wanted if real is None else tuple(min(pair) for pair in zip(wanted, real, strict=True))


def _augmentation(change: Choice, size: int) -> Choice:
    return Choice(change.name, tuple((arg, size if arg == "size" else value) for arg, value in change.args))
