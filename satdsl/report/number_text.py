"""Write numbers and expressions as people read them: percent with one decimal, differences in points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import add, mul, sub, truediv

from satdsl.ir.plan import Arithmetic, Comparison, Expression, Number, Point, Reduced, Selected
from satdsl.report.expressions import Expressions
from satdsl.report.results import Unit
from satdsl.report.uncertainty import Estimate

NOT_RUN = "not run"

MOST_MORE = 1
"""Digits beyond the usual ones that are shown at most, where a difference would not agree with its two sides."""

_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2}
_OPERATIONS = {"+": add, "-": sub, "*": mul, "/": truediv}


def amount(value: float, unit: Unit, more: int = 0) -> str:
    """Return a measured value as `81.4 %` or `1.234`, with so many digits `more`."""
    return f"{100 * value:.{1 + more}f} %" if unit == "share" else f"{value:.{4 + more}g}"


def bare_amount(value: float, unit: Unit, more: int = 0) -> str:
    """Return the same without its percent sign."""
    return amount(value, unit, more).removesuffix(" %")


def images(n: int, of: int) -> str:
    """Return how many images something is over: `9,000`, or `1,500 of 9,000` where not all are measured."""
    return f"{n:,}" if n == of else f"{n:,} of {of:,}"


def difference(value: float, half_width: float, unit: Unit, more: int = 0) -> str:
    """Return `difference +1.2 points, 95 % interval ±3.1`; without the interval where nothing is uncertain."""
    shown, half = signed(value, half_width, unit, more)
    return f"difference {shown}" + (f", 95 % interval ±{half}" if half else "")


def signed(value: float, half_width: float, unit: Unit, more: int = 0) -> tuple[str, str]:
    """Return `+1.2 points` and `3.1`, half of its interval; the second is empty where nothing is uncertain."""
    if unit != "share":
        return f"{value:+.3g}", f"{half_width:.2g}" if half_width > 0 else ""
    value, half_width = 100 * value, 100 * half_width
    digits = 1 + more if half_width == 0 or half_width >= 0.05 else max(1 + more, 3)
    return f"{value:+.{digits}f} points", f"{half_width:.{digits}f}" if half_width > 0 else ""


def digits_that_agree(left: float, right: float, unit: Unit) -> int:
    """Return how many digits `more` two values need, so that their shown difference is that of the values as shown."""
    return _least_digits(
        lambda more: float(bare_amount(left, unit, more)) - float(bare_amount(right, unit, more)), left - right, unit
    )


def _least_digits(as_shown: Callable[[int], float], difference: float, unit: Unit) -> int:
    """Return the fewest digits `more` with which a reader who subtracts what is shown comes to the shown difference."""
    for more in range(MOST_MORE):
        found = as_shown(more)
        if not math.isfinite(found) or _rounded(found, unit, more) == _rounded(
            _in_points(difference, unit), unit, more
        ):
            return more
    return MOST_MORE


def _in_points(value: float, unit: Unit) -> float:
    return 100 * value if unit == "share" else value


def _rounded(value: float, unit: Unit, more: int) -> float:
    return float(f"{value:.{1 + more}f}" if unit == "share" else f"{value:.3g}")


def compared(comparison: Comparison, expressions: Expressions, difference: float | None = None) -> tuple[str, int]:
    """Return a comparison with the measured values in the place of names: `81.4 % >= 84.2 % - 4 %`.

    The second is how many digits more it has than usual, so that it agrees with its `difference`.
    """
    unit = common_unit(comparison, expressions)

    def sides(more: int) -> tuple[_Shown, _Shown]:
        left, right = (_shown(side, unit, expressions, more) for side in (comparison.left, comparison.right))
        return left, right

    def as_shown(more: int) -> float:
        left, right = sides(more)
        return left.value - right.value

    more = 0 if difference is None else _least_digits(as_shown, difference, unit)
    left, right = sides(more)
    return f"{left.text} {comparison.operator} {right.text}", more


def common_unit(comparison: Comparison, expressions: Expressions) -> Unit:
    """Return the unit that both sides are in: a bare number takes that of the other side."""
    shares = (expressions.is_share(side) for side in (comparison.left, comparison.right))
    return "share" if any(shares) else "score"


@dataclass(frozen=True)
class _Shown:
    """An expression as it is shown, and what a reader makes of the numbers shown: shares in percent."""

    text: str
    value: float


def _shown(expression: Expression, unit: Unit, expressions: Expressions, more: int) -> _Shown:
    match expression:
        case Number(value):
            return _Shown(f"{100 * value:g} %" if unit == "share" else f"{value:g}", _in_points(value, unit))
        case Selected():
            return _value(expressions.value(expression), _unit(expression, expressions), more)
        case Reduced(function):
            found = _value(expressions.value(expression), _unit(expression, expressions), more)
            return _Shown(f"{function} {found.text}", found.value)
        case Arithmetic(operator, left, right):
            # A number that scales a share is no share: 2 * 40 %, but 40 % + 2 %.
            inner: Unit = unit if operator in "+-" else "score"
            one, other = (_shown(side, inner, expressions, more) for side in (left, right))
            texts = (
                _bracketed(side, found.text, operator, is_right=side is right)
                for side, found in ((left, one), (right, other))
            )
            return _Shown(f" {operator} ".join(texts), _calculated(operator, one.value, other.value))


def _calculated(operator: str, left: float, right: float) -> float:
    try:
        return float(_OPERATIONS[operator](left, right))
    except ZeroDivisionError:
        return math.nan


def _value(estimate: Estimate | None, unit: Unit, more: int) -> _Shown:
    if estimate is None:
        return _Shown(NOT_RUN, math.nan)
    shown = bare_amount(estimate.value, unit, more)
    return _Shown(amount(estimate.value, unit, more), float(shown))


def _unit(expression: Expression, expressions: Expressions) -> Unit:
    return "share" if expressions.is_share(expression) else "score"


def _bracketed(side: Expression, text: str, operator: str, *, is_right: bool) -> str:
    if not isinstance(side, Arithmetic):
        return text
    weaker = _BINDS[side.operator] < _BINDS[operator]
    same = _BINDS[side.operator] == _BINDS[operator] and is_right and operator in "-/"
    return f"({text})" if weaker or same else text


def name_at(name: str, point: Point) -> str:
    """Return a name with its point, as the language writes it: `sat.robust[order=hardest, share=30%]`."""
    return f"{name}[{point_text(point)}]" if point else name


def point_text(point: Point) -> str:
    """Return a point as the language writes it: `order=hardest, share=30%`."""
    return ", ".join(f"{axis}={label}" for axis, label in point)
