"""A grid coloured by a result over two axes."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.plots import MEAN, PlotEntry, X

ENTRY = PlotEntry(
    "heatmap",
    __doc__,
    arguments=(
        Argument("value", "results").meaning("Result that gives each cell its colour and number."),
        X,
        Argument("y", "axis").meaning("Vertical axis: an axis of the sweep such as $share, or `class` or `part`."),
        MEAN,
    ),
    place=3,
)
