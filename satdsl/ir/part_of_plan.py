"""Take the part of a plan that some results or trainings need."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from satdsl.errors import RequestError
from satdsl.hints import did_you_mean
from satdsl.ir.class_names import composed
from satdsl.ir.experiment import PSEUDO_AXES
from satdsl.ir.plan import Claim, Plan, Result, Selected, mentions
from satdsl.ir.steps import Key


class UnknownName(RequestError, LookupError):
    """The plan has nothing of the name that is asked for; `help` has a near name, or those that there are."""

    def __init__(self, name: str, plan: Plan) -> None:
        known = [*plan.named, *dict.fromkeys(result.name for result in plan.results)]
        hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
        super().__init__(f"the plan has no training and no result `{name}`", str(hint))


def only(plan: Plan, names: Collection[str]) -> Plan:
    """Return the part of a plan that some results or trainings need (`sat.robust`, `sat`, `sat[share=30%]`).

    Raises:
        UnknownName: nothing in the plan is called so.
    """
    keys: set[Key] = set()
    chosen: set[int] = set()
    for name in names:
        owner, at = parse_point(name)
        found = {
            i
            for i, result in enumerate(plan.results)
            if owner in (result.name, result.name.partition(".")[0]) and at.items() <= dict(result.point).items()
        }
        trained = {key for point, key in plan.named.get(owner, ()) if at.items() <= dict(point).items()}
        if not found and not trained:
            raise UnknownName(name, plan)
        keys |= trained
        chosen |= found
    kept = tuple(plan.results[i] for i in sorted(chosen))
    for result in kept:
        keys.update(result.measure.steps, (key for key in (result.part.split, result.part.data) if key is not None))
    needed = closure(plan, keys)

    def whole(asked: Iterable[Selected]) -> bool:
        """Whether every point that something asks for is among the results that are kept."""
        return all(_count(one, plan.results) == _count(one, kept) for one in asked)

    return replace(
        plan,
        steps={key: step for key, step in plan.steps.items() if key in needed},
        results=kept,
        displays=tuple(display for display in plan.displays if whole((*display.results, *display.baselines))),
        claims=tuple(claim for claim in plan.claims if whole(_mentioned(claim))),
        published=tuple(one for one in plan.published if whole([Selected(one.result, one.at)])),
        splits=tuple(facts for facts in plan.splits if facts.key in needed),
        named={name: tuple(p for p in points if p[1] in needed) for name, points in plan.named.items()},
        variant=replace(plan.variant, only=tuple(dict.fromkeys(names))),
    )


def claimed(plan: Plan, claim: Claim) -> list[Result]:
    """Return the results that a claim compares."""
    asked = tuple(_mentioned(claim))
    return [result for result in plan.results if any(_is(one, result) for one in asked)]


def _is(asked: Selected, result: Result) -> bool:
    wanted = {(axis, label) for axis, label in asked.at if axis not in PSEUDO_AXES}
    return result.name == asked.name and wanted <= set(result.point)


def parse_point(name: str) -> tuple[str, dict[str, str]]:
    """Read `sat[share=30%]` as the name and the labels that are picked."""
    owner, bracket, rest = composed(name).partition("[")
    pairs = [pair.partition("=") for pair in rest.removesuffix("]").split(",")] if bracket else []
    return owner.strip(), {axis.strip(): label.strip() for axis, _, label in pairs}


def closure(plan: Plan, keys: Iterable[Key]) -> set[Key]:
    """Return some steps and all they depend on."""
    found: set[Key] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += [used for _, used in plan.steps[key].inputs]
    return found


def _count(asked: Selected, results: Iterable[Result]) -> int:
    return sum(_is(asked, result) for result in results)


def _mentioned(claim: Claim) -> Iterable[Selected]:
    return (one for comparison in claim.comparisons for one in mentions(comparison.left, comparison.right))
