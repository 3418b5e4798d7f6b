"""Find what the verdicts on claims need: which results, which steps, and which of these in full."""

from __future__ import annotations

from collections.abc import Iterator

from satdsl.ir.experiment import PSEUDO_AXES
from satdsl.ir.part_of_plan import closure
from satdsl.ir.plan import (
    Accuracy,
    Arithmetic,
    Comparison,
    Expression,
    Plan,
    Reduced,
    Result,
    mentions,
)
from satdsl.ir.steps import Evaluate, Key, Step

_REDUCED = {
    "std": "a standard deviation is not an average over images",
    "min": "which of several results is the least is known only when all are",
    "max": "which of several results is the greatest is known only when all are",
}


def why_in_full(comparison: Comparison) -> str:
    """Return why a comparison is judged on all images alone; nothing where it can be judged on some of them.

    Some of the images tell where an average over all of them lies, and so where sums of averages do, each times a
    number: differences and means of results.
    """
    return _why(comparison.left) or _why(comparison.right)


def _why(expression: Expression) -> str:
    match expression:
        case Arithmetic("*", left, right) if _measured(left) and _measured(right):
            return "a product of results is not an average over images"
        case Arithmetic("/", _, right) if _measured(right):
            return "a ratio of results is not an average over images"
        case Arithmetic(_, left, right):
            return _why(left) or _why(right)
        case Reduced(function, over):
            return _REDUCED.get(function, "") or _why(over)
    return ""


def _measured(expression: Expression) -> bool:
    return any(True for _ in mentions(expression))


def results_of(plan: Plan, comparison: Comparison) -> Iterator[Result]:
    """Give the results that a comparison is made of."""
    for asked in mentions(comparison.left, comparison.right):
        point = {(axis, label) for axis, label in asked.at if axis not in PSEUDO_AXES}
        part = dict(asked.at).get("part")
        for result in plan.results_named.get(asked.name, ()):
            if point.issubset(result.point) and part in (None, result.part.name):
                yield result


def in_blocks(plan: Plan, comparison: Comparison) -> tuple[Key, ...]:
    """Return the evaluations of a comparison of which some blocks may be enough."""
    if why_in_full(comparison):
        return ()
    found = (
        key
        for result in results_of(plan, comparison)
        if isinstance(result.measure, Accuracy) and result.measure.radius is None
        for key in result.measure.evaluations
    )
    return tuple(dict.fromkeys(key for key in found if plan.steps[key].blocks))


def steps_of(plan: Plan, comparison: Comparison) -> tuple[Key, ...]:
    """Return the steps whose artifacts a comparison is read from."""
    found: dict[Key, None] = {}
    for result in results_of(plan, comparison):
        found.update(dict.fromkeys((*result.measure.steps, result.part.data)))
        if result.part.split is not None:
            found[result.part.split] = None
    return tuple(found)


def steps_of_claims(plan: Plan) -> tuple[Key, ...]:
    """Return what the claims are read from, and the clean accuracy of every network that is trained for them.

    The latter costs one pass for each image.
    """
    found = dict.fromkeys(key for claim in plan.claims for one in claim.comparisons for key in steps_of(plan, one))
    needed = closure(plan, found)
    clean = (
        key for key, step in plan.steps.items() if _is_clean(step) and needed.issuperset(dict(step.inputs).values())
    )
    return tuple(dict.fromkeys([*found, *clean]))


def _is_clean(step: Step) -> bool:
    settings = step.settings
    return isinstance(settings, Evaluate) and settings.attack is None and settings.own is None
