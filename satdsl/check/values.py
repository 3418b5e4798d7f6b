"""Expressions to values: numbers, shares, words, texts, lists and calls, at one assignment of the sweep's axes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

from satdsl.check.collector import FindingCollector, Rejected
from satdsl.records import Record, record
from satdsl.syntax import tree

HYPHENATED = re.compile(r"[A-Za-z_]\w*(-[A-Za-z_]\w*)+")
"""Words joined without spaces: no difference (words have none) but the name of a score, `snapshot-entropy`."""


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
    """A list: each value's node, with its label where it has one."""

    items: tuple[tree.Item, ...]


@record
class Called(Record):
    node: tree.Call


Value = Num | Share | Word | Str | Items | Called

LARGEST = 1e15
"""Numbers below it are exact where they count something."""

Environment = Mapping[str, tree.Value]
"""What each `$name` stands for at one point: the node its axis has there."""


def evaluate(node: tree.Value, at: Environment, findings: FindingCollector) -> Value:
    """The value of an expression; raises `Rejected` after making a finding where it has none."""
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
        case tree.Conditional():
            return evaluate(node.value if holds(node.condition, at, findings) else node.otherwise, at, findings)
        case tree.Size():
            findings.reject(
                "E305",
                node,
                f"`{node.span.text}` has no value here",
                "the size of a subset is known inside its split only",
                "use it in a `weight` line, or in an axis that a `weight` line uses",
            )
    findings.reject("E301", node, f"`{node.span.text}` cannot stand here", "a plain value is needed")


def lookup(node: tree.Parameter, at: Environment) -> tree.Value:
    """What `$name` stands for; raises `Rejected` for an unknown name, which has its finding already."""
    if node.text not in at:
        raise Rejected
    return at[node.text]


def _arithmetic(node: tree.Binary, at: Environment, findings: FindingCollector) -> Num | Share:
    left, right = evaluate(node.left, at, findings), evaluate(node.right, at, findings)
    for side, value in ((node.left, left), (node.right, right)):
        if not isinstance(value, (Num, Share)):
            findings.reject(
                "E301",
                side,
                f"`{side.span.text}` is {describe(value)}, not a number",
                help="compute with numbers",
            )
    assert isinstance(left, (Num, Share))
    assert isinstance(right, (Num, Share))
    kind = result_kind(node.operator, type(left), type(right))
    if kind is None:
        findings.reject(
            "E302",
            node,
            f"`{node.span.text}` mixes a number with a percentage",
            "a share and a plain number have different units",
            "write both as percentages, or both as numbers",
        )
    if node.operator == "/" and right.value == 0:
        findings.reject("E304", node, f"`{node.span.text}` divides by zero", f"`{node.right.span.text}` is 0")
    number = _finite(compute(node.operator, left.value, right.value), node, findings)
    return Share(round(number, 12)) if kind is Share else Num(number)


def _finite(number: float, node: tree.Value, findings: FindingCollector) -> float:
    if isfinite(number) and abs(number) < LARGEST:
        return number
    findings.reject("E304", node, f"`{node.span.text}` is too large a number", help=f"write one below {LARGEST:g}")


def result_kind(operator: str, left: type, right: type) -> Any:
    """What arithmetic on two kinds gives (`Num` or `Share`), None where the units do not fit."""
    if operator in "+-":
        return left if left is right else None
    if operator == "*":
        return Share if Share in (left, right) else Num
    return Num if left is right else Share if left is Share else None


def compute(operator: str, left: float, right: float) -> float:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    return left * right if operator == "*" else left / right


def holds(condition: tree.Condition, at: Environment, findings: FindingCollector) -> bool:
    """Whether a condition on parameters holds at a point."""
    return all(_compare(comparison, at, findings) for comparison in condition.comparisons)


def _compare(node: tree.Comparison, at: Environment, findings: FindingCollector) -> bool:
    left, right = evaluate(node.left, at, findings), evaluate(node.right, at, findings)
    if node.operator in ("==", "!="):
        return (left == right) == (node.operator == "==")
    if type(left) is not type(right) or not isinstance(left, (Num, Share)) or not isinstance(right, (Num, Share)):
        findings.reject(
            "E301",
            node,
            f"`{node.span.text}` compares {describe(left)} with {describe(right)}",
            help="compare like with like",
        )
    return compare(node.operator, left.value, right.value)


def compare(operator: str, left: float, right: float) -> bool:
    if operator in ("<", "<="):
        return left < right or (operator == "<=" and left == right)
    return left > right or (operator == ">=" and left == right)


def describe(value: Value) -> str:
    """A value's kind, with its article."""
    names = {
        Num: "a number",
        Share: "a percentage",
        Word: "a word",
        Str: "a text",
        Items: "a list",
        Called: "a call",
    }
    return names[type(value)]


def label(node: tree.Value) -> str:
    """How a value is named in tables and between brackets."""
    match node:
        case tree.Number():
            return f"{node.value:.12g}"
        case tree.Percent():
            return f"{node.percents:.12g}%"
        case tree.Name() | tree.Parameter():
            return node.text
        case tree.Text():
            return node.value
        case tree.Negative():
            return f"-{label(node.operand)}"
    return "".join(node.span.text.split())


def walk(node: Any) -> Iterator[tree.Node]:
    """A node and everything below it, in the order of the text."""
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
    """Every `$name` in some nodes."""
    return tuple(parameter for top in nodes for parameter in _parameters(top))


def _parameters(top: Any) -> Iterable[tree.Parameter]:
    """Those of one node, which keeps them: the axes of a statement are asked for at every point of the sweep."""
    found = (node for node in walk(top) if isinstance(node, tree.Parameter))
    if not isinstance(top, tree.Node):
        return found
    own = top.__dict__
    if "_parameters" not in own:
        own["_parameters"] = tuple(found)
    kept: tuple[tree.Parameter, ...] = own["_parameters"]
    return kept
