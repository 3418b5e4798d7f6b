"""A plan's displays with the measured results, as tables that any renderer can show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from satdsl.ir.plan import Display, Plan, Published, Selected
from satdsl.report.expressions import agrees
from satdsl.report.published_values import PublishedValues
from satdsl.report.results import Measured, ReportError, Unit

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


@dataclass(frozen=True)
class Row:
    """One row: its names, one for each of the table's heads, and its cells; None leaves a cell empty."""

    names: tuple[str, ...]
    cells: tuple[Cell | None, ...]
    baseline: bool = False


@dataclass(frozen=True)
class Table:
    """`heads` stand above the rows' names, `columns` above their cells.

    `labels` has for each column its label on each of the axes `across`; empty where a column has none on an axis.
    """

    title: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    across: tuple[str, ...] = ()
    labels: tuple[tuple[str, ...], ...] = ()

    @property
    def unit(self) -> Unit | None:
        """The unit of all cells; None where they differ."""
        units = {cell.unit for row in self.rows for cell in row.cells if cell is not None}
        return units.pop() if len(units) == 1 else None

    @property
    def published(self) -> list[Cell]:
        """The cells that have a published value."""
        return [cell for row in self.rows for cell in row.cells if cell is not None and cell.published is not None]


def table(display: Display, plan: Plan, results: Sequence[Measured]) -> Table:
    """The table behind a plot, or the table itself.

    `rows` has one row per weights and point and one column per measure. `line` and `bars` have one row per
    value of x and one column per series, and the baselines below. `heatmap` has y down and x across.

    Raises:
        ReportError: the display chooses no result.
    """
    names = {selected.name for selected in (*display.results, *display.baselines)}
    of_these = [one for one in results if one.result in names]
    shown = _Shown(display, of_these, PublishedValues(plan, of_these))
    entries = [entry for selected in display.results for entry in shown.entries(selected)]
    layout = _LAYOUTS.get(display.kind, _rows)
    return layout(display, plan, entries, shown)


@dataclass(frozen=True)
class _Entry:
    """One cell and where it lies: by axis, and by the halves of its result's name."""

    labels: Mapping[str, str]
    cell: Cell


@dataclass(frozen=True)
class _Shown:
    """What a display takes its cells from."""

    display: Display
    results: Sequence[Measured]
    publications: PublishedValues

    def entries(self, selected: Selected) -> list[_Entry]:
        """The chosen results, averaged over the display's `mean` axes."""
        groups: dict[tuple[tuple[str, str], ...], list[Measured]] = {}
        for measured in self.results:
            if measured.result == selected.name and agrees(measured, selected.at):
                point = tuple(item for item in measured.point if item[0] not in self.display.mean)
                groups.setdefault(point, []).append(measured)
        if not groups:
            raise ReportError(f'"{self.display.title}" shows {selected.name}, which has no value there')
        weights, _, measure = selected.name.rpartition(".")
        names = {WEIGHTS: weights, MEASURE: measure}
        return [
            _Entry(names | dict(point), _cell(group, self.publications.of(group))) for point, group in groups.items()
        ]


def _cell(group: Sequence[Measured], published: Published | None) -> Cell:
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


# --- layouts -------------------------------------------------------------------------------------


def _rows(display: Display, plan: Plan, entries: list[_Entry], shown: _Shown) -> Table:
    axes = _ordered((*display.series, *_varying(entries, plan)))
    return _pivot(display.title, plan, entries, (WEIGHTS, *axes), (MEASURE,))


def _lines(display: Display, plan: Plan, entries: list[_Entry], shown: _Shown) -> Table:
    x = display.x or MEASURE
    names = [name for name in (WEIGHTS, MEASURE) if _tells_apart(name, entries)]
    series = _ordered((*names, *display.series, *_varying(entries, plan)))
    body = _pivot(display.title, plan, entries, (x,), tuple(axis for axis in series if axis != x))
    below = [row for selected in display.baselines for row in _baselines(selected, body, shown)]
    return replace(body, rows=(*body.rows, *below))


def _heatmap(display: Display, plan: Plan, entries: list[_Entry], shown: _Shown) -> Table:
    x, y = display.x or MEASURE, display.y or WEIGHTS
    others = [axis for axis in _varying(entries, plan) if axis not in (x, y)]
    return _pivot(display.title, plan, entries, (*others, y), (x,))


_LAYOUTS = {"rows": _rows, "line": _lines, "bars": _lines, "heatmap": _heatmap}


def _baselines(selected: Selected, body: Table, shown: _Shown) -> list[Row]:
    """A baseline belongs to no series: its value stands in the first column, the others stay empty."""
    empty = (None,) * (len(body.columns) - 1)
    found = []
    for entry in shown.entries(selected):
        at = ", ".join(f"{a}={label}" for a, label in entry.labels.items() if a not in (WEIGHTS, MEASURE))
        name = selected.name + (f"[{at}]" if at else "")
        found.append(Row((name,), (entry.cell, *empty), baseline=True))
    return found


def _pivot(title: str, plan: Plan, entries: list[_Entry], down: tuple[str, ...], across: tuple[str, ...]) -> Table:
    """One row for each combination of labels of the axes `down`, one column for each of those `across`."""
    down = tuple(axis for axis in down if any(axis in entry.labels for entry in entries))
    rows: dict[tuple[str, ...], dict[tuple[str, ...], Cell]] = {}
    columns: set[tuple[str, ...]] = set()
    for entry in entries:
        column = _labels(entry, across)
        columns.add(column)
        rows.setdefault(_labels(entry, down), {})[column] = entry.cell
    ranks = {axis: _ranks(axis, plan, entries) for axis in (*down, *across)}
    ordered = sorted(columns, key=lambda labels: _rank(labels, across, ranks))
    return Table(
        title=title,
        heads=down,
        columns=tuple(", ".join(filter(None, labels)) or _only_name(entries) for labels in ordered),
        rows=tuple(
            Row(names, tuple(rows[names].get(column) for column in ordered))
            for names in sorted(rows, key=lambda labels: _rank(labels, down, ranks))
        ),
        across=across,
        labels=tuple(ordered),
    )


def _labels(entry: _Entry, axes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(entry.labels.get(axis, "") for axis in axes)


def _only_name(entries: list[_Entry]) -> str:
    labels = entries[0].labels
    return f"{labels[WEIGHTS]}.{labels[MEASURE]}".lstrip(".")


def _varying(entries: list[_Entry], plan: Plan) -> list[str]:
    """The axes that tell entries apart, in the plan's order; then `part` and `class`."""
    axes = dict.fromkeys([*plan.axes, *(axis for entry in entries for axis in entry.labels)])
    return [axis for axis in axes if axis not in (WEIGHTS, MEASURE) and _tells_apart(axis, entries)]


def _tells_apart(axis: str, entries: list[_Entry]) -> bool:
    return len({entry.labels[axis] for entry in entries if axis in entry.labels}) > 1


def _ordered(axes: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(axes))


def _ranks(axis: str, plan: Plan, entries: list[_Entry]) -> dict[str, int]:
    """The order of an axis's labels: as declared, else as they appear; a row without one comes first."""
    appearing = [entry.labels[axis] for entry in entries if axis in entry.labels]
    declared = plan.axes.get(axis, ())
    if axis == "class":
        declared = tuple(name for result in plan.results for name in result.class_names)
    labels = dict.fromkeys(["", *declared, *appearing])
    return {label: rank for rank, label in enumerate(labels)}


def _rank(labels: tuple[str, ...], axes: tuple[str, ...], ranks: Mapping[str, Mapping[str, int]]) -> tuple[int, ...]:
    return tuple(ranks[axis][label] for axis, label in zip(axes, labels, strict=True))
