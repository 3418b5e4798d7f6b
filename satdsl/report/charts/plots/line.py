"""Draw lines of results over an axis, with a band of one standard deviation where they are means over draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from satdsl.report.charts.chart import Chart, Mark, Plot, Series, columns_as_series
from satdsl.report.charts.drawing import Drawing, clean
from satdsl.report.charts.palette import Style
from satdsl.report.charts.theme import Theme
from satdsl.report.charts.xy_plot import REACH, XYPlot, deviation, interval, positions, series_layout, stroke, value_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist


class _LinePlot(XYPlot):
    def positions(self) -> list[float]:
        return positions(self.chart.x)

    def edge(self) -> float:
        places = self.at.values()
        return 0.5 if len(places) < 2 else 0.04 * (max(places) - min(places))

    @staticmethod
    def handle(series: Series, style: Style) -> Artist:
        from matplotlib.lines import Line2D

        return Line2D([], [], marker=style.marker, label=clean(series.name), **stroke(style))

    def draw_series(self, series: Series, style: Style, number: int) -> None:
        marks = sorted(series.marks, key=lambda mark: self.at[mark.x])
        xs = [self.at[mark.x] for mark in marks]
        ys = [math.nan if (value := value_of(mark)) is None else value * self.scale for mark in marks]
        self.axes.plot(xs, ys, **stroke(style))
        self.axes.plot(xs, ys, style.marker, color=style.colour, zorder=3)
        self._draw_spread(marks, style)
        for mark, x, y in zip(marks, xs, ys, strict=True):
            self.draw_published(mark, x, series, style)
            if math.isfinite(y):
                at = {"corners": ((x, y), (x, y)), "pad": REACH, "series": series.name, "x": mark.x}
                self.drawing.target(None, "point", mark.tooltip, self.axes.transData, **at)

    def _draw_spread(self, marks: Sequence[Mark], style: Style) -> None:
        """Draw a band of one standard deviation over draws, or each value's 95 % interval if nothing is averaged."""
        if not self.chart.averaged:
            self._draw_error_bars(marks, [interval(mark.cell) for mark in marks], style)
            return
        for shaded, group in groupby(marks, key=lambda mark: value_of(mark) is not None and mark.cell.std is not None):
            run = list(group)
            if not shaded:
                continue
            ends = [deviation(mark.cell) for mark in run]
            if len(run) == 1:
                self._draw_error_bars(run, ends, style)
                continue
            xs = [self.at[mark.x] for mark in run]
            low, high = ([end[side] * self.scale for end in ends if end is not None] for side in (0, 1))
            self.axes.fill_between(xs, low, high, color=style.colour, alpha=0.2, linewidth=0)

    def _draw_error_bars(self, marks: Sequence[Mark], ends: Sequence[tuple[float, float] | None], style: Style) -> None:
        known = [(self.at[mark.x], *end) for mark, end in zip(marks, ends, strict=True) if end is not None]
        if known:
            xs, *sides = zip(*known, strict=True)
            low, high = ([end * self.scale for end in side] for side in sides)
            self.axes.vlines(xs, low, high, color=style.colour, linewidth=0.7)


def _draw(chart: Chart, theme: Theme) -> Drawing:
    return _LinePlot(chart, theme).draw()


PLOT = Plot(series_layout, columns_as_series, _draw, noun="Lines", spread="Shaded")
