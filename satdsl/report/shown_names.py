"""Put the labels that a specification gives in the place of names, where people read them."""

from __future__ import annotations

from dataclasses import replace

from satdsl.ir.plan import Plan, Point
from satdsl.report.number_text import name_at
from satdsl.report.pivot import MEASURE, WEIGHTS, PivotRow, PivotTable


class ShownNames:
    """What people read for the names of a plan: labels, and the names themselves where there are none."""

    def __init__(self, plan: Plan) -> None:
        self._given: dict[tuple[str, str, str], str] = {
            (one.kind, one.name, one.value): one.text for one in plan.given_labels
        }

    def axis(self, axis: str) -> str:
        """Return what an axis is called."""
        return self._given.get(("axis", axis, ""), axis)

    def at(self, axis: str, label: str) -> str:
        """Return what a place on an axis is called; both halves of a result's name lie on axes of their own."""
        key = {WEIGHTS: ("weights", label, ""), MEASURE: ("measure", label, "")}.get(axis, ("value", axis, label))
        return self._given.get(key, label)

    def result(self, name: str, point: Point = ()) -> str:
        """Return what a result at a point is called: `half.robust[share=30%]`, or `half, under AutoAttack (share 30%)`.

        Where nothing of it has a label it is written as in the language.
        """
        weights, _, measure = name.rpartition(".")
        halves = [self.at(WEIGHTS, weights), self.at(MEASURE, measure)]
        same = halves == [weights, measure]
        return self._placed(name, name if same else ", ".join(filter(None, halves)), point)

    def training(self, name: str, point: Point = ()) -> str:
        """Return what a training at a point is called."""
        return self._placed(name, self.at(WEIGHTS, name), point)

    def _placed(self, name: str, shown: str, point: Point) -> str:
        places = tuple((self.axis(axis), self.at(axis, label)) for axis, label in point)
        if shown == name and places == point:
            return name_at(name, point)
        at = ", ".join(f"{axis} {label}" for axis, label in places)
        return shown + (f" ({at})" if at else "")

    def shown(self, pivot: PivotTable) -> PivotTable:
        """Return a table with labels in the names of its rows, columns and baselines."""
        if not self._given:
            return pivot
        columns = []
        for column, labels in zip(pivot.columns, pivot.labels, strict=True):
            named = [self.at(axis, label) for axis, label in zip(pivot.across, labels, strict=True) if label]
            columns.append(", ".join(named) or self._written(column))
        return replace(
            pivot,
            columns=tuple(columns),
            rows=tuple(PivotRow(tuple(map(self.at, pivot.heads, row.names)), row.cells) for row in pivot.rows),
            baselines=tuple((self._written(name), cell) for name, cell in pivot.baselines),
        )

    def _written(self, result: str) -> str:
        """Return what a result is called that is given as the language writes it."""
        name, _, inside = result.removesuffix("]").partition("[")
        pairs = (item.partition("=") for item in inside.split(", ") if item)
        return self.result(name, tuple((axis, label) for axis, _, label in pairs))
