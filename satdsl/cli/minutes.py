"""Find out how long a plan takes here, for `explain` and for `run --budget`, and read what is said of prices."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from satdsl.cli.output import USAGE, fail, say, stderr

if TYPE_CHECKING:
    from satdsl.engine.store import ReadableStore
    from satdsl.ir.minutes import Minutes, Price
    from satdsl.ir.plan import Plan
    from satdsl.ir.steps import Key
    from satdsl.minutes.calibrations import Calibrations

_UNITS = {"d": 86_400, "h": 3600, "m": 60, "min": 60, "s": 1}


def parse_duration(text: str, option: str) -> float:
    """Return the seconds of `90s`, `30m`, `2h` or `1h30m`."""
    whole = text.replace(" ", "").lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)(min|[dhms])", whole)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != whole or not seconds > 0:
        fail(f"{option} takes a time, but it was given `{text}`", USAGE, f"write it as in {option} 1h30m, 30m or 90s")
    return seconds


def parse_price(price: str | None, watts: float | None) -> Price:
    """Return what `--price 2.5/gpu-hour` and `--watts` say."""
    from satdsl.ir.minutes import Price

    if price is None:
        return Price(watts=watts)
    number, _, unit = price.partition("/")
    kind = unit.strip().removesuffix("-hour")
    try:
        per_hour = float(number)
    except ValueError:
        per_hour = -1.0
    if not 0 <= per_hour < float("inf") or kind not in ("gpu", "cpu") or not unit.strip().endswith("-hour"):
        help = "write it as in --price 2.5/gpu-hour or --price 0.05/cpu-hour"
        fail(f"--price takes a number for an hour, but it was given `{price}`", USAGE, help)
    return Price(per_hour, "gpu" if kind == "gpu" else "cpu", watts)


def minutes_of(
    plan: Plan,
    store: ReadableStore,
    to_run: Collection[Key],
    *,
    device: str,
    jobs: int | None,
    price: Price,
    measure: bool = False,
) -> Minutes:
    """Return how long the steps take that are to run; with `measure` what is not known is measured first."""
    from satdsl.minutes.calibrations import Calibrations, this_device
    from satdsl.minutes.estimate import estimate
    from satdsl.minutes.stored import Stored

    calibrations = Calibrations.load(this_device(device))
    stored = Stored(plan, store, calibrations.device)
    if measure:
        _measure(plan, to_run, calibrations, device)
    most = jobs or (calibrations.device.cores if calibrations.device.kind == "cpu" else 1)
    return estimate(plan, to_run, stored, calibrations, (1, most), price)


def _measure(plan: Plan, to_run: Collection[Key], calibrations: Calibrations, device: str) -> None:
    from satdsl.backend import perform
    from satdsl.backend.calibration import seconds_per_pass
    from satdsl.backend.device import choose_device
    from satdsl.ir.work import StepError
    from satdsl.minutes.measuring import measure, missing

    wanted = missing(plan, to_run, calibrations)
    try:
        there = choose_device(device)
        measure(wanted, calibrations, seconds_per_pass, perform, there, lambda line: say(line, stderr()))
    except ValueError as error:
        fail(str(error), USAGE)
    except StepError as error:
        fail(error.reason, USAGE, error.help)
    problem = calibrations.save()
    if problem:
        say(f"what was measured is not kept: {problem}", stderr())
