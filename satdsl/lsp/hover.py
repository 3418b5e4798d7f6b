"""A place in a file to what stands there: resolved values, a catalog entry's help, what a name stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from lsprotocol import types

from satdsl.catalog import Entry, catalog
from satdsl.catalog.show import signature, takes, value
from satdsl.check.resolve import kind_of
from satdsl.check.values import walk
from satdsl.findings import Span
from satdsl.ir.experiment import Dataset, Split, SweepTable, Train, Transfer
from satdsl.lsp import describe
from satdsl.lsp.declared import kind_in_words
from satdsl.lsp.names import Key, Use
from satdsl.lsp.view import View
from satdsl.syntax import layout, messages, tree

MOST_SHOWN = 12
"""Values of an axis, or classes, that are listed."""


def hover(view: View, offset: int) -> types.Hover | None:
    part = _part(view, offset)
    if part is not None:
        return part
    for use in view.names.at(view.source, offset):
        text = _Describer(view).of(use)
        if text:
            return _hover(view, text, use.span)
    return _weight(view, offset) or _keyword(view, offset)


def _hover(view: View, text: str, span: Span) -> types.Hover:
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), view.positions.span(span))


def _part(view: View, offset: int) -> types.Hover | None:
    """Which images a part is, and of which subset: on `val` and `A_val`."""
    statement = view.statement_at(offset)
    lines = statement.lines if isinstance(statement, tree.Evaluate) else ()
    for part in (part for line in lines for part in line.measured.parts):
        if part.part.span.start <= offset <= part.part.span.end:
            assert isinstance(statement, tree.Evaluate)
            text = _Describer(view).part(statement.trained.text, part)
            return _hover(view, text, part.part.span) if text else None
    return None


def _weight(view: View, offset: int) -> types.Hover | None:
    """A weight's number, anywhere in its line that no name is; and a subset's size on its bars."""
    statement = view.statement_at(offset)
    if not isinstance(statement, tree.Split):
        return None
    describer = _Describer(view)
    for line in statement.lines:
        if isinstance(line, tree.WeightLine) and line.span.start <= offset <= line.span.end:
            for node in walk(line):
                if isinstance(node, tree.Size) and node.span.start <= offset <= node.span.end:
                    text = describer.size(statement.name.text, node.subset.text)
                    return _hover(view, text, node.span) if text else None
            text = describer.weight(statement.name.text, line.subset.text)
            return _hover(view, text, line.span) if text else None
    return None


def _keyword(view: View, offset: int) -> types.Hover | None:
    """How a statement is written, on the word that it begins with."""
    for chunk in view.chunks:
        word = re.match(r"\w*", chunk.text)
        span = Span(view.source, chunk.start, chunk.start + len(word[0])) if word else None
        if span is not None and span.start <= offset <= span.end and span.text in layout.RESERVED:
            return _hover(view, f"`{messages.EXAMPLES[span.text]}`", span)
    return None


class _Describer:
    """Writes Markdown about what names stand for."""

    def __init__(self, view: View) -> None:
        self.view = view

    def of(self, use: Use) -> str:
        key = use.key
        known: dict[str, Callable[[Key], str]] = {
            "name": self._name,
            "param": self._param,
            "subset": lambda key: self._subset(key.of, key.name),
            "result": self._result,
            "label": self._label,
            "class": self._class,
            "entry": self._entry,
            "argument": self._argument,
            "choice": self._choice,
        }
        return known[key.kind](key) if key.kind in known else ""

    # --- declarations ---

    def _name(self, key: Key) -> str:
        statement = self.view.names.declared.get(key.name)
        if statement is None:
            return ""
        family = self.view.family(key.name)
        lines = [f"{kind_in_words(statement)} **{key.name}**"]
        if family is not None:
            lines += self._about(kind_of(statement), key.name, family)
            if family.axes:
                points = describe.count(len(family.table), "point")
                lines.append(f"{points}, over {', '.join(f'`${axis}`' for axis in family.axes)}")
        return "\n\n".join(lines)

    def _about(self, kind: str, name: str, family: SweepTable[Any]) -> list[str]:
        match kind:
            case "dataset":
                return self._dataset(family)
            case "split":
                return ["\n".join(f"- {row}" for row in self._split_rows(name, family))]
            case "train":
                return self._train(name, family)
            case "transfer":
                return self._transfer(name, family)
        first = next(iter(family.table.values()))
        rows = "\n".join(describe.settings(kind, first))
        if len(set(family.table.values())) > 1:
            return [describe.along((labels, f"`{describe.choice(kind, one)}`") for labels, one in family.instances())]
        return [f"`{first.name}`: {catalog_help(kind, first.name)}", f"```\n{rows}\n```" if rows else ""]

    def _dataset(self, family: SweepTable[Dataset]) -> list[str]:
        data = next(iter(family.table.values()))
        if data.facts is None:
            return [f"`{data.source.name}`"]
        shape = " x ".join(str(size) for size in data.facts.shape)
        rows = [
            f"- {describe.count(len(data.facts.classes), 'class', 'classes')}: {_listed(data.facts.classes)}",
            f"- images of {shape} (channels x height x width)",
            f"- {data.train or 0:,} for training, {data.val or 0:,} for reporting"
            + (f", {data.selection:,} for selection" if data.selection else ""),
        ]
        return [f"`{data.source.name}`: {catalog_help('dataset', data.source.name)}", "\n".join(rows)]

    def _split_rows(self, name: str, family: SweepTable[Split]) -> list[str]:
        first = next(iter(family.table.values()))
        rows = []
        for subset in first.names:
            sizes = [size for _, size in describe.sizes(family, subset)]
            weights = [weight for _, weight in describe.weights(family, subset)]
            size = f"{describe.spread(sizes)} examples" if describe.spread(sizes) else "size known after scoring"
            weight = describe.spread(weights) or "known after scoring"
            rows.append(f"**{subset}**: {size}, weight {weight}")
        return rows

    def _train(self, name: str, family: SweepTable[Train]) -> list[str]:
        first = next(iter(family.table.values()))
        statement = self.view.names.declared[name]
        assert isinstance(statement, tree.Train)
        rows = [
            f"- model: `{describe.choice('model', first.model)}`",
            f"- data: `{statement.data.span.text}`",
            f"- recipe: `{statement.recipe.span.text}`, {describe.count(first.recipe['epochs'], 'epoch')}",
        ]
        attacked = {attack.name for one in family.table.values() for attack in one.attacks if attack is not None}
        rows.append(f"- attacked with: {', '.join(sorted(attacked)) or 'nothing'}")
        if first.select is not None:
            rows.append(f"- checkpoint selected after epochs {_listed([str(epoch) for epoch in first.select.epochs])}")
        if first.snapshots:
            rows.append(f"- keeps {describe.count(len(first.snapshots), 'snapshot')}")
        return ["\n".join(rows), *self._cost(name)]

    def _transfer(self, name: str, family: SweepTable[Transfer]) -> list[str]:
        first = next(iter(family.table.values()))
        rows = [
            f"- from: `{first.source.name}`",
            f"- to: `{first.dataset}`",
            f"- head: `{describe.choice('head', first.head)}`, {describe.count(first.recipe['epochs'], 'epoch')}",
        ]
        return ["\n".join(rows), *self._cost(name)]

    def _cost(self, name: str) -> list[str]:
        found = self.view.passes(name)
        return [f"costs {describe.passes(found.values())}"] if found else []

    # --- inside declarations ---

    def _param(self, key: Key) -> str:
        axes = self.view.analysis.axes
        if key.name in axes.names:
            labels = axes.labels(key.name)
            text = f"axis **${key.name}**: {describe.count(len(labels), 'value')}\n\n{_listed(labels)}"
            depends = sorted(axes.depends_on(axes_line(axes.lines, key.name)))
            return text + (f"\n\nwhich ones depends on {', '.join(f'`${one}`' for one in depends)}" if depends else "")
        listed = self.view.names.values.get(key.name)
        return f"param **${key.name}** = `{listed[0].span.text}`" if listed is not None else ""

    def _subset(self, split: str, subset: str) -> str:
        parts = [self.size(split, subset), self.weight(split, subset)]
        statement = self.view.names.declared.get(split)
        lines = statement.lines if isinstance(statement, tree.Split) else ()
        text = next((n.subset.span.text for n in lines if isinstance(n, tree.SubsetLine) and n.name.text == subset), "")
        return "\n\n".join([f"subset **{subset}** of {split}: `{' '.join(text.split())}`", *filter(None, parts)])

    def size(self, split: str, subset: str) -> str:
        """`|A|` = 15,000."""
        if subset == "train":
            return ""
        text = self._numbers(split, subset, describe.sizes)
        return f"`|{subset}|` is known after scoring" if text is None else f"`|{subset}|` = {text}" if text else ""

    def weight(self, split: str, subset: str) -> str:
        """The loss weight of a subset, as a number."""
        text = self._numbers(split, subset, describe.weights)
        if text is None:
            return f"the loss weight of `{subset}` is known after scoring"
        return f"loss weight of `{subset}` = {text}" if text else ""

    def _numbers(
        self,
        split: str,
        subset: str,
        read: Callable[[SweepTable[Split], str], Sequence[tuple[describe.Labels, float | None]]],
    ) -> str | None:
        """A subset's numbers over the sweep; None where only scoring tells them."""
        family = self.view.family(split)
        found = read(family, subset) if family is not None else ()
        numbers = [(labels, describe.number(number)) for labels, number in found if number is not None]
        return describe.along(numbers) if len(numbers) == len(found) else None

    def part(self, trained: str, node: tree.PartName) -> str:
        """The images that a training is measured on."""
        names = self.view.names
        subset, _, base = node.part.text.rpartition("_")
        splits = [split for split in names.split_names(trained) if subset in names.subsets(split)]
        if base not in ("val", "train") or (subset and not splits):
            return ""
        images = {"val": "validation images", "train": "training images"}[base]
        if subset:
            which = "of its classes" if base == "val" else "in it"
            return "\n\n---\n\n".join(
                [f"part **{node.part.text}**: {images} {which}", *(self._subset(split, subset) for split in splits)]
            )
        text = f"part **{node.part.text}**: {images}"
        on = (node.dataset.text,) if node.dataset is not None else names.data_of(trained)
        known = [data for name in on if (family := self.view.family(name)) for data in family.table.values()]
        counts = {data.val if base == "val" else data.train for data in known if isinstance(data, Dataset)} - {None}
        return text + (f", {counts.pop():,} of them" if len(counts) == 1 else "")

    def _result(self, key: Key) -> str:
        known = self.view.analysis.results.get(f"{key.of}.{key.name}")
        declared = self.view.names.declaration(key)
        if declared is None:
            return ""
        source, start = declared.span.source, declared.span.end
        line = source.line(source.place(start)[0])[source.place(start)[1] - 1 :]
        measure = line.partition("#")[0].partition(";")[0].strip(" =}")
        text = f"result **{key.of}.{key.name}**: {measure}"
        if known is None:
            return text
        over = f", over {', '.join(f'`{axis}`' for axis in known.axes)}" if known.axes else ""
        return f"{text}\n\n{describe.count(len(known.points), 'value')}{over}"

    def _label(self, key: Key) -> str:
        for label, given in self.view.names.listed(key.of):
            if label is not None and label.text == key.name:
                return f"`{key.name}` on axis `${key.of}` stands for `{given.span.text}`"
        return f"a value of axis `${key.of}`"

    def _class(self, key: Key) -> str:
        family = self.view.family(key.of)
        data: Dataset | None = next(iter(family.table.values())) if family is not None else None
        if data is None or data.facts is None or key.name not in data.facts.classes:
            return ""
        place = data.facts.classes.index(key.name)
        counts = data.train_counts
        many = f", {counts[place]:,} training images" if counts is not None else ""
        return f"class {place} of `{key.of}`{many}"

    # --- the catalog ---

    def _entry(self, key: Key) -> str:
        entry = catalog().find(key.of, key.name)
        return entry_help(entry) if entry is not None else ""

    def _argument(self, key: Key) -> str:
        family, _, name = key.of.partition(".")
        entry = catalog().find(family, name)
        known = entry.args.get(key.name) if entry is not None else None
        if known is None:
            return ""
        default = "required" if known.required else f"default {value(known, known.default)}"
        return f"**{known.name}**: {takes(known)}; {default}\n\n{known.help}"

    def _choice(self, key: Key) -> str:
        entry, _, argument = key.of.rpartition(".")
        return self._argument(Key("argument", argument, entry))


def entry_help(entry: Entry) -> str:
    """A catalog entry's signature, help, formula and source."""
    lines = [f"```\n{signature(entry)}\n```", entry.help]
    if entry.formula:
        lines.append(f"`{entry.formula}`")
    if entry.source:
        lines.append(f"source: {entry.source}")
    return "\n\n".join(lines)


def catalog_help(family: str, name: str) -> str:
    entry = catalog().find(family, name)
    return entry.help if entry is not None else ""


def axes_line(lines: list[tree.Axis], name: str) -> tree.Axis:
    """The line of the sweep that an axis is declared in."""
    return next(line for line in lines if any(one.text == name for one in line.names))


def _listed(texts: tuple[str, ...] | list[str]) -> str:
    return ", ".join(texts[:MOST_SHOWN]) + (", ..." if len(texts) > MOST_SHOWN else "")
