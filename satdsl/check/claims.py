"""Read `expect` statements: comparisons of expressions over results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from satdsl.check.collector import Rejected
from satdsl.check.fixes import percentage
from satdsl.check.quantifiers import points, reject_unused_quantifier
from satdsl.check.references import References
from satdsl.check.values import Environment, Num, Share, evaluate, result_kind
from satdsl.hints import Hint, did_you_mean
from satdsl.ir import plan
from satdsl.syntax import tree

REDUCTIONS = ("mean", "std", "min", "max")


class _Place:
    """A point that `for all` goes over: what each `$name` stands for, the axes' labels `here`, and those `used`."""

    def __init__(self, values: Environment, here: Mapping[str, str], used: Iterable[str]) -> None:
        self.values, self.here, self.used = values, here, set(used)


class Claims:
    """Reads claims, which name their results through `references`."""

    def __init__(self, references: References) -> None:
        self.references = references
        self.findings = references.findings

    def claim(self, statement: tree.Expect, at: Environment) -> plan.Claim | None:
        try:
            comparisons = self._comparisons(statement, at)
        except Rejected:
            return None
        span = statement.span
        text = _flat(span.source.text[statement.text.span.end : span.end]).removeprefix(":").strip()
        return plan.Claim(statement.text.value, comparisons, span.source.path, span.place[0], text)

    def _comparisons(self, statement: tree.Expect, at: Environment) -> tuple[plan.Comparison, ...]:
        """Return every comparison at every point of `for all`. One that depends on fewer axes comes once."""
        found: dict[plan.Comparison, None] = {}
        depends: set[str] = set()
        swept = self.references.resolver.axes.names
        for point in points(statement.over, [statement.condition], self.references, at):
            here = {axis: value.label for axis, value in point.items()}
            there = {**at, **{axis: value.node for axis, value in point.items() if axis in swept}}
            for node in statement.condition.comparisons:
                place = _Place(there, here, self.references.resolver.axes.used_by([node]) & here.keys())
                made = self._comparison(node, place)
                depends |= place.used
                at_axes = tuple((axis, here[axis]) for axis in here if axis in place.used)
                found[replace(made, at=at_axes)] = None
        for one in statement.over:
            if one.axis.text not in depends:
                reject_unused_quantifier(one, self.references)
        return tuple(found)

    def _comparison(self, node: tree.Comparison, at: _Place) -> plan.Comparison:
        (left, left_kind), (right, right_kind) = (self._side(side, at) for side in (node.left, node.right))
        if left_kind is not right_kind:
            side = node.left if left_kind is Num else node.right
            help = Hint("compare two numbers or two percentages")
            if isinstance(side, tree.Number):
                help = percentage(side, side.value)
            self.findings.reject(
                "E302",
                side,
                f"`{side.span.text}` is a plain number, the other side is a percentage",
                "accuracies are shares",
                help,
            )
        operator: Any = node.operator
        return plan.Comparison(operator, left, right, _flat(node.span.text))

    def _side(self, node: tree.Value, at: _Place) -> tuple[plan.Expression, type]:
        """Return one side of a claim; every reference in it must come down to a single value."""
        expression, kind, free = self._expression(node, at)
        for name, axes in free.items():
            listing = " and ".join(f"`{axis}`" for axis in axes)
            self.findings.reject(
                "E706",
                node,
                f"`{name}` still varies with {listing}",
                "a claim compares single values",
                f"pick one (`[{axes[0]}=...]`), or reduce: `mean({name}[...])`",
            )
        return expression, kind

    def _expression(self, node: tree.Value, at: _Place) -> tuple[plan.Expression, type, dict[str, list[str]]]:
        """Return an expression over results, its kind, and the axes along which each of its results still varies."""
        match node:
            case tree.Reference():
                picked = self.references.ask(node, at.values, at.here)
                at.used.update(picked.bound_axes)
                return (
                    picked.selected,
                    picked.result.kind,
                    {picked.selected.name: picked.free_axes} if picked.free_axes else {},
                )
            case tree.Call() if node.name.text in REDUCTIONS:
                if len(node.arguments) != 1 or node.arguments[0].name is not None:
                    self.findings.reject(
                        "E303",
                        node,
                        f"`{node.name.text}` takes one result",
                        help=f"write `{node.name.text}(sat.robust[order=random])`",
                    )
                inner, kind, free = self._expression(node.arguments[0].value, at)
                function: Any = node.name.text
                if function == "std" and not free:
                    self.findings.reject(
                        "E706",
                        node,
                        f"`{node.span.text}` has a single value",
                        help="reduce over an axis with several values",
                    )
                return plan.Reduced(function, inner), kind, {}
            case tree.Call():
                help = (
                    did_you_mean(node.name.text, REDUCTIONS, node.name.span) or f"you can use {', '.join(REDUCTIONS)}"
                )
                self.findings.reject("E202", node.name, f"there is no function called `{node.name.text}`", help=help)
            case tree.Binary():
                return self._arithmetic(node, at)
            case tree.Negative():
                inner, kind, free = self._expression(node.operand, at)
                return plan.Arithmetic("-", plan.Number(0.0), inner), kind, free
        self.references.has_values(node, at.values)
        value = evaluate(node, at.values, self.findings)
        if not isinstance(value, (Num, Share)):
            self.findings.reject(
                "E301",
                node,
                f"`{node.span.text}` cannot be compared",
                help="compare results, numbers and percentages",
            )
        return plan.Number(value.value), type(value), {}

    def _arithmetic(self, node: tree.Binary, at: _Place) -> tuple[plan.Expression, type, dict[str, list[str]]]:
        left, left_kind, left_free = self._expression(node.left, at)
        right, right_kind, right_free = self._expression(node.right, at)
        kind = result_kind(node.operator, left_kind, right_kind)
        if kind is None:
            self.findings.reject(
                "E302",
                node,
                f"`{node.span.text}` mixes a number with a percentage",
                "accuracies are shares",
                _with_percentage(node),
            )
        return plan.Arithmetic(node.operator, left, right), kind, left_free | right_free


def _with_percentage(node: tree.Binary) -> Hint:
    """Return the fix that makes the 4 of `sat.robust - 4` a percentage."""
    help = "write the number as a percentage"
    numbers = [side for side in (node.left, node.right) if isinstance(side, tree.Number)]
    return Hint(help, percentage(numbers[0], numbers[0].value).fix) if len(numbers) == 1 else Hint(help)


def _flat(text: str) -> str:
    """Return a piece of a source in one line, without comments."""
    return " ".join(re.sub(r'("[^"\n]*")|#[^\n]*', r"\1", text).split())
