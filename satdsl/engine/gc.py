"""What a store holds and named plans do not need, and how to be rid of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from satdsl.engine.store import Damaged, Leftover, Store
from satdsl.ir.steps import Key


@dataclass(frozen=True)
class Garbage:
    """What to take away: `artifacts` with their sizes in bytes, and leftovers."""

    artifacts: Mapping[Key, int]
    leftovers: tuple[Leftover, ...]


@dataclass(frozen=True)
class Freed:
    """What was taken away. `busy` are the steps that run at this moment: what is theirs was left."""

    artifacts: int
    leftovers: int
    size: int
    busy: frozenset[Key]


def garbage(store: Store, keep: Collection[Key]) -> Garbage:
    """Every artifact but those of `keep`, and what kills and damage have left.

    What an unfinished step of `keep` saved is kept, too, and why it failed.
    """
    store.refresh()
    doomed = sorted(store.keys().difference(keep))
    store.prepare(doomed)
    leftovers = store.leftovers()
    wanted = {key for key in keep if not store.has(key)}
    left = (one for one in leftovers if not (one.what in ("scratch", "failed") and one.key in wanted))
    return Garbage({key: _size(store, key) for key in doomed}, tuple(left))


def clear(store: Store, found: Garbage, tell: Callable[[Key], None] = lambda key: None) -> Freed:
    """Take it away, step by step, each under its lock; `tell` hears of each artifact removed."""
    artifacts = leftovers = size = 0
    busy = set()
    for key in dict.fromkeys([*found.artifacts, *(left.key for left in found.leftovers)]):
        lock = store.lock(key)
        if lock is None:
            busy.add(key)
            continue
        with lock:
            if key in found.artifacts and store.look(key):
                store.remove(key)
                tell(key)
                artifacts, size = artifacts + 1, size + found.artifacts[key]
            for left in found.leftovers:
                if left.key == key:
                    store.clear(left)
                    leftovers, size = leftovers + 1, size + left.size
    return Freed(artifacts, leftovers, size, frozenset(busy))


def _size(store: Store, key: Key) -> int:
    try:
        return store.manifest(key).size
    except Damaged:
        return 0
