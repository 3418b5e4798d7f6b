"""Describe the losses: what a subset of the training set is trained with, image by image.

In the formulas x is an image, x' its adversarial version, y its label, p(x) the network's probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from satdsl.catalog.registry import CallSite, Entry
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall
from satdsl.records import record


@record
class LossEntry(Entry):
    """A loss of the catalog."""

    family: ClassVar[str] = "loss"

    plain: bool = False
    """Whether it is what is minimised where nothing is said; such a loss is left out of a step."""
    both: bool = False
    """Whether it looks at the clean image and at the adversarial one, so that it needs an attack."""
    of_mixed: bool = False
    """Whether it takes labels that are distributions over the classes, as those of mixed images are."""
    passes: Passes = Passes()
    """What an attacked image costs in training beside its attack and its one pass with backward."""
    objective: str | None = None
    """What the attack on its subset maximises, whatever that attack's own objective is."""
    fits: Callable[[CatalogCall, str, CatalogCall | None, CallSite], None] = lambda loss, subset, attack, site: None
    """Makes findings about the loss on a subset that is attacked so."""
