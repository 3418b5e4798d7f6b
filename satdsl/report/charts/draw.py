"""A `Chart` to a `Drawing`, by its kind."""

from __future__ import annotations

from satdsl.report.charts import heatmap, lines
from satdsl.report.charts.chart import Chart
from satdsl.report.charts.drawing import Drawing
from satdsl.report.charts.theme import Look


def draw(chart: Chart, look: Look) -> Drawing:
    """The figure, laid out; to be called, and its drawing saved, in its look (`look.drawn_in`)."""
    return heatmap.draw(chart, look) if chart.kind == "heatmap" else lines.draw(chart, look)
