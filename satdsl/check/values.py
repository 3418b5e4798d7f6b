"""Evaluate expressions at one point of the sweep: to numbers, shares, words, texts, lists and calls."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isclose, isfinite
from typing import Any, Protocol

from satdsl.check.collector import FindingCollector, Rejected
from satdsl.hints import suggest, write
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


class SweptValue(Protocol):
    """A value on an axis: what it is called, and the expression it stands for."""

    @property
    def label(self) -> str: ...

    @property
    def node(self) -> tree.Value: ...


class Swept(Protocol):
    """What is known of the axes, whatever the point."""

    def values(self, axis: str) -> Sequence[SweptValue]:
        """Return every value that an axis has at some point."""

    def is_open(self, axis: str) -> bool:
        """Return whether `--set` decides which values an axis has."""

    @property
    def meant(self) -> dict[tuple[int, str], str]:
        """What the side of a comparison means, by its node and the axis that it is compared with."""


class SweptEnvironment(dict[str, tree.Value]):
    """An environment that also knows the axes in it, and the label that each one's value has here."""

    def __init__(self, nodes: Environment, labels: Mapping[str, str], axes: Swept) -> None:
        super().__init__(nodes)
        self.labels, self.axes = labels, axes


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


def settled(node: tree.Value, at: Environment, findings: FindingCollector) -> tree.Value:
    """Return the expression that a parameter or a condition stands for at a point, as it is written there."""
    while isinstance(node, (tree.Parameter, tree.Conditional)):
        node = lookup(node, at) if isinstance(node, tree.Parameter) else branch(node, at, findings)
    return node


def branch(node: tree.Conditional, at: Environment, findings: FindingCollector) -> tree.Value:
    """Return the branch of a conditional that is taken at a point."""
    holds = all(compared(comparison, at, findings) for comparison in node.condition.comparisons)
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


def compared(node: tree.Comparison, at: Environment, findings: FindingCollector) -> bool:
    """Return whether a comparison holds at a point.

    Like is compared with like: a label with labels, words with texts, percentages with numbers (20% is 0.2). What an
    axis never is, and what a value can never be equal to, is rejected: it would silently be false everywhere.
    """
    sides = (node.left, node.right), (node.right, node.left)
    for one, other in sides:
        axis = _axis(one, at)
        if axis is not None and not parameters([other]):
            return _axis_compared(node, axis, other, one is node.right, at, findings)
    left, right = evaluate(node.left, at, findings), evaluate(node.right, at, findings)
    if node.operator in ("==", "!="):
        if not _alike(left, right) and not _may_differ(node, at):
            message = f"`{node.span.text}` compares {describe(left)} with {describe(right)}"
            findings.reject("E716", node, message, "these are never equal", "compare values of the same kind")
        return equal(left, right) == (node.operator == "==")
    return _in_order(node, left, right, findings)


def _axis_compared(
    node: tree.Comparison, axis: str, other: tree.Value, swapped: bool, at: Environment, findings: FindingCollector
) -> bool:
    """Compare the value that an axis has here with one that does not depend on the sweep."""
    assert isinstance(at, SweptEnvironment)
    if node.operator not in ("==", "!="):
        named = [one.node for one in at.axes.values(axis) if one.label == label(other) and _is_word(other)]
        here, there = evaluate(at[axis], at, findings), evaluate(named[0] if named else other, at, findings)
        return _in_order(node, there, here, findings) if swapped else _in_order(node, here, there, findings)
    meant = at.axes.meant
    if (id(other), axis) not in meant:
        meant[id(other), axis] = _meant(node, axis, other, at, findings)
    holds = at.labels[axis] == label(other)
    if meant[id(other), axis] == "value":
        holds = _is(at[axis], evaluate(other, at, findings), at)
    return holds == (node.operator == "==")


def _meant(
    node: tree.Comparison, axis: str, other: tree.Value, at: SweptEnvironment, findings: FindingCollector
) -> str:
    """Return whether an axis is compared with a "label" or a "value" of its own; reject what is neither."""
    every = at.axes.values(axis)
    labels = [one.label for one in every]
    if label(other) in labels:
        return "label"
    value = evaluate(other, at, findings)
    if any(parameters([one.node]) or _is(one.node, value, at) for one in every):
        return "value"
    if not every or at.axes.is_open(axis):
        return "label"
    message = f"`${axis}` is never `{other.span.text}`, so `{node.span.text}` is the same everywhere"
    help = suggest(label(other), labels, other.span, "its values are")
    if isinstance(value, Num) and f"{value.value:.12g}%" in labels:
        help = write(other.span, f"{value.value:.12g}%", f"did you mean `{value.value:.12g}%`?")
    findings.reject("E715", other, message, "a condition compares an axis with one of its values or labels", help)


def _is_word(node: tree.Value) -> bool:
    return isinstance(node, (tree.Name, tree.Text)) or bool(HYPHENATED.fullmatch(node.span.text))


def _axis(node: tree.Value, at: Environment) -> str | None:
    """Return the axis that `$name` is, perhaps through params; None for anything else."""
    while isinstance(node, tree.Parameter) and isinstance(at, SweptEnvironment):
        if node.text in at.labels:
            return node.text
        if node.text not in at:
            return None
        node = at[node.text]
    return None


def _is(node: tree.Value, value: Value, at: Environment) -> bool:
    """Return whether a value on an axis is equal to another; one that only its place gives a value is equal to none."""
    try:
        return equal(evaluate(node, at, FindingCollector()), value)
    except Rejected:
        return False


def equal(left: Value, right: Value) -> bool:
    """Return whether two values are the same; 20% and 0.2 are, and so are a word and a text."""
    if isinstance(left, (Num, Share)) and isinstance(right, (Num, Share)):
        return left.value == right.value or isclose(left.value, right.value, rel_tol=1e-12)
    if isinstance(left, (Word, Str)) and isinstance(right, (Word, Str)):
        return composed(left.text) == composed(right.text)
    return left == right


def _alike(left: Value, right: Value) -> bool:
    kinds = (Num, Share), (Word, Str), (Items,), (Called,), (Interval,), (Named,)
    return any(isinstance(left, kind) and isinstance(right, kind) for kind in kinds)


def _may_differ(node: tree.Comparison, at: Environment) -> bool:
    """Return whether values of two kinds are no mistake: of axes, of what `--set` gives, and of `none` and such."""
    sides = node.left, node.right
    plain = {side.text for side in sides if isinstance(side, tree.Name)}
    nodes = [at[p.text] for side in sides if isinstance(side, tree.Parameter) for p in (side,) if p.text in at]
    axes = any(_axis(side, at) is not None for side in sides)
    return axes or bool(plain & {"none", "true", "false"}) or any(map(_given_by_set, nodes))


def _given_by_set(node: tree.Node) -> bool:
    return node.span.source.path.startswith("--set ")


def _in_order(node: tree.Comparison, left: Value, right: Value, findings: FindingCollector) -> bool:
    if isinstance(left, (Num, Share)) and isinstance(right, (Num, Share)):
        number = left if isinstance(left, Num) else right
        if type(left) is type(right) or 0 <= number.value <= 1:
            return bool(_OPERATORS[node.operator](left.value, right.value))
        message = f"`{node.span.text}` compares a percentage with {number.value:g}, which is {100 * number.value:g}%"
        findings.reject("E716", node, message, "a share is between 0% and 100%", f"write `{number.value:g}%`")
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
