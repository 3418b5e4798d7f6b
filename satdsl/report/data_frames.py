"""Make pandas DataFrames of measured results and training curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from satdsl.ir.experiment import EPOCH, RADIUS
from satdsl.ir.plan import Plan
from satdsl.report.columns import RESULTS, axis_column, curve_columns, result_columns
from satdsl.report.curves import Curve
from satdsl.report.results import Measured, radii

if TYPE_CHECKING:
    import pandas as pd

MISSING = (
    "a DataFrame needs pandas, which is not installed: pip install satdsl[notebook]; "
    "`measured` and `curves` have the same without"
)


def results_frame(plan: Plan, results: Sequence[Measured]) -> pd.DataFrame:
    """Return a row for each measured value, in the plan's order.

    The columns are `result`; one for each sweep axis that a result varies with and `class`, categories in the order of
    the file (`$n` for an axis that is called like another column); `part`; `value`, `low` and `high`, the ends of its
    95 % interval, NaN where it is not run; `n`, the number of images; and `unit`, `share` (of 1), `score` or
    `distance`. Where the specification says what is `published`, a column has it.

    Raises:
        ImportError: pandas is not installed.
    """
    pd = _pandas()
    columns: dict[str, Any] = result_columns(plan, results)
    for axis in dict.fromkeys(axis for one in results for axis, _ in one.point if axis != "part"):
        name = axis_column(RESULTS, axis)
        declared = plan.axes.get(axis) or tuple(name for result in plan.results for name in result.class_names)
        found = [label for label in columns[name] if label is not None]
        if axis == EPOCH and axis not in plan.axes:
            declared = tuple(sorted(set(found), key=int))
        if axis == RADIUS and axis not in plan.axes:
            declared = radii(plan)
        order = dict.fromkeys([*declared, *found])
        columns[name] = pd.Categorical(columns[name], categories=list(order), ordered=True)
    numbers = [name for name in ("value", "low", "high", "published") if name in columns]
    return pd.DataFrame(columns).astype(dict.fromkeys(numbers, float))


def curves_frame(found: Sequence[Curve]) -> pd.DataFrame:
    """Return a row for each epoch and part of the images, with the columns of `report.columns.CURVES`.

    Raises:
        ImportError: pandas is not installed.
    """
    return _pandas().DataFrame(curve_columns(found))


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise ImportError(MISSING) from None
    return pandas
