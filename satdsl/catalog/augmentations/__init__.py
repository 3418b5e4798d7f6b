"""Describe the augmentations: random changes to training images."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from satdsl.catalog.argument import Argument
from satdsl.catalog.registry import CallSite, Entry
from satdsl.ir.steps import CatalogCall
from satdsl.records import record

ALPHA = Argument("alpha", "number", default=1.0, above=0).meaning(
    "Of the distribution Beta(alpha, alpha) of lambda: 1 is uniform in [0, 1]; the smaller, the less is mixed."
)
PROBABILITY = Argument("probability", "number", default=1.0, above=0, at_most=1).meaning(
    "Of a batch to be mixed at all; CutMix's code has 0.5 on CIFAR."
)


@record
class AugmentationEntry(Entry):
    """An augmentation of the catalog."""

    family: ClassVar[str] = "augmentation"

    fits: Callable[[CatalogCall, tuple[int, int, int], CallSite], None] = lambda change, shape, site: None
    """Makes findings about it on images of so many channels, height and width."""
    resized: Callable[[CatalogCall, int], CatalogCall] = lambda change, side: change
    """The call for images of another side."""
    mixes: bool = False
    """Whether it mixes images and their labels in pairs, which is done last; of such entries, data sets take one."""
