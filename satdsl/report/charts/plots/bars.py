"""Draw bars of results, grouped along an axis, with error bars."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from satdsl.report.charts.chart import Chart, Mark, Plot, Series, columns_as_series
from satdsl.report.charts.drawing import Drawing, clean
from satdsl.report.charts.palette import Style, colours_of, have_fixed_colours
from satdsl.report.charts.theme import Theme
from satdsl.report.charts.xy_plot import XYPlot, deviation, interval, series_layout, value_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist


class _BarPlot(XYPlot):
    def __init__(self, chart: Chart, theme: Theme) -> None:
        super().__init__(chart, theme)
        self.bar_width = 0.8 / max(len(chart.series), 1)
        # A single series of orders or parts: its bars have the colours that these have everywhere.
        alone = len(chart.series) == 1
        self.colours_by_x = colours_of(chart.x) if alone and have_fixed_colours(chart.x) else {}

    def prepare(self) -> None:
        self.axes.margins(y=0.08)
        self.axes.axhline(0, color=self.drawing.theme.ink, linewidth=0.6)

    @staticmethod
    def handle(series: Series, style: Style) -> Artist:
        from matplotlib.patches import Patch

        return Patch(label=clean(series.name), **_fill(style))

    def draw_series(self, series: Series, style: Style, number: int) -> None:
        for mark in series.marks:
            left = self.at[mark.x] - 0.4 + number * self.bar_width
            value = value_of(mark)
            coloured = replace(style, colour=self.colours_by_x.get(mark.x, style.colour))
            self.draw_published(mark, left + self.bar_width / 2, series, coloured)
            if value is not None:
                self._draw_bar(mark, series, coloured, left, value * self.scale)

    def _draw_bar(self, mark: Mark, series: Series, style: Style, left: float, height: float) -> None:
        middle, right = left + self.bar_width / 2, left + self.bar_width
        (bar,) = self.axes.bar(middle, height, self.bar_width * 0.94, zorder=2, **_fill(style))
        ends = (deviation if self.chart.averaged else interval)(mark.cell)
        if ends is not None:
            low, high = (end * self.scale for end in ends)
            self.axes.plot([middle, middle], [low, high], color=self.drawing.theme.ink, linewidth=0.8, zorder=2.2)
        at = {"corners": ((left, 0.0), (right, 1.0)), "series": series.name, "x": mark.x}
        self.drawing.target(bar, "point", mark.tooltip, self.axes.get_xaxis_transform(), **at)


def _fill(style: Style) -> dict[str, Any]:
    return {"facecolor": style.colour, "hatch": style.hatch or None, "edgecolor": "none", "hatchcolor": "#ffffff"}


def _draw(chart: Chart, theme: Theme) -> Drawing:
    return _BarPlot(chart, theme).draw()


PLOT = Plot(series_layout, columns_as_series, _draw, noun="Bars", spread="Vertical lines")
