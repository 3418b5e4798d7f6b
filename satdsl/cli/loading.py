"""Compile a command's specification, choose the part of its plan that is asked for, and open its store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from satdsl.cli.output import FINDINGS, USAGE, fail, say, stderr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from satdsl.compile import Compiled
    from satdsl.engine.store import Store
    from satdsl.ir.plan import Plan

PLANS = (".yaml", ".yml", ".json")
"""The endings of the names of saved plans."""


@dataclass(frozen=True)
class Loaded:
    """A compiled specification, the `plan` of what is asked for, and the place that keeps its artifacts."""

    file: Path
    compiled: Compiled
    plan: Plan
    place: str
    reads_only: bool

    @cached_property
    def store(self) -> Store:
        return open_store_to_read(self.place) if self.reads_only else open_store(self.place)


def load(
    file: Path,
    set_: Sequence[str] = (),
    only: Sequence[str] = (),
    *,
    store: str,
    smoke: bool = False,
    option: str = "--set",
    reads_only: bool = False,
) -> Loaded:
    """Compile a specification or read a saved plan.

    `option` names where the values of `set_` came from. A command that `reads_only` says so if there is no store.
    """
    compiled = compile_spec(file, set_, smoke=smoke, option=option)
    plan = compiled.plan
    if only:
        from satdsl.ir.part_of_plan import only as part

        plan = part(plan, only)
    return Loaded(file, compiled, plan, smoke_store(store) if smoke else store, reads_only)


def compile_spec(file: Path, set_: Sequence[str] = (), *, smoke: bool = False, option: str = "--set") -> Compiled:
    from satdsl.compile import compile_file

    if file.suffix in PLANS:
        return _saved_plan(file, changed=bool(set_) or smoke)
    return compile_file(file, parse_overrides(set_, option), smoke=smoke)


def _saved_plan(file: Path, *, changed: bool) -> Compiled:
    from satdsl.compile import compiled_plan
    from satdsl.plan.saved import UnusablePlan

    if changed:
        fail(f"{file} is a saved plan, whose values are fixed", USAGE, "give --set and --smoke to its .sat file")
    try:
        return compiled_plan(file)
    except UnusablePlan as error:
        fail(str(error), FINDINGS)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)


def parse_overrides(given: Sequence[str], option: str = "--set") -> dict[str, str]:
    """Return the values that are given as NAME=VALUE, by name."""
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip().isidentifier() or not value.strip():
            fail(f"{option} takes NAME=VALUE, but it was given `{one}`", USAGE, f"write it as in {option} eps=0.5")
        found[name.strip()] = value.strip()
    return found


def open_store(place: str) -> Store:
    from satdsl.engine import open_store

    return open_store.open_store(place)


def open_store_to_read(place: str) -> Store:
    """Open a store, and say on standard error if there is none at this place, which may be mistyped."""
    from satdsl.engine.open_store import missing_store

    store = open_store(place)
    sentence = missing_store(store)
    if sentence is not None:
        say(sentence, stderr())
    return store


def smoke_store(store: str) -> str:
    """Return the place for the artifacts and reports of smoke runs, which are kept apart from real ones."""
    return f"{store.rstrip('/')}/smoke"


def disable_garbage_collection() -> None:
    """Disable it for the rest of a short command.

    A plan is some hundred thousand small objects that live until the end: looking for cycles among them would take a
    fifth of the command's time.
    """
    import gc

    gc.disable()
