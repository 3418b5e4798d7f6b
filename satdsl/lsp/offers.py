"""What there is to be written: each thing with what it is, a word about it, and help."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from satdsl.catalog import catalog
from satdsl.catalog.show import signature
from satdsl.check.resolve import kind_of
from satdsl.ir.experiment import Split
from satdsl.lsp.declared import kind_in_words
from satdsl.lsp.view import View
from satdsl.records import Record, record
from satdsl.syntax import tree

Kind = types.CompletionItemKind


@record
class Offer(Record):
    """Something that can be written: the text, what it is, a word about it, and help."""

    text: str
    kind: types.CompletionItemKind
    detail: str = ""
    help: str = ""
    call: bool = False


class Stock:
    """Everything that a file, those it uses and the catalog have to offer."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.names = view.names

    def entries(self, family: str) -> Iterator[Offer]:
        for name in catalog().names(family):
            entry = catalog().find(family, name)
            assert entry is not None
            help = f"{entry.help}\n\n`{signature(entry)}`"
            kind = Kind.Constant if family == "score" else Kind.Function
            yield Offer(name, kind, family, help, call=family != "score")

    def declared(self, *kinds: str, without: str) -> Iterator[Offer]:
        """What is declared as one of `kinds`."""
        for name, statement in self.names.declared.items():
            if kind_of(statement) in kinds and name != without:
                yield Offer(name, Kind.Variable, kind_in_words(statement), _first_line(statement))

    def axes(self, sign: str, params: bool = False) -> Iterator[Offer]:
        """The axes, written with `sign` before them; and the params."""
        axes = set(self.view.analysis.axes.names)
        for name, (listed, _) in self.names.values.items():
            if params or name in axes:
                what = "axis" if name in axes else "param"
                yield Offer(f"{sign}{name}", Kind.Variable, what, f"`{listed.span.text}`")

    def labels(self, axis: str) -> Iterator[Offer]:
        """The values of an axis."""
        if axis in self.view.analysis.axes.names:
            for label in self.view.analysis.axes.labels(axis):
                yield Offer(label, Kind.EnumMember, f"value of {axis}")

    def subsets(self, split: str, without: str = "") -> Iterator[Offer]:
        for name in self.names.subsets(split):
            if name != without:
                yield Offer(name, Kind.Variable, f"subset of {split}")

    def classes(self, split: str) -> Iterator[Offer]:
        """The classes of the data set that is split."""
        for dataset in self.names.dataset_of(split):
            for place, name in enumerate(self._class_names(dataset)):
                plain = name.isidentifier() or name == str(place)
                yield Offer(name if plain else f'"{name}"', Kind.EnumMember, f"class of {dataset}")

    def _class_names(self, dataset: str) -> tuple[str, ...]:
        family = self.view.family(dataset)
        first = next(iter(family.table.values())) if family is not None else None
        facts = getattr(first, "facts", None)
        return facts.classes if facts is not None and hasattr(facts, "classes") else ()

    def parts(self, trained: str) -> Iterator[Offer]:
        """The images that a training can be measured on."""
        yield Offer("val", Kind.Constant, "validation images")
        yield Offer("train", Kind.Constant, "training images")
        yield from self.picked_parts(trained)
        for name, statement in self.names.declared.items():
            if kind_of(statement) == "dataset":
                yield Offer(f"{name}.val", Kind.Constant, f"validation images of {name}")

    def picked_parts(self, trained: str) -> Iterator[Offer]:
        """Those of the subsets that it is trained on."""
        for split in self.names.split_names(trained):
            family = self.view.family(split)
            made = next(iter(family.table.values())) if family is not None else None
            whole = made.by_class if isinstance(made, Split) else False
            for subset in self.names.subsets(split):
                if whole:
                    yield Offer(f"{subset}_val", Kind.Constant, f"validation images of {subset}'s classes")
                yield Offer(f"{subset}_train", Kind.Constant, f"training images of {subset}")

    def results(self) -> Iterator[Offer]:
        for owner, results in self.names.results.items():
            yield from (Offer(f"{owner}.{result}", Kind.Property, "result") for result in results)


def _first_line(statement: tree.Node) -> str:
    return f"```sat\n{statement.span.text.splitlines()[0]}\n```"
