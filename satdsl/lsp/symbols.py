"""Find every symbol in the statements of a file: definitions, references, renaming and colours depend on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cached_property
from typing import Any

from satdsl.catalog import Argument, Catalog, Entry
from satdsl.catalog.measures import MeasureEntry
from satdsl.check.loss_formulas import prediction
from satdsl.findings import Source, Span
from satdsl.ir.experiment import RESULT_AXES
from satdsl.lsp.definitions import SUBSETS, Definitions, listed
from satdsl.records import Record, record
from satdsl.syntax import tree

Role = tuple[str, ...]
"""What a `$name` stands for somewhere: a defined `name`, a `subset` of a split, or a number with a `size` of one."""


@record
class Symbol(Record):
    """What a name stands for.

    `kind` is `name` (of a data set, model, attack, recipe, split, training or transfer), `param` (axes as well),
    `subset` (`of` a split), `result` (`of` a training), `label` (`of` an axis), `class` (`of` a data set), `entry`
    (`of` a family of the catalog), `argument` (`of` an entry, as `attack.pgd`), `choice` (`of` an argument, as
    `attack.pgd.norm`), or `file`.
    """

    kind: str
    name: str
    of: str = ""


@record
class Occurrence(Record):
    """A place in a file where a symbol is defined or used."""

    span: Span
    symbol: Symbol
    defines: bool = False


class SymbolIndex(Definitions):
    """All occurrences of symbols in the statements of a file and of those it uses."""

    def __init__(self, statements: Iterable[tree.Statement], known: Catalog) -> None:
        every = tuple(statements)
        self._catalog = known
        super().__init__(every)
        self.occurrences: list[Occurrence] = []
        self._roles: dict[str, set[Role]] = {}
        self._picked: list[tuple[str, tree.Name]] = []
        self.given_labels: dict[Symbol, str] = {}
        """What people read in place of a name."""
        self._measured: dict[str, list[str]] = {}
        for evaluate in (one for one in every if isinstance(one, tree.Evaluate)):
            for line in evaluate.lines:
                self._measured.setdefault(line.name.text, []).extend(name.text for name in evaluate.trained)
        self._visit(every)
        self._follow_roles()

    def of(self, symbol: Symbol) -> list[Occurrence]:
        return self._by_symbol.get(symbol, [])

    def definition(self, symbol: Symbol) -> Occurrence | None:
        return next((found for found in self.of(symbol) if found.defines), None)

    def at(self, source: Source, offset: int) -> list[Occurrence]:
        """Return the occurrences that an offset touches; one that ends there comes after one that begins there."""
        found = [one for one in self.within(source) if one.span.start <= offset <= one.span.end]
        return sorted(found, key=lambda one: (offset == one.span.end, one.span.end - one.span.start))

    def within(self, source: Source) -> list[Occurrence]:
        return self._by_path.get(source.path, [])

    @cached_property
    def results(self) -> dict[str, list[str]]:
        """The names of what is measured of each training."""
        found: dict[str, list[str]] = {}
        for one in self.occurrences:
            if one.symbol.kind == "result" and one.defines:
                found.setdefault(one.symbol.of, []).append(one.symbol.name)
        return found

    @cached_property
    def _by_symbol(self) -> dict[Symbol, list[Occurrence]]:
        found: dict[Symbol, list[Occurrence]] = {}
        for one in self.occurrences:
            found.setdefault(one.symbol, []).append(one)
        return found

    @cached_property
    def _by_path(self) -> dict[str, list[Occurrence]]:
        found: dict[str, list[Occurrence]] = {}
        for one in self.occurrences:
            found.setdefault(one.span.source.path, []).append(one)
        return found

    # --- walking the trees ---

    def _add(self, span: Span, kind: str, name: str, of: str = "", defines: bool = False) -> None:
        self.occurrences.append(Occurrence(span, Symbol(kind, name, of), defines))

    def _define(self, name: tree.Name, kind: str, of: str = "") -> None:
        self._add(name.span, kind, name.text, of, defines=True)

    def _visit(self, node: Any, splits: tuple[str, ...] = (), trained: str = "") -> None:
        """Add the symbols of a node and of all nodes in it.

        `splits` are those whose subsets a word may name here, and `trained` is the training that is measured here.
        """
        match node:
            case tuple():
                for part in node:
                    self._visit(part, splits, trained)
            case tree.Declaration() | tree.Display():
                if isinstance(node, tree.Declaration):
                    self._define(node.name, "name")
                self._call(node.call, node.kind)
            case tree.Joined():
                self._define(node.name, "name")
                self._words(*node.parts)
            case tree.Use():
                self._add(node.path.span, "file", node.path.value)
            case tree.Param():
                self._define(node.name, "param")
                self._visit(node.value)
            case tree.Axis():
                self._axis(node)
            case tree.Train():
                self._define(node.name, "name")
                splits = self.split_names(node.name.text)
                self._words(node.model, node.data, node.recipe)
                if node.part is not None:
                    self._subset(node.part, splits)
                self._visit(node.lines, splits)
            case tree.Split():
                self._define(node.name, "name")
                self._words(node.dataset)
                self._visit(node.lines, (node.name.text,))
            case tree.Transfer():
                self._define(node.name, "name")
                self._visit(node.source)
                self._words(node.target, node.recipe)
                self._visit(node.lines, self.split_names(node.name.text))
            case tree.Evaluate():
                self._words(*node.trained)
                self._measures(node)
            case tree.Labelled():
                self._labelled(node)
            case tree.Over():
                if node.axis.text not in RESULT_AXES:
                    self._add(node.axis.span, "param", node.axis.text)
                for _, value in listed(node.values):
                    self._pick(node.axis.text, value)
            case tree.AttackLine():
                self._subset(node.subset, splits)
                self._words(*node.attacks)
                self._visit(node.during)
            case tree.LossLine():
                self._subset(node.subset, splits)
                self._loss(node.value)
                self._visit(node.during)
            case tree.HeadLine():
                self._entry_or_call(node.value, "head")
            case tree.SubsetLine():
                self._define(node.name, "subset", splits[0])
                self._visit(node.subset, splits)
            case tree.WeightLine() | tree.ShareLine():
                self._subset(node.subset, splits)
                self._visit(node.value, splits)
            case tree.MeasureLine():
                self._define(node.name, "result", trained)
                self._visit(node.measured, trained=trained)
            case tree.PartName():
                if node.dataset is not None:
                    self._add(node.dataset.span, "name", node.dataset.text)
                else:
                    self._part(node.part.span, trained)
            case tree.Measure():
                entry = MeasureEntry.of_node(node)
                self._words(*entry.attacks(node))
                for source in entry.sources(node):
                    self._visit(source)
                self._score(entry.score(node))
                if isinstance(node, tree.OwnMeasure):
                    self._call(node.call, "measure")
            case tree.ScoreOf():
                self._score(node.score)
                self._visit(node.model)
                if node.attack is not None:
                    self._words(node.attack)
            case tree.NamedSubset():
                self._subset(node.name, splits)
            case tree.ImagesOf():
                self._words(node.dataset)
            case tree.ClassSubset():
                self._classes(node, splits[0])
            case tree.PointOf():
                self._words(node.name)
                self._visit(node.selectors)
            case tree.Reference():
                self._add(node.owner.span, "name", node.owner.text)
                self._add(node.result.span, "result", node.result.text, node.owner.text)
                self._visit(node.selectors, trained=node.owner.text)
            case tree.Selector():
                self._selector(node, trained)
            case tree.Parameter():
                self._add(node.span, "param", node.text)
                for split in splits:
                    self._roles.setdefault(node.text, set()).add(("size", split))
            case tree.Size():
                for split in splits:
                    if node.subset.text in self.subset_lines(split):
                        self._add(node.subset.span, "subset", node.subset.text, split)
            case tree.ClassesOf():
                self._add(node.dataset.span, "name", node.dataset.text)
            case tree.Call():
                for argument in node.arguments:
                    if node.name.text == "classes" and isinstance(argument.value, tree.Name):
                        self._subset(argument.value, splits)
                    self._visit(argument.value, splits)
            case tree.Comparison():
                # In `$order == random`, the word is one of the axis's.
                for one, other in ((node.left, node.right), (node.right, node.left)):
                    if isinstance(one, tree.Parameter) and isinstance(other, tree.Name):
                        self._picked.append((one.text, other))
                self._visit((node.left, node.right))
            case tree.Node():
                for field in fields(node):
                    self._visit(getattr(node, field.name), splits, trained)

    def _measures(self, node: tree.Evaluate) -> None:
        """Add what the lines say of each training that is measured; what they say of all of them, once."""
        first = len(self.occurrences)
        for name in node.trained:
            self._visit(node.lines, trained=name.text)
        self.occurrences[first:] = dict.fromkeys(self.occurrences[first:])

    def _labelled(self, node: tree.Labelled) -> None:
        """Add what a label is for, and the label to that: a result of this name of each training that has one."""
        match node.what:
            case tree.Selector(axis=axis):
                self._selector(node.what, "")
                self.given_labels[Symbol("label", node.what.value.span.text, axis.text)] = node.text.value
                return
            case tree.Parameter(text=name):
                symbols = [Symbol("param", name)]
            case tree.Name(text=name) if name in self.statements:
                symbols = [Symbol("name", name)]
            case tree.Name(text=name):
                symbols = [Symbol("result", name, trained) for trained in self._measured.get(name, ())]
        for symbol in symbols:
            self._add(node.what.span, symbol.kind, symbol.name, symbol.of)
            self.given_labels[symbol] = node.text.value

    def _axis(self, line: tree.Axis) -> None:
        for name in line.names:
            self._define(name, "param")
            for label, value in self.listed(name.text):
                word = label if label is not None else value
                if isinstance(word, tree.Name):
                    self._define(word, "label", name.text)
        self._visit(line.value)

    def _classes(self, node: tree.ClassSubset, split: str) -> None:
        for one in node.classes:
            if isinstance(one, (tree.Name, tree.Text)):
                text = one.text if isinstance(one, tree.Name) else one.value
                for dataset in self.dataset_of(split):
                    self._add(one.span, "class", text, dataset)
            else:
                self._visit(one)

    def _part(self, span: Span, trained: str) -> None:
        """Add the subset that the name of a part begins with: `A` in `A_val`."""
        subset, _, base = span.text.rpartition("_")
        for split in self.split_names(trained):
            if base in ("val", "train") and subset in self.subset_lines(split):
                self._add(Span(span.source, span.start, span.start + len(subset)), "subset", subset, split)

    def _selector(self, selector: tree.Selector, trained: str) -> None:
        axis = selector.axis.text
        if axis not in RESULT_AXES:
            self._add(selector.axis.span, "param", axis)
        elif axis == "part" and isinstance(selector.value, tree.Name):
            self._part(selector.value.span, trained)
        self._pick(axis, selector.value)

    def _pick(self, axis: str, value: tree.Value) -> None:
        """Add what picks points of an axis."""
        if not isinstance(value, tree.Name):
            self._visit(value)
        elif axis not in RESULT_AXES:
            self._picked.append((axis, value))

    # --- words ---

    def _score(self, word: tree.Word | None) -> None:
        if isinstance(word, tree.Name):
            self._add(word.span, "entry", word.text, "score")
        else:
            self._visit(word)

    def _words(self, *words: tree.Word) -> None:
        for word in words:
            self._word(word, ("name",))

    def _subset(self, word: tree.Word, splits: tuple[str, ...]) -> None:
        for split in splits:
            self._word(word, ("subset", split))

    def _word(self, word: tree.Word, role: Role) -> None:
        if isinstance(word, tree.Parameter):
            self._add(word.span, "param", word.text)
            self._roles.setdefault(word.text, set()).add(role)
        else:
            self._stands_for(word, role)

    def _stands_for(self, word: tree.Name, role: Role) -> None:
        if role[0] == "name":
            self._add(word.span, "name", word.text)
        elif word.text not in SUBSETS or word.text in self.subset_lines(role[1]):
            self._add(word.span, "subset", word.text, role[1])

    # --- calls of catalog entries ---

    def _call(self, call: tree.Call, family: str) -> None:
        entry = self._catalog.find(family, call.name.text)
        if entry is None:
            self._visit(tuple(argument.value for argument in call.arguments))
            return
        self._add(call.name.span, "entry", entry.name, entry.family)
        of = f"{entry.family}.{entry.name}"
        for argument, known in arguments(call, entry):
            if argument.name is not None and known is not None:
                self._add(argument.name.span, "argument", known.name, of)
            for _, value in listed(argument.value):
                if known is not None and known.type == "call":
                    self._entry_or_call(value, known.family)
                elif known is not None and known.type == "word" and isinstance(value, (tree.Name, tree.Binary)):
                    self._add(value.span, "choice", value.span.text, f"{of}.{known.name}")
                else:
                    self._visit(value)

    def _entry_or_call(self, node: tree.Value, family: str) -> None:
        if isinstance(node, tree.Call):
            self._call(node, family)
        elif isinstance(node, tree.Name):
            if self._catalog.find(family, node.text) is not None:
                self._add(node.span, "entry", node.text, family)
        else:
            self._visit(node)

    def _loss(self, node: tree.Value) -> None:
        """Add what a loss is made of: an entry, or a formula of terms."""
        match node:
            case tree.Binary():
                self._loss(node.left)
                self._loss(node.right)
            case tree.Negative():
                self._loss(node.operand)
            case tree.Call() if (entry := self._catalog.find("term", node.name.text)) is not None:
                self._add(node.name.span, "entry", entry.name, entry.family)
                for argument, known in arguments(node, entry):
                    asked = prediction(argument.value)
                    if known is not None and known.type == "loss":
                        self._loss(argument.value)
                    elif asked is not None:
                        self._visit(asked[0])
                    elif not isinstance(argument.value, tree.Name):
                        self._visit(argument.value)
            case _:
                self._entry_or_call(node, "loss")

    # --- what the values of params and axes stand for ---

    def _follow_roles(self) -> None:
        """Add what the values of params and axes stand for where these are used.

        With `train t = $net on ...`, the values of `$net` are names of models; and if one of them is `$other`, so are
        the values of that. `$share` in the amount of a pick may have `|A|` among its values, a subset of that split.
        """
        waiting = [(param, role) for param, roles in self._roles.items() for role in roles]
        seen: set[tuple[str, Role]] = set()
        while waiting:
            param, role = waiting.pop()
            if (param, role) in seen:
                continue
            seen.add((param, role))
            for _, value in self.listed(param):
                if isinstance(value, tree.Parameter):
                    waiting.append((value.text, role))
                elif role[0] == "size":
                    self._sizes(value, role[1])
                elif isinstance(value, tree.Name):
                    self._stands_for(value, role)
        for axis, word in self._picked:
            self._add(word.span, "label", word.text, axis)
            if any(label is None and value == word for label, value in self.listed(axis)):
                for param, role in seen:
                    if param == axis and role[0] != "size":
                        self._stands_for(word, role)

    def _sizes(self, value: tree.Value, split: str) -> None:
        """Add the subsets of a split that a number depends on; what else is in it was found where it is written."""
        known = len(self.occurrences)
        self._visit(value, (split,))
        self.occurrences[known:] = [one for one in self.occurrences[known:] if one.symbol.kind == "subset"]


def arguments(call: tree.Call, entry: Entry) -> Iterator[tuple[tree.Argument, Argument | None]]:
    """Yield the arguments of a call, each with what the catalog knows about it."""
    order = list(entry.args.values())
    gathers = bool(order) and order[0].many and order[0].type == "results"
    place = 0
    for argument in call.arguments:
        if argument.name is not None:
            yield argument, entry.args.get(argument.name.text)
        else:
            yield argument, order[0] if gathers else order[place] if place < len(order) else None
            place += 1
