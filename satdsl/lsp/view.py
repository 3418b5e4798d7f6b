"""What is known of one open file at one moment: all that features are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from satdsl.check import Analysis
from satdsl.findings import Source
from satdsl.ir.experiment import Experiment, SweepTable
from satdsl.ir.plan import Passes, Point
from satdsl.lsp.names import Names
from satdsl.lsp.positions import Positions
from satdsl.plan.expand import passes_of
from satdsl.syntax import layout, tree


@dataclass
class View:
    """A file's text and tree, what the check knows, and what each definition was when it last could be settled."""

    source: Source
    file: tree.File
    chunks: list[layout.Chunk]
    analysis: Analysis
    positions: Positions
    settled: Mapping[str, tuple[str, SweepTable[Any]]]

    @cached_property
    def names(self) -> Names:
        """Every name in this file and those it uses."""
        return Names(statement for statement, _ in self.analysis.program.statements)

    def family(self, name: str) -> SweepTable[Any] | None:
        """What a name stands for: now, or when its statement could last be settled and was the same."""
        return self.settled[name][1] if name in self.settled else None

    def statement_at(self, offset: int) -> tree.Statement | None:
        """The statement of this file that an offset is in."""
        return next((s for s in self.file.statements if s.span.start <= offset <= s.span.end), None)

    @cached_property
    def experiment(self) -> Experiment:
        """What is known of the experiment, with definitions as they were last settled."""
        found = self.analysis.experiment
        families: dict[type, dict[str, SweepTable[Any]]] = {}
        for name, (_, family) in self.settled.items():
            families.setdefault(type(next(iter(family.table.values()))), {})[name] = family
        by_name = {kind.__name__: known for kind, known in families.items()}
        return replace(
            found,
            datasets=by_name.get("Dataset", {}),
            splits=by_name.get("Split", {}),
            trainings=by_name.get("Train", {}),
            transfers=by_name.get("Transfer", {}),
        )

    def passes(self, name: str) -> Mapping[Point, Passes]:
        """What a training costs at each point; nothing where what it needs is not known."""
        try:
            return passes_of(self.experiment, name)
        except KeyError:
            return {}
