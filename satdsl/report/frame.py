"""Measured results to a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from satdsl.plan.plan import Plan
from satdsl.report.expressions import agrees
from satdsl.report.results import Measured

if TYPE_CHECKING:
    import pandas as pd

MISSING = (
    "results as a DataFrame need pandas, which is not installed: pip install satdsl[notebook]; "
    "`measured` has the same without"
)


def frame(plan: Plan, results: Sequence[Measured]) -> pd.DataFrame:
    """One row for each measured value, in the plan's order.

    The columns are `result`; one for each sweep axis that a result varies with and `class`, categories in the order of
    the file; `part`; `value`, `low` and `high`, the ends of its 95 % interval, NaN where it is not run; `n`, the number
    of images; and `unit`, `share` (of 1) or `score`. Where the specification says what is `published`, a column has it.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise ImportError(MISSING) from None
    columns: dict[str, Any] = {"result": [one.result for one in results]}
    for axis in _axes(plan, results):
        labels = [dict(one.point).get(axis) for one in results]
        columns[axis] = pd.Categorical(labels, categories=_order(plan, axis, labels), ordered=True)
    columns |= {
        "part": [one.part for one in results],
        "value": _numbers(one.value for one in results),
        "low": _numbers(one.interval and one.interval.low for one in results),
        "high": _numbers(one.interval and one.interval.high for one in results),
        "n": [one.n for one in results],
        "unit": [one.unit for one in results],
    }
    if plan.published:
        columns["published"] = _numbers(_published(plan, one) for one in results)
    return pd.DataFrame(columns)


def _axes(plan: Plan, results: Sequence[Measured]) -> list[str]:
    """The axes that appear, in the plan's order, then `class`; `part` has a column of its own."""
    appearing = dict.fromkeys(axis for one in results for axis, _ in one.point if axis != "part")
    return [axis for axis in dict.fromkeys([*plan.axes, *appearing]) if axis in appearing]


def _order(plan: Plan, axis: str, labels: Sequence[str | None]) -> list[str]:
    declared = plan.axes.get(axis) or tuple(name for result in plan.results for name in result.class_names)
    return list(dict.fromkeys([*declared, *(label for label in labels if label is not None)]))


def _numbers(values: Any) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]


def _published(plan: Plan, one: Measured) -> float | None:
    return next((known.value for known in plan.published if known.result == one.result and agrees(one, known.at)), None)
