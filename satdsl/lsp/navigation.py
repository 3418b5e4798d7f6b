"""A name to where it is declared and used, in this file and in those around it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from lsprotocol import types
from pygls.uris import from_fs_path

from satdsl.findings import Span
from satdsl.lsp.names import Key
from satdsl.lsp.positions import Positions
from satdsl.lsp.view import View
from satdsl.sources import resolve_path
from satdsl.syntax import tree

UriOf = Callable[[str], str]
"""The address of the file at a path, as the editor writes it."""

_DECLARED = ("name", "param", "subset", "result", "label")


def keys_at(view: View, offset: int) -> list[Key]:
    """What a place names that is declared somewhere; what has a declaration comes first."""
    found = dict.fromkeys(use.key for use in view.names.at(view.source, offset) if use.key.kind in _DECLARED)
    return sorted(found, key=lambda key: (key.kind == "label", view.names.declaration(key) is None))


def definition(view: View, offset: int, uri_of: UriOf) -> list[types.Location]:
    for key in keys_at(view, offset):
        declared = view.names.declaration(key)
        if declared is not None:
            return [_location(declared.span, view.positions, uri_of)]
    path = _file_at(view, offset)
    start = types.Position(0, 0)
    return [types.Location(uri_of(path), types.Range(start, start))] if path else []


def references(
    views: Iterable[View], view: View, offset: int, declaration: bool, uri_of: UriOf
) -> list[types.Location]:
    """Every place that uses what an offset names, in all of `views`."""
    keys = keys_at(view, offset)
    if not keys:
        return []
    found = unique(use.span for each in views for use in each.names.of(keys[0]) if declaration or not use.declares)
    return [_location(span, view.positions, uri_of) for span in found]


def highlights(view: View, offset: int) -> list[types.DocumentHighlight]:
    keys = keys_at(view, offset)
    uses = [use for key in keys[:1] for use in view.names.of(key) if use.span.source is view.source]
    kinds = types.DocumentHighlightKind
    return [
        types.DocumentHighlight(view.positions.span(use.span), kinds.Write if use.declares else kinds.Read)
        for use in uses
    ]


def links(view: View) -> list[types.DocumentLink]:
    """The files that `use` statements name."""
    folder = os.path.dirname(view.source.path)
    found = []
    for statement in view.file.statements:
        if isinstance(statement, tree.Use):
            inside = view.positions.range(statement.path.span.start + 1, statement.path.span.end - 1)
            target = from_fs_path(located_in(folder, statement.path.value))
            found.append(types.DocumentLink(inside, target))
    return found


def located_in(folder: str, path: str) -> str:
    return resolve_path(Path(folder), path)


def unique(spans: Iterable[Span]) -> list[Span]:
    """Each place once, by file and place."""
    found = {(span.source.path, span.start, span.end): span for span in spans}
    return [found[place] for place in sorted(found)]


def _file_at(view: View, offset: int) -> str | None:
    files = (use.key.name for use in view.names.at(view.source, offset) if use.key.kind == "file")
    name = next(files, None)
    return located_in(os.path.dirname(view.source.path), name) if name is not None else None


def _location(span: Span, positions: Positions, uri_of: UriOf) -> types.Location:
    return types.Location(uri_of(span.source.path), Positions(span.source, positions.encoding).span(span))
