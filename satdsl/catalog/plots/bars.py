"""Bars of results, grouped along an axis."""

from satdsl.catalog.argument import Argument
from satdsl.catalog.plots import BASELINES, MEAN, SERIES, PlotEntry, X

ENTRY = PlotEntry(
    "bars",
    __doc__,
    arguments=(
        Argument("y", "results", many=True).meaning("Results whose values are the bars' heights."),
        X,
        SERIES,
        MEAN,
        BASELINES,
    ),
    place=2,
)
