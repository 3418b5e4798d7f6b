"""Find the entries of the catalog: each is a Python module in the folder of its family.

A module has one entry, `ENTRY`, or several, `ENTRIES`. No list names the modules: a new file is a new entry. What an
entry does when a step is run lies apart, in `satdsl.backend`, so that nothing here imports torch.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, cached_property
from importlib import import_module
from typing import Any, ClassVar, NoReturn, Protocol, Self, TypeVar

from satdsl.catalog.argument import Argument
from satdsl.hints import Hint
from satdsl.ir.steps import CatalogCall, PluginCode
from satdsl.records import Record, record

FOLDERS = {
    "dataset": "datasets",
    "model": "models",
    "attack": "attacks",
    "recipe": "recipes",
    "schedule": "schedules",
    "loss": "losses",
    "term": "loss_terms",
    "augmentation": "augmentations",
    "perturbation": "perturbations",
    "head": "heads",
    "score": "scores",
    "plot": "plots",
    "table": "tables",
    "measure": "measures",
}
"""The folder of each family, here and in the backend."""

FAMILIES = tuple(family for family in FOLDERS if family != "measure")
"""The families whose entries are written by name; a measure is written in words of its own."""

ANY = "*"
"""Stands for all names."""

E = TypeVar("E", bound="Entry")


class CallSite(Protocol):
    """The place in a specification where an entry is called, for the rules that have something to say about it.

    A place has one finding of each code; or one for each thing that it is `about`.
    """

    def error(self, code: str, message: str, reason: str = "", help: str | Hint = "", about: str = "") -> None:
        """Make a finding that refuses the specification."""

    def reject(self, code: str, message: str, reason: str = "", help: str | Hint = "", about: str = "") -> NoReturn:
        """Make a finding that refuses the specification, and stop reading what has no value because of it."""

    def warn(self, code: str, message: str, reason: str = "", help: str | Hint = "", about: str = "") -> None:
        """Make a finding that warns."""

    def gives(self, argument: str) -> bool:
        """Return whether the call gives an argument, by name or by position."""

    def with_argument(self, text: str, help: str = "") -> Hint:
        """Return the fix that gives the call one more argument, or another value for it."""

    def with_range(self, text: str, help: str) -> Hint:
        """Return `help`, with the fix that writes a range anew, where it is the place itself."""

    def with_list(self, argument: str, text: str, help: str) -> Hint:
        """Return `help`, with the fix that writes a list of the call anew; `argument` may lead into calls: `a.b`."""


Rule = Callable[[CatalogCall, CallSite], None]
"""Makes findings about a call's settings, whatever it is used on."""


@record
class Entry(Record):
    """Something that a specification can name: `pgd`, `CIFAR10`, `snapshot-entropy`."""

    family: ClassVar[str]

    name: str
    doc: str
    arguments: tuple[Argument, ...] = ()
    source: str = ""
    formula: str = ""
    place: float = 100
    """Where it stands in listings of its family; entries of the same place stand by name."""
    rules: tuple[Rule, ...] = ()
    plugin: PluginCode | None = None
    """The code behind an entry of the user's own."""

    @cached_property
    def help(self) -> str:
        """What it is, in one paragraph."""
        return " ".join((self.doc or "").split())

    @cached_property
    def args(self) -> dict[str, Argument]:
        """Its arguments by name, in order."""
        return {argument.name: argument for argument in self.arguments}

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The value of each argument that need not be given, as a step's settings have it."""
        return {name: _default(argument) for name, argument in self.args.items() if not argument.required}

    @classmethod
    def of(cls, call: CatalogCall | str) -> Self:
        """Return the entry of this class's family that a call names; raise KeyError where there is none."""
        known = catalog()
        entry = known.find(cls.family, call) if isinstance(call, str) else known.entry_of(cls.family, call)
        if not isinstance(entry, cls):
            raise KeyError(call)
        return entry

    def variants(self) -> Iterator[Entry]:
        """Give the entry, and those that come with it."""
        yield self


class Catalog:
    """All entries, by family and name: those of the package, and `more`.

    `unread` has the names of entries that are declared somewhere, but are not right; `ANY` stands for all.
    """

    def __init__(self, more: Iterable[Entry] = (), unread: Iterable[str] = ()) -> None:
        self._more = tuple(more)
        self._unread = frozenset(unread)
        self._families: dict[str, dict[str, Entry]] = {}

    def names(self, family: str) -> tuple[str, ...]:
        return tuple(self._family(family))

    def find(self, family: str, name: str) -> Entry | None:
        return self._family(family).get(name)

    def may_have(self, name: str) -> bool:
        """Return whether an unknown name may be that of an entry in which something is wrong."""
        return name in self._unread or ANY in self._unread

    def entry_of(self, family: str, call: CatalogCall) -> Entry | None:
        """Return the entry that a call is of, of the user's own code, too."""
        return self.find(family, call.name) if call.plugin is None else _of_plugin(call.plugin)

    def families_of(self, name: str) -> tuple[str, ...]:
        """Return the families that have an entry of this name."""
        return tuple(family for family in FAMILIES if name in self._family(family))

    def call(self, name: str, *args: tuple[str, Any], plugin: PluginCode | None = None) -> CatalogCall:
        """Return a call of the entry of this name, whatever its family, with these arguments.

        What is not in the catalog (the stand-ins of a smoke run) has no defaults.
        """
        if plugin is not None:
            entry = _of_plugin(plugin)
        else:
            entry = next((found for family in FAMILIES if (found := self.find(family, name))), None)
        return CatalogCall(name, args, entry.defaults if entry is not None else {}, plugin)

    def stored_call(self, document: Mapping[str, Any]) -> CatalogCall:
        """Return the call that `CatalogCall.document` describes; of the user's own code, `CatalogCall.stored`.

        Arguments that the document lacks, because an older version wrote it, have the catalog's defaults.
        """
        stored = document.get("plugin")
        plugin = (
            None if stored is None else PluginCode(**{**stored, "files": tuple(map(tuple, stored.get("files", ())))})
        )
        args = [(arg, self._stored_value(value)) for arg, value in document.items() if arg not in ("name", "plugin")]
        return self.call(document["name"], *args, plugin=plugin)

    def _stored_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self.stored_call(value)
        return tuple(map(self._stored_value, value)) if isinstance(value, list) else value

    def entries(self, family: str) -> tuple[Entry, ...]:
        return tuple(self._family(family).values())

    def _family(self, family: str) -> dict[str, Entry]:
        if family not in self._families:
            found = [*_packaged(family), *(entry for entry in self._more if entry.family == family)]
            found.sort(key=lambda entry: (entry.place, entry.name))
            self._families[family] = {each.name: each for entry in found for each in entry.variants()}
        return self._families[family]


def _default(argument: Argument) -> Any:
    """An argument's default; where that is an entry's name, a call of it."""
    if argument.type != "call" or not isinstance(argument.default, str):
        return argument.default
    entry = catalog().find(argument.family, argument.default)
    assert entry is not None
    return CatalogCall(entry.name, tuple(entry.defaults.items()), entry.defaults)


def _of_plugin(code: PluginCode) -> Entry | None:
    """Return the entry that code of the user's own stands for, in whatever process; its text is read and not run."""
    found: Entry | None = import_module("satdsl.catalog.plugins").entry_of(code)
    return found


@cache
def _packaged(family: str) -> tuple[Entry, ...]:
    """The entries in a family's folder."""
    folder = import_module(f"satdsl.catalog.{FOLDERS[family]}")
    modules = [import_module(f"{folder.__name__}.{found.name}") for found in pkgutil.iter_modules(folder.__path__)]
    return tuple(entry for module in (folder, *modules) for entry in _in(module))


def _in(module: Any) -> tuple[Entry, ...]:
    return (module.ENTRY,) if hasattr(module, "ENTRY") else tuple(getattr(module, "ENTRIES", ()))


@cache
def catalog() -> Catalog:
    """Return the catalog in force: the one place that everything asks what a name means."""
    return Catalog()


def changed(call: CatalogCall, **values: Any) -> CatalogCall:
    """Return the same call with other values for some of the arguments that it has."""
    return replace(call, args=tuple((name, values.get(name, value)) for name, value in call.args))


def unchanged(call: CatalogCall) -> CatalogCall:
    return call


def at_most(**limits: Any) -> Callable[[CatalogCall], CatalogCall]:
    """Return what caps some arguments of a call."""
    return lambda call: changed(call, **{name: min(call[name], most) for name, most in limits.items()})
