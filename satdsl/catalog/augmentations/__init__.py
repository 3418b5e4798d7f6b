"""Describe the augmentations: random changes to training images."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from satdsl.catalog.registry import CallSite, Entry
from satdsl.ir.steps import CatalogCall
from satdsl.records import record


@record
class AugmentationEntry(Entry):
    """An augmentation of the catalog."""

    family: ClassVar[str] = "augmentation"

    fits: Callable[[CatalogCall, tuple[int, int, int], CallSite], None] = lambda change, shape, site: None
    """Makes findings about it on images of so many channels, height and width."""
    resized: Callable[[CatalogCall, int], CatalogCall] = lambda change, side: change
    """The call for images of another side."""
