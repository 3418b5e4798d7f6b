"""Hold what is known about one open file at one moment: every feature is computed from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from lsprotocol import types

from satdsl.check import Analysis
from satdsl.findings import Source, Span
from satdsl.ir.experiment import (
    Dataset,
    Experiment,
    SplitDefinition,
    SweepTable,
    TrainingDefinition,
    TransferDefinition,
)
from satdsl.ir.plan import Passes, Point
from satdsl.lsp.positions import Positions
from satdsl.lsp.symbols import SymbolIndex
from satdsl.plan.expand import passes_of
from satdsl.syntax import layout, tree


@dataclass
class Snapshot:
    """A file's text and tree, the result of its check, and each definition as it was when it last could be resolved.

    `uri_of` gives the address of the file at a path, as the editor writes it.
    """

    source: Source
    file: tree.File
    chunks: list[layout.Chunk]
    analysis: Analysis
    positions: Positions
    settled: Mapping[str, tuple[str, SweepTable[Any]]]
    uri_of: Callable[[str], str]

    @cached_property
    def symbols(self) -> SymbolIndex:
        """Every symbol in this file and those it uses."""
        statements = (statement for statement, _ in self.analysis.program.statements)
        return SymbolIndex(statements, self.analysis.catalog)

    def table(self, name: str) -> SweepTable[Any] | None:
        """Return what a name stands for: now, or when its statement was last resolved, if it has not changed since."""
        return self.settled[name][1] if name in self.settled else None

    def first(self, name: str) -> Any:
        """Return what a name stands for at the first point of its sweep, None if that is not known."""
        table = self.table(name)
        return next(iter(table.table.values())) if table is not None else None

    def statement_at(self, offset: int) -> tree.Statement | None:
        """Return the statement of this file that an offset is in."""
        return next((s for s in self.file.statements if s.span.start <= offset <= s.span.end), None)

    def location(self, span: Span) -> types.Location:
        """Return a place in this or another file as the protocol writes it."""
        return types.Location(self.uri_of(span.source.path), self._range(span))

    def workspace_edit(self, edits: Iterable[tuple[Span, str]]) -> types.WorkspaceEdit:
        """Return new texts for places in this or other files as the protocol writes them."""
        changes: dict[str, list[types.TextEdit]] = {}
        for span, text in edits:
            changes.setdefault(self.uri_of(span.source.path), []).append(types.TextEdit(self._range(span), text))
        return types.WorkspaceEdit(changes=changes)

    def _range(self, span: Span) -> types.Range:
        return Positions(span.source, self.positions.encoding).span(span)

    @cached_property
    def experiment(self) -> Experiment:
        """What is known of the experiment, with its definitions as they were last resolved."""
        tables: dict[type, dict[str, SweepTable[Any]]] = {}
        for name, (_, table) in self.settled.items():
            tables.setdefault(type(self.first(name)), {})[name] = table
        return replace(
            self.analysis.experiment,
            datasets=tables.get(Dataset, {}),
            splits=tables.get(SplitDefinition, {}),
            trainings=tables.get(TrainingDefinition, {}),
            transfers=tables.get(TransferDefinition, {}),
        )

    def passes(self, name: str) -> Mapping[Point, Passes]:
        """Return what a training costs at each point; nothing if what it needs is not known."""
        try:
            return passes_of(self.experiment, name)
        except KeyError:
            return {}
