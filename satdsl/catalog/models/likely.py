"""Say which architecture the weights in a file are of, where they do not fit the one that was named."""

from __future__ import annotations

from satdsl.catalog import catalog
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.show import value
from satdsl.ir.steps import CatalogCall
from satdsl.weight_files.matching import COUNTERS, Misfit, is_beside, renamed
from satdsl.weight_files.problem import WeightsProblem
from satdsl.weight_files.tensors import Weights


def with_way_out(problem: WeightsProblem) -> WeightsProblem:
    """Return a problem with a file's weights, with the architecture that they are of as its help, if that is known."""
    if isinstance(problem, Misfit) and not problem.help:
        of = likely(problem.reading.own)
        problem.help = (
            f"these weights are of {of}: write `arch={of}`"
            if of
            else "give the architecture, with its settings, that they were trained with"
        )
    return problem


def likely(own: Weights) -> str:
    """Return the call of the first architecture that has exactly these weights; nothing if none has."""
    entries = [entry for entry in catalog().entries("model") if isinstance(entry, ModelEntry)]
    return next((written for entry in entries if (written := _as_one(entry, own))), "")


def _as_one(entry: ModelEntry, own: Weights) -> str:
    """Return the call of an architecture, with what is not its default; nothing if its weights are others."""
    named = renamed(own, entry.names)
    sizes = {name: tensor.shape for name, tensor in named.items() if not name.endswith(COUNTERS)}
    last = sizes.get("fc.weight")
    if entry.outline is None or last is None or len(last) != 2:
        return ""
    try:
        told = dict(entry.told(sizes))
    except (IndexError, ZeroDivisionError):  # the shapes are of something else
        return ""
    call = CatalogCall(entry.name, tuple({**entry.defaults, **told}.items()), entry.defaults)
    shapes = entry.outline(call, 1, last[0])
    first = next(iter(shapes))
    if len(sizes.get(first, ())) == 4:
        shapes = entry.outline(call, sizes[first][1], last[0])
    if any(sizes.get(name) != shape for name, shape in shapes.items()):
        return ""
    if any(name not in shapes and not is_beside(name, named[name]) for name in sizes):
        return ""
    others = [f"{name}={value(entry.args[name], of)}" for name, of in told.items() if entry.defaults[name] != of]
    return f"{entry.name}({', '.join(others)})"
