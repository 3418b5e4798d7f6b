"""A table with a row for each point of the axes and a column for each result."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.plots import MEAN
from satdsl.catalog.tables import TableEntry

ENTRY = TableEntry(
    "rows",
    __doc__,
    arguments=(
        Argument("results", "results", many=True).meaning("Results that make the columns."),
        Argument("by", "axis", default=(), many=True).meaning(
            "Axes that make the rows, in this order; all that are not averaged away when left out."
        ),
        MEAN,
    ),
    place=1,
)
