"""YAML facts to entries: what data sets, models, attacks, ... exist, what each takes and what is known of it.

The catalog is data. The checker, `satdsl catalog` and the manual read it; none of them imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import yaml

from satdsl.ir.experiment import DatasetFacts
from satdsl.ir.steps import CatalogCall
from satdsl.records import Record, record

FAMILIES = (
    "dataset",
    "model",
    "attack",
    "recipe",
    "schedule",
    "loss",
    "augmentation",
    "head",
    "score",
    "plot",
    "table",
)

TYPES = ("number", "int", "share", "bool", "text", "word", "call", "results", "axis")
"""What an argument can be. `share` is a percentage, held as a fraction. `call` is a catalog entry of
`Argument.family`; a default of this type is an entry's name, taken with its own defaults. `results` and
`axis` appear in plots and tables only."""


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()


@record
class Argument(Record):
    """One argument of an entry: its type and unit, the range it must lie in, its default, a line of help."""

    name: str
    type: str
    help: str
    default: Any = REQUIRED
    many: bool = False
    """A list of values of `type`; a single value stands for a list of one."""
    choices: tuple[str, ...] = ()
    family: str = ""
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    length: int | None = None
    optional: bool = False
    """May also be `none`, meaning absent."""

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@record
class Entry(Record):
    """Something that a specification can name: `pgd`, `CIFAR10`, `snapshot-entropy`."""

    family: str
    name: str
    help: str
    args: Mapping[str, Argument]
    source: str = ""
    formula: str = ""
    facts: Mapping[str, Any] | None = None

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The value of each argument that need not be given, as a step's settings have it."""
        return {name: _default(argument) for name, argument in self.args.items() if not argument.required}


class Catalog:
    """All entries, by family and name."""

    @cached_property
    def _families(self) -> dict[str, dict[str, Entry]]:
        families: dict[str, dict[str, Entry]] = {family: {} for family in FAMILIES}
        for file in sorted(f.name for f in files(__package__).iterdir() if f.name.endswith(".yaml")):
            for family, entries in _read(file).items():
                for name, fields in entries.items():
                    for entry in _entries(family, name, fields or {}):
                        families[family][entry.name] = entry
        return families

    def names(self, family: str) -> tuple[str, ...]:
        return tuple(self._families[family])

    def find(self, family: str, name: str) -> Entry | None:
        return self._families[family].get(name)

    def call(self, name: str, *args: tuple[str, Any]) -> CatalogCall:
        """Return a call of the entry of this name, in whatever family it is, with these arguments.

        What the catalog does not have (a smoke run's stand-ins) has no defaults.
        """
        entry = next((family[name] for family in self._families.values() if name in family), None)
        return CatalogCall(name, args, entry.defaults if entry is not None else {})

    def families_of(self, name: str) -> tuple[str, ...]:
        """Which families have an entry of this name."""
        return tuple(family for family in FAMILIES if name in self._families[family])


@cache
def catalog() -> Catalog:
    return Catalog()


def facts(entry: Entry, protocol: str | None = None) -> DatasetFacts:
    """The facts of a data set whose classes and sizes are fixed; `protocol` picks among official splits."""
    known: dict[str, Any] = dict(entry.facts or {})
    known |= known.get("protocols", {}).get(protocol, {})
    classes = class_list(known["classes"])

    def counts(part: str) -> tuple[int, tuple[int, ...] | None]:
        value = known[part]
        if isinstance(value, int):
            return value, None
        per_class = tuple(value) if isinstance(value, list) else (value["each"],) * len(classes)
        return sum(per_class), per_class

    (train, train_counts), (val, val_counts) = counts("train"), counts("val")
    mean, std = (tuple(float(x) for x in known[name]) for name in ("mean", "std"))
    return DatasetFacts(classes, tuple(known["shape"]), train, val, train_counts, val_counts, mean, std)


def class_list(value: list[Any] | str) -> tuple[str, ...]:
    """Class names (or WordNet ids) as facts give them: a list, or a file in `classes/` with one a line."""
    if isinstance(value, str):
        return tuple((files(__package__) / "classes" / value).read_text("utf-8").splitlines())
    return tuple(str(name) for name in value)


def _read(file: str) -> dict[str, dict[str, Any]]:
    """A file's families. What stands under `shared` is there for its anchors alone."""
    content: dict[str, dict[str, Any]] = contents(file)
    content.pop("shared", None)
    return content


def contents(file: str) -> Any:
    """What a YAML file in this folder says, by the fastest loader that executes nothing."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((files(__package__) / file).read_text("utf-8"), loader)


def _entries(family: str, name: str, fields: dict[str, Any]) -> Iterator[Entry]:
    """The entry that `fields` describe, and of a score its snapshot-averaged twin."""
    entry = _entry(family, name, fields)
    yield entry
    if family == "score":
        yield _snapshot(entry)


def _entry(family: str, name: str, fields: dict[str, Any]) -> Entry:
    """An entry's own arguments come first, then the shared ones of `common`, which its own may override."""
    own, common = fields.get("args", {}), fields.get("common", [])
    shared = {arg: given for block in common for arg, given in block.items()}
    order = {**{arg: own[arg] for arg in own if arg not in shared}, **shared, **own}
    args = {arg: _argument(arg, given) for arg, given in order.items()}
    rest = {key: value for key, value in fields.items() if key not in ("args", "common")}
    return Entry(family, name, args=args, **rest)


def _snapshot(score: Entry) -> Entry:
    """`entropy` to `snapshot-entropy`. A score that is taken over the snapshots anyway is its own twin."""
    known = dict(score.facts or {})
    built_in = known.get("snapshots", False)
    help = (
        f"The same as {score.name}, which is taken over the kept snapshots by definition."
        if built_in
        else f"Mean of {score.name} over the kept snapshots of the model."
    )
    return replace(
        score,
        name=f"snapshot-{score.name}",
        help=help,
        formula=score.formula if built_in else f"1/T sum_t ({score.formula}) at snapshot t",
        facts=known | {"snapshots": True},
    )


def _default(argument: Argument) -> Any:
    """An argument's default; where that is an entry's name, the entry with its own defaults."""
    if argument.type != "call" or not isinstance(argument.default, str):
        return argument.default
    entry = catalog().find(argument.family, argument.default)
    assert entry is not None
    return CatalogCall(entry.name, tuple(entry.defaults.items()), entry.defaults)


def _argument(name: str, given: dict[str, Any]) -> Argument:
    plain = dict(given)
    plain["choices"] = tuple(plain.get("choices", ()))
    default = plain.get("default")
    if isinstance(default, list):
        plain["default"] = tuple(default)
    elif plain["type"] in ("number", "share") and default is not None and "default" in plain:
        plain["default"] = float(default)  # as if it were written out, or the step's key would differ
    return Argument(name, **plain)
