"""Make entries of the catalog of marked functions: what each kind is called with, and what its mark may say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from satdsl.catalog.argument import Argument
from satdsl.catalog.attacks import EPS, AttackEntry
from satdsl.catalog.attacks import NORM as NORMS
from satdsl.catalog.plugins.formulas import Formula
from satdsl.catalog.registry import Entry, at_most
from satdsl.hints import listed
from satdsl.ir.plan import Passes
from satdsl.ir.steps import CatalogCall, PluginCode
from satdsl.records import Record, record

SMOKE = {"steps": 2, "iterations": 2, "restarts": 2, "queries": 5}
"""The most that a smoke run tries of whole numbers that are called so."""

FORMULAS = ("passes", "forward")
"""What a mark says of cost: the passes forward and backward, and those forward only."""


@record
class Marked(Record):
    """What the text of a marked function says: all that its entry is made of."""

    name: str
    doc: str
    arguments: tuple[Argument, ...]
    positional: tuple[str, ...]
    options: Mapping[str, Any]
    code: PluginCode


@record
class Problem(Record):
    """What is wrong with a marked function, at one of its arguments (or its name) or at what its mark says."""

    code: str
    message: str
    reason: str
    help: str
    argument: str = ""
    option: str = ""


@record
class Kind(Record):
    """A kind of entry: the parameters that satdsl gives by position (one of these forms), and what its mark may say."""

    forms: tuple[tuple[str, ...], ...]
    options: Mapping[str, type | tuple[type, ...]]
    entry: Callable[[Marked], Entry]
    needed: tuple[str, ...] = ()
    """What its mark has to say."""
    problems: Callable[[Marked], Iterator[Problem]] = lambda marked: iter(())
    """Says what keeps a function from being an entry of this kind, though each of its arguments is fine."""


def _passes(marked: Marked, call: CatalogCall) -> Passes:
    """Return what the mark says that a call costs."""
    arguments = {argument.name: call.get(argument.name) for argument in marked.arguments}
    forward, both = (_number(marked.options.get(name), arguments) for name in ("forward", "passes"))
    return Passes(forward, both, unknown=not marked.options.keys() & set(FORMULAS))


def _number(formula: str | None, arguments: Mapping[str, Any]) -> float:
    return 0 if formula is None else Formula(formula).value(arguments)


def _attack(marked: Marked) -> AttackEntry:
    norm = marked.options.get("norm")
    fixed = () if norm is None else (Argument("norm", "word", NORMS.help, norm, choices=(norm,)),)
    arguments = (*marked.arguments, *fixed)
    limits = {argument.name: SMOKE[argument.name] for argument in arguments if _is_count(argument)}
    return AttackEntry(
        marked.name,
        marked.doc,
        arguments,
        plugin=marked.code,
        passes=partial(_passes, marked),
        shortened=at_most(**limits),
        short=" and ".join(f"at most {most} {name}" for name, most in limits.items()),
    )


def _threat_model_problems(marked: Marked) -> Iterator[Problem]:
    """Check that norm and radius have the names and the values by which all rules and probes know them."""
    arguments, norm = {argument.name: argument for argument in marked.arguments}, marked.options.get("norm")
    known = "the rules of the language know an attack's ball by `norm` and `eps`"
    if norm is not None and norm not in NORMS.choices:
        help = f"write one of {listed(NORMS.choices)}"
        yield Problem("E218", f"there is no norm `{norm}`", known, help, option="norm")
    if norm is not None and "norm" in arguments:
        yield Problem(
            "E218", "the norm is said twice", "the function has an argument `norm`", "leave it out", option="norm"
        )
    for name, argument in arguments.items():
        for is_one, called, marker in ((_is_norm, "norm", "Norm"), (_is_radius, "eps", "Radius")):
            if is_one(argument) and name != called:
                yield Problem(
                    "E216", f"a `{marker}` is called `{called}`, not `{name}`", known, f"write `{called}`", name
                )
            if name == called and not is_one(argument):
                help = f"annotate it as `sat.{marker}`"
                yield Problem("E216", f"`{name}` is no `{marker}`", known, help, name)
    if "eps" in arguments and "norm" not in arguments and norm is None:
        help = 'add an argument `norm: sat.Norm`, or write `@sat.attack(norm="Linf")`'
        yield Problem("E216", "`eps` is a radius in no norm", known, help, "eps")


def _is_norm(argument: Argument) -> bool:
    return bool(argument.choices) and set(argument.choices) <= set(NORMS.choices) and not argument.optional


def _is_radius(argument: Argument) -> bool:
    return argument.unit == EPS.unit and argument.type == EPS.type and not argument.many


def _is_count(argument: Argument) -> bool:
    return argument.name in SMOKE and argument.type == "int" and not argument.many and not argument.optional


COST: Mapping[str, type | tuple[type, ...]] = {"passes": str, "forward": str}

KINDS: Mapping[str, Kind] = {
    "attack": Kind((("network", "images", "labels"),), {**COST, "norm": str}, _attack, problems=_threat_model_problems),
}
