"""Put the results of several variants of one specification (`--set`) side by side, draws of the same thing together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from satdsl.ir.plan import Plan, Point
from satdsl.report.csv_text import csv_text
from satdsl.report.number_text import name_at
from satdsl.report.pivot import Cell, cell_of
from satdsl.report.replicates import Replicates, common_point
from satdsl.report.result_tables import cell_value
from satdsl.report.results import Measured, Unit
from satdsl.show.table import Column, Row, Table, numeric
from satdsl.show.terminal import WIDTH, ruled_in_pieces, text

FORMAT = 1
"""The version of the JSON document. Raise it when a reader of the old one would stumble."""

AS_WRITTEN = "as written"
"""What the variant is called that no value is given for."""

COLUMNS = ("result", "point", "variant", "value", "std", "draws", "of", "n")

SPREAD = "±: one standard deviation over draws that differ in nothing but their seeds"

Values = Mapping[str, str]


@dataclass(frozen=True)
class VariantResults:
    """The values that one was given, its plan, and what is stored of it."""

    values: Values
    plan: Plan
    results: Sequence[Measured]


@dataclass(frozen=True)
class VariantRow:
    """A result at a point, with a cell for each column; None where a column's variants do not have it."""

    result: str
    point: Point
    unit: Unit
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class VariantTable:
    """The rows, and for each column the values that all its variants were given."""

    columns: tuple[Values, ...]
    rows: tuple[VariantRow, ...]


def side_by_side(variants: Sequence[VariantResults]) -> VariantTable:
    """Return a column for each variant, those together that differ in nothing but seeds.

    Within a column, results that are draws of the same thing are one row, whose point has what they agree on.
    """
    columns: dict[tuple[str, ...], list[VariantResults]] = {}
    drawn = [_Drawn(one) for one in variants]
    for one in drawn:
        columns.setdefault(one.identity, []).append(one.variant)
    groups = [_rows(one for one in drawn if one.identity == identity) for identity in columns]
    units = {row: group[row][0].unit for group in groups for row in group}
    rows = [
        VariantRow(
            name,
            point,
            unit,
            tuple(cell_of(group[name, point]) if (name, point) in group else None for group in groups),
        )
        for (name, point), unit in units.items()
    ]
    return VariantTable(tuple(_common(one.values for one in members) for members in columns.values()), tuple(rows))


class _Drawn:
    """A variant with what tells its results from those of other experiments, seeds left out."""

    def __init__(self, variant: VariantResults) -> None:
        self.variant = variant
        replicates = Replicates(variant.plan)
        self.of = [replicates.of(one.source, dict(one.point).get("class")) for one in variant.results]
        self.identity = tuple(sorted(set(self.of)))


def _rows(drawn: Iterable[_Drawn]) -> dict[tuple[str, Point], list[Measured]]:
    """Return the results of a column by row: the name and the point that the draws of one thing agree on."""
    groups: dict[tuple[str, str], dict[tuple[str, ...], Measured]] = {}
    for one in drawn:
        for measured, of in zip(one.variant.results, one.of, strict=True):
            groups.setdefault((measured.result, of), {}).setdefault(measured.source.measure.steps, measured)
    rows: dict[tuple[str, Point], list[Measured]] = {}
    for (name, _), found in groups.items():
        draws = list(found.values())
        agreed = (name, common_point([one.point for one in draws]))
        # What only seeds would tell apart keeps the whole point of its first draw.
        rows[agreed if agreed not in rows else (name, draws[0].point)] = draws
    return rows


def _common(values: Iterable[Values]) -> Values:
    first, *others = values
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


# --- which variants there are --------------------------------------------------------------------


def grid(given: Mapping[str, Sequence[str]]) -> list[Values]:
    """Return every combination of the values that are given by name."""
    return [dict(zip(given, values, strict=True)) for values in product(*given.values())]


def reported(folder: Path) -> Iterator[Values]:
    """Give the values of the variants that have a report in a specification's folder of reports.

    Those of which only a part was asked for are left out: its results are among those of the whole.
    """
    for file in sorted(folder.glob("variants/*/results.json")):
        try:
            document = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        values = document.get("set") if isinstance(document, dict) else None
        if isinstance(values, dict) and values:
            yield {str(name): str(value) for name, value in values.items()}


# --- as text, CSV and JSON -----------------------------------------------------------------------


def to_text(found: VariantTable, width: int = WIDTH) -> str:
    """Return a table with a row for each result and a column for each variant."""
    rows: list[Row] = [
        (name_at(row.result, row.point), *(cell_value(cell, "") for cell in row.cells)) for row in found.rows
    ]
    spread = any(cell is not None and cell.std is not None for row in found.rows for cell in row.cells)
    table = Table([Column("result"), *numeric(*map(called, found.columns))], rows, notes=[SPREAD] * spread)
    return text(ruled_in_pieces(table, width), width)


def called(values: Values) -> str:
    """Return what a column is called: `eps=0.5, lr=0.1`."""
    return ", ".join(f"{name}={value}" for name, value in values.items()) or AS_WRITTEN


def records(found: VariantTable) -> Iterator[dict[str, Any]]:
    """Give a record for each cell, with what is in `COLUMNS`."""
    for row in found.rows:
        for values, cell in zip(found.columns, row.cells, strict=True):
            if cell is not None:
                yield {
                    "result": row.result,
                    "point": row.point,
                    "variant": dict(values),
                    "value": cell.value,
                    "std": cell.std,
                    "draws": cell.over,
                    "of": cell.of,
                    "n": cell.n,
                }


def to_csv(found: VariantTable) -> str:
    """Return a line for each result of each variant."""
    return csv_text(COLUMNS, ({**record, "variant": called(record["variant"])} for record in records(found)))


def to_json(found: VariantTable, title: str) -> str:
    """Return one document with a record for each result of each variant."""
    cells = [{**record, "point": dict(record["point"])} for record in records(found)]
    document = {"format_version": FORMAT, "title": title, "results": cells}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
