"""List the symbols of a file for the editor's outline, and the pieces that can be folded."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lsprotocol import types

from satdsl.lsp.definitions import kind_in_words
from satdsl.lsp.positions import Positions
from satdsl.lsp.snapshot import Snapshot
from satdsl.syntax import tree

Kind = types.SymbolKind

_Line = tuple[str, str, types.SymbolKind, tree.Node, tree.Node]
"""The name, detail and kind of a symbol inside another one, its whole text, and its name in it."""

_KINDS = {
    "data set": Kind.Struct,
    "model": Kind.Class,
    "attack": Kind.Function,
    "recipe": Kind.Object,
    "split": Kind.Enum,
    "training": Kind.Method,
    "transfer": Kind.Method,
}


def document_symbols(snapshot: Snapshot) -> list[types.DocumentSymbol]:
    found = (_symbol(statement, snapshot.positions) for statement in snapshot.file.statements)
    return [symbol for symbol in found if symbol is not None]


def _symbol(statement: tree.Statement, at: Positions) -> types.DocumentSymbol | None:
    def symbol(
        name: str, detail: str, kind: types.SymbolKind, node: tree.Node, named: tree.Node, lines: Iterable[_Line] = ()
    ) -> types.DocumentSymbol:
        inside = [symbol(*line) for line in lines]
        return types.DocumentSymbol(
            name, kind, at.span(node.span), at.span(named.span), detail, children=inside or None
        )

    match statement:
        case tree.Split(name=name, lines=lines):
            subsets = (line for line in lines if isinstance(line, tree.SubsetLine))
            inside: Iterable[_Line] = ((line.name.text, "subset", Kind.EnumMember, line, line.name) for line in subsets)
            return symbol(name.text, "split", Kind.Enum, statement, name, inside)
        case tree.Declaration() | tree.Joined() | tree.Train() | tree.Transfer():
            what = kind_in_words(statement)
            return symbol(statement.name.text, what, _KINDS[what], statement, statement.name)
        case tree.Param(name=name):
            return symbol(f"${name.text}", "param", Kind.Constant, statement, name)
        case tree.Sweep(lines=axes):
            inside = ((f"${name.text}", "axis", Kind.Variable, line, name) for line in axes for name in line.names)
            return symbol("sweep", "", Kind.Namespace, statement, statement, inside)
        case tree.Evaluate(trained=trained, lines=measures):
            inside = ((line.name.text, "result", Kind.Property, line, line.name) for line in measures)
            names = ", ".join(name.text for name in trained)
            return symbol(f"evaluate {names}", "", Kind.Namespace, statement, trained[0], inside)
        case tree.Display(kind=kind, title=title):
            return symbol(title.value or kind, kind, Kind.Object, statement, title)
        case tree.Expect(text=text):
            return symbol(text.value or "expect", "claim", Kind.Boolean, statement, text)
        case tree.Labelled(what=what, text=text):
            return symbol(f"label {what.span.text}", text.value, Kind.String, statement, what)
        case tree.Use(path=path):
            return symbol(path.value or "use", "file", Kind.File, statement, path)
    return None


def folding_ranges(snapshot: Snapshot) -> list[types.FoldingRange]:
    """Return the statements and the comments that take several lines."""
    source, kinds = snapshot.source, types.FoldingRangeKind
    pieces = [(chunk.start, chunk.start + len(chunk.text.rstrip()), kinds.Region) for chunk in snapshot.chunks]
    comments = re.finditer(r"(?m)^[ \t]*#.*(?:\r?\n[ \t]*#.*)+", source.text)
    pieces += [(match.start(), match.end(), kinds.Comment) for match in comments]
    found = []
    for start, end, kind in pieces:
        first, last = source.place(start)[0], min(source.place(end)[0], len(source.line_starts))
        if last > first:
            found.append(types.FoldingRange(first - 1, last - 1, kind=kind))
    return found
