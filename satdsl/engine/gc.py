"""Collect garbage: find what a store holds and named plans do not need, and delete it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from satdsl.engine.errors import Damaged
from satdsl.engine.store import Leftover, Store
from satdsl.ir.steps import Key


@dataclass(frozen=True)
class Garbage:
    """What can be deleted: `artifacts` with their sizes in bytes, and leftovers."""

    artifacts: Mapping[Key, int]
    leftovers: tuple[Leftover, ...]


@dataclass(frozen=True)
class Freed:
    """What was deleted. `busy` are the steps that run at this moment: what belongs to them was kept."""

    artifacts: int
    leftovers: int
    size: int
    busy: frozenset[Key]


def find_garbage(store: Store, keep: Collection[Key]) -> Garbage:
    """Find every artifact except those of `keep`, and what kills and damage have left.

    What an unfinished step of `keep` has saved is no garbage, nor is the record of why it failed.
    """
    store.refresh()
    artifacts = sorted(store.keys().difference(keep))
    store.prefetch(artifacts)
    open_steps = {key for key in keep if not store.has(key)}
    leftovers = (one for one in store.leftovers() if not (one.kind in ("scratch", "failed") and one.key in open_steps))
    return Garbage({key: _size(store, key) for key in artifacts}, tuple(leftovers))


def delete_garbage(store: Store, found: Garbage) -> Freed:
    """Delete the garbage step by step, each under its lock."""
    artifacts = leftovers = size = 0
    busy = set()
    for key in dict.fromkeys([*found.artifacts, *(left.key for left in found.leftovers)]):
        lock = store.lock(key)
        if lock is None:
            busy.add(key)
            continue
        with lock:
            if key in found.artifacts and store.recheck(key):
                store.remove(key)
                artifacts, size = artifacts + 1, size + found.artifacts[key]
            for left in found.leftovers:
                if left.key == key:
                    store.delete_leftover(left)
                    leftovers, size = leftovers + 1, size + left.size
    return Freed(artifacts, leftovers, size, frozenset(busy))


def _size(store: Store, key: Key) -> int:
    try:
        return store.manifest(key).size
    except Damaged:
        return 0
