"""Lines of results over a sweep axis."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.plots import BASELINES, MEAN, SERIES, PlotEntry, X

ENTRY = PlotEntry(
    "line",
    __doc__,
    arguments=(
        Argument("y", "results", many=True).meaning("Results whose values the lines show."),
        X,
        SERIES,
        MEAN,
        BASELINES,
    ),
    place=1,
)
