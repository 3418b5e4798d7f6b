"""Which steps of a plan have to run, and why: read off the plan and the store, cheaply."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from satdsl.engine.store import Store
from satdsl.ir.plan import Accuracy, MeanScore, Plan, Result
from satdsl.ir.steps import Key

Reason = Literal["stored", "not needed", "new", "continued", "damaged", "forced"]
"""What becomes of a step.

`stored`: finished, nothing to do. `not needed`: not stored, but everything made from it that is wanted is.
`new`: never run. `continued`: begun, then stopped. `damaged`: its artifact was lost or changed. `forced`: to
run though stored.
"""

RUNS: frozenset[Reason] = frozenset({"new", "continued", "damaged", "forced"})
"""The reasons for which a step runs."""


def behind(results: Iterable[Result]) -> tuple[Key, ...]:
    """The steps whose artifacts these results are read from, each once."""
    found: dict[Key, None] = {}
    for result in results:
        found.update(dict.fromkeys(_read_by(result)))
    return tuple(found)


def finals(plan: Plan) -> tuple[Key, ...]:
    """What the plan is for: the steps behind its results, and those that no other step uses."""
    used = {key for step in plan.steps.values() for _, key in step.inputs}
    ends = [key for key in plan.steps if key not in used]
    return tuple(dict.fromkeys([*behind(plan.results), *ends]))


def reasons(
    plan: Plan, store: Store, *, wanted: Collection[Key] | None = None, forced: Collection[Key] = ()
) -> dict[Key, Reason]:
    """For each step, in the plan's order, what becomes of it when `wanted` (default: `finals`) is asked for.

    Of stored artifacts only those that are wanted, or that a step to run uses, are looked into (at the sizes
    of their files).

    Raises:
        StoreError: a newer version of satdsl wrote an artifact.
    """
    store.prepare(plan.steps)
    asked = set(finals(plan) if wanted is None else wanted) | set(forced)
    found: dict[Key, Reason] = {}
    set_aside, begun = store.damaged(), store.begun()
    for key in reversed(tuple(plan.steps)):
        if key in forced:
            found[key] = "forced"
        elif key in asked:
            found[key] = _why(store, key, set_aside, begun)
        else:
            found[key] = "stored" if store.has(key) else "not needed"
        if found[key] in RUNS:
            asked.update(source for _, source in plan.steps[key].inputs)
    return {key: found[key] for key in plan.steps}


def _why(store: Store, key: Key, set_aside: frozenset[Key], begun: frozenset[Key]) -> Reason:
    if store.has(key):
        return "stored" if store.inspect(key) is None else "damaged"
    if key in set_aside:
        return "damaged"
    return "continued" if key in begun else "new"


def _read_by(result: Result) -> tuple[Key, ...]:
    extra = () if result.part.split is None else (result.part.split,)
    match result.measure:
        case Accuracy(evaluations):
            return (*evaluations, *extra)
        case MeanScore(of=step):
            # A score's rows carry no labels: by class, they come from the data step, as do a class subset's.
            labels = (result.part.data,) if result.by_class else ()
            return (step, *extra, *labels)
