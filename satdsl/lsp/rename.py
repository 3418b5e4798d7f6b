"""A new name for something to the edits that give it, in every file; or the reason why it cannot be had."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lsprotocol import types

from satdsl.findings import Span
from satdsl.lsp.declared import SUBSETS
from satdsl.lsp.names import Key, Names, Use
from satdsl.lsp.navigation import UriOf, keys_at, unique
from satdsl.lsp.positions import Positions
from satdsl.lsp.view import View
from satdsl.syntax.layout import RESERVED

_NAME = re.compile(r"[A-Za-z_]\w*")


class CannotRename(Exception):
    """The message says why."""


def renameable(view: View, offset: int) -> tuple[Use, Key]:
    """What would be renamed at an offset: the place and what it names; raises `CannotRename`."""
    keys = [key for key in keys_at(view, offset) if view.names.declaration(key) is not None]
    if not keys:
        raise CannotRename("only what a file declares can be renamed: names, params, axes, subsets, results, labels")
    key = keys[0]
    if key.kind == "label" and not _has_label(view.names, key):
        raise CannotRename(f"`{key.name}` is a value; give it a label in the sweep to name it: `label: {key.name}`")
    return next(use for use in view.names.at(view.source, offset) if use.key == key), key


def rename(views: Sequence[View], view: View, offset: int, new: str, uri_of: UriOf) -> types.WorkspaceEdit:
    """The edits that give what stands at an offset a new name; raises `CannotRename`."""
    _, key = renameable(view, offset)
    new = new.removeprefix("$") if key.kind == "param" else new
    if not _NAME.fullmatch(new) or not new.isascii():
        raise CannotRename(f"`{new}` is no name: a letter or `_`, then letters, digits and `_`")
    if new in RESERVED and new != "sat" and key.kind in ("name", "param"):
        raise CannotRename(f"`{new}` begins a statement and cannot be a name")
    if key.kind == "subset" and new in (*SUBSETS, "train"):
        raise CannotRename(f"`{new}` means something in every split already")
    for each in views:
        taken = _taken(each.names, key, new)
        if taken is not None and new != key.name:
            line = taken.span.place[0]
            raise CannotRename(f"`{new}` is taken: it is declared in line {line} of {taken.span.source.path}")
        _unambiguous(each.names, key)
    changes: dict[str, list[types.TextEdit]] = {}
    for span in unique(use.span for each in views for use in each.names.of(key)):
        at = Positions(span.source, view.positions.encoding).span(span)
        text = f"${new}" if span.text.startswith("$") else new
        changes.setdefault(uri_of(span.source.path), []).append(types.TextEdit(at, text))
    return types.WorkspaceEdit(changes=changes)


def _has_label(names: Names, key: Key) -> bool:
    return any(label is not None and label.text == key.name for label, _ in names.listed(key.of))


def _taken(names: Names, key: Key, new: str) -> Use | None:
    """What already has the name, where two cannot have the same."""
    taken = names.declaration(Key(key.kind, new, key.of))
    if taken is None and key.kind == "label":
        taken = next((use for use in names.of(Key("label", new, key.of))), None)
    return taken


def _unambiguous(names: Names, key: Key) -> None:
    """A word that stands for several things, as the sweep goes on, cannot be renamed for one of them."""
    places = {_place(use.span) for use in names.of(key)}
    for use in _others(names, key):
        if _place(use.span) in places:
            what = f"`{use.key.name}` of `{use.key.of}`" if use.key.of else f"`{use.key.name}`"
            line = use.span.place[0]
            raise CannotRename(f"`{key.name}` stands for {what} as well, in line {line}: rename it by hand")


def _others(names: Names, key: Key) -> Iterable[Use]:
    return (use for use in names.uses if use.key.kind == key.kind and use.key != key and use.key.name == key.name)


def _place(span: Span) -> tuple[str, int, int]:
    return span.source.path, span.start, span.end
