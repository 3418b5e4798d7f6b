"""Say which Python of the user's own a run executes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from satdsl.engine.events import PythonRuns
from satdsl.errors import RequestError
from satdsl.hints import listed
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key, PluginCode, Step, Train, plugins_in

NETWORKS = ("weights", "start", "source")
"""The input roles of networks, which are built anew to be used, by the code of their model."""


class PythonRefused(RequestError):
    """The run would execute Python of the user's own, and was told not to."""


def executed(plan: Plan, running: Collection[Key]) -> tuple[PythonRuns, ...]:
    """Return the files that these steps of a plan execute, each once, in the order of the plan."""
    codes = (code for key, step in plan.steps.items() if key in running for code in _of_step(plan, step))
    return tuple(dict.fromkeys(PythonRuns(code.path, code.digest) for code in codes))


def of_network(plan: Plan, key: Key) -> tuple[PythonRuns, ...]:
    """Return the files that build the network of a training or transfer, each once."""
    codes = _of_network(plan, plan.steps[key])
    return tuple(dict.fromkeys(PythonRuns(code.path, code.digest) for code in codes))


def refuse(files: Collection[PythonRuns]) -> None:
    """Raise `PythonRefused` where there is any."""
    if files:
        named = listed([f"{file.path} (sha256 {file.sha256[:12]})" for file in files], 10)
        raise PythonRefused(f"the run would execute {named}", "read it, and leave --no-python out if you trust it")


def _of_step(plan: Plan, step: Step) -> Iterator[PluginCode]:
    yield from plugins_in(step.settings)
    for role, key in step.inputs:
        if role in NETWORKS:
            yield from _of_network(plan, plan.steps[key])


def _of_network(plan: Plan, step: Step) -> Iterator[PluginCode]:
    """Give the code that builds the network which a training or transfer leaves."""
    if isinstance(step.settings, Train):
        yield from plugins_in(step.settings.model)
    else:
        for role, key in step.inputs:
            if role in NETWORKS:
                yield from _of_network(plan, plan.steps[key])
