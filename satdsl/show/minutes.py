"""Show how long a plan takes: as data, and as the part of `explain`'s page that says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from satdsl.ir.minutes import Minutes, Seconds, StepTime
from satdsl.ir.plan import Plan, added
from satdsl.ir.steps import Key
from satdsl.show.numbers import big
from satdsl.show.table import Column, Row, Table, Value, count, numeric

UNKNOWN = "not known"


def duration(seconds: float) -> str:
    """Return a time as people say it: `0.4 s`, `48 s`, `3 min 20 s`, `5 h 10 min`, `3 days 4 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole, 60, "min", 1, "s")
    if whole < 48 * 3600:
        return _two(whole, 3600, "h", 60, "min")
    return _two(whole, 86_400, "days", 3600, "h")


def _two(seconds: int, large: int, of_large: str, small: int, of_small: str) -> str:
    more, rest = divmod(round(seconds / small), large // small)
    return f"{more} {of_large} {rest} {of_small}" if rest else f"{more} {of_large}"


def spread(seconds: Seconds) -> str:
    """Return between which times it is: `40 s to 1 min 5 s`; nothing where they are shown alike."""
    low, high = duration(seconds.low), duration(seconds.high)
    return "" if low == high else f"{low} to {high}"


# --- as data -------------------------------------------------------------------------------------


def whole(plan: Plan, minutes: Minutes) -> dict[Key, StepTime | None]:
    """Return the times of steps as people are shown them: of an evaluation with its blocks that are to run."""
    found: dict[Key, StepTime | None] = {}
    for key, time in minutes.steps.items():
        shown = plan.evaluation_of.get(key, key)
        found[shown] = time if shown not in found else _together(found[shown], time)
    return found


def _together(first: StepTime | None, second: StepTime | None) -> StepTime | None:
    if first is None or second is None:
        return None
    return StepTime(
        first.seconds + second.seconds,
        "measured" if "measured" in (first.source, second.source) else "stored",
        first.passes + second.passes,
        first.standing or second.standing,
    )


def document(plan: Plan, minutes: Minutes) -> dict[str, Any]:
    """Return times as data, in seconds, but for those of steps."""
    return {
        "device": minutes.device,
        "workers": [{"workers": number} | _seconds(time) for number, time in minutes.workers.items()],
        "start_of_a_process": None if minutes.start is None else _seconds(minutes.start),
        "steps_without_a_known_time": sum(time is None for time in whole(plan, minutes).values()),
        "bill": bill(minutes),
    }


def step_document(time: StepTime | None) -> dict[str, Any] | None:
    """Return the time of a step as data; None where it is not known."""
    if time is None:
        return None
    return _seconds(time.seconds) | {
        "source": time.source,
        "expected_cost": round(time.passes.cost),
        "standing": time.standing,
    }


def _seconds(time: Seconds) -> dict[str, float]:
    return {"expected": round(time.expected, 3), "low": round(time.low, 3), "high": round(time.high, 3)}


def bill(minutes: Minutes) -> dict[str, float | None]:
    """Return the hours that are paid, what they cost, and the energy, of a run with the most workers; None if unsaid.

    A GPU is paid while a step runs on it; of cores all are paid until the last step ends, and so is the power.
    """
    price = minutes.price
    if price.per_hour is None and price.watts is None:
        return {}
    whole = minutes.workers[max(minutes.workers)].expected / 3600
    steps = minutes.known(minutes.steps).expected / 3600
    hours = steps if price.unit == "gpu" else whole * minutes.cores
    return {
        "hours": round(hours, 4),
        "money": None if price.per_hour is None else round(hours * price.per_hour, 6),
        "kwh": None if price.watts is None else round(whole * price.watts / 1000, 4),
    }


# --- as text -------------------------------------------------------------------------------------


def section(plan: Plan, minutes: Minutes | None, kinds: Mapping[str, str]) -> list[str | Table]:
    """Return the section of the page about the steps that are to run; nothing where there are none."""
    if minutes is None or not minutes.steps:
        return []
    if len(minutes.unknown) == len(minutes.steps):
        return [_unknown()]
    times = whole(plan, minutes)
    rows = [row for kind, label in kinds.items() if (row := _row(plan, times, kind, label)) is not None]
    head = [Column(), *numeric("steps", "expected passes", "of at most", "each", "in all")]
    parts: list[str | Table] = [Table(head, rows, notes=_sources(minutes, times))]
    return [*parts, _workers(minutes)]


def _unknown() -> str:
    return (
        "not known yet: nothing like these steps is stored, and nothing was measured on this device. "
        "`satdsl explain FILE --measure` tries a batch of each network and attack."
    )


def _row(plan: Plan, times: Mapping[Key, StepTime | None], kind: str, label: str) -> Row | None:
    mine = [key for key in times if plan.steps[key].kind == kind]
    if not mine:
        return None
    known = [time for key in mine if (time := times[key]) is not None]
    unknown = len(mine) - len(known)
    planned = added([plan.whole_passes(key) for key in mine])
    expected = added([plan.whole_passes(key) if (time := times[key]) is None else time.passes for key in mine])
    each = [time.seconds.expected for time in known]
    shown = _between(each) if each else UNKNOWN
    total = sum(each)
    whole = duration(total) if each else UNKNOWN
    return (
        label,
        count(len(mine)),
        Value(big(expected.cost), expected.cost),
        Value(big(planned.cost) if planned.at_most else "", planned.cost),
        Value(shown, total),
        Value(f"{whole} + ?" if unknown and each else whole, total),
    )


def _between(seconds: list[float]) -> str:
    least, most = duration(min(seconds)), duration(max(seconds))
    if least == most:
        return least
    number, _, unit = least.partition(" ")
    return f"{number} to {most}" if most.endswith(f" {unit}") and " " not in unit else f"{least} to {most}"


def _workers(minutes: Minutes) -> Table:
    more = " + ?" * bool(minutes.unknown)
    rows: list[Row] = [
        (
            "one after the other" if number == 1 else f"{number} at once",
            Value(duration(time.expected) + more, time.expected),
            spread(time),
        )
        for number, time in minutes.workers.items()
    ]
    return Table([Column(), *numeric("time"), Column("between")], rows, notes=_notes(minutes))


def _notes(minutes: Minutes) -> list[str]:
    found = []
    if minutes.start is not None:
        found.append(f"with {duration(minutes.start.expected)} for a process to start")
    elif len(minutes.workers) > 1:
        found.append("without the time that processes take to start, which was not measured")
    said, price = bill(minutes), minutes.price
    if said.get("money") is not None:
        cores = f"for all {minutes.cores} cores until the last step ends"
        what = "while a step holds a GPU" if price.unit == "gpu" else cores
        found.append(f"{said['money']:.3g} in money: {price.per_hour:g} per {price.unit}-hour, {what}")
    if said.get("kwh") is not None:
        found.append(f"{said['kwh']:.3g} kWh, if the machine draws {price.watts:g} W until the last step ends")
    return found


def _sources(minutes: Minutes, whole: Mapping[Key, StepTime | None]) -> list[str]:
    times = [time for time in whole.values() if time is not None]
    stored = sum(time.source == "stored" for time in times)
    said = [f"on {minutes.device}"]
    known = [f"{stored:,} from stored steps like them"] if stored else []
    known += [f"{len(times) - stored:,} from measured batches"] if len(times) > stored else []
    if known:
        said.append("times: " + ", ".join(known))
    standing = dict.fromkeys(time.standing for time in times if time.standing)
    said += [f"under attack there stand {words}" for words in standing]
    if len(times) < len(whole):
        said.append(f"{len(whole) - len(times):,} not known yet: `satdsl explain --measure` tries a batch of each")
    return ["; ".join(said)]
