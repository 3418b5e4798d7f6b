"""Decide how many steps run at once on this machine: as many as its cores, GPUs and memory hold.

A schedule is made with rough times of the steps: the next to run is always that with the longest chain after it. If
several processes would save less than their start takes, the run stays in this one.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Mapping

from satdsl.engine.events import StepsAtOnce
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key
from satdsl.ir.work import Load, Room

START = 8.0
"""Seconds within which worker processes have started and imported torch, with some to spare for a busy machine."""

GAIN = 1.15
"""How many times as fast a run has to become, for the times are rough."""


def choose(
    plan: Plan, keys: Collection[Key], loads: Mapping[Key, Load], room: Room, *, processes: bool = False
) -> StepsAtOnce:
    """Return how many of a plan's steps run at once at most, if those of these `keys` are to run.

    With `processes` there are processes in any case; otherwise there have to be steps that are worth starting them.
    """
    together, most = makespan(plan, keys, loads, room)
    alone, _ = makespan(plan, keys, loads, Room(places=1))
    if processes or (most > 1 and alone > max(START + together, GAIN * together)):
        return StepsAtOnce(most, _limit(plan, keys, loads, room, most))
    if most > 1:
        return StepsAtOnce(1, "starting processes would take longer than they save")
    return StepsAtOnce(1, _limit(plan, keys, loads, room, most))


def _limit(plan: Plan, keys: Collection[Key], loads: Mapping[Key, Load], room: Room, most: int) -> str:
    """Return in words why no more of them run at once."""
    if makespan(plan, keys, loads, Room())[1] == most:
        return "no others of them can run at the same time" if most > 1 else "no two of them can run at the same time"
    own = [loads[key] for key in keys if key in loads]
    memory, threads = max(load.memory for load in own), max(load.threads for load in own)
    if room.memory is not None and (most + 1) * memory > room.memory:
        return f"{_gigabytes(room.memory)} of memory are free, and a step takes up to {_gigabytes(memory)}"
    if room.cores is not None and (most + 1) * threads > room.cores:
        cores = "1 core" if room.cores == 1 else f"{room.cores} cores"
        return f"{cores}, and {'1 thread' if threads == 1 else f'up to {threads} threads'} a step"
    return room.places_are


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def makespan(plan: Plan, keys: Collection[Key], loads: Mapping[Key, Load], room: Room) -> tuple[float, int]:
    """Return when the last of some steps ends, in seconds, and how many run at once at most."""
    wanted = [key for key in plan.steps if key in keys]
    users: dict[Key, list[Key]] = defaultdict(list)
    waiting: dict[Key, int] = {}
    for key in wanted:
        needed = {source for _, source in plan.steps[key].inputs if source in keys}
        waiting[key] = len(needed)
        for source in needed:
            users[source].append(key)
    load_of = {key: loads.get(key, Load()) for key in wanted}
    chains: dict[Key, float] = {}
    for key in reversed(wanted):
        chains[key] = load_of[key].seconds + max((chains[user] for user in users[key]), default=0.0)
    order = {key: place for place, key in enumerate(wanted)}
    ready = [(-chains[key], order[key], key) for key in wanted if not waiting[key]]
    heapq.heapify(ready)
    running: list[tuple[float, int, Key]] = []
    now, most = 0.0, 0
    while ready or running:
        while ready and room.holds([*(load_of[key] for _, _, key in running), load_of[ready[0][2]]]):
            _, place, key = heapq.heappop(ready)
            heapq.heappush(running, (now + load_of[key].seconds, place, key))
            # What takes no time does not run beside anything.
            most = max(most, sum(end > now for end, _, _ in running), 1)
        now, _, done = heapq.heappop(running)
        for user in users[done]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, (-chains[user], order[user], user))
    return now, most
