"""Order steps so that claims are decided early: most of them for each minute, with what they share counted once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from satdsl.engine.staleness import result_steps
from satdsl.ir.part_of_plan import claimed, closure
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key


def by_claims(plan: Plan, to_run: Collection[Key], seconds: Mapping[Key, float]) -> list[Key]:
    """Return the steps to run in the order in which they decide most claims for the time that they take.

    Again and again the claim comes next that, with all others that are decided by the same steps, gives most claims a
    second; of equals the first of the file. Then follow the other results, the quickest first, and last what is left.
    The steps of each come in the order of the plan, in which they can run.
    """
    place = {key: number for number, key in enumerate(plan.steps)}
    open_steps = set(to_run)
    claims = [_needed(plan, result_steps(claimed(plan, claim)), open_steps) for claim in plan.claims]
    ordered: dict[Key, None] = {}
    waiting = [needed for needed in claims if needed]
    while waiting:
        best = max(waiting, key=lambda needed: _rate(needed, waiting, ordered, seconds))
        ordered.update(dict.fromkeys(sorted(best - ordered.keys(), key=place.__getitem__)))
        waiting = [needed for needed in waiting if not needed <= ordered.keys()]
    results = [_needed(plan, result_steps([result]), open_steps) for result in plan.results]
    while results := [needed for needed in results if not needed <= ordered.keys()]:
        quickest = min(results, key=lambda needed: _time(needed - ordered.keys(), seconds))
        ordered.update(dict.fromkeys(sorted(quickest - ordered.keys(), key=place.__getitem__)))
    return [*ordered, *sorted(open_steps - ordered.keys(), key=place.__getitem__)]


def _needed(plan: Plan, asked: Iterable[Key], to_run: Collection[Key]) -> frozenset[Key]:
    return frozenset(closure(plan, asked) & set(to_run))


def _rate(
    needed: frozenset[Key], waiting: Iterable[frozenset[Key]], ordered: Mapping[Key, None], seconds: Mapping[Key, float]
) -> float:
    """Return how many claims are decided for each second of the steps that one of them needs."""
    done = needed | ordered.keys()
    decided = sum(other <= done for other in waiting)
    return decided / max(_time(needed - ordered.keys(), seconds), 1e-9)


def _time(steps: Iterable[Key], seconds: Mapping[Key, float]) -> float:
    return sum(seconds.get(step, 0.0) for step in steps)


def decided(plan: Plan, left: Collection[Key]) -> Iterator[bool]:
    """Give for each claim of a plan whether none of the steps that it rests on is left."""
    for claim in plan.claims:
        yield not closure(plan, result_steps(claimed(plan, claim))) & set(left)
