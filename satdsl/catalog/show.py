"""Catalog entries to what a person (`show`) or another program (`document`) reads of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from satdsl.catalog import FAMILIES, Argument, Entry, catalog
from satdsl.catalog.datasets import DatasetEntry, facts
from satdsl.catalog.plugins import in_folder, read, source_of
from satdsl.catalog.scores import SNAPSHOT, ScoreEntry
from satdsl.errors import RequestError
from satdsl.hints import listed
from satdsl.ir.experiment import DatasetFacts
from satdsl.ir.steps import CatalogCall

HEADINGS = {
    "dataset": "Datasets",
    "recipe": "Recipes",
    "loss": "Training losses",
    "term": "Terms of a loss",
    "head": "Heads for transfer",
    "score": "Difficulty scores",
}

KINDS = {
    "number": ("number", "numbers"),
    "int": ("integer", "integers"),
    "share": ("percentage", "percentages"),
    "bool": ("true or false", "truth values"),
    "text": ("text in quotes", "texts in quotes"),
    "class": ("name of a class", "names of classes"),
    "settings": ("named values", "named values"),
    "range": ("range such as 0..999", "ranges"),
    "results": ("result", "results"),
    "axis": ("axis", "axes"),
    "image": ("image", "images"),
    "loss": ("formula", "formulas"),
}
"""What one value of a type is called, and several."""

NOTATION = (
    "x a training image without augmentation, y its label, z the network's logits for it in evaluation mode, "
    "p = softmax(z), k a class, t = 1 .. T the kept snapshots"
)

CLASSES_SHOWN = 12


class UnknownNameError(RequestError):
    """No entry has this name; `help` names the nearest that exist."""

    def __init__(self, name: str) -> None:
        self.nearest = tuple(_nearest(name))
        help = f"did you mean {' or '.join(self.nearest)}?" if self.nearest else "`satdsl catalog` lists all entries"
        super().__init__(f"the catalog has no {name!r}", help)


def show(name: str | None = None) -> list[RenderableType]:
    """The whole catalog or one family, a line for each entry; and everything about the entries called `name`.

    Raises UnknownNameError where there is none.
    """
    if name is None:
        return [_overview(family) for family in FAMILIES]
    overview = [_overview(name)] if name in FAMILIES else []
    return [*overview, *(_details(entry) for entry in _named(name))]


def document(name: str | None = None) -> dict[str, Any]:
    """The same as JSON data: `entries`, a list. Raises UnknownNameError where there is none."""
    return {"entries": [_document(entry) for entry in _called(name)]}


def signature(entry: Entry) -> str:
    """`pgd(norm, eps, steps, step_size, random_start=none, ...)`: an optional argument with its default."""
    args = [a.name if a.required else f"{a.name}={value(a, a.default)}" for a in entry.args.values()]
    return f"{entry.name}({', '.join(args)})" if args else entry.name


def takes(arg: Argument) -> str:
    """What an argument accepts, its range and unit: `integer, at least 1 (epochs)`."""
    kind = ("list of " if arg.many and arg.length is None else "") + _kind(arg)
    bounds = [
        f"{words} {_number(arg, bound)}"
        for words, bound in (
            ("at least", arg.at_least),
            ("above", arg.above),
            ("at most", arg.at_most),
            ("below", arg.below),
        )
        if bound is not None
    ]
    unit = f" ({arg.unit})" if arg.unit else ""
    return ", ".join([kind, *bounds]) + unit + (", or none" if arg.optional else "")


def value(arg: Argument, given: Any) -> str:
    """A value as the language writes it."""
    if arg.within is not None and isinstance(given, tuple):
        return " ± ".join(_number(arg, one) for one in given)
    if isinstance(given, tuple):
        return f"[{', '.join(value(arg, item) for item in given)}]"
    if given is None:
        return "none"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, (int, float)):
        return _number(arg, given)
    if isinstance(given, CatalogCall):
        named = {one.name: one for one in arg.entries}
        return f"({', '.join(f'{name}={value(named.get(name, arg), one)}' for name, one in given.args)})"
    plain = given.replace("-", "_").isidentifier() and arg.type != "text"
    return given if plain else f'"{given}"'


def _kind(arg: Argument) -> str:
    several = arg.many
    if arg.choices:
        words = ", ".join(value(arg, word) for word in arg.choices)
        return words if several else f"one of {words}"
    if arg.type == "call":
        return arg.family + ("s" if several else "")
    if arg.entries:
        return f"({', '.join(f'{one.name}={_kind(one)}' for one in arg.entries)})"
    kind = KINDS[arg.type][several] + (" ± another" if arg.within is not None else "")
    return f"{arg.length} {kind}" if arg.length is not None else kind


def _number(arg: Argument, number: float) -> str:
    return f"{number * 100:g}%" if arg.type == "share" else f"{number:g}"


# --- all entries ---------------------------------------------------------------------------------


def _overview(family: str) -> RenderableType:
    table = _two_columns()
    entries = catalog().entries(family)
    for entry in entries:
        if not is_average(entry):
            table.add_row(Text(entry.name, "bold"), Text(entry.help))
    if any(is_average(entry) for entry in entries):
        names = "each of these, averaged over the model's kept snapshots, as in snapshot-entropy"
        table.add_row(Text(f"{SNAPSHOT}...", "bold"), Text(names))
    heading = HEADINGS.get(family, f"{family.capitalize()}s")
    return Group(Text(heading, "bold underline"), table, Text())


def is_average(entry: Entry) -> bool:
    """Return whether an entry comes with another score, as its mean over snapshots."""
    return isinstance(entry, ScoreEntry) and bool(entry.of_weights or entry.same_as)


# --- one entry -----------------------------------------------------------------------------------


def _details(entry: Entry) -> RenderableType:
    parts: list[RenderableType] = [
        Text(f"{entry.family} ", "dim").append(entry.name, "bold"),
        Padding(Text(signature(entry), "cyan"), (0, 0, 1, 2)),
        Text(entry.help),
    ]
    known = list(about(entry))
    if known:
        parts += [Text(), _rows(known)]
    if entry.args:
        parts += [Text(), Text("Arguments", "bold underline"), _arguments(entry)]
    return Group(*parts, Text())


def about(entry: Entry) -> Iterator[tuple[str, str]]:
    """What is known of an entry beside its arguments: formula, source, a data set's facts, each with its name."""
    if entry.formula:
        yield "formula", entry.formula
        if isinstance(entry, ScoreEntry):
            yield "where", NOTATION
            yield "order", "larger is harder"
    if entry.source:
        yield "source", entry.source
    for protocol, known in _known(entry):
        if protocol is None:
            yield "classes", _names(known.classes)
            yield "image", f"{'x'.join(map(str, known.shape))} (channels x height x width)"
            yield "mean", _numbers(known.mean)
            yield "deviation", f"{_numbers(known.std)} (per channel, images in [0, 1])"
        suffix = f" ({protocol})" if protocol else ""
        yield f"training{suffix}", _count(known.train, known.train_counts)
        yield f"validation{suffix}", _count(known.val, known.val_counts)


def _known(entry: Entry) -> Iterator[tuple[str | None, DatasetFacts]]:
    """A data set's facts, then those under each protocol that is not the default; none for anything else."""
    if isinstance(entry, DatasetEntry) and entry.facts is not None:
        yield None, facts(entry)
        for protocol in entry.facts.get("protocols", {}):
            yield protocol, facts(entry, protocol)


def _names(classes: tuple[str, ...]) -> str:
    return f"{len(classes):,}: {listed(classes, CLASSES_SHOWN)}"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{x:g}" for x in values)


def _count(total: int, per_class: tuple[int, ...] | None) -> str:
    if per_class is None:
        return f"{total:,}"
    low, high = min(per_class), max(per_class)
    return f"{total:,}, {low:,} a class" if low == high else f"{total:,}, {low:,} to {high:,} a class"


def _arguments(entry: Entry) -> Table:
    table = _two_columns()
    for arg in entry.args.values():
        default = "required" if arg.required else f"default {value(arg, arg.default)}"
        lines = Text.assemble((f"{takes(arg)}; {default}", "dim"), "\n", arg.help)
        table.add_row(Text(arg.name, "bold"), lines)
    return table


def _rows(pairs: list[tuple[str, str]]) -> Table:
    table = _two_columns()
    for name, text in pairs:
        table.add_row(Text(name, "dim"), Text(text))
    return table


def _two_columns() -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 1), pad_edge=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


# --- as data -------------------------------------------------------------------------------------


def _document(entry: Entry) -> dict[str, Any]:
    known = {protocol or "": _facts(found) for protocol, found in _known(entry)}
    return {
        "family": entry.family,
        "name": entry.name,
        "signature": signature(entry),
        "help": entry.help,
        "source": entry.source,
        "formula": entry.formula,
        "arguments": [_argument(arg) for arg in entry.args.values()],
        **({"facts": known.pop("")} if known else {}),
        **({"protocols": known} if known else {}),
    }


def _argument(arg: Argument) -> dict[str, Any]:
    given = {field.name: getattr(arg, field.name) for field in fields(arg)}
    given["entries"] = tuple(_argument(one) for one in arg.entries)
    default = {} if arg.required else {"default": given["default"]}
    set_ = {name: x for name, x in given.items() if name != "default" and x not in (None, "", (), False)}
    return set_ | {"required": arg.required} | default


def _facts(known: DatasetFacts) -> dict[str, Any]:
    return {field.name: getattr(known, field.name) for field in fields(known)}


# --- names ---------------------------------------------------------------------------------------


def _called(name: str | None) -> list[Entry]:
    """All entries, or those of the family and those in any family that have this name."""
    if name is None:
        return [entry for family in FAMILIES for entry in catalog().entries(family)]
    return [*(catalog().entries(name) if name in FAMILIES else ()), *_named(name)]


def _named(name: str) -> list[Entry]:
    """The entries of this name, of which only a family's name may have none."""
    if name.endswith(".py"):
        return _declared(name)
    families = catalog().families_of(name)
    if not families and name not in FAMILIES:
        raise UnknownNameError(name)
    return [entry for family in families if (entry := catalog().find(family, name)) is not None]


def _declared(path: str) -> list[Entry]:
    """The entries of a Python file of the user's own; raise RequestError for one that is not right."""
    try:
        file = read(in_folder(Path(path).absolute(), path, source_of))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RequestError(f"{path} cannot be read: {why}") from None
    for finding in file.findings:
        line, _ = finding.span.place
        where = f"{finding.span.source.path}:{line}"
        raise RequestError(f"{where}: {finding.code}: {finding.message}", finding.help)
    return list(file.entries)


def _nearest(name: str) -> list[str]:
    """Up to three entries or families that look like `name`, whatever their case."""
    names = {n.lower(): n for family in FAMILIES for n in (family, *catalog().names(family))}
    return [names[match] for match in get_close_matches(name.lower(), names, n=3, cutoff=0.6)]
