"""Say which architecture the weights in a file are of, where they do not fit the one that was named."""

from __future__ import annotations

import re
from collections.abc import Iterable

from satdsl.catalog import catalog
from satdsl.catalog.models import ModelEntry
from satdsl.ir.steps import CatalogCall
from satdsl.weight_files.matching import COUNTERS, Misfit, is_beside, renamed
from satdsl.weight_files.problem import WeightsProblem
from satdsl.weight_files.tensors import Weights


def with_way_out(problem: WeightsProblem, model: CatalogCall) -> WeightsProblem:
    """Return a problem with a file's weights, with the architecture that they are of as its help, if that is known."""
    if isinstance(problem, Misfit) and not problem.help:
        of = likely(problem.reading.own, model)
        problem.meant = of
        problem.help = (
            f"these weights are of {of}: write `arch={of}`"
            if of
            else "give the architecture, with its settings, that they were trained with"
        )
    return problem


def form_fits_names(found: Iterable[str], model: CatalogCall) -> None:
    """Raise WeightsProblem if names of weights are of code whose networks have another form than `model`."""
    names = list(found)
    for layout in ModelEntry.of(model).layouts:
        wrong = [f"{argument}={of}" for argument, of in layout.forms if model.get(argument, of) != of]
        if wrong and any(re.search(layout.pattern, name) for name in names):
            raise WeightsProblem(
                "E519",
                f"has the names of {layout.whose}, whose form is another",
                "the names tell what the shapes do not",
                f"write {model.name}(..., {', '.join(wrong)})",
            )


def likely(own: Weights, model: CatalogCall) -> str:
    """Return the call of the first architecture that has exactly these weights; nothing if none has.

    One of the kind of `model` keeps what that is given and weights do not tell.
    """
    entries = [entry for entry in catalog().entries("model") if isinstance(entry, ModelEntry)]
    return next((written for entry in entries if (written := _as_one(entry, own, model))), "")


def _as_one(entry: ModelEntry, own: Weights, model: CatalogCall) -> str:
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
    kept = dict(model.args) if model.name == entry.name else {}
    settings = {**entry.defaults, **kept, **told}
    call = CatalogCall(entry.name, tuple(settings.items()), entry.defaults)
    shapes = entry.outline(call, 1, last[0])
    first = next(iter(shapes))
    if len(sizes.get(first, ())) == 4:
        shapes = entry.outline(call, sizes[first][1], last[0])
    if any(sizes.get(name) != shape for name, shape in shapes.items()):
        return ""
    if any(name not in shapes and not is_beside(name, named[name]) for name in sizes):
        return ""
    from satdsl.catalog.show import value  # which takes long to import, and few specifications need

    others = [
        f"{name}={value(entry.args[name], of)}"
        for name, of in settings.items()
        if name in entry.args and entry.defaults[name] != of
    ]
    return f"{entry.name}({', '.join(others)})"
