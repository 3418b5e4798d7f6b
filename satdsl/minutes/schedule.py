"""Say how long steps that wait for each other take on several workers: list scheduling."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def makespan(
    seconds: Mapping[T, float], inputs: Mapping[T, Sequence[T]], workers: int, rank: Callable[[T], float] | None = None
) -> float:
    """Return when the last of some steps ends, each of which runs on one of so many workers.

    A worker that is free takes, of the steps whose inputs are there, the one with the highest `rank`: if nothing is
    said, the longest chain of steps that waits for it, as the run's own scheduler does by passes. `inputs` that are no
    such steps are there from the beginning. At most (2 - 1/workers) times what the best order takes (Graham, 1969).
    """
    users: dict[T, list[T]] = defaultdict(list)
    waiting: dict[T, int] = {}
    for step in seconds:
        needed = [one for one in dict.fromkeys(inputs.get(step, ())) if one in seconds]
        waiting[step] = len(needed)
        for one in needed:
            users[one].append(step)
    chains = chain_seconds(seconds, users)
    by = rank or chains.__getitem__
    place = {step: number for number, step in enumerate(seconds)}
    ready = [(-by(step), place[step], step) for step, count in waiting.items() if not count]
    heapq.heapify(ready)
    running: list[tuple[float, int, T]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            _, number, step = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[step], number, step))
        now, _, done = heapq.heappop(running)
        for user in users[done]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, (-by(user), place[user], user))
    return now


def chain_seconds(seconds: Mapping[T, float], users: Mapping[T, Sequence[T]]) -> dict[T, float]:
    """Return for each step how long the longest chain takes that begins with it; `seconds` are in a possible order."""
    found: dict[T, float] = {}
    for step in reversed(list(seconds)):
        found[step] = seconds[step] + max((found[user] for user in users.get(step, ())), default=0.0)
    return found
