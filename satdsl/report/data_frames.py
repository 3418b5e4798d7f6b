"""Measured results and curves to pandas DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from satdsl.ir.plan import Plan
from satdsl.report.columns import RESULTS, axis_column, of_curves, of_results
from satdsl.report.curves import Curve
from satdsl.report.results import Measured

if TYPE_CHECKING:
    import pandas as pd

MISSING = (
    "a DataFrame needs pandas, which is not installed: pip install satdsl[notebook]; "
    "`measured` and `curves` have the same without"
)

NUMBERS = ("value", "low", "high", "published")
"""Columns in which NaN stands for what is not run, or not published."""


def results_frame(plan: Plan, results: Sequence[Measured]) -> pd.DataFrame:
    """One row for each measured value, in the plan's order.

    The columns are `result`; one for each sweep axis that a result varies with and `class`, categories in the order of
    the file (`$n` for an axis that is called like another column); `part`; `value`, `low` and `high`, the ends of its
    95 % interval, NaN where it is not run; `n`, the number of images; and `unit`, `share` (of 1) or `score`. Where the
    specification says what is `published`, a column has it.

    Raises:
        ImportError: pandas is not installed.
    """
    pd = _pandas()
    columns: dict[str, Any] = of_results(plan, results)
    for axis in _axes(results):
        name = axis_column(RESULTS, axis)
        columns[name] = pd.Categorical(columns[name], categories=_order(plan, axis, columns[name]), ordered=True)
    numbers = [name for name in NUMBERS if name in columns]
    return pd.DataFrame(columns | {name: _numbers(columns[name]) for name in numbers})


def curves_frame(found: Sequence[Curve]) -> pd.DataFrame:
    """One row for each epoch and part of the images, with the columns of `report.columns.CURVES`.

    Raises:
        ImportError: pandas is not installed.
    """
    return _pandas().DataFrame(of_curves(found))


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise ImportError(MISSING) from None
    return pandas


def _axes(results: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(axis for one in results for axis, _ in one.point if axis != "part"))


def _order(plan: Plan, axis: str, labels: Sequence[str | None]) -> list[str]:
    declared = plan.axes.get(axis) or tuple(name for result in plan.results for name in result.class_names)
    return list(dict.fromkeys([*declared, *(label for label in labels if label is not None)]))


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]
