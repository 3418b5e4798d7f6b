"""A real plan with made-up values: what a store would give had the plan been run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from satdsl.compile import compile_file
from satdsl.engine.local_store import LocalStore
from satdsl.ir.plan import Plan
from satdsl.report.intervals import normal, wilson
from satdsl.report.results import Measured, measured

N = 1000


def plan_of(text: str, folder: Path) -> Plan:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.sat").write_text(text, "utf-8")
    return compile_file(folder / "a.sat").plan


def values(plan: Plan, folder: Path, value: Callable[[Measured], float | None]) -> list[Measured]:
    """Every result of the plan with `value(result)`, and the interval that N images give it."""
    return [_filled(one, value(one)) for one in measured(plan, LocalStore(folder / "empty"))]


def _filled(one: Measured, value: float | None) -> Measured:
    if value is None:
        return one
    interval = wilson(round(value * N), N) if one.unit == "share" else normal(value, 0.5, N)
    return replace(one, value=value, n=N, interval=interval)
