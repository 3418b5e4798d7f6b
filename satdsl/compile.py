"""Compile a specification, stage by stage: from text to tree to experiment to plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from satdsl.check import analyse, check
from satdsl.check.origins import Origins
from satdsl.findings import Source
from satdsl.ir.experiment import Experiment
from satdsl.ir.plan import Plan
from satdsl.plan.expand import expand
from satdsl.records import Record, record
from satdsl.sources import UnreadableFile, text_of
from satdsl.syntax import tree
from satdsl.syntax.read import read

__all__ = [
    "Compiled",
    "UnreadableFile",
    "check_file",
    "compile_file",
    "compiled_plan",
    "parse_file",
    "text_of",
]


@record
class Compiled(Record):
    """A specification with nothing left to find wrong in it, and its plan."""

    experiment: Experiment
    plan: Plan


def parse_file(path: Path) -> tree.File:
    """Return the tree of a file, without looking at what it means."""
    return read(Source(str(path), text_of(path)))[0]


def check_file(path: Path, overrides: Mapping[str, str] | None = None) -> Experiment:
    """Return the typed experiment; raises `SpecError` with all findings if there is an error among them."""
    return check(str(path), text_of(path), overrides)


def compiled_plan(path: Path) -> Compiled:
    """Return a saved plan, which needs no specification any more.

    Raises:
        UnusablePlan: it is none, or the world that it was made for has changed.
        OSError: it cannot be read.
    """
    from satdsl.plan.saved import load

    plan = load(path)
    return Compiled(Experiment(plan.title, (), (), {}, {}, {}, {}, (), (), ()), plan)


def origins(path: Path, plan: Plan, overrides: Mapping[str, str] | None = None) -> Origins:
    """Return what finds the line of a specification that sets a setting of a step; `plan` is the one it gives."""
    return Origins(analyse(Source(str(path), text_of(path)), overrides), plan)


def compile_file(path: Path, overrides: Mapping[str, str] | None = None, *, smoke: bool = False) -> Compiled:
    """Compile a file to the smallest set of steps that gives its results, or to a small version of it for `smoke`."""
    experiment = check_file(path, overrides)
    if smoke:
        from satdsl.smoke import made_small

        return Compiled(*made_small(experiment))
    return Compiled(experiment, expand(experiment))
