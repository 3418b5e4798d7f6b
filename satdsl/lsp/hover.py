"""Explain what stands at a place: resolved values, the help of a catalog entry, what a name stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from lsprotocol import types

from satdsl.catalog import Entry, catalog
from satdsl.catalog.show import signature, takes, value
from satdsl.check.resolve import kind_of
from satdsl.check.values import walk
from satdsl.findings import Span
from satdsl.ir.experiment import Dataset, SplitDefinition, SweepTable, TrainingDefinition
from satdsl.ir.steps import CatalogCall
from satdsl.lsp import sweep_text
from satdsl.lsp.definitions import kind_in_words
from satdsl.lsp.snapshot import Snapshot
from satdsl.lsp.symbols import Symbol
from satdsl.syntax import layout, messages, tree
from satdsl.syntax.directives import directives

MOST_SHOWN = 12
"""The most values of an axis, or classes, that are listed."""


def hover(snapshot: Snapshot, offset: int) -> types.Hover | None:
    for text, span in _explanations(snapshot, offset):
        if text:
            return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), snapshot.positions.span(span))
    return None


def _explanations(snapshot: Snapshot, offset: int) -> Iterator[tuple[str, Span]]:
    """Yield what can be said about an offset, and about which piece of the file; the first that has a text counts."""
    yield from _accepted(snapshot, offset)
    explain = _Explainer(snapshot)
    statement = snapshot.statement_at(offset)
    if isinstance(statement, tree.Evaluate):
        for part in (part for line in statement.lines for part in line.measured.parts):
            if _touches(part.part.span, offset):
                texts = dict.fromkeys(explain.part(name.text, part) for name in statement.trained)
                yield "\n\n---\n\n".join(filter(None, texts)), part.part.span
    for one in snapshot.symbols.at(snapshot.source, offset):
        label = snapshot.symbols.given_labels.get(one.symbol)
        called = f'called "{label}" in tables and figures' if label else ""
        yield "\n\n".join(filter(None, [explain.symbol(one.symbol), called])), one.span
    if isinstance(statement, tree.Split):
        for line in statement.lines:
            if isinstance(line, tree.WeightLine) and _touches(line.span, offset):
                for node in walk(line):
                    if isinstance(node, tree.Size) and _touches(node.span, offset):
                        yield explain.size(statement.name.text, node.subset.text), node.span
                yield explain.weight(statement.name.text, line.subset.text), line.span
            if isinstance(line, tree.ShareLine) and _touches(line.span, offset):
                yield explain.share(statement.name.text, line.subset.text), line.span
    for chunk in snapshot.chunks:
        word = re.match(r"\w*", chunk.text)
        span = Span(snapshot.source, chunk.start, chunk.start + len(word[0])) if word else None
        if span is not None and _touches(span, offset) and span.text in layout.RESERVED:
            yield f"`{messages.EXAMPLES[span.text]}`", span


def _accepted(snapshot: Snapshot, offset: int) -> Iterator[tuple[str, Span]]:
    """Yield what a comment accepts that an offset is in."""
    for one in directives(snapshot.source)[0]:
        if _touches(one.span, offset):
            codes = {code for code, _ in one.codes}
            found = [
                f"- {finding.code}, line {finding.span.place[0]}: {finding.message}"
                for finding in snapshot.analysis.findings
                if finding.accepted and finding.code in codes and finding.span.source is snapshot.source
                if one.extent.start <= finding.span.start < one.extent.end
            ]
            yield "\n".join(["accepts, because " + one.reason, "", *found] if found else ["accepts nothing"]), one.span


def _touches(span: Span, offset: int) -> bool:
    return span.start <= offset <= span.end


class _Explainer:
    """Write Markdown about what symbols stand for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.symbols = snapshot.symbols
        self.catalog = snapshot.analysis.catalog

    def symbol(self, symbol: Symbol) -> str:
        match symbol.kind:
            case "name":
                return self._name(symbol.name)
            case "param":
                return self._param(symbol.name)
            case "subset":
                return self._subset(symbol.of, symbol.name)
            case "result":
                return self._result(symbol)
            case "label":
                return self._label(symbol)
            case "class":
                return self._class(symbol)
            case "entry":
                entry = self.catalog.find(symbol.of, symbol.name)
                return _entry_help(entry) if entry is not None else ""
            case "argument":
                return self._argument(symbol.of, symbol.name)
            case "choice":
                return self._argument(*symbol.of.rsplit(".", 1))
        return ""

    # --- definitions ---

    def _name(self, name: str) -> str:
        statement = self.symbols.statements.get(name)
        if statement is None:
            return ""
        table = self.snapshot.table(name)
        lines = [f"{kind_in_words(statement)} **{name}**"]
        if table is not None:
            lines += self._about(statement, name, table)
            if table.axes:
                points = sweep_text.count(len(table.table), "point")
                lines.append(f"{points}, over {_axes(table.axes)}")
        return "\n\n".join(lines)

    def _about(self, statement: Any, name: str, table: SweepTable[Any]) -> list[str]:
        kind, first = kind_of(statement), self.snapshot.first(name)
        match kind:
            case "dataset":
                return self._dataset(first)
            case "split":
                return [_bullets(self._split_rows(first, table))]
            case "train":
                return [_bullets(self._train_rows(statement, first, table)), *self._cost(name)]
            case "transfer":
                rows = [
                    f"from: `{first.source.name}`",
                    f"to: `{first.dataset}`",
                    f"head: `{sweep_text.call('head', first.head)}`, {_epochs(first)}",
                ]
                return [_bullets(rows), *self._cost(name)]
        if len(set(table.table.values())) > 1:
            return [sweep_text.along((labels, f"`{sweep_text.call(kind, one)}`") for labels, one in table.instances())]
        rows = sweep_text.settings(kind, first)
        listing = "\n".join(["```", *rows, "```"]) if rows else ""
        return [f"`{first.name}`: {_catalog_help(kind, first)}", listing]

    def _dataset(self, data: Dataset) -> list[str]:
        if data.facts is None:
            return [f"`{data.source.name}`"]
        shape = " x ".join(str(size) for size in data.facts.shape)
        classes = sweep_text.count(len(data.facts.classes), "class", "classes")
        selection = f", {data.selection:,} for selection" if data.selection else ""
        rows = [
            f"{classes}: {_listed(data.facts.classes)}",
            f"images of {shape} (channels x height x width)",
            f"{data.train or 0:,} for training, {data.val or 0:,} for reporting{selection}",
        ]
        return [f"`{data.source.name}`: {_catalog_help('dataset', data.source)}", _bullets(rows)]

    def _split_rows(self, first: SplitDefinition, table: SweepTable[SplitDefinition]) -> list[str]:
        rows = []
        for subset in first.names:
            sizes = sweep_text.spread(size for _, size in sweep_text.sizes(table, subset))
            size = f"{sizes} examples" if sizes else "size known after scoring"
            weight = sweep_text.spread(weight for _, weight in sweep_text.weights(table, subset))
            share = sweep_text.spread(share for _, share in sweep_text.shares(table, subset))
            of_batch = f", {share} % of each batch" if share else ""
            rows.append(f"**{subset}**: {size}, weight {weight or 'known after scoring'}{of_batch}")
        return rows

    def _train_rows(
        self, statement: tree.Train | tree.Transfer, first: TrainingDefinition, table: SweepTable[TrainingDefinition]
    ) -> list[str]:
        attacks = {attack.name for one in table.table.values() for attack in one.every_attack}
        data = statement.target if isinstance(statement, tree.Transfer) else statement.data
        rows = [
            f"model: `{sweep_text.call('model', first.model)}`",
            f"data: `{data.span.text}`" + (f", `{first.part}` alone" if first.part is not None else ""),
            f"recipe: `{statement.recipe.span.text}`, {_epochs(first)}",
            f"attacked with: {', '.join(sorted(attacks)) or 'nothing'}",
        ]
        if first.head is not None and first.start is not None:
            head = sweep_text.call("head", first.head)
            rows.insert(1, f"from: `{first.start.name}`, all of it, under a new head: `{head}`")
        if first.select is not None:
            rows.append(f"checkpoint selected after epochs {_listed([str(epoch) for epoch in first.select.epochs])}")
        if first.snapshots:
            rows.append(f"keeps {sweep_text.count(len(first.snapshots), 'snapshot')}")
        return rows

    def _cost(self, name: str) -> list[str]:
        found = self.snapshot.passes(name)
        return [f"costs {sweep_text.passes(found.values())}"] if found else []

    # --- inside definitions ---

    def _param(self, name: str) -> str:
        axes = self.snapshot.analysis.axes
        if name in axes.names:
            labels = axes.labels(name)
            text = f"axis **${name}**: {sweep_text.count(len(labels), 'value')}\n\n{_listed(labels)}"
            line = next(line for line in axes.lines if any(one.text == name for one in line.names))
            depends = sorted(axes.depends_on(line))
            return text + (f"\n\nwhich values there are depends on {_axes(depends)}" if depends else "")
        listed = self.symbols.values.get(name)
        return f"param **${name}** = `{listed[0].span.text}`" if listed is not None else ""

    def _subset(self, split: str, subset: str) -> str:
        line = self.symbols.subset_lines(split).get(subset)
        text = " ".join(line.subset.span.text.split()) if line is not None else ""
        parts = [f"subset **{subset}** of {split}: `{text}`", self._classes(split, subset)]
        return "\n\n".join(filter(None, [*parts, self.size(split, subset), self.weight(split, subset)]))

    def _classes(self, split: str, subset: str) -> str:
        """Return which classes a subset consists of, by their names; nothing where it is not made of whole classes."""
        table = self.snapshot.table(split)
        found = []
        for labels, numbers in sweep_text.classes(table, subset) if table is not None else ():
            data = self.snapshot.table(table.at(labels).dataset) if table is not None else None
            facts = data.at(labels).facts if data is not None else None
            if not numbers or facts is None:
                return ""
            found.append((labels, _listed([facts.classes[number] for number in numbers])))
        text = sweep_text.along(found)
        return f"classes: {text}" if text else ""

    def size(self, split: str, subset: str) -> str:
        """Return `|A|` = 15,000."""
        if subset == "train":
            return ""
        text = self._numbers(split, subset, sweep_text.sizes)
        return f"`|{subset}|` is known after scoring" if text is None else f"`|{subset}|` = {text}" if text else ""

    def weight(self, split: str, subset: str) -> str:
        """Return the loss weight of a subset, as a number."""
        text = self._numbers(split, subset, sweep_text.weights)
        if text is None:
            return f"the loss weight of `{subset}` is known after scoring"
        return f"loss weight of `{subset}` = {text}" if text else ""

    def share(self, split: str, subset: str) -> str:
        """Return how much of each batch is of a subset."""
        text = self._numbers(split, subset, sweep_text.shares)
        return f"{text} % of each batch is of `{subset}`" if text else ""

    def _numbers(
        self,
        split: str,
        subset: str,
        read: Callable[[SweepTable[SplitDefinition], str], Sequence[tuple[sweep_text.Labels, float | None]]],
    ) -> str | None:
        """Return a subset's numbers over the sweep; None if only scoring tells them."""
        table = self.snapshot.table(split)
        found = read(table, subset) if table is not None else ()
        numbers = [(labels, sweep_text.number(number)) for labels, number in found if number is not None]
        return sweep_text.along(numbers) if len(numbers) == len(found) else None

    def part(self, trained: str, node: tree.PartName) -> str:
        """Explain the images that a training is measured on."""
        subset, _, base = node.part.text.rpartition("_")
        splits = [split for split in self.symbols.split_names(trained) if subset in self.symbols.subset_lines(split)]
        if base not in ("val", "train") or (subset and not splits):
            return ""
        text = f"part **{node.part.text}**: {'validation' if base == 'val' else 'training'} images"
        if subset:
            which = "of its classes" if base == "val" else "in it"
            return "\n\n---\n\n".join([f"{text} {which}", *(self._subset(split, subset) for split in splits)])
        on = (node.dataset.text,) if node.dataset is not None else self.symbols.data_of(trained)
        known = [data for name in on if (table := self.snapshot.table(name)) for data in table.table.values()]
        counts = {data.val if base == "val" else data.train for data in known if isinstance(data, Dataset)} - {None}
        return text + (f", {counts.pop():,} of them" if len(counts) == 1 else "")

    def _result(self, symbol: Symbol) -> str:
        known = self.snapshot.analysis.results.get(f"{symbol.of}.{symbol.name}")
        defined = self.symbols.definition(symbol)
        if defined is None:
            return ""
        source, start = defined.span.source, defined.span.end
        line = source.line(source.place(start)[0])[source.place(start)[1] - 1 :]
        measure = line.partition("#")[0].partition(";")[0].strip(" =}")
        text = f"result **{symbol.of}.{symbol.name}**: {measure}"
        if known is None:
            return text
        over = f", over {', '.join(f'`{axis}`' for axis in known.axes)}" if known.axes else ""
        return f"{text}\n\n{sweep_text.count(len(known.points), 'value')}{over}"

    def _label(self, symbol: Symbol) -> str:
        for label, given in self.symbols.listed(symbol.of):
            if label is not None and label.text == symbol.name:
                return f"`{symbol.name}` on axis `${symbol.of}` stands for `{given.span.text}`"
        return f"a value of axis `${symbol.of}`"

    def _class(self, symbol: Symbol) -> str:
        data: Dataset | None = self.snapshot.first(symbol.of)
        if data is None or data.facts is None or symbol.name not in data.facts.classes:
            return ""
        place = data.facts.classes.index(symbol.name)
        counts = data.train_counts
        many = f", {counts[place]:,} training images" if counts is not None else ""
        return f"class {place} of `{symbol.of}`{many}"

    def _argument(self, of: str, argument: str) -> str:
        family, _, name = of.partition(".")
        entry = self.catalog.find(family, name)
        known = entry.args.get(argument) if entry is not None else None
        if known is None:
            return ""
        default = "required" if known.required else f"default {value(known, known.default)}"
        return f"**{known.name}**: {takes(known)}; {default}\n\n{known.help}"


def _entry_help(entry: Entry) -> str:
    """Return a catalog entry's signature, help, formula and source."""
    lines = [f"```\n{signature(entry)}\n```", entry.help]
    if entry.formula:
        lines.append(f"`{entry.formula}`")
    if entry.source:
        lines.append(f"source: {entry.source}")
    if entry.plugin is not None:
        lines.append(f"defined in {entry.plugin.path}")
    return "\n\n".join(lines)


def _catalog_help(family: str, call: CatalogCall) -> str:
    entry = catalog().entry_of(family, call)
    return entry.help if entry is not None else ""


def _bullets(rows: Iterable[str]) -> str:
    return "\n".join(f"- {row}" for row in rows)


def _axes(names: Iterable[str]) -> str:
    return ", ".join(f"`${name}`" for name in names)


def _epochs(trained: Any) -> str:
    return sweep_text.count(trained.recipe["epochs"], "epoch")


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts[:MOST_SHOWN]) + (", ..." if len(texts) > MOST_SHOWN else "")
