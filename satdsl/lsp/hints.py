"""A file to the numbers that an editor shows beside its lines: sizes, weights, how many values and points."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from lsprotocol import types

from satdsl.lsp import describe
from satdsl.lsp.view import View
from satdsl.syntax import tree

MOST_POINTS = 1_000
"""A sweep with more is a collection of axes, and no definition uses all of them."""


def hints(view: View, start: int, end: int) -> list[types.InlayHint]:
    """The hints between two offsets."""
    found = []
    for statement in view.file.statements:
        if statement.span.start <= end and statement.span.end >= start:
            found += [(place, text) for place, text in _hints(view, statement) if start <= place <= end]
    return [
        types.InlayHint(view.positions.position(place), text, padding_left=True, kind=types.InlayHintKind.Type)
        for place, text in found
    ]


def _hints(view: View, statement: tree.Statement) -> Iterator[tuple[int, str]]:
    match statement:
        case tree.Split():
            yield from _of_split(view, statement)
        case tree.Train() | tree.Transfer():
            family = view.family(statement.name.text)
            if family is not None and len(family.table) > 1:
                yield statement.name.span.end, describe.count(len(family.table), "point")
        case tree.Sweep():
            yield from _of_sweep(view, statement)


def _of_split(view: View, statement: tree.Split) -> Iterator[tuple[int, str]]:
    family = view.family(statement.name.text)
    if family is None:
        return
    for line in statement.lines:
        if isinstance(line, tree.SubsetLine):
            text = describe.spread([size for _, size in describe.sizes(family, line.name.text)])
            if text:
                yield line.span.end, f"{text} examples"
        elif not isinstance(line.value, tree.Number):
            text = describe.spread([weight for _, weight in describe.weights(family, line.subset.text)])
            if text:
                yield line.span.end, f"= {text}"


def _of_sweep(view: View, statement: tree.Sweep) -> Iterator[tuple[int, str]]:
    axes = view.analysis.axes
    names = [name.text for line in statement.lines for name in line.names]
    known = [name for name in names if name in axes.names]
    if len(statement.lines) > 1 and len(known) == len(names):
        few = prod(len(axes.labels(name)) for name in names) <= MOST_POINTS
        points = len(axes.points(frozenset(names))) if few else 0
        if points:
            yield statement.span.start + len("sweep"), describe.count(points, "point")
    for line in statement.lines:
        name = line.names[0].text
        if name in known and axes.labels(name):
            yield line.span.end, describe.count(len(axes.labels(name)), "value")
