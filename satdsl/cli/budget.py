"""Read `--budget`, order a run by the claims that it decides, and say what is left when the time is over."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from satdsl.cli.minutes import minutes_of, parse_duration
from satdsl.engine.budget import Budget
from satdsl.ir.minutes import Minutes, Price
from satdsl.minutes.priorities import by_claims, decided
from satdsl.show.minutes import duration

if TYPE_CHECKING:
    from satdsl.engine.run import Outcome
    from satdsl.engine.store import ReadableStore
    from satdsl.ir.plan import Plan
    from satdsl.ir.steps import Key


@dataclass(frozen=True)
class Limits:
    """The budget of a run of a plan, and the times that it was made from."""

    plan: Plan
    budget: Budget
    minutes: Minutes

    @property
    def words(self) -> str:
        """Say how the time compares with what all steps take."""
        time, unknown = duration(self.budget.seconds), self._count(self.minutes.unknown)
        known = duration(self.minutes.known(self.minutes.steps).expected)
        if unknown:
            return (
                f"budget: {time}; the time of {unknown:,} of {self._count(self.minutes.steps):,} steps is not known, "
                "so that one may be stopped when the time is over (`satdsl explain --measure` finds out)"
            )
        return f"budget: {time}; all steps take {known}, one after the other"

    def _count(self, keys: Iterable[Key]) -> int:
        """Return how many steps these are for people: blocks count as their evaluations."""
        return len({self.plan.evaluation_of.get(key, key) for key in keys})

    def left(self, outcome: Outcome) -> str:
        """Say what is left, how long it takes, and how many claims are decided."""
        left = outcome.left
        unknown = self._count(key for key in left if self.minutes.steps.get(key) is None)
        time = duration(self.minutes.known(left).expected) + f" and {unknown:,} of a time not known" * bool(unknown)
        claims = list(decided(self.plan, [*left, *outcome.skipped, *outcome.failed]))
        of = f"; {sum(claims):,} of {len(claims):,} claims are decided" if claims else ""
        return f"the time is over: {self._count(left):,} steps are left, which take {time}{of}"


def budget_of(
    plan: Plan, store: ReadableStore, to_run: Collection[Key], text: str, *, device: str, jobs: int | None
) -> Limits:
    """Return the budget of a run of some steps, from what is known of their times."""
    seconds = parse_duration(text, "--budget")
    minutes = minutes_of(plan, store, to_run, device=device, jobs=jobs, price=Price())
    known = {key: time.seconds.expected for key, time in minutes.steps.items() if time is not None}
    costs = {key: plan.passes[key].cost for key in to_run if key in plan.passes}
    order = by_claims(plan, to_run, costs if minutes.unknown else known)
    return Limits(plan, Budget(seconds, order, known), minutes)
