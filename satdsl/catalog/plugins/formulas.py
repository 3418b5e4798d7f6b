"""Compute formulas over the arguments of a call, such as `passes="2*steps + 1"`, without running code."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from satdsl.records import Record, record

LARGEST = 1e18
"""Of a number that comes up in a formula; a training makes fewer passes."""

_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_ALLOWED = (
    *(ast.Constant, ast.Name, ast.UnaryOp, ast.USub, ast.BinOp, ast.Compare, ast.IfExp, ast.Call, ast.expr_context),
    *_OPERATORS,
)

_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "len": len}

WAYS = "numbers, arguments, + - * / //, min, max, len, and `a if x == y else b`"


class Incomputable(ValueError):
    """A formula that has no value, with the reason."""


@record
class Formula(Record):
    """A formula as it is written. It is a plain value, so that an entry with one is equal to another of the same."""

    text: str

    def names(self) -> set[str]:
        """Return the arguments that it uses; raise `Incomputable` for a text that is no formula."""
        tree = _parsed(self.text)
        for node in ast.walk(tree):
            if not isinstance(node, _ALLOWED) or (isinstance(node, ast.Call) and not isinstance(node.func, ast.Name)):
                raise Incomputable(f"`{self.text}` is more than a formula may be, which has {WAYS}")
        return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - _FUNCTIONS.keys()

    def value(self, arguments: Mapping[str, Any]) -> float:
        """Return its value for these arguments; raise `Incomputable` where it has none."""
        found = computed(_parsed(self.text), arguments)
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found) or found < 0:
            raise Incomputable(f"`{self.text}` is `{found}`, which is no number of passes or images")
        return found


def _parsed(text: str) -> ast.expr:
    if len(text) > 500:
        raise Incomputable("a formula has at most 500 characters")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Incomputable(f"`{text}` is no formula") from None


def computed(node: ast.expr, arguments: Mapping[str, Any]) -> Any:
    """Return the value of an expression; raise `Incomputable` where it is more than a formula may be."""
    try:
        found = _computed(node, arguments)
    except (TypeError, ZeroDivisionError, OverflowError, ValueError) as error:
        raise error if isinstance(error, Incomputable) else Incomputable(str(error)) from None
    except RecursionError:
        raise Incomputable("the formula is nested too deeply") from None
    return found


def _computed(node: ast.expr, arguments: Mapping[str, Any]) -> Any:
    def of(part: ast.expr) -> Any:
        return _computed(part, arguments)

    match node:
        case ast.Constant(value=int() | float() | str() | None):
            return _bounded(node.value)
        case ast.Name(id=name) if name in arguments:
            return arguments[name]
        case ast.Name(id=name):
            raise Incomputable(f"there is no argument `{name}`")
        case ast.UnaryOp(op=ast.USub()):
            return -of(node.operand)
        case ast.BinOp() if type(node.op) in _OPERATORS:
            left, right = of(node.left), of(node.right)
            if not all(isinstance(side, (int, float)) for side in (left, right)):
                raise Incomputable(f"`{ast.unparse(node)}` is no arithmetic of numbers")
            return _bounded(_OPERATORS[type(node.op)](left, right))
        case ast.Compare(ops=[comparison], comparators=[right]) if type(comparison) in _OPERATORS:
            return _OPERATORS[type(comparison)](of(node.left), of(right))
        case ast.IfExp():
            return of(node.body) if of(node.test) else of(node.orelse)
        case ast.Call(func=ast.Name(id=name), args=[_, *_], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*map(of, node.args))
    raise Incomputable(f"`{ast.unparse(node)}` is more than a formula may have: {WAYS}")


def _bounded(value: Any) -> Any:
    if isinstance(value, (int, float)) and abs(value) > LARGEST:
        raise Incomputable("a number in it is too large")
    return value
