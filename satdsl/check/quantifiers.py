"""Read `for all share in 20%..50%, tenths:`, and find the points that it goes over."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from satdsl.check.axes import AxisValue, Combination
from satdsl.check.evaluations import ResultInfo
from satdsl.check.fixes import remove_repeated
from satdsl.check.references import References
from satdsl.check.values import Environment, walk
from satdsl.hints import did_you_mean
from satdsl.ir.experiment import RESULT_AXES
from satdsl.syntax import tree


def points(
    over: tuple[tree.Over, ...], about: Sequence[tree.Node], references: References, at: Environment
) -> list[Combination]:
    """Return the values that the axes have together, point by point; one point without any where there is no `for all`.

    `class`, `part` and `epoch` take the labels of the results that `about` mentions.
    """
    labels = quantified_labels(over, about, references, at)
    swept = frozenset(labels) & frozenset(references.resolver.axes.names)
    found = [
        point
        for point in references.resolver.axes.points(swept)
        if all(value.label in labels[axis] for axis, value in point.items())
    ]
    if not found:
        references.findings.reject(
            "E701", over[0], "`for all` goes over nothing", "no point of the sweep has these values together"
        )
    pseudo = [axis for axis in RESULT_AXES if axis in labels and axis not in swept]
    return [
        point | dict(zip(pseudo, values, strict=True))
        for point in found
        for values in product(*(labels[axis].values() for axis in pseudo))
    ]


def quantified_labels(
    over: tuple[tree.Over, ...], about: Sequence[tree.Node], references: References, at: Environment
) -> dict[str, dict[str, AxisValue]]:
    """Return the values of each axis, by their labels, in the order in which they are to be gone over."""
    found: dict[str, dict[str, AxisValue]] = {}
    for one in over:
        axis = one.axis.text
        if axis in found:
            help = remove_repeated(one, over, "leave one of them out")
            references.findings.reject("E201", one.axis, f"`{axis}` is named twice after `for all`", help=help)
        every = _every(one, tuple(about), references)
        mentioned = [references.known(node) for node in walk(tuple(about)) if isinstance(node, tree.Reference)]
        results = [known for known in mentioned if known is not None]
        found[axis] = every if one.values is None else _chosen(one, one.values, every, results, references, at)
    return found


def _every(one: tree.Over, about: tuple[tree.Node, ...], references: References) -> dict[str, AxisValue]:
    axis, axes = one.axis.text, references.resolver.axes
    if axis in axes.names:
        return {point[axis].label: point[axis] for point in axes.points(frozenset([axis]))}
    if axis not in RESULT_AXES:
        known = [*axes.names, *RESULT_AXES]
        help = did_you_mean(axis, known, one.axis.span) or f"you can use {', '.join(known)}"
        references.findings.reject("E701", one.axis, f"there is no axis `{axis}`", help=help)
    mentioned = [references.known(node) for node in walk(about) if isinstance(node, tree.Reference)]
    labels = [point[axis] for known in mentioned if known and axis in known.axes for point in known.points]
    if not labels:
        reject_unused_quantifier(one, references)
    return {label: AxisValue(label, tree.Text(one.span, label)) for label in labels}


def _chosen(
    one: tree.Over,
    values: tree.Value,
    every: dict[str, AxisValue],
    results: Sequence[ResultInfo],
    references: References,
    at: Environment,
) -> dict[str, AxisValue]:
    """Return those values of an axis that `in` names, in the order in which it names them."""
    references.has_values(values, at)
    chosen = {}
    for value in references.resolver.axes.expand(values, at):
        selector = tree.Selector(value.node.span, one.axis, value.node)
        label = references.label(selector, at, every, results)
        chosen[label] = every[label]
    return chosen


def reject_unused_quantifier(one: tree.Over, references: References) -> None:
    """Reject an axis after `for all` on which nothing in the statement depends."""
    axis = one.axis.text
    references.findings.reject(
        "E713",
        one,
        f"nothing here depends on `{axis}`",
        "`for all` says the same for each of its values",
        f"leave `{axis}` out, or compare a result that depends on it and leaves it open",
    )
