"""Multiplies the learning rate by `factor` after each of the epochs in `at`."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.registry import CallSite, changed
from satdsl.catalog.schedules import ScheduleEntry
from satdsl.ir.steps import CatalogCall


def fits(schedule: CatalogCall, recipe: CatalogCall, site: CallSite) -> None:
    """Refuse drops of the learning rate that come out of order, and warn of those that never come."""
    at, epochs = schedule["at"], recipe["epochs"]
    if list(at) != sorted(set(at)):
        ordered = f"[{', '.join(str(epoch) for epoch in sorted(set(at)))}]"
        site.error(
            "E507",
            f"the epochs of the drops must be in ascending order, each only once, but here is {list(at)}",
            help=site.with_list("schedule.at", ordered, f"write `at={ordered}`"),
        )
    elif any(epoch >= epochs for epoch in at):
        late = next(epoch for epoch in at if epoch >= epochs)
        site.warn(
            "E507",
            f"the learning rate is to drop at epoch {late} of {epochs}",
            "the training ends earlier, so this drop never happens",
            "give an earlier epoch, or train longer",
        )


def shortened(schedule: CatalogCall, epochs: int, short: int) -> CatalogCall:
    """Return the schedule with its drops at the same shares of the epochs, the last epoch excluded."""
    return changed(schedule, at=tuple(sorted({min(-(-at * short // epochs), short - 1) for at in schedule["at"]})))


ENTRY = ScheduleEntry(
    "step",
    __doc__,
    arguments=(
        Argument("at", "int", many=True, unit="epochs", at_least=1).meaning(
            "Numbers of completed epochs after which the learning rate drops, in ascending order."
        ),
        Argument("factor", "number", default=0.1, above=0, below=1).meaning(
            "What the learning rate is multiplied by at each drop."
        ),
    ),
    place=1,
    fits=fits,
    drops=lambda call: tuple(call["at"]),
    shortened=shortened,
)
