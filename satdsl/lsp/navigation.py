"""Find where a symbol is defined and used, in this file and in those around it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lsprotocol import types
from pygls.uris import from_fs_path

from satdsl.catalog.plugins.packages import PACKAGE
from satdsl.findings import Span
from satdsl.lsp.snapshot import Snapshot
from satdsl.lsp.symbols import Symbol
from satdsl.sources import resolve_path
from satdsl.syntax import tree

_DEFINED = ("name", "param", "subset", "result", "label")
"""The kinds of symbols that a file can define."""


def symbols_at(snapshot: Snapshot, offset: int) -> list[Symbol]:
    """Return the symbols at an offset that a file can define. Those that are defined come first, labels last."""
    occurrences = snapshot.symbols.at(snapshot.source, offset)
    found = dict.fromkeys(one.symbol for one in occurrences if one.symbol.kind in _DEFINED)
    return sorted(found, key=lambda symbol: (symbol.kind == "label", snapshot.symbols.definition(symbol) is None))


def definition(snapshot: Snapshot, offset: int) -> list[types.Location]:
    for symbol in symbols_at(snapshot, offset):
        defined = snapshot.symbols.definition(symbol)
        if defined is not None:
            return [snapshot.location(defined.span)]
    occurrences = snapshot.symbols.at(snapshot.source, offset)
    for symbol in (one.symbol for one in occurrences):
        if symbol.kind == "entry" and (span := _function(snapshot, symbol)) is not None:
            return [snapshot.location(span)]
    file = next((one.symbol.name for one in occurrences if one.symbol.kind == "file"), None)
    if file is None:
        return []
    start, place = types.Position(0, 0), used_path(snapshot, snapshot.source.path, file)
    return [types.Location(snapshot.uri_of(place), types.Range(start, start))]


def _function(snapshot: Snapshot, symbol: Symbol) -> Span | None:
    """Return where the function of an entry of the user's own has its name; None for an entry of the catalog."""
    entry = snapshot.analysis.catalog.find(symbol.of, symbol.name)
    code = entry.plugin if entry is not None else None
    file = snapshot.analysis.program.plugins.get(code.place) if code is not None else None
    return file.places.get(code.function) if file is not None and code is not None else None


def references(
    snapshots: Iterable[Snapshot], snapshot: Snapshot, offset: int, with_definition: bool
) -> list[types.Location]:
    """Return every place in all of `snapshots` that uses the symbol at an offset of one of them."""
    found = symbols_at(snapshot, offset)[:1]
    spans = (
        one.span
        for symbol in found
        for each in snapshots
        for one in each.symbols.of(symbol)
        if with_definition or not one.defines
    )
    return [snapshot.location(span) for span in unique(spans)]


def highlights(snapshot: Snapshot, offset: int) -> list[types.DocumentHighlight]:
    kinds = types.DocumentHighlightKind
    return [
        types.DocumentHighlight(snapshot.positions.span(one.span), kinds.Write if one.defines else kinds.Read)
        for symbol in symbols_at(snapshot, offset)[:1]
        for one in snapshot.symbols.of(symbol)
        if one.span.source is snapshot.source
    ]


def links(snapshot: Snapshot) -> list[types.DocumentLink]:
    """Return the links to the files that `use` statements name."""
    found = []
    for statement in snapshot.file.statements:
        if isinstance(statement, tree.Use):
            inside = snapshot.positions.range(statement.path.span.start + 1, statement.path.span.end - 1)
            target = from_fs_path(used_path(snapshot, snapshot.source.path, statement.path.value))
            found.append(types.DocumentLink(inside, target))
    return found


def used_path(snapshot: Snapshot, user: str, named: str) -> str:
    """Return the path of what the file `user` uses; of an installed package, that of its module."""
    package = snapshot.analysis.program.plugins.get(f"{PACKAGE}{named}")
    return package.source.path if package is not None else resolved(user, named)


def resolved(user: str, path: str) -> str:
    """Return the path of a file that the file `user` names."""
    return resolve_path(Path(os.path.dirname(user)), path)


def unique(spans: Iterable[Span]) -> list[Span]:
    """Return each place once, ordered by file and place."""
    found = {place_of(span): span for span in spans}
    return [found[place] for place in sorted(found)]


def place_of(span: Span) -> tuple[str, int, int]:
    return span.source.path, span.start, span.end
