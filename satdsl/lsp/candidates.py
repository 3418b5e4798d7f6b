"""List what can be completed: names of the file, entries of the catalog, values of axes."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from satdsl.catalog.show import signature
from satdsl.check.class_choice import written
from satdsl.check.resolve import kind_of
from satdsl.ir.experiment import SplitDefinition
from satdsl.lsp.definitions import kind_in_words
from satdsl.lsp.snapshot import Snapshot
from satdsl.records import Record, record

Kind = types.CompletionItemKind


@record
class Candidate(Record):
    """A completion: its text, its kind, a word about it, and help. `call` says whether brackets follow it."""

    text: str
    kind: types.CompletionItemKind
    detail: str = ""
    help: str = ""
    call: bool = False


class Candidates:
    """Everything that a file, those it uses and the catalog have."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.symbols = snapshot.symbols

    def words(
        self, *words: str, kind: types.CompletionItemKind = Kind.Keyword, detail: str = ""
    ) -> Iterator[Candidate]:
        return (Candidate(word, kind, detail) for word in words)

    def entries(self, family: str) -> Iterator[Candidate]:
        for entry in self.snapshot.analysis.catalog.entries(family):
            name = entry.name
            kind = Kind.Constant if family == "score" else Kind.Function
            yield Candidate(
                name,
                kind,
                family,
                f"{entry.help}\n\n`{signature(entry)}`",
                call=family != "score" and (family != "measure" or entry.plugin is not None),
            )

    def defined(self, *kinds: str, without: str) -> Iterator[Candidate]:
        """Yield what is defined as one of `kinds`."""
        for name, statement in self.symbols.statements.items():
            if kind_of(statement) in kinds and name != without:
                first_line = statement.span.text.splitlines()[0]
                yield Candidate(name, Kind.Variable, kind_in_words(statement), f"```sat\n{first_line}\n```")

    def axes(self, sign: str, params: bool = False) -> Iterator[Candidate]:
        """Yield the axes, written with `sign` before them, and the params."""
        axes = set(self.snapshot.analysis.axes.names)
        for name, (listed, _) in self.symbols.values.items():
            if params or name in axes:
                detail = "axis" if name in axes else "param"
                yield Candidate(f"{sign}{name}", Kind.Variable, detail, f"`{listed.span.text}`")

    def labels(self, axis: str) -> Iterator[Candidate]:
        """Yield the values of an axis."""
        if axis in self.snapshot.analysis.axes.names:
            labels = self.snapshot.analysis.axes.labels(axis)
            yield from self.words(*labels, kind=Kind.EnumMember, detail=f"value of {axis}")

    def subsets(self, split: str, without: str = "") -> Iterator[Candidate]:
        names = (name for name in self.symbols.subset_lines(split) if name != without)
        return self.words(*names, kind=Kind.Variable, detail=f"subset of {split}")

    def joined(self, split: str) -> Iterator[Candidate]:
        """Yield the data sets that the one which is split is joined from."""
        for dataset in self.symbols.dataset_of(split):
            for name in getattr(self.snapshot.first(dataset), "parts", ()):
                yield Candidate(name, Kind.Variable, f"part of {dataset}")

    def classes(self, split: str) -> Iterator[Candidate]:
        """Yield the classes of the data set that is split."""
        for dataset in self.symbols.dataset_of(split):
            facts = getattr(self.snapshot.first(dataset), "facts", None)
            for place, name in enumerate(getattr(facts, "classes", ())):
                yield Candidate(name if name == str(place) else written(name), Kind.EnumMember, f"class of {dataset}")

    def parts(self, *trained: str) -> Iterator[Candidate]:
        """Yield the images that each of some trainings can be measured on."""
        yield Candidate("val", Kind.Constant, "validation images")
        yield Candidate("train", Kind.Constant, "training images")
        each = [tuple(self.subset_parts(name)) for name in trained]
        yield from (part for part in each[0] if all(part in parts for parts in each)) if each else ()
        for name, statement in self.symbols.statements.items():
            if kind_of(statement) == "dataset":
                yield Candidate(f"{name}.val", Kind.Constant, f"validation images of {name}")

    def subset_parts(self, trained: str) -> Iterator[Candidate]:
        """Yield the images of the subsets that a training uses."""
        for split in self.symbols.split_names(trained):
            made = self.snapshot.first(split)
            for subset in self.symbols.subset_lines(split):
                if isinstance(made, SplitDefinition) and made.by_class:
                    yield Candidate(f"{subset}_val", Kind.Constant, f"validation images of {subset}'s classes")
                yield Candidate(f"{subset}_train", Kind.Constant, f"training images of {subset}")

    def results(self) -> Iterator[Candidate]:
        for owner, results in self.symbols.results.items():
            yield from self.words(*(f"{owner}.{one}" for one in results), kind=Kind.Property, detail="result")
