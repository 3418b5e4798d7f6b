"""Describe the perturbations: where a recipe takes the gradient of a step, instead of at the weights themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from satdsl.catalog.registry import Entry
from satdsl.ir.steps import CatalogCall
from satdsl.records import record


@record
class PerturbationEntry(Entry):
    """A perturbation of the catalog: a change of the weights along which the loss of the batch rises."""

    family: ClassVar[str] = "perturbation"

    begins: Callable[[CatalogCall], int] = lambda call: 0
    """The number of completed epochs before which weights are left alone."""
    shortened: Callable[[CatalogCall, int], CatalogCall] = lambda call, short: call
    """The call for a training of `short` epochs in the place of more."""
    steps_there: bool = False
    """Whether the optimiser makes its step at the perturbed weights, and what was added is taken off after it; else the
    gradient alone is taken there. Batch norm's running statistics come from the pass where the step is made."""
