"""Describe the schedules: how the learning rate changes over the epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from satdsl.catalog.registry import CallSite, Entry
from satdsl.ir.steps import CatalogCall
from satdsl.records import record


@record
class ScheduleEntry(Entry):
    """A schedule of the catalog."""

    family: ClassVar[str] = "schedule"

    fits: Callable[[CatalogCall, CatalogCall, CallSite], None] = lambda schedule, recipe, site: None
    """Makes findings about the schedule in a recipe."""
    rise: str = ""
    """The argument that says for how many epochs it rises by itself; a recipe's `warmup` where it has none."""
    drops: Callable[[CatalogCall], tuple[int, ...]] | None = None
    """The numbers of completed epochs after which the learning rate drops; None where it has no drops."""
    shortened: Callable[[CatalogCall, int, int], CatalogCall] = lambda schedule, epochs, short: schedule
    """The call for a training of `short` epochs in the place of more."""
