"""Describe what a plot shows, as data: a `Chart` of series, their marks and the baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from satdsl.ir.plan import Plan
from satdsl.report.charts.drawing import Drawing
from satdsl.report.charts.labels import tooltip, x_axis_label, y_axis_label
from satdsl.report.charts.roles import Attacked, Trainings
from satdsl.report.charts.theme import Theme
from satdsl.report.pivot import Cell, DisplayedResults, PivotTable
from satdsl.report.results import Unit


@dataclass(frozen=True)
class Mark:
    """A value of a series: its label along x, and where it stands in words."""

    x: str
    place: str
    cell: Cell
    attacked: bool = False
    """Whether the value is of a class that is attacked there."""

    @property
    def tooltip(self) -> str:
        return tooltip(self.place, self.cell, attacked=self.attacked)


@dataclass(frozen=True)
class Series:
    """A line, the bars of one colour, or a row of a heat map. `labels` are its (axis, label) pairs."""

    name: str
    labels: tuple[tuple[str, str], ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Baseline:
    """A value that does not depend on x, and how much of its training set was attacked."""

    name: str
    cell: Cell
    attacked: Attacked

    @property
    def tooltip(self) -> str:
        return tooltip(self.name, self.cell)


@dataclass(frozen=True)
class SeriesTable:
    """A table read as series: the labels along x, the axes along x and down, and the series."""

    x: tuple[str, ...]
    x_axis: str
    down_axis: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Chart:
    """A plot as data.

    Attributes:
        noun: what it consists of: `Lines`.
        x: the labels along the horizontal axis, in order.
        unit: the unit of all values; None where they differ.
        averaged: the axes that the values are means over.
        down_label: what the rows of a heat map are.
        spread: a sentence on what its bands, or the lines through its points and bars, stand for; empty without any.
    """

    title: str
    noun: str
    x: tuple[str, ...]
    x_label: str
    y_label: str
    unit: Unit | None
    series: tuple[Series, ...]
    baselines: tuple[Baseline, ...] = ()
    averaged: tuple[str, ...] = ()
    down_label: str = ""
    spread: str = ""

    @property
    def marks(self) -> Iterator[Mark]:
        return (mark for series in self.series for mark in series.marks)

    @property
    def empty(self) -> bool:
        """Whether nothing has a value, published ones included."""
        return all(cell.value is None and cell.published is None for cell in self.cells)

    @property
    def cells(self) -> list[Cell]:
        """All of them, those of the baselines last."""
        return [mark.cell for mark in self.marks] + [baseline.cell for baseline in self.baselines]


@dataclass(frozen=True)
class Plot:
    """How a kind of plot is made.

    Attributes:
        layout: arranges the results as the table behind the plot: which axes go down, and which across.
        series_of: reads the table: a series is a column, or a row.
        draw: draws the chart; it is called, and its drawing saved, within `theme.themed`.
        noun: what a listener is told that the plot consists of.
        spread: how a mean's standard deviation is drawn; empty where neither it nor an interval is.
    """

    layout: Callable[[DisplayedResults], PivotTable]
    series_of: Callable[[PivotTable, Trainings], SeriesTable]
    draw: Callable[[Chart, Theme], Drawing]
    noun: str
    spread: str = ""


def make_chart(
    pivot: PivotTable, plan: Plan, plot: Plot, averaged: tuple[str, ...], called: Callable[[str], str] = str
) -> Chart:
    """Return the chart of the results in a table, which are means over the axes `averaged`.

    `called` says what an axis is called.
    """
    trainings = Trainings(plan)
    read = plot.series_of(pivot, trainings)
    cells = [cell for row in pivot.rows for cell in row.cells if cell is not None]
    return Chart(
        title=pivot.title,
        noun=plot.noun,
        x=read.x,
        x_label=_axis_label(read.x_axis, cells, trainings, called),
        y_label=y_axis_label(cells),
        unit=pivot.unit,
        series=read.series,
        baselines=tuple(Baseline(name, cell, trainings.attacked(cell)) for name, cell in pivot.baselines),
        averaged=averaged,
        down_label=_axis_label(read.down_axis, cells, trainings, called),
        spread=_spread(read.series, tuple(map(called, averaged)), plot.spread),
    )


def _axis_label(axis: str, cells: Sequence[Cell], trainings: Trainings, called: Callable[[str], str]) -> str:
    """Return the label that an axis is given, or what can be said of it."""
    given = called(axis)
    return given if given != axis else x_axis_label(axis, cells, trainings)


def columns_as_series(pivot: PivotTable, trainings: Trainings) -> SeriesTable:
    """Read a table for lines and bars: a series is a column, x goes down."""
    head = pivot.heads[-1] if pivot.heads else ""
    x = tuple(", ".join(row.names) for row in pivot.rows)
    series = []
    for i, (name, labels) in enumerate(zip(pivot.columns, pivot.labels, strict=True)):
        cells = ((label, row.cells[i]) for label, row in zip(x, pivot.rows, strict=True))
        marks = (_mark(label, cell, (name, head), trainings) for label, cell in cells if cell is not None)
        own = tuple((axis, label) for axis, label in zip(pivot.across, labels, strict=True) if label)
        series.append(Series(name, own, tuple(marks)))
    return SeriesTable(x, head, "", tuple(series))


def rows_as_series(pivot: PivotTable, trainings: Trainings) -> SeriesTable:
    """Read a table for heat maps: a series is a row, x goes across."""
    x_axis = pivot.across[-1]
    series = []
    for row in pivot.rows:
        own = tuple(zip(pivot.heads, row.names, strict=True))
        where = ", ".join(f"{head}={label}" for head, label in own if label)
        cells = zip(pivot.columns, row.cells, strict=True)
        marks = (_mark(x, cell, (where, x_axis), trainings) for x, cell in cells if cell is not None)
        series.append(Series(", ".join(filter(None, row.names)) or pivot.title, own, tuple(marks)))
    return SeriesTable(pivot.columns, x_axis, ", ".join(pivot.heads), tuple(series))


def _mark(x: str, cell: Cell, where: tuple[str, str], trainings: Trainings) -> Mark:
    series, axis = where
    place = f"{series}, {axis}={x}" if axis and x else series
    attacked = all(
        dict(measured.point).get("class") in (trainings.attacked_classes(measured) or ()) for measured in cell.measured
    )
    return Mark(x, place, cell, attacked)


def _spread(series: Sequence[Series], averaged: Sequence[str], drawn_as: str) -> str:
    """Return `Shaded: one standard deviation over draw, either side of the mean.`."""
    cells = [mark.cell for one in series for mark in one.marks]
    if not drawn_as:
        return ""
    if averaged:
        known = any(cell.std is not None for cell in cells)
        text = f"{drawn_as}: one standard deviation over {' and '.join(averaged)}, either side of the mean."
        return text if known else ""
    known = any(cell.interval is not None for cell in cells)
    return "Vertical lines: 95 % intervals, from the number of images." if known else ""
