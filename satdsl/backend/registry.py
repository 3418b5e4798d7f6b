"""Find the function behind an entry of the catalog, and import its module only.

`satdsl.catalog.attacks.pgd` says what the attack `pgd` is; what it does is the function `pgd` of
`satdsl.backend.attacks.pgd`. Architectures and readers of data sets stand in one module each, in a table by name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import Any, TypeVar

from satdsl.catalog import catalog
from satdsl.catalog.registry import FOLDERS, Entry
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

E = TypeVar("E", bound=Entry)

TABLES = {
    "dataset": ("dataset_readers", "LOADERS"),
    "model": ("architectures", "ARCHITECTURES"),
    "term": ("loss_terms", "TERMS"),
    "head": ("architectures", "HEADS"),
}
"""The families whose functions stand in a table of one module. An exported network takes its module along."""


def module_name(family: str, name: str) -> str:
    """Return the module that an entry's function stands in, if it has one."""
    return f"{__package__}.{FOLDERS[family]}.{name.replace('-', '_')}"


@cache
def implementation(family: str, name: str) -> Callable[..., Any]:
    """Return the function behind an entry; raise StepError for a name that this version has not."""
    if family in TABLES:
        module, table = TABLES[family]
        functions = getattr(import_module(f"{__package__}.{module}"), table)
        if name in functions:
            return functions[name]  # type: ignore[no-any-return]
    elif find_spec(module_name(family, name)) is not None:
        return getattr(import_module(module_name(family, name)), name.replace("-", "_"))  # type: ignore[no-any-return]
    raise _unknown(family, name)


def check_known(family: str, call: CatalogCall) -> None:
    """Raise StepError for a call of something that this version has not; a plug-in brings its code along."""
    if call.plugin is None:
        implementation(family, call.name)


def entry_of(shape: type[E], call: CatalogCall) -> E:
    """Return what the catalog says of a call; raise StepError for a name that this version has not."""
    try:
        return shape.of(call)
    except KeyError:
        raise _unknown(shape.family, call.name) from None


def _unknown(family: str, name: str) -> StepError:
    return StepError(f"this version has no {family} called {name}", f"it has {', '.join(catalog().names(family))}")


def bound(family: str, call: CatalogCall) -> Callable[..., Any]:
    """Return the function behind a call with those of the call's arguments that it takes by name.

    An argument that the call leaves out has the catalog's default. A function of the user's own is checked in what it
    returns.
    """
    if call.plugin is not None:
        from satdsl.backend import plugins

        return plugins.bound(family, call)
    function = implementation(family, call.name)
    entry = catalog().find(family, call.name)
    assert entry is not None
    taken = signature(function).parameters
    given = {name: call.get(name, each.default) for name, each in entry.args.items() if name in taken}
    return partial(function, **given)
