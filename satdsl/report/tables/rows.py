"""Lay out a table with a row for each weights and point, and a column for each measure."""

from __future__ import annotations

from satdsl.report.pivot import MEASURE, WEIGHTS, DisplayedResults, PivotTable


def layout(shown: DisplayedResults) -> PivotTable:
    """Return the table: rows by the axes that are asked for, then by all others that tell its results apart."""
    return shown.pivot((WEIGHTS, *shown.display.series, *shown.axes()), (MEASURE,))
