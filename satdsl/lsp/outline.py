"""A file to its outline, and to the pieces that can be folded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsprotocol import types

from satdsl.findings import Span
from satdsl.lsp.declared import kind_in_words
from satdsl.lsp.positions import Positions
from satdsl.lsp.view import View
from satdsl.syntax import tree

Kind = types.SymbolKind

_KINDS = {
    "data set": Kind.Struct,
    "model": Kind.Class,
    "attack": Kind.Function,
    "recipe": Kind.Object,
    "split": Kind.Enum,
    "training": Kind.Method,
    "transfer": Kind.Method,
}


def symbols(view: View) -> list[types.DocumentSymbol]:
    return [found for statement in view.file.statements for found in _symbols(statement, view.positions)]


def _symbols(statement: tree.Statement, at: Positions) -> Iterator[types.DocumentSymbol]:
    match statement:
        case tree.Declaration() | tree.Train() | tree.Transfer() | tree.Split():
            what = kind_in_words(statement)
            inside = []
            if isinstance(statement, tree.Split):
                lines = [line for line in statement.lines if isinstance(line, tree.SubsetLine)]
                inside = [_symbol(n.name.text, "subset", Kind.EnumMember, n.span, n.name.span, at) for n in lines]
            yield _symbol(statement.name.text, what, _KINDS[what], statement.span, statement.name.span, at, inside)
        case tree.Param():
            yield _symbol(f"${statement.name.text}", "param", Kind.Constant, statement.span, statement.name.span, at)
        case tree.Sweep():
            inside = [
                _symbol(f"${name.text}", "axis", Kind.Variable, line.span, name.span, at)
                for line in statement.lines
                for name in line.names
            ]
            yield _symbol("sweep", "", Kind.Namespace, statement.span, statement.span, at, inside)
        case tree.Evaluate():
            inside = [
                _symbol(line.name.text, "result", Kind.Property, line.span, line.name.span, at)
                for line in statement.lines
            ]
            name = f"evaluate {statement.trained.text}"
            yield _symbol(name, "", Kind.Namespace, statement.span, statement.trained.span, at, inside)
        case tree.Display():
            title = statement.title.value or statement.kind
            yield _symbol(title, statement.kind, Kind.Object, statement.span, statement.title.span, at)
        case tree.Expect():
            title = statement.text.value or "expect"
            yield _symbol(title, "claim", Kind.Boolean, statement.span, statement.text.span, at)
        case tree.Use():
            yield _symbol(statement.path.value or "use", "file", Kind.File, statement.span, statement.path.span, at)


def _symbol(
    name: str,
    detail: str,
    kind: types.SymbolKind,
    whole: Span,
    named: Span,
    at: Positions,
    inside: list[types.DocumentSymbol] | None = None,
) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=name, detail=detail, kind=kind, range=at.span(whole), selection_range=at.span(named), children=inside
    )


def folds(view: View) -> list[types.FoldingRange]:
    """Statements that take several lines, and comments that do."""
    found = []
    for chunk in view.chunks:
        first, last = (view.source.place(place)[0] for place in (chunk.start, chunk.start + len(chunk.text.rstrip())))
        last = min(last, len(view.source.line_starts))
        if last > first:
            found.append(types.FoldingRange(first - 1, last - 1, kind=types.FoldingRangeKind.Region))
    for match in re.finditer(r"(?m)^[ \t]*#.*(?:\r?\n[ \t]*#.*)+", view.source.text):
        first, last = (view.source.place(place)[0] for place in (match.start(), match.end()))
        found.append(types.FoldingRange(first - 1, last - 1, kind=types.FoldingRangeKind.Comment))
    return found
