"""Rename a symbol in every file that uses it, or say why it cannot be renamed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lsprotocol import types

from satdsl.lsp.definitions import SUBSETS
from satdsl.lsp.navigation import place_of, symbols_at, unique
from satdsl.lsp.snapshot import Snapshot
from satdsl.lsp.symbols import Occurrence, Symbol, SymbolIndex
from satdsl.syntax.layout import RESERVED

_NAME = re.compile(r"[A-Za-z_]\w*")


class CannotRename(Exception):
    """A symbol cannot be renamed; the message says why."""


def renameable(snapshot: Snapshot, offset: int) -> Occurrence:
    """Return what would be renamed at an offset.

    Raises:
        CannotRename: nothing at this place has a name that can be changed.
    """
    found = [symbol for symbol in symbols_at(snapshot, offset) if snapshot.symbols.definition(symbol) is not None]
    if not found:
        kinds = "names, params, axes, subsets, results and labels"
        raise CannotRename(f"only what a file defines can be renamed: {kinds}")
    symbol = found[0]
    if symbol.kind == "label" and not _has_label(snapshot.symbols, symbol):
        label = f"`label: {symbol.name}`"
        raise CannotRename(f"`{symbol.name}` is a value; give it a label in the sweep to name it: {label}")
    return next(one for one in snapshot.symbols.at(snapshot.source, offset) if one.symbol == symbol)


def rename(snapshots: Sequence[Snapshot], snapshot: Snapshot, offset: int, new: str) -> types.WorkspaceEdit:
    """Return the edits in all of `snapshots` that give the symbol at an offset of one of them a new name.

    Raises:
        CannotRename: the symbol cannot be renamed, or cannot have this name.
    """
    symbol = renameable(snapshot, offset).symbol
    new = new.removeprefix("$") if symbol.kind == "param" else new
    _check_name(new, symbol)
    together = _defined_together(snapshots, symbol)
    for each in snapshots:
        for one in together:
            taken = _taken(each.symbols, one, new)
            if taken is not None and new != symbol.name:
                line = taken.span.place[0]
                raise CannotRename(f"`{new}` is taken: it is defined in line {line} of {taken.span.source.path}")
            _check_unambiguous(each.symbols, one, together)
    spans = unique(one.span for each in snapshots for symbol in together for one in each.symbols.of(symbol))
    return snapshot.workspace_edit((span, f"${new}" if span.text.startswith("$") else new) for span in spans)


def _check_name(new: str, symbol: Symbol) -> None:
    if not _NAME.fullmatch(new) or not new.isascii():
        raise CannotRename(f"`{new}` is no name: a name is a letter or `_`, then letters, digits and `_`")
    if new in RESERVED and new != "sat" and symbol.kind in ("name", "param"):
        raise CannotRename(f"`{new}` begins a statement and cannot be a name")
    if symbol.kind == "subset" and new in (*SUBSETS, "train"):
        raise CannotRename(f"`{new}` already has a meaning in every split")


def _has_label(symbols: SymbolIndex, symbol: Symbol) -> bool:
    return any(label is not None and label.text == symbol.name for label, _ in symbols.listed(symbol.of))


def _taken(symbols: SymbolIndex, symbol: Symbol, new: str) -> Occurrence | None:
    """Return what already has the name, where two symbols cannot have the same."""
    other = Symbol(symbol.kind, new, symbol.of)
    taken = symbols.definition(other)
    return next(iter(symbols.of(other)), None) if taken is None and symbol.kind == "label" else taken


def _defined_together(snapshots: Sequence[Snapshot], symbol: Symbol) -> list[Symbol]:
    """Return a symbol, and those that the same word defines: `evaluate a, b { robust = ... }` defines two results."""
    defining = [one for each in snapshots for one in each.symbols.occurrences if one.defines]
    found = {symbol: None}
    waiting = [symbol]
    while waiting:
        symbol = waiting.pop()
        places = {place_of(one.span) for one in defining if one.symbol == symbol}
        new = [one.symbol for one in defining if place_of(one.span) in places and one.symbol not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return list(found)


def _check_unambiguous(symbols: SymbolIndex, symbol: Symbol, together: Sequence[Symbol]) -> None:
    """Refuse a word that stands for several symbols over a sweep: it cannot be renamed for one of them."""
    places = {place_of(one.span) for one in symbols.of(symbol)}
    for one in symbols.occurrences:
        other = one.symbol
        alike = other.kind == symbol.kind and other.name == symbol.name and other not in together
        if alike and place_of(one.span) in places:
            what = f"`{other.name}` of `{other.of}`" if other.of else f"`{other.name}`"
            line = one.span.place[0]
            raise CannotRename(f"`{symbol.name}` also stands for {what} in line {line}: rename it by hand")
