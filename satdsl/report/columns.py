"""Arrange results, comparisons and curves in columns of data: one for each sweep axis, None for what is not known.

They become the Parquet files of `satdsl results` and `satdsl curves`, and the DataFrames of the Python interface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from satdsl.artifacts import schemas
from satdsl.artifacts.parquet import to_bytes
from satdsl.artifacts.schemas import ColumnSchema, TableSchema
from satdsl.ir.plan import Plan, Point
from satdsl.report.curves import Curve, curve_records
from satdsl.report.published_values import add_published_values
from satdsl.report.results import Measured
from satdsl.report.results_comparison import ResultsComparison

AXIS = ColumnSchema("string", "the point's value of this sweep axis, or its class", optional=True)

RESULT = ColumnSchema("string", "the result's name")
PART = ColumnSchema("string", "the images that it is over")
VALUE = ColumnSchema("float64", "accuracies are shares of 1, scores are means", optional=True)
N = ColumnSchema("int64", "how many images; 0 if it is not run", "images")

OF = replace(N, about="how many there are: more than n where only the first blocks of images are measured")

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
        "of": OF,
        "unit": ColumnSchema("string", "share (of 1), score, or distance (a norm of images in [0, 1])"),
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
        "of": replace(OF, optional=True),
        "against_n": replace(N, optional=True),
        "against_of": replace(OF, optional=True),
        "paired": ColumnSchema("bool", "whether both are over the same images", optional=True),
    },
    others=AXIS,
)

CURVES = TableSchema(
    "epochs",
    "a specification's trainings, for each epoch one row for each part of the images",
    {
        "training": ColumnSchema("string", "the training's name"),
        "key": ColumnSchema("string", "the key of its step"),
        "epoch": schemas.CURVES.columns["epoch"],
        "part": ColumnSchema(
            "string",
            "all, a subset's name, probe hold-out or probe train; of several norms each, as in probe train under L2",
        ),
        **{name: schemas.CURVES.columns[name] for name in ("n", "loss", "accuracy", "attack_success", "robust", "lr")},
        "images_per_second": ColumnSchema("float64", "training images per second", "1/s"),
    },
    others=AXIS,
)

Columns = dict[str, list[Any]]


def result_columns(plan: Plan, results: Sequence[Measured]) -> Columns:
    """Return the columns of `RESULTS`, in the plan's order; `published` only where the specification says what is."""
    records = [
        {
            "result": one.result,
            "part": one.part,
            "value": one.value,
            "low": one.interval and one.interval.low,
            "high": one.interval and one.interval.high,
            "n": one.n,
            "of": one.of,
            "unit": one.unit,
            "published": one.published,
        }
        for one in add_published_values(plan, results)
    ]
    columns = _columns(RESULTS, records, [one.point for one in results], list(plan.axes))
    if not plan.published:
        del columns["published"]
    return columns


def _columns(
    form: TableSchema, records: Sequence[Mapping[str, Any]], points: Sequence[Point], axes: Sequence[str]
) -> Columns:
    """Return the columns of a table, filled from records; with one for each axis before `part` or `epoch`.

    The axes are in the given order, then as they appear. `part` is none of them: it is a column already.
    """
    appearing = dict.fromkeys(axis for point in points for axis, _ in point if axis != "part")
    ordered = [axis for axis in dict.fromkeys([*axes, *appearing]) if axis in appearing]
    at = [dict(point) for point in points]
    columns: Columns = {}
    for name in form.columns:
        if name in ("part", "epoch"):
            columns |= {axis_column(form, axis): [point.get(axis) for point in at] for axis in ordered}
            ordered = []
        columns[name] = [record.get(name) for record in records]
    return columns


def axis_column(form: TableSchema, axis: str) -> str:
    """Return the name of an axis's column: its own, `$n` for one that is called like another column."""
    return f"${axis}" if axis in form.columns else axis


def curve_columns(found: Sequence[Curve]) -> Columns:
    """Return the columns of `CURVES`: training by training, epoch by epoch."""
    records = list(curve_records(found))
    return _columns(CURVES, records, [record["point"] for record in records], [])


def results_parquet(plan: Plan, results: Sequence[Measured]) -> bytes:
    """Return a Parquet file of the results."""
    return to_bytes(RESULTS, result_columns(plan, results), title=plan.title)


def comparison_parquet(plans: Sequence[Plan], found: ResultsComparison) -> bytes:
    """Return a Parquet file of what both have, then of what only the first has, then of what only the second has."""
    axes = [axis for plan in plans for axis in plan.axes]
    columns = _columns(AGAINST, found.records, [record["point"] for record in found.records], axes)
    return to_bytes(AGAINST, columns, title=plans[0].title, against=plans[1].title)


def curves_parquet(plan: Plan, found: Sequence[Curve]) -> bytes:
    """Return a Parquet file of the epochs of trainings."""
    return to_bytes(CURVES, curve_columns(found), title=plan.title)
