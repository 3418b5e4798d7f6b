"""Arrange measured results in rows and columns, as a plot or a table of the specification asks for.

Which axes go down and which across is for the kind of plot or table to say: see `report.charts.plots` and
`report.tables`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from satdsl.ir.experiment import EPOCH, RADIUS
from satdsl.ir.plan import Display, Plan, Point, Published, Selected
from satdsl.report.artifact_reader import ReportError
from satdsl.report.expressions import agrees
from satdsl.report.intervals import Interval
from satdsl.report.published_values import PublishedValues
from satdsl.report.results import Measured, Unit, radii

WEIGHTS = "weights"
MEASURE = "measure"
"""The two halves of a result's name, `sat` and `robust` in `sat.robust`: what tables use beside the axes."""


@dataclass(frozen=True)
class Cell:
    """A value, or the mean of `over` values with their standard deviation; `of` counts those not run as well.

    `value` is None where nothing is run; `std` where there is one value or none. Shares are in [0, 1]. `n` is
    the number of images behind each value. `published` is what a publication gives for it, and `source` which.
    """

    value: float | None
    unit: Unit
    std: float | None = None
    over: int = 1
    of: int = 1
    n: int = 0
    published: float | None = None
    source: str = ""
    measured: tuple[Measured, ...] = field(default=(), repr=False, compare=False)
    """The values behind it, those not run as well."""

    @property
    def partial(self) -> tuple[int, int] | None:
        """How many images are measured, and of how many, of the value with the least share; None where all are."""
        counts = [(one.n, one.of) for one in self.measured if one.prefix is not None]
        return min(counts, key=lambda count: count[0] / count[1]) if counts else None

    @property
    def averaged(self) -> list[str]:
        """The axes along which the values behind a mean lie."""
        labels: dict[str, set[str]] = {}
        for one in self.measured:
            for axis, label in one.row:
                labels.setdefault(axis, set()).add(label)
        return [axis for axis, different in labels.items() if len(different) > 1]

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of a single value; None for a mean."""
        return self.measured[0].interval if len(self.measured) == 1 else None


@dataclass(frozen=True)
class PivotRow:
    """A row: its label on each axis that goes down, and its cells; None where there is no result."""

    names: tuple[str, ...]
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class PivotTable:
    """The results of a display by the axes that go down and the axes that go across.

    Attributes:
        heads: the axes that go down; they stand above the names of the rows.
        columns: the heads of the columns.
        baselines: rows below; each has one name and one cell, since it belongs to no column.
        across: the axes that go across.
        labels: for each column its label on each of the axes `across`; empty where it has none on an axis.
    """

    title: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[PivotRow, ...]
    baselines: tuple[tuple[str, Cell], ...] = ()
    across: tuple[str, ...] = ()
    labels: tuple[tuple[str, ...], ...] = ()

    @property
    def cells(self) -> list[Cell]:
        """All cells, those of the baselines last."""
        body = [cell for row in self.rows for cell in row.cells if cell is not None]
        return body + [cell for _, cell in self.baselines]

    @property
    def unit(self) -> Unit | None:
        """The unit of all cells; None where they differ."""
        units = {cell.unit for cell in self.cells}
        return units.pop() if len(units) == 1 else None

    @property
    def partial(self) -> bool:
        """Whether some of the images behind a value are not measured yet."""
        return any(cell.partial is not None for cell in self.cells)

    @property
    def published(self) -> list[Cell]:
        """The cells that have a published value."""
        return [cell for cell in self.cells if cell.published is not None]


@dataclass(frozen=True)
class _Placed:
    """A cell and where it lies: its label on each axis, and on both halves of its result's name."""

    labels: Mapping[str, str]
    cell: Cell


class DisplayedResults:
    """The results that a display chooses, averaged over its `mean` axes.

    Raises:
        ReportError: the display chooses no result.
    """

    def __init__(self, display: Display, plan: Plan, results: Sequence[Measured]) -> None:
        names = {selected.name for selected in (*display.results, *display.baselines)}
        self.display = display
        self._plan = plan
        self._results = [one for one in results if one.result in names]
        self._published = PublishedValues(plan, self._results)
        self._placed = [placed for selected in display.results for placed in self._choose(selected)]

    def tells_apart(self, axis: str) -> bool:
        """Return whether the results have several labels on an axis."""
        return len({placed.labels[axis] for placed in self._placed if axis in placed.labels}) > 1

    def axes(self) -> list[str]:
        """Return the axes that tell the results apart, in the plan's order; then `part` and `class`."""
        every = dict.fromkeys([*self._plan.axes, *(axis for placed in self._placed for axis in placed.labels)])
        return [axis for axis in every if axis not in (WEIGHTS, MEASURE) and self.tells_apart(axis)]

    def left_by(self, *placed: str | None) -> list[str]:
        """Return those of the axes that tell the results apart which the labels on `placed` axes do not settle."""
        axes = self.axes()
        seen: dict[tuple[str, ...], set[str]] = {}
        for one in self._placed:
            at = [one.labels.get(axis or "", "") for axis in placed]
            for axis in axes:
                seen.setdefault((axis, *at), set()).add(one.labels.get(axis, ""))
        several = {axis for (axis, *_), labels in seen.items() if len(labels) > 1}
        return [axis for axis in axes if axis in several]

    def pivot(self, down: Iterable[str], across: Iterable[str], *, baselines: bool = False) -> PivotTable:
        """Return one row for each combination of labels on the axes `down`, one column for each of those `across`."""
        down, across = tuple(dict.fromkeys(down)), tuple(dict.fromkeys(across))
        down = tuple(axis for axis in down if any(axis in placed.labels for placed in self._placed)) or down[:1]
        rows: dict[tuple[str, ...], dict[tuple[str, ...], Cell]] = {}
        for placed in self._placed:
            rows.setdefault(_labels(placed, down), {})[_labels(placed, across)] = placed.cell
        columns = self._sorted({column for row in rows.values() for column in row}, across)
        return PivotTable(
            title=self.display.title,
            heads=down,
            columns=tuple(", ".join(filter(None, labels)) or self._only_name() for labels in columns),
            rows=tuple(
                PivotRow(names, tuple(rows[names].get(column) for column in columns))
                for names in self._sorted(rows, down)
            ),
            baselines=tuple(self._baselines()) if baselines else (),
            across=across,
            labels=tuple(columns),
        )

    def _choose(self, selected: Selected) -> list[_Placed]:
        named = {*_places(self.display), *dict(selected.at)}
        groups: dict[Point, dict[Point, Measured]] = {}
        for measured in self._results:
            if measured.result == selected.name and agrees(measured, selected.at):
                hidden = {*self.display.mean, *(axis for axis in measured.source.rows if axis not in named)}
                point = tuple(item for item in measured.point if item[0] not in hidden)
                groups.setdefault(point, {}).setdefault(measured.row, measured)
        if not groups:
            raise ReportError(f'"{self.display.title}" shows {selected.name}, which has no value there')
        weights, _, measure = selected.name.rpartition(".")
        names = {WEIGHTS: weights, MEASURE: measure}
        return [
            _Placed(names | dict(point), cell_of(group, self._published.of(group)))
            for point, group in ((point, list(rows.values())) for point, rows in groups.items())
        ]

    def _baselines(self) -> Iterator[tuple[str, Cell]]:
        for selected in self.display.baselines:
            for placed in self._choose(selected):
                at = ", ".join(f"{a}={label}" for a, label in placed.labels.items() if a not in (WEIGHTS, MEASURE))
                yield selected.name + (f"[{at}]" if at else ""), placed.cell

    def _only_name(self) -> str:
        labels = self._placed[0].labels
        return f"{labels[WEIGHTS]}.{labels[MEASURE]}".lstrip(".")

    def _sorted(self, places: Iterable[tuple[str, ...]], axes: Sequence[str]) -> list[tuple[str, ...]]:
        """Sort labels on some axes: as declared, else as they appear; what has no label on an axis comes first."""
        orders = [self._order(axis) for axis in axes]
        return sorted(places, key=lambda labels: [order[label] for order, label in zip(orders, labels, strict=True)])

    def _order(self, axis: str) -> dict[str, int]:
        declared = self._plan.axes.get(axis, ())
        if axis == "class":
            declared = tuple(name for result in self._plan.results for name in result.class_names)
        if axis == EPOCH and not declared:
            labels = {placed.labels[axis] for placed in self._placed if axis in placed.labels}
            declared = tuple(sorted(labels, key=int))
        if axis == RADIUS and not declared:
            declared = radii(self._plan)
        appearing = (placed.labels[axis] for placed in self._placed if axis in placed.labels)
        return {label: rank for rank, label in enumerate(dict.fromkeys(["", *declared, *appearing]))}


def _places(display: Display) -> Iterator[str]:
    """Yield the axes along which a display lays its results out."""
    yield from filter(None, (display.x, display.y, *display.series))


def _labels(placed: _Placed, axes: Sequence[str]) -> tuple[str, ...]:
    return tuple(placed.labels.get(axis, "") for axis in axes)


def cell_of(group: Sequence[Measured], published: Published | None = None) -> Cell:
    """Return the mean of some results, with its spread."""
    values = [measured.value for measured in group if measured.value is not None]
    return Cell(
        value=fmean(values) if values else None,
        unit=group[0].unit,
        std=stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None,
        over=len(values),
        of=len(group),
        n=max(measured.n for measured in group),
        published=published.value if published is not None else None,
        source=published.source if published is not None else "",
        measured=tuple(group),
    )
