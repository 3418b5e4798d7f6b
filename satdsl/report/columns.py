"""Results, comparisons and curves to columns of data: a column for each sweep axis, None for what is not known.

They make the Parquet files of `satdsl results` and `satdsl curves`, and the DataFrames of the Python interface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from satdsl.artifacts import schemas
from satdsl.artifacts.parquet import to_bytes
from satdsl.artifacts.schemas import Column, TableSchema
from satdsl.ir.plan import Plan, Point
from satdsl.report import curves as epochs
from satdsl.report.curves import Curve
from satdsl.report.expressions import agrees
from satdsl.report.results import Measured
from satdsl.report.results_comparison import ResultsComparison

AXIS = Column("string", "the point's value of this sweep axis, or its class", optional=True)

RESULT = Column("string", "the result's name")
PART = Column("string", "the images that it is over")
VALUE = Column("float64", "accuracies are shares of 1, scores are means", optional=True)
N = Column("int64", "how many images; 0 if it is not run", "images")

RESULTS = TableSchema(
    "results",
    "a specification's results, one row for each at each point",
    {
        "result": RESULT,
        "part": PART,
        "value": VALUE,
        "low": replace(VALUE, about="the lower end of its 95 % interval"),
        "high": replace(VALUE, about="the upper end of its 95 % interval"),
        "n": N,
        "unit": Column("string", "share (of 1) or score"),
        "published": replace(VALUE, about="what a publication gives for this result alone"),
    },
    others=AXIS,
)

AGAINST = TableSchema(
    "against",
    "the results of two specifications beside each other, one row for each at each point",
    {
        "result": RESULT,
        "part": PART,
        "value": replace(VALUE, about="of the first"),
        "against": replace(VALUE, about="of the second"),
        "difference": replace(VALUE, about="value minus against"),
        "half_width": replace(VALUE, about="half of the 95 % interval around the difference"),
        "n": replace(N, optional=True),
        "against_n": replace(N, optional=True),
        "paired": Column("bool", "whether both are over the same images", optional=True),
    },
    others=AXIS,
)

CURVES = TableSchema(
    "epochs",
    "a specification's trainings, for each epoch one row for each part of the images",
    {
        "training": Column("string", "the training's name"),
        "key": Column("string", "the key of its step"),
        "epoch": schemas.CURVES.columns["epoch"],
        "part": Column("string", "all, a subset's name, probe hold-out or probe train"),
        **{name: schemas.CURVES.columns[name] for name in ("n", "loss", "accuracy", "attack_success", "robust", "lr")},
        "images_per_second": Column("float64", "training images per second", "1/s"),
    },
    others=AXIS,
)

Columns = dict[str, list[Any]]


def of_results(plan: Plan, results: Sequence[Measured]) -> Columns:
    """Those of `RESULTS`, in the plan's order; `published` only where the specification says what is."""
    columns: Columns = {"result": [one.result for one in results]}
    columns |= of_axes(RESULTS, list(plan.axes), [one.point for one in results])
    columns |= {
        "part": [one.part for one in results],
        "value": [one.value for one in results],
        "low": [one.interval and one.interval.low for one in results],
        "high": [one.interval and one.interval.high for one in results],
        "n": [one.n for one in results],
        "unit": [one.unit for one in results],
    }
    if plan.published:
        columns["published"] = [_published(plan, one) for one in results]
    return columns


def of_comparison(plans: Sequence[Plan], found: ResultsComparison) -> Columns:
    """Those of `AGAINST`: what both have, then what only the first, then what only the second has."""
    ones = [*(pair.one for pair in found.pairs), *found.only, *found.only_against]
    firsts = [*(pair.one for pair in found.pairs), *found.only, *([None] * len(found.only_against))]
    seconds = [*(pair.against for pair in found.pairs), *([None] * len(found.only)), *found.only_against]
    alone = [None] * (len(found.only) + len(found.only_against))
    columns: Columns = {"result": [one.result for one in ones]}
    columns |= of_axes(AGAINST, [axis for plan in plans for axis in plan.axes], [one.point for one in ones])
    return columns | {
        "part": [one.part for one in ones],
        "value": [one and one.value for one in firsts],
        "against": [one and one.value for one in seconds],
        "difference": [*(pair.difference for pair in found.pairs), *alone],
        "half_width": [*(pair.half_width for pair in found.pairs), *alone],
        "n": [one and one.n for one in firsts],
        "against_n": [one and one.n for one in seconds],
        "paired": [*(pair.paired for pair in found.pairs), *alone],
    }


def of_curves(found: Sequence[Curve]) -> Columns:
    """Those of `CURVES`: training by training, epoch by epoch."""
    lines = [(curve, line) for curve in found for line in epochs.lines(curve)]
    columns: Columns = {"training": [curve.training for curve, _ in lines], "key": [curve.key for curve, _ in lines]}
    columns |= of_axes(CURVES, [], [curve.point for curve, _ in lines])
    return columns | {name: [line[name] for _, line in lines] for name in epochs.LINE}


def of_axes(schema: TableSchema, axes: Sequence[str], points: Sequence[Point]) -> Columns:
    """A column for each axis that the points vary with, in this order; the table's own `part` is none of them."""
    appearing = dict.fromkeys(axis for point in points for axis, _ in point if axis != "part")
    ordered = [axis for axis in dict.fromkeys([*axes, *appearing]) if axis in appearing]
    at: list[Mapping[str, str]] = [dict(point) for point in points]
    return {axis_column(schema, axis): [point.get(axis) for point in at] for axis in ordered}


def axis_column(schema: TableSchema, axis: str) -> str:
    """The name of an axis's column: its own, `$n` for one that is called like another column."""
    return f"${axis}" if axis in schema.columns else axis


def results_parquet(plan: Plan, results: Sequence[Measured]) -> bytes:
    """A Parquet file of `of_results`."""
    return to_bytes(RESULTS, of_results(plan, results), title=plan.title)


def comparison_parquet(plans: Sequence[Plan], found: ResultsComparison) -> bytes:
    """A Parquet file of `of_comparison`."""
    return to_bytes(AGAINST, of_comparison(plans, found), title=plans[0].title, against=plans[1].title)


def curves_parquet(plan: Plan, found: Sequence[Curve]) -> bytes:
    """A Parquet file of `of_curves`."""
    return to_bytes(CURVES, of_curves(found), title=plan.title)


def _published(plan: Plan, one: Measured) -> float | None:
    return next((known.value for known in plan.published if known.result == one.result and agrees(one, known.at)), None)
