"""The compiler, stage by stage: text to tree to experiment to plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from satdsl.check import check
from satdsl.check.experiment import Experiment
from satdsl.findings import Source
from satdsl.plan.expand import expand
from satdsl.plan.plan import Plan
from satdsl.records import Record, record
from satdsl.syntax import tree
from satdsl.syntax.read import read

BIGGEST_FILE = 10_000_000
"""Characters; a specification is a page or two."""


@record
class Compiled(Record):
    """A specification with nothing left to find wrong in it, and its plan."""

    experiment: Experiment
    plan: Plan


class UnreadableFile(Exception):
    """A specification that cannot be read at all: `path` and why."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} cannot be read: {reason}")


def text_of(path: Path) -> str:
    """A specification's text."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise UnreadableFile(path, f"byte {error.start} is not UTF-8 text") from None
    if len(text) > BIGGEST_FILE or "\0" in text:
        raise UnreadableFile(path, "it is no specification (too large, or binary)")
    return text


def parse_file(path: Path) -> tree.File:
    """The tree of a file, without looking at what it means."""
    return read(Source(str(path), text_of(path)))[0]


def check_file(path: Path, overrides: Mapping[str, str] | None = None) -> Experiment:
    """The typed experiment; raises `SpecError` with all findings if there is an error among them."""
    return check(str(path), text_of(path), overrides)


def compiled_plan(path: Path) -> Compiled:
    """A saved plan, which needs no specification any more.

    Raises:
        UnusablePlan: it is none, or the world that it was made for has changed.
        OSError: it cannot be read.
    """
    from satdsl.plan.saved import load

    plan = load(path)
    return Compiled(Experiment(plan.title, (), (), {}, {}, {}, {}, (), (), ()), plan)


def compile_file(path: Path, overrides: Mapping[str, str] | None = None, *, smoke: bool = False) -> Compiled:
    """From a file to the smallest set of steps that gives its results; made small where it is for `smoke`."""
    experiment = check_file(path, overrides)
    if smoke:
        from satdsl.smoke import made_small

        return Compiled(*made_small(experiment))
    return Compiled(experiment, expand(experiment))
