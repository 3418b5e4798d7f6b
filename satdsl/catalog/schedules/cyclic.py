"""Raises the learning rate linearly from 0 to lr until epoch `peak`, then lowers it linearly to 0, step by step."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.registry import CallSite, changed
from satdsl.catalog.schedules import ScheduleEntry
from satdsl.ir.steps import CatalogCall


def fits(schedule: CatalogCall, recipe: CatalogCall, site: CallSite) -> None:
    """Refuse a warm-up before the schedule's own rise."""
    if recipe["warmup"]:
        site.error(
            "E511",
            "a cyclic schedule already begins with a rising learning rate, so it takes no `warmup`",
            help=f"leave `warmup` out, or move the peak: `cyclic(peak={recipe['warmup']})`",
        )


def shortened(schedule: CatalogCall, epochs: int, short: int) -> CatalogCall:
    """Return the schedule with its peak at the same share of the epochs."""
    return changed(schedule, peak=schedule["peak"] * short / epochs)


ENTRY = ScheduleEntry(
    "cyclic",
    __doc__,
    source="Smith and Topin, 2018; Wong, Rice and Kolter, 2020",
    arguments=(
        Argument("peak", "number", unit="epochs", above=0).meaning(
            "Number of completed epochs, fractions allowed, at which the learning rate is highest."
        ),
    ),
    place=3,
    fits=fits,
    rise="peak",
    shortened=shortened,
)
