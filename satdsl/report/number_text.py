"""Write numbers and expressions as people read them: percent with one decimal, differences in points."""

from __future__ import annotations

from satdsl.ir.plan import Arithmetic, Comparison, Expression, Number, Point, Reduced, Selected
from satdsl.report.expressions import Expressions
from satdsl.report.results import Unit
from satdsl.report.uncertainty import Estimate

NOT_RUN = "not run"

_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2}


def amount(value: float, unit: Unit) -> str:
    """Return a measured value as `81.4 %` or `1.234`."""
    return f"{100 * value:.1f} %" if unit == "share" else f"{value:.4g}"


def bare_amount(value: float, unit: Unit) -> str:
    """Return the same without its percent sign."""
    return amount(value, unit).removesuffix(" %")


def images(n: int, of: int) -> str:
    """Return how many images something is over: `9,000`, or `1,500 of 9,000` where not all are measured."""
    return f"{n:,}" if n == of else f"{n:,} of {of:,}"


def difference(value: float, half_width: float, unit: Unit) -> str:
    """Return `difference +1.2 points, 95 % interval ±3.1`; without the interval where nothing is uncertain."""
    shown, half = signed(value, half_width, unit)
    return f"difference {shown}" + (f", 95 % interval ±{half}" if half else "")


def signed(value: float, half_width: float, unit: Unit) -> tuple[str, str]:
    """Return `+1.2 points` and `3.1`, half of its interval; the second is empty where nothing is uncertain."""
    if unit != "share":
        return f"{value:+.3g}", f"{half_width:.2g}" if half_width > 0 else ""
    value, half_width = 100 * value, 100 * half_width
    digits = 1 if half_width == 0 or half_width >= 0.05 else 3
    return f"{value:+.{digits}f} points", f"{half_width:.{digits}f}" if half_width > 0 else ""


def compared(comparison: Comparison, expressions: Expressions) -> str:
    """Return a comparison with the measured values in the place of names: `81.4 % >= 84.2 % - 4 %`."""
    unit = common_unit(comparison, expressions)
    left, right = (_shown(side, unit, expressions) for side in (comparison.left, comparison.right))
    return f"{left} {comparison.operator} {right}"


def common_unit(comparison: Comparison, expressions: Expressions) -> Unit:
    """Return the unit that both sides are in: a bare number takes that of the other side."""
    shares = (expressions.is_share(side) for side in (comparison.left, comparison.right))
    return "share" if any(shares) else "score"


def _shown(expression: Expression, unit: Unit, expressions: Expressions) -> str:
    match expression:
        case Number(value):
            return f"{100 * value:g} %" if unit == "share" else f"{value:g}"
        case Selected():
            return _value(expressions.value(expression), _unit(expression, expressions))
        case Reduced(function):
            return f"{function} {_value(expressions.value(expression), _unit(expression, expressions))}"
        case Arithmetic(operator, left, right):
            # A number that scales a share is no share: 2 * 40 %, but 40 % + 2 %.
            inner: Unit = unit if operator in "+-" else "score"
            sides = [
                _bracketed(side, _shown(side, inner, expressions), operator, is_right=side is right)
                for side in (left, right)
            ]
            return f"{sides[0]} {operator} {sides[1]}"


def _value(estimate: Estimate | None, unit: Unit) -> str:
    return NOT_RUN if estimate is None else amount(estimate.value, unit)


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
