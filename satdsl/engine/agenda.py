"""The steps still to run: those that can, the one on which most work waits first."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from satdsl.engine.staleness import Reason
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key


class Agenda:
    """Hands out one step at a time whose inputs no other open step makes."""

    def __init__(self, plan: Plan, open_steps: Mapping[Key, Reason]) -> None:
        self._steps = plan.steps
        self._order = {key: position for position, key in enumerate(plan.steps)}
        self._users: dict[Key, list[Key]] = defaultdict(list)
        for key, step in plan.steps.items():
            for _, source in step.inputs:
                self._users[source].append(key)
        waiting = self._chains(plan)
        self._by_rank = sorted(plan.steps, key=lambda key: (-waiting[key], self._order[key]))
        self._rank = {key: rank for rank, key in enumerate(self._by_rank)}
        self._open: dict[Key, Reason] = {}
        self._ready: list[int] = []
        self._postponed: list[Key] = []
        self.add(open_steps)

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, key: Key) -> bool:
        return key in self._open

    def __iter__(self) -> Iterator[Key]:
        return iter(sorted(self._open, key=self._order.__getitem__))

    def reason(self, key: Key) -> Reason:
        """Why this open step is to run."""
        return self._open[key]

    def add(self, steps: Mapping[Key, Reason]) -> None:
        """More steps to run; those that are on the agenda already stay."""
        self._open = dict(steps) | self._open
        self._offer(steps)

    def next_ready(self) -> Key | None:
        """The step that can run, is not postponed, and has the costliest chain of steps behind it.

        It stays open until `finish` or `drop`. Equals come in the plan's order.
        """
        while self._ready:
            key = self._by_rank[heapq.heappop(self._ready)]
            if self._can_run(key):
                return key
        return None

    def postpone(self, key: Key) -> None:
        """Leave this step out until `resume`: another process has it."""
        self._postponed.append(key)

    def resume(self) -> None:
        """Offer the postponed steps again."""
        self._offer(self._postponed)
        self._postponed.clear()

    def finish(self, key: Key) -> None:
        """The step's artifact is there."""
        self._open.pop(key, None)
        self._offer(self._users[key])

    def drop(self, key: Key) -> list[Key]:
        """Take off a step that will not run, and the open steps that need it, which are returned."""
        self._open.pop(key, None)
        dropped = []
        doubtful = list(self._users[key])
        while doubtful:
            user = doubtful.pop()
            if user in self._open:
                del self._open[user]
                dropped.append(user)
                doubtful.extend(self._users[user])
        return sorted(dropped, key=self._order.__getitem__)

    def _chains(self, plan: Plan) -> dict[Key, float]:
        """The cost of the costliest chain of steps that begins with each step, in forward-and-backward passes."""
        found: dict[Key, float] = {}
        for key in reversed(tuple(plan.steps)):
            own = plan.passes[key].cost if key in plan.passes else 0.0
            found[key] = own + max((found[user] for user in self._users[key]), default=0.0)
        return found

    def _offer(self, keys: Iterable[Key]) -> None:
        for key in keys:
            if self._can_run(key):
                heapq.heappush(self._ready, self._rank[key])

    def _can_run(self, key: Key) -> bool:
        return key in self._open and not any(source in self._open for _, source in self._steps[key].inputs)
