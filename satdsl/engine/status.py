"""Find out from the store how far a plan is at this moment, wherever and by whomever its steps are run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

from satdsl.engine.errors import Damaged
from satdsl.engine.heartbeat import FailedStep, Heartbeat, RunningStep
from satdsl.engine.staleness import Reason, reasons
from satdsl.engine.store import ReadableStore
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key

State = Literal["done", "running", "failed", "waiting", "not needed"]
STATES: tuple[State, ...] = ("done", "running", "failed", "waiting")


def status_document(plan: Plan, store: ReadableStore) -> dict[str, Any]:
    """Return the state of every step of a plan, as data.

    A step that waits is `ready`, waits `for others`, or is `blocked` by one that failed; `saved` says that it continues
    from what an earlier run saved. The blocks of an evaluation are part of it. `work_left` is in seconds of one worker.
    It is estimated from the time that the finished steps of each kind took for a pass of an image, or, where none is
    finished, the running ones.

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
        "variant": plan.variant.words,
        "store": store.url,
        "counts": _counts(whole := whole_evaluations(plan, steps)),
        "steps": whole,
        "work_left": _work_left(plan, store, steps, running.values()),
    }


def store_document(store: ReadableStore) -> dict[str, Any]:
    """Return what runs in a store, what failed and what was stopped there, whatever plan it belongs to.

    Raises:
        StoreError: the store cannot be read.
    """
    store.refresh()
    running, failures = store.running(), store.failures()
    steps = [_step(one.key, one.heartbeat, "running") | _running(one) for one in running]
    locked = {one.key for one in running}
    steps += [_step(one.key, one, "failed") | _failed(one) for one in failures if one.key not in locked]
    stopped = store.unfinished() - store.keys() - {step["key"] for step in steps}
    steps += [_step(key, None, "waiting") | {"for": "ready", "saved": True} for key in sorted(stopped)]
    counts = _counts(steps) | {"done": len(store.keys())}
    return {
        "format_version": 1,
        "title": None,
        "variant": "",
        "store": store.url,
        "counts": counts,
        "steps": steps,
        "work_left": None,
    }


def whole_evaluations(plan: Plan, steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the states of steps with those of blocks as part of their evaluation, which has `blocks` then."""
    by_key = {step["key"]: step for step in steps}
    return [
        _with_blocks(by_key[key], [by_key[block] for block in step.blocks]) if step.blocks else by_key[key]
        for key, step in plan.shown.items()
    ]


def _with_blocks(step: dict[str, Any], blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the state of an evaluation: it runs or has failed where one of its blocks runs or has failed."""
    done = sum(block["state"] == "done" for block in blocks)
    found: dict[str, Any] = {**step, "blocks": {"count": len(blocks), "done": done}}
    if step["state"] in ("done", "not needed"):
        return found
    for state in ("running", "failed"):
        mine = [one for one in (step, *blocks) if one["state"] == state]
        if mine:
            latest = max(mine, key=lambda one: one.get("seen") or one.get("time") or "")
            found |= {name: value for name, value in latest.items() if name not in ("key", "label", "for", "saved")}
            if state == "running":
                found["owner"] = ", ".join(dict.fromkeys(one["owner"] for one in mine))
                found |= {"done": done + sum(map(_share_done, mine)), "total": len(blocks), "seconds_left": None}
            return found
    kinds = {block["for"] for block in blocks if block["state"] == "waiting"}
    waits = "blocked" if step["for"] == "blocked" else "ready" if "ready" in kinds or not kinds else "for others"
    return found | {"for": waits, "saved": step["saved"] or bool(done) or any(one.get("saved") for one in blocks)}


def _share_done(step: Mapping[str, Any]) -> float:
    return step["done"] / step["total"] if step.get("total") else 0.0


def _step(key: Key, known: Heartbeat | FailedStep | None, state: State) -> dict[str, Any]:
    """Return what a store knows of a step without a plan: of a step that was only stopped, just its key."""
    return {"key": key, "kind": known.kind if known else "", "label": known.label if known else "", "state": state}


def _state(key: Key, reason: Reason, running: Mapping[Key, RunningStep], failed: Mapping[Key, FailedStep]) -> State:
    if key in running:
        return "running"
    if reason in ("stored", "not needed"):
        return "done" if reason == "stored" else "not needed"
    return "failed" if key in failed else "waiting"


def _blocked(plan: Plan, open_: set[Key], failed: set[Key]) -> set[Key]:
    """Return the open steps that need a failed one. The steps of a plan are in an order in which they can run."""
    found = set(failed)
    for key, step in plan.steps.items():
        if key in open_ and any(source in found for _, source in step.inputs):
            found.add(key)
    return found - failed


def _running(one: RunningStep) -> dict[str, Any]:
    heartbeat = one.heartbeat
    if heartbeat is None:
        return {"owner": one.owner}
    return {
        "owner": one.owner,
        "began": _time(heartbeat.began),
        "seen": _time(heartbeat.seen),
        "done": heartbeat.done,
        "total": heartbeat.total,
        "note": heartbeat.note,
        "seconds_left": heartbeat.seconds_left,
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
    plan: Plan, store: ReadableStore, steps: list[dict[str, Any]], running: Iterable[RunningStep]
) -> dict[str, Any] | None:
    """Estimate the seconds of one worker; `at_least` if the speed of some kind of step is unknown; None if of all."""
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
    """Return the seconds that a running step takes from now on; None where that is not known."""
    left = step.get("seconds_left")
    return None if left is None else max(0.0, float(left) - ago(step["seen"]))


def ago(time: str) -> float:
    """Return the seconds since a time of the document."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())


def _speeds(plan: Plan, store: ReadableStore, done: list[Key]) -> dict[str, float]:
    """Return the seconds for a forward-and-backward pass of an image, by kind of step.

    Continued steps are left out: their manifests tell the time of the last run only.
    """
    costly = [key for key in done if _cost(plan, key)]
    store.prefetch(costly)
    taken = []
    for key in costly:
        with suppress(Damaged):
            found = store.manifest(key)
            if not found.continued:
                taken.append((found.kind, found.seconds, _cost(plan, key)))
    return _rates(taken)


def _speeds_so_far(plan: Plan, running: Iterable[RunningStep]) -> dict[str, float]:
    """Return the same, from steps that are running."""
    costly = [(one.heartbeat, _cost(plan, one.key)) for one in running if _cost(plan, one.key)]
    return _rates(
        (beat.kind, beat.spent, cost * (beat.done - beat.first) / beat.total)
        for beat, cost in costly
        if beat is not None and beat.seconds_left is not None
    )


def _rates(taken: Iterable[tuple[str, float, float]]) -> dict[str, float]:
    """Return the seconds for a pass by kind, from (kind, seconds, passes) of several steps."""
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
