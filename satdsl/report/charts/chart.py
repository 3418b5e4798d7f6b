"""A display and the measured results to a `Chart`: what is drawn, as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from satdsl.ir.plan import Display, Plan
from satdsl.report.charts.labels import hover, value_words, x_words
from satdsl.report.charts.roles import Attacked, Trainings
from satdsl.report.results import Measured, Unit
from satdsl.report.tables import Cell, Table, table

DRAWN = ("line", "bars", "heatmap")
"""The kinds of displays that are drawn; the others are tables."""


@dataclass(frozen=True)
class Mark:
    """One value of a series: its place along x, and in words."""

    x: str
    place: str
    cell: Cell
    attacked: bool = False
    """Whether the value is of a class that is attacked there."""

    @property
    def says(self) -> str:
        return hover(self.place, self.cell, attacked=self.attacked)


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
    def says(self) -> str:
        return hover(self.name, self.cell)


@dataclass(frozen=True)
class Chart:
    """A figure as data: `x` are the labels along the horizontal axis, in order; `unit` None where units differ.

    `averaged` are the axes that the values are means over.
    """

    title: str
    kind: str
    x: tuple[str, ...]
    x_axis: str
    y_axis: str
    unit: Unit | None
    series: tuple[Series, ...]
    baselines: tuple[Baseline, ...] = ()
    averaged: tuple[str, ...] = ()
    down_axis: str = ""
    """What the rows of a heat map are."""

    @property
    def marks(self) -> Iterator[Mark]:
        return (mark for series in self.series for mark in series.marks)

    @property
    def spread(self) -> str:
        """What its bands, or the lines through its points and bars, stand for; nothing where it has none."""
        if self.kind == "heatmap":
            return ""
        if self.averaged:
            if all(mark.cell.std is None for mark in self.marks):
                return ""
            how = "Shaded" if self.kind == "line" else "Vertical lines"
            return f"{how}: one standard deviation over {' and '.join(self.averaged)}, either side of the mean."
        single = (mark.cell.measured[0] for mark in self.marks if len(mark.cell.measured) == 1)
        known = any(one.interval is not None for one in single)
        return "Vertical lines: 95 % intervals, from the number of images." if known else ""

    @property
    def empty(self) -> bool:
        """Whether nothing has a value, published ones included."""
        return all(cell.value is None and cell.published is None for cell in self.cells)

    @property
    def cells(self) -> list[Cell]:
        """All of them, the baselines' too."""
        return [mark.cell for mark in self.marks] + [baseline.cell for baseline in self.baselines]


def chart(display: Display, plan: Plan, results: Sequence[Measured]) -> Chart | None:
    """What a display draws; None for a table.

    Raises:
        ReportError: the display chooses no result.
    """
    if display.kind not in DRAWN:
        return None
    shown, trainings = table(display, plan, results), Trainings(plan)
    body = [row for row in shown.rows if not row.baseline]
    cells = [cell for row in body for cell in row.cells if cell is not None]
    in_rows = display.kind == "heatmap"
    across = "" if in_rows else ", ".join(shown.heads[-1:])
    series = _rows(shown, trainings) if in_rows else _columns(shown, trainings)
    x_axis = shown.across[-1] if in_rows else across
    down = ", ".join(shown.heads) if in_rows else ""
    return Chart(
        title=display.title,
        kind=display.kind,
        x=shown.columns if in_rows else tuple(", ".join(row.names) for row in body),
        x_axis=x_words(x_axis, cells, trainings),
        y_axis=value_words(cells, plan),
        unit=shown.unit,
        series=tuple(series),
        baselines=tuple(_baselines(shown, trainings)),
        averaged=display.mean,
        down_axis=x_words(down, cells, trainings),
    )


def _columns(shown: Table, trainings: Trainings) -> Iterator[Series]:
    """Lines and bars: a series is a column, x goes down."""
    body = [row for row in shown.rows if not row.baseline]
    head = shown.heads[-1] if shown.heads else ""
    for place, (name, labels) in enumerate(zip(shown.columns, shown.labels, strict=True)):
        marks = []
        for row in body:
            cell = row.cells[place]
            if cell is not None:
                marks.append(_mark(", ".join(row.names), cell, (name, head), trainings))
        own = tuple((axis, label) for axis, label in zip(shown.across, labels, strict=True) if label)
        yield Series(name, own, tuple(marks))


def _rows(shown: Table, trainings: Trainings) -> Iterator[Series]:
    """Heat maps: a series is a row, x goes across."""
    for row in shown.rows:
        name = ", ".join(filter(None, row.names)) or shown.title
        where = ", ".join(f"{head}={label}" for head, label in zip(shown.heads, row.names, strict=True) if label)
        marks = [
            _mark(x, cell, (where, shown.across[-1]), trainings)
            for x, cell in zip(shown.columns, row.cells, strict=True)
            if cell is not None
        ]
        yield Series(name, tuple(zip(shown.heads, row.names, strict=True)), tuple(marks))


def _mark(x: str, cell: Cell, where: tuple[str, str], trainings: Trainings) -> Mark:
    series, axis = where
    place = f"{series}, {axis}={x}" if axis and x else series
    attacked = all(
        dict(measured.point).get("class") in (trainings.attacked_classes(measured) or ()) for measured in cell.measured
    )
    return Mark(x, place, cell, attacked)


def _baselines(shown: Table, trainings: Trainings) -> Iterator[Baseline]:
    for row in shown.rows:
        if row.baseline and row.cells[0] is not None:
            yield Baseline(row.names[0], row.cells[0], trainings.attacked(row.cells[0]))
