"""Order the steps that are still to run: of those that can run, the one that most work waits for comes first."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from satdsl.engine.staleness import Reason
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key, Step, Train


def _only_reads(step: Step) -> bool:
    """Return whether a step takes the weights of a file as they are.

    Such a step comes first, as it costs little: it tells whether a library's network fits the file, and proves it.
    """
    settings = step.settings
    return isinstance(settings, Train) and settings.pretrained is not None and settings.recipe.get("epochs") == 0


class Scheduler:
    """Gives out one step at a time. A step can run if no open step makes one of its inputs."""

    def __init__(self, plan: Plan, open_steps: Mapping[Key, Reason], first: Mapping[Key, int] | None = None) -> None:
        """Order the steps of a plan; those come `first` that have a lower number there."""
        self._steps = plan.steps
        self._order = {key: position for position, key in enumerate(plan.steps)}
        self._users: dict[Key, list[Key]] = defaultdict(list)
        for key, step in plan.steps.items():
            for _, source in step.inputs:
                self._users[source].append(key)
        waiting = self._chains(plan)
        self._by_rank = sorted(
            plan.steps,
            key=lambda key: (
                not _only_reads(plan.steps[key]),
                (first or {}).get(key, 0),
                -waiting[key],
                self._order[key],
            ),
        )
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
        """Return why this open step is to run."""
        return self._open[key]

    def add(self, steps: Mapping[Key, Reason]) -> None:
        """Add steps to run. Those that are open already keep their reason."""
        self._open = dict(steps) | self._open
        self._offer(steps)

    def next_ready(self) -> Key | None:
        """Return the step that can run, is not postponed, and has the costliest chain of steps after it.

        It stays open until `finish` or `drop`. Equal steps come in the order of the plan.
        """
        while self._ready:
            key = self._by_rank[heapq.heappop(self._ready)]
            if self._can_run(key):
                return key
        return None

    def put_back(self, key: Key) -> None:
        """Let this step be the next one again, because there is no room for it yet."""
        self._offer([key])

    def postpone(self, key: Key) -> None:
        """Leave this step out until `resume`, because another process has it."""
        self._postponed.append(key)

    @property
    def postponed(self) -> bool:
        """Return whether a step is left out until `resume`."""
        return bool(self._postponed)

    def resume(self) -> None:
        """Offer the postponed steps again."""
        self._offer(self._postponed)
        self._postponed.clear()

    def finish(self, key: Key) -> None:
        """Close a step whose artifact is there."""
        self._open.pop(key, None)
        self._offer(self._users[key])

    def drop(self, key: Key) -> list[Key]:
        """Close a step that will not run, and the open steps that need it; return those."""
        self._open.pop(key, None)
        dropped = []
        users = list(self._users[key])
        while users:
            user = users.pop()
            if user in self._open:
                del self._open[user]
                dropped.append(user)
                users.extend(self._users[user])
        return sorted(dropped, key=self._order.__getitem__)

    def _chains(self, plan: Plan) -> dict[Key, float]:
        """Return for each step the cost of the costliest chain that begins with it, in forward-and-backward passes."""
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
