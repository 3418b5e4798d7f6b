"""Run what users write in Python beside a specification: models, attacks, losses, scores and so on.

Each kind has a module, which calls the function as the backend calls an entry of its own, and checks what it returns.
`modules` imports the text of a plug-in, `guard` keeps the process as it was, `calling` makes errors that name file and
line, `output` passes on what is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from satdsl.backend.artifact_files import read_json
from satdsl.backend.plugins import calling
from satdsl.backend.plugins.calling import Plugin
from satdsl.backend.plugins.output import diverted
from satdsl.catalog import catalog
from satdsl.ir.steps import CatalogCall, PluginCode, Step, plugins_in
from satdsl.ir.work import Progress, Work

_ADAPTERS: Mapping[str, tuple[str, str]] = {
    "attack": ("attack", "PluginAttack"),
    "loss": ("loss", "PluginLoss"),
    "schedule": ("schedule", "PluginSchedule"),
    "augmentation": ("augmentation", "PluginAugmentation"),
}
"""By family: the module here, and what it makes of a plug-in the function that the registry gives out."""


def bound(family: str, call: CatalogCall) -> Callable[..., Any]:
    """Return the function behind a call of a plug-in, as the backend calls an entry of this family."""
    module, name = _ADAPTERS[family]
    made: Callable[..., Any] = getattr(import_module(f"{__name__}.{module}"), name)(Plugin.of(call))
    return made


@contextmanager
def session(step: Step, work: Work) -> Iterator[Work]:
    """Give the work of a step in which plug-ins may run; for a step without plug-ins, `work` as it is.

    Their files are imported first, so that what is wrong with them is told before anything is computed. What they print
    goes to `work.printed`. An error of their code, wherever it is met, is one that names file and line.
    """
    codes = tuple(dict.fromkeys(_codes(step, work)))
    if not codes:
        yield work
        return
    with diverted(work) as ours:
        for code in codes:
            ours.report(Progress(0, 1, f"importing {code.path}"))
            calling.imported(code)
        try:
            yield ours
        except Exception as error:
            raise calling.named(codes, error) from None


def _codes(step: Step, work: Work) -> Iterator[PluginCode]:
    """Give the code of the step's settings, and of the networks that it loads."""
    yield from plugins_in(step.settings)
    for folder in work.inputs.values():
        described = folder / "model.json"
        if described.exists():
            yield from plugins_in(catalog().stored_call(read_json(described)["model"]))
