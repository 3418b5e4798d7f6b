"""Describe the plots: figures of results."""

from __future__ import annotations

from typing import ClassVar

from satdsl.catalog.argument import Argument
from satdsl.catalog.registry import Entry
from satdsl.records import record

X = Argument("x", "axis").meaning("Horizontal axis: an axis of the sweep such as $share, or `class` or `part`.")
SERIES = Argument("series", "axis", default=(), many=True).meaning(
    "One line or group of bars for each value of these axes, named in the legend."
)
MEAN = Argument("mean", "axis", default=(), many=True).meaning(
    "Axes that are averaged away; their standard deviation is shown as well."
)
BASELINES = Argument("baselines", "results", default=(), many=True).meaning(
    "Results that do not depend on x, drawn as horizontal lines."
)


@record
class PlotEntry(Entry):
    """A plot of the catalog."""

    family: ClassVar[str] = "plot"
