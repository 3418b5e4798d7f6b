"""Evaluate expressions at one point of the sweep: to numbers, shares, words, texts, lists and calls."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

from satdsl.check.collector import FindingCollector, Rejected
from satdsl.ir.class_names import composed
from satdsl.records import Record, record
from satdsl.syntax import tree

HYPHENATED = re.compile(r"[A-Za-z_]\w*(-[A-Za-z_]\w*)+")
"""Words with hyphens between them: they are no difference, since words have none, but a name as `apgd-ce`."""


@record
class Num(Record):
    value: float


@record
class Share(Record):
    """A percentage, as a fraction: 30% is 0.3."""

    value: float


@record
class Word(Record):
    text: str


@record
class Str(Record):
    text: str


@record
class Items(Record):
    """A list: the node of each value, with its label where it has one."""

    items: tuple[tree.Item, ...]


@record
class Called(Record):
    node: tree.Call


@record
class Interval(Record):
    """`79.0% ± 0.5%`: a value, and how far from it another may be."""

    centre: Num | Share
    within: Num | Share


@record
class Named(Record):
    """Values by name: `(images="x.npy", logits="y.npy")`."""

    node: tree.Settings


Value = Num | Share | Word | Str | Items | Called | Interval | Named

LARGEST = 1e15
"""Numbers have to be smaller, so that those that count something are exact."""

Environment = Mapping[str, tree.Value]
"""What each `$name` stands for at one point of the sweep: the node that its param or axis has there."""


def evaluate(node: tree.Value, at: Environment, findings: FindingCollector) -> Value:
    """Return the value of an expression; raise `Rejected`, after adding a finding, where it has none."""
    match node:
        case tree.Number():
            return Num(_finite(node.value, node, findings))
        case tree.Percent():
            return Share(round(_finite(node.percents, node, findings) / 100, 12))
        case tree.Name():
            return Word(node.text)
        case tree.Text():
            return Str(node.value)
        case tree.Parameter():
            return evaluate(lookup(node, at), at, findings)
        case tree.Listing():
            return Items(node.items)
        case tree.Call():
            return Called(node)
        case tree.Negative():
            operand = evaluate(node.operand, at, findings)
            if isinstance(operand, (Num, Share)):
                return type(operand)(-operand.value)
        case tree.Binary() if HYPHENATED.fullmatch(node.span.text):
            return Word(node.span.text)
        case tree.Binary():
            return _arithmetic(node, at, findings)
        case tree.Around():
            return _interval(node, at, findings)
        case tree.Settings():
            return Named(node)
        case tree.Conditional():
            return evaluate(branch(node, at, findings), at, findings)
        case tree.Size():
            message, reason = f"`{node.span.text}` has no value here", "a subset has a size only inside of its split"
            help = "use it in a `weight` line, or in an axis that a `weight` line uses"
            findings.reject("E305", node, message, reason, help)
    findings.reject("E301", node, f"`{node.span.text}` cannot stand here", "a plain value is needed")


def lookup(node: tree.Parameter, at: Environment) -> tree.Value:
    """Return what `$name` stands for; raise `Rejected` for an unknown name, which has its finding already."""
    if node.text not in at:
        raise Rejected
    return at[node.text]


def branch(node: tree.Conditional, at: Environment, findings: FindingCollector) -> tree.Value:
    """Return the branch of a conditional that is taken at a point."""
    holds = all(_compare(comparison, at, findings) for comparison in node.condition.comparisons)
    return node.value if holds else node.otherwise


def _arithmetic(node: tree.Binary, at: Environment, findings: FindingCollector) -> Num | Share:
    left, right = (_number(side, at, findings) for side in (node.left, node.right))
    kind = result_kind(node.operator, type(left), type(right))
    if kind is None:
        message = f"`{node.span.text}` mixes a number with a percentage"
        reason = "a share and a plain number have different units"
        findings.reject("E302", node, message, reason, "write both as percentages, or both as numbers")
    if node.operator == "/" and right.value == 0:
        findings.reject("E304", node, f"`{node.span.text}` divides by zero", f"`{node.right.span.text}` is 0")
    number = _finite(_OPERATORS[node.operator](left.value, right.value), node, findings)
    return Share(round(number, 12)) if kind is Share else Num(number)


def _interval(node: tree.Around, at: Environment, findings: FindingCollector) -> Interval:
    centre, within = (_number(side, at, findings) for side in (node.centre, node.within))
    if type(centre) is not type(within):
        message = f"`{node.span.text}` mixes a number with a percentage"
        findings.reject("E302", node, message, "both sides of ± have one unit", "write both as percentages")
    if within.value < 0:
        findings.reject("E304", node.within, "what stands after ± cannot be negative", help="write how far is allowed")
    return Interval(centre, within)


def _number(node: tree.Value, at: Environment, findings: FindingCollector) -> Num | Share:
    value = evaluate(node, at, findings)
    if isinstance(value, (Num, Share)):
        return value
    message = f"`{node.span.text}` is {describe(value)}, not a number"
    findings.reject("E301", node, message, help="compute with numbers")


def _finite(number: float, node: tree.Value, findings: FindingCollector) -> float:
    if isfinite(number) and abs(number) < LARGEST:
        return number
    message = f"`{node.span.text}` is too large a number"
    findings.reject("E304", node, message, help=f"write a number below {LARGEST:g}")


def result_kind(operator: str, left: type, right: type) -> Any:
    """Return what arithmetic on two kinds gives, `Num` or `Share`, or None where the units do not fit."""
    if operator in "+-":
        return left if left is right else None
    if operator == "*":
        return Share if Share in (left, right) else Num
    return Num if left is right else Share if left is Share else None


def _compare(node: tree.Comparison, at: Environment, findings: FindingCollector) -> bool:
    left, right = evaluate(node.left, at, findings), evaluate(node.right, at, findings)
    if node.operator in ("==", "!="):
        return (left == right) == (node.operator == "==")
    if type(left) is type(right) and isinstance(left, (Num, Share)) and isinstance(right, (Num, Share)):
        return bool(_OPERATORS[node.operator](left.value, right.value))
    message = f"`{node.span.text}` compares {describe(left)} with {describe(right)}"
    findings.reject("E301", node, message, help="compare values of the same kind")


_OPERATORS: dict[str, Callable[[float, float], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def describe(value: Value) -> str:
    """Return the kind of a value, with its article."""
    names = {
        Num: "a number",
        Share: "a percentage",
        Word: "a word",
        Str: "a text",
        Items: "a list",
        Called: "a call",
        Interval: "a value with a tolerance",
        Named: "a group of named values",
    }
    return names[type(value)]


def circle(names: Sequence[str]) -> str:
    """Return how the last of some names comes to use itself, where each name uses the next one."""
    return " uses ".join(f"`{name}`" for name in names[names.index(names[-1]) :])


def label(node: tree.Value) -> str:
    """Return the name of a value in tables and between brackets."""
    match node:
        case tree.Number():
            return f"{node.value:.12g}"
        case tree.Percent():
            return f"{node.percents:.12g}%"
        case tree.Name() | tree.Parameter():
            return composed(node.text)
        case tree.Text():
            return composed(node.value)
        case tree.Negative():
            return f"-{label(node.operand)}"
    return "".join(node.span.text.split())


def walk(node: Any) -> Iterator[tree.Node]:
    """Yield a node and everything below it, in the order of the text."""
    if isinstance(node, tree.Node):
        yield node
        for child in _children(type(node)):
            yield from walk(getattr(node, child))
    elif isinstance(node, tuple):
        for item in node:
            yield from walk(item)
    elif is_dataclass(node):
        raise TypeError(type(node).__name__)


_CHILDREN: dict[type, tuple[str, ...]] = {}


def _children(shape: type[tree.Node]) -> tuple[str, ...]:
    if shape not in _CHILDREN:
        _CHILDREN[shape] = tuple(field.name for field in fields(shape) if field.name != "span")
    return _CHILDREN[shape]


def parameters(nodes: Iterable[Any]) -> tuple[tree.Parameter, ...]:
    """Return every `$name` in some nodes."""
    return tuple(parameter for top in nodes for parameter in _parameters(top))


def _parameters(top: Any) -> Iterable[tree.Parameter]:
    """Return those of one node, which keeps them, since they are asked for at every point of the sweep."""
    found = (node for node in walk(top) if isinstance(node, tree.Parameter))
    if not isinstance(top, tree.Node):
        return found
    own = top.__dict__
    if "_parameters" not in own:
        own["_parameters"] = tuple(found)
    kept: tuple[tree.Parameter, ...] = own["_parameters"]
    return kept
