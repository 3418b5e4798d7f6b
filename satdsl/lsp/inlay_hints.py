"""Show numbers beside the lines of a file: sizes and weights of subsets, how many values and points there are."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from lsprotocol import types

from satdsl.lsp import sweep_text
from satdsl.lsp.snapshot import Snapshot
from satdsl.syntax import tree

MOST_POINTS = 1_000
"""A sweep with more points is a collection of axes, and no definition uses all of them."""


def inlay_hints(snapshot: Snapshot, start: int, end: int) -> list[types.InlayHint]:
    """Return the hints between two offsets."""
    return [
        types.InlayHint(snapshot.positions.position(place), text, padding_left=True, kind=types.InlayHintKind.Type)
        for statement in snapshot.file.statements
        if statement.span.start <= end and statement.span.end >= start
        for place, text in _of_statement(snapshot, statement)
        if start <= place <= end
    ]


def _of_statement(snapshot: Snapshot, statement: tree.Statement) -> Iterator[tuple[int, str]]:
    match statement:
        case tree.Split():
            yield from _of_split(snapshot, statement)
        case tree.Train() | tree.Transfer():
            table = snapshot.table(statement.name.text)
            if table is not None and len(table.table) > 1:
                yield statement.name.span.end, sweep_text.count(len(table.table), "point")
        case tree.Sweep():
            yield from _of_sweep(snapshot, statement)


def _of_split(snapshot: Snapshot, statement: tree.Split) -> Iterator[tuple[int, str]]:
    table = snapshot.table(statement.name.text)
    if table is None:
        return
    for line in statement.lines:
        if isinstance(line, tree.SubsetLine):
            text = sweep_text.spread(size for _, size in sweep_text.sizes(table, line.name.text))
            if text:
                yield line.span.end, f"{text} examples"
        elif isinstance(line, tree.ShareLine):
            if not isinstance(line.value, tree.Percent):
                text = sweep_text.spread(share for _, share in sweep_text.shares(table, line.subset.text))
                if text:
                    yield line.span.end, f"= {text} %"
        elif not isinstance(line.value, tree.Number):
            text = sweep_text.spread(weight for _, weight in sweep_text.weights(table, line.subset.text))
            if text:
                yield line.span.end, f"= {text}"


def _of_sweep(snapshot: Snapshot, statement: tree.Sweep) -> Iterator[tuple[int, str]]:
    axes = snapshot.analysis.axes
    names = [name.text for line in statement.lines for name in line.names]
    known = [name for name in names if name in axes.names]
    if len(statement.lines) > 1 and len(known) == len(names):
        few = prod(len(axes.labels(name)) for name in names) <= MOST_POINTS
        points = len(axes.points(frozenset(names))) if few else 0
        if points:
            yield statement.span.start + len("sweep"), sweep_text.count(points, "point")
    for line in statement.lines:
        name = line.names[0].text
        if name in known and axes.labels(name):
            yield line.span.end, sweep_text.count(len(axes.labels(name)), "value")
