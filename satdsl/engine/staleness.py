"""Find out which steps of a plan have to run, and why, from the plan and the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from satdsl.engine.store import ReadableStore
from satdsl.ir.plan import Plan, Result
from satdsl.ir.steps import Key

Reason = Literal["stored", "not needed", "new", "continued", "damaged", "forced"]
"""What happens to a step, and why.

`stored`: it is finished, there is nothing to do. `not needed`: it is not stored, but everything wanted that is made
from it is. `new`: it has never run. `continued`: it was begun, then stopped. `damaged`: its artifact was lost or
changed. `forced`: it is to run although it is stored.
"""

RUNS: frozenset[Reason] = frozenset({"new", "continued", "damaged", "forced"})
"""The reasons for which a step runs."""


def result_steps(results: Iterable[Result]) -> tuple[Key, ...]:
    """Return the steps whose artifacts these results are read from, each once."""
    found: dict[Key, None] = {}
    for result in results:
        found.update(dict.fromkeys(_read_by(result)))
    return tuple(found)


def target_steps(plan: Plan) -> tuple[Key, ...]:
    """Return what the plan is for: the steps its results are read from, and the steps that no other step uses."""
    used = {key for step in plan.steps.values() for _, key in step.inputs}
    ends = [key for key in plan.steps if key not in used]
    return tuple(dict.fromkeys([*result_steps(plan.results), *ends]))


def reasons(
    plan: Plan, store: ReadableStore, *, wanted: Collection[Key] | None = None, forced: Collection[Key] = ()
) -> dict[Key, Reason]:
    """Return for each step, in the order of the plan, what happens to it if `wanted` is asked for.

    By default the `target_steps` are wanted. Stored artifacts are checked, by the sizes of their files, if they are
    wanted or a step that runs uses them.

    Raises:
        StoreError: a newer version of satdsl wrote an artifact.
    """
    store.prefetch(plan.steps)
    asked = set(target_steps(plan) if wanted is None else wanted) | set(forced)
    found: dict[Key, Reason] = {}
    quarantined, unfinished = store.quarantined(), store.unfinished()
    for key in reversed(tuple(plan.steps)):
        if key in forced:
            found[key] = "forced"
        elif key in asked:
            found[key] = _why(store, key, quarantined, unfinished)
        else:
            found[key] = "stored" if store.has(key) else "not needed"
        if found[key] in RUNS:
            asked.update(source for _, source in plan.steps[key].inputs)
    return {key: found[key] for key in plan.steps}


def _why(store: ReadableStore, key: Key, quarantined: frozenset[Key], unfinished: frozenset[Key]) -> Reason:
    if store.has(key):
        return "stored" if store.check_sizes(key) is None else "damaged"
    if key in quarantined:
        return "damaged"
    return "continued" if key in unfinished else "new"


def _read_by(result: Result) -> tuple[Key, ...]:
    split = () if result.part.split is None else (result.part.split,)
    # A table of scores has no labels: by class they come from the data step.
    labels = (result.part.data,) if result.by_class and not result.measure.evaluations else ()
    return (*result.measure.steps, *split, *labels)
