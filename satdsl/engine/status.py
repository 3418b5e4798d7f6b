"""How far a plan is: read off the store at this moment, wherever and by whomever its steps are run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

from satdsl.engine.heartbeat import FailedStep, Running, Sign
from satdsl.engine.staleness import Reason, reasons
from satdsl.engine.store import Damaged, Store
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key

State = Literal["done", "running", "failed", "waiting", "not needed"]
STATES: tuple[State, ...] = ("done", "running", "failed", "waiting")


def status_document(plan: Plan, store: Store) -> dict[str, Any]:
    """The state of every step of a plan, as data.

    A step that waits is `ready`, waits `for others`, or is `blocked` by one that failed; `saved` says that it goes on
    from what an earlier run saved. `work_left` is in seconds of one worker, judged by what the plan's finished
    steps of each kind took for an image pass, or, where none is, those that run.

    Raises:
        StoreError: the store cannot be read.
    """
    store.refresh()
    why = reasons(plan, store)
    running = {one.key: one for one in store.running() if one.key in plan.steps}
    failed = {one.key: one for one in store.failures() if one.key in plan.steps}
    states = {key: _state(key, why[key], running, failed) for key in plan.steps}
    open_ = {key for key, state in states.items() if state not in ("done", "not needed")}
    blocked = _blocked(plan, open_, {key for key in open_ if states[key] == "failed"})
    steps = []
    for key, step in plan.steps.items():
        entry: dict[str, Any] = {"key": key, "kind": step.kind, "label": plan.labels[key], "state": states[key]}
        if states[key] == "running":
            entry |= _running(running[key])
        elif states[key] == "failed":
            entry |= _failed(failed[key])
        elif states[key] == "waiting":
            needs = any(source in open_ for _, source in step.inputs)
            entry["for"] = "blocked" if key in blocked else "for others" if needs else "ready"
            entry["saved"] = why[key] == "continued"
        steps.append(entry)
    return {
        "format_version": 1,
        "title": plan.title,
        "store": store.url,
        "counts": _counts(steps),
        "steps": steps,
        "work_left": _work_left(plan, store, steps, running.values()),
    }


def store_document(store: Store) -> dict[str, Any]:
    """What runs in a store, what failed and what was stopped there, whatever plan it belongs to.

    Raises:
        StoreError: the store cannot be read.
    """
    store.refresh()
    running, failures = store.running(), store.failures()
    steps = [_step(one.key, one.sign, "running") | _running(one) for one in running]
    locked = {one.key for one in running}
    steps += [_step(one.key, one, "failed") | _failed(one) for one in failures if one.key not in locked]
    stopped = store.begun() - store.keys() - {step["key"] for step in steps}
    steps += [_step(key, None, "waiting") | {"for": "ready", "saved": True} for key in sorted(stopped)]
    counts = _counts(steps) | {"done": len(store.keys())}
    return {"format_version": 1, "title": None, "store": store.url, "counts": counts, "steps": steps, "work_left": None}


def _step(key: Key, named: Sign | FailedStep | None, state: State) -> dict[str, Any]:
    """What a store knows of a step without a plan: nothing of what was only saved but its key."""
    return {"key": key, "kind": named.kind if named else "", "label": named.label if named else "", "state": state}


def _state(key: Key, reason: Reason, running: Mapping[Key, Running], failed: Mapping[Key, FailedStep]) -> State:
    if key in running:
        return "running"
    if reason in ("stored", "not needed"):
        return "done" if reason == "stored" else "not needed"
    return "failed" if key in failed else "waiting"


def _blocked(plan: Plan, open_: set[Key], failed: set[Key]) -> set[Key]:
    """The open steps that need a failed one. A plan's steps are in an order in which they can run."""
    found = set(failed)
    for key, step in plan.steps.items():
        if key in open_ and any(source in found for _, source in step.inputs):
            found.add(key)
    return found - failed


def _running(one: Running) -> dict[str, Any]:
    sign = one.sign
    if sign is None:
        return {"owner": one.owner}
    return {
        "owner": one.owner,
        "began": _time(sign.began),
        "seen": _time(sign.seen),
        "done": sign.done,
        "total": sign.total,
        "note": sign.note,
        "seconds_left": sign.left,
    }


def _failed(one: FailedStep) -> dict[str, Any]:
    return {
        "time": _time(one.time),
        "owner": one.owner,
        "reason": one.reason,
        "help": one.help,
        "details": one.details,
    }


def _counts(steps: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    found = Counter(step["state"] for step in steps)
    return {state: found[state] for state in STATES}


def _work_left(
    plan: Plan, store: Store, steps: list[dict[str, Any]], running: Iterable[Running]
) -> dict[str, Any] | None:
    """Seconds of one worker; `at_least` where some step's kind has not been measured. None if nothing has."""
    done = [step["key"] for step in steps if step["state"] == "done"]
    speeds = _speeds_so_far(plan, running) | _speeds(plan, store, done)
    seconds, unknown = 0.0, False
    for step in steps:
        if step["state"] not in ("running", "waiting", "failed"):
            continue
        left = left_now(step)
        cost = _cost(plan, step["key"])
        if left is None and cost and step["kind"] in speeds:
            left = cost * speeds[step["kind"]]
        unknown |= left is None and cost > 0
        seconds += left or 0.0
    if not seconds:
        return None
    return {"seconds": seconds, "at_least": unknown}


def left_now(step: Mapping[str, Any]) -> float | None:
    """Seconds left of a running step from now on: it goes on while nobody looks. None where that is not known."""
    left = step.get("seconds_left")
    return None if left is None else max(0.0, float(left) - ago(step["seen"]))


def ago(time: str) -> float:
    """Seconds since a time of the document."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())


def _speeds(plan: Plan, store: Store, done: list[Key]) -> dict[str, float]:
    """Seconds for a forward-and-backward image pass, by the kind of step; continued steps tell of their end only."""
    costly = [key for key in done if _cost(plan, key)]
    store.prepare(costly)
    taken = []
    for key in costly:
        with suppress(Damaged):
            found = store.manifest(key)
            if not found.continued:
                taken.append((found.kind, found.seconds, _cost(plan, key)))
    return _rates(taken)


def _speeds_so_far(plan: Plan, running: Iterable[Running]) -> dict[str, float]:
    """The same of steps that are not done yet."""
    costly = [(one.sign, _cost(plan, one.key)) for one in running if _cost(plan, one.key)]
    return _rates(
        (sign.kind, sign.spent, cost * (sign.done - sign.first) / sign.total)
        for sign, cost in costly
        if sign is not None and sign.left is not None
    )


def _rates(taken: Iterable[tuple[str, float, float]]) -> dict[str, float]:
    """Seconds a pass by kind, of some kinds' seconds and passes."""
    seconds: dict[str, float] = defaultdict(float)
    passes: dict[str, float] = defaultdict(float)
    for kind, spent, done in taken:
        seconds[kind] += spent
        passes[kind] += done
    return {kind: seconds[kind] / passes[kind] for kind in passes}


def _cost(plan: Plan, key: Key) -> float:
    return plan.passes[key].cost if key in plan.passes else 0.0


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
