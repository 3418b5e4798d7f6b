"""Replace data sets by small synthetic ones with the same classes and channels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from satdsl.catalog.augmentations import AugmentationEntry
from satdsl.check.datasets import counted
from satdsl.ir.experiment import Dataset, DatasetFacts
from satdsl.ir.steps import CatalogCall, Holdout

SIDE = 16
"""Pixels a side, at most."""

SELECTION = 0.4
"""The share of a hold-out: none of a class of one image, some of the class that has more."""

FEW = 20
"""Up to so many classes have two training images each; beyond, one."""

MOST, REPORTED = 20, 11
"""Further images of one class, to train on (at least) and to measure. A network of two epochs finds out which class is
frequent, so some of its images are right without attack, and there is something to attack."""


def side(pixels: int, kept: Collection[int] = ()) -> int:
    """Return the height or width of small images; 0 stands for one that is known only when the images are read."""
    return pixels if pixels in kept else min(pixels or SIDE, SIDE)


def small(data: Dataset, kept: Collection[int]) -> Dataset:
    """Return the small data set; images whose sides are among `kept` keep their size."""
    facts = data.facts
    if facts is None:
        return data
    classes = len(facts.classes)
    held = data.holdout.source if data.holdout is not None else None
    frequent = _frequent(facts)
    train = _counts(classes, 2 if classes <= FEW else 1, max(MOST, classes // 2), facts.train_counts, frequent)
    val = _counts(classes, 1, REPORTED, facts.val_counts, frequent)
    channels, height, width = facts.shape
    shape = channels, side(height, kept), side(width, kept)
    source = CatalogCall(
        "stand_in",
        (("of", data.source.name), ("classes", facts.classes), ("shape", shape), ("train", train), ("val", val)),
    )
    return counted(
        replace(
            data,
            source=source,
            augment=tuple(AugmentationEntry.of(change).resized(change, shape[1]) for change in data.augment),
            holdout=Holdout(SELECTION, held) if held is not None else None,
            root=None,
            parts=(),
            first_train=None,
            facts=replace(facts, shape=shape, train=sum(train), val=sum(val), train_counts=train, val_counts=val),
        )
    )


def _frequent(facts: DatasetFacts) -> int:
    """Return the class that gets more images than the others: the first with most to train on and to measure."""
    known = [counts for counts in (facts.train_counts, facts.val_counts) if counts is not None]
    return max(range(len(facts.classes)), key=lambda c: min((counts[c] for counts in known), default=0))


def _counts(classes: int, each: int, more: int, real: tuple[int, ...] | None, frequent: int) -> tuple[int, ...]:
    """Return the images of each class: `each`, for the frequent class `more`, and never more than there really are."""
    wanted = [each + more * (c == frequent) for c in range(classes)]
    return tuple(wanted if real is None else map(min, wanted, real))
