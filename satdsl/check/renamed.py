"""Replace words of other libraries and older versions by the language's own, so that the rest can be checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from satdsl.catalog import Argument, Entry, catalog
from satdsl.catalog.renamed import Kind, Renamed, table
from satdsl.findings import Finding, Fix, Span
from satdsl.records import Record, record
from satdsl.syntax import tree


@record
class RenamedWord(Record):
    """A word that is written otherwise, where it stands."""

    span: Span
    renamed: Renamed

    @property
    def edit(self) -> tuple[Span, str]:
        return self.span, self.renamed.now


def renamed(file: tree.File) -> tuple[tree.File, list[RenamedWord]]:
    """Return the file as if it were written in the language's own words, and the words that were not."""
    if not file.statements or not _has_any(file.statements[0].span.source.text):
        return file, []
    renamer = _Renamer()
    statements = tuple(map(renamer.statement, file.statements))
    return replace(file, statements=statements), renamer.changes


def findings(changes: Iterable[RenamedWord], version: float) -> list[Finding]:
    """Return the findings for a file of this language version; words that this version still has are fine."""
    return [_finding(change) for change in changes if version >= change.renamed.since]


def _finding(change: RenamedWord) -> Finding:
    word, now, since = change.renamed.word, change.renamed.now, change.renamed.since
    reason = f"this name is used in {change.renamed.source}"
    return Finding(
        "E106",
        change.span,
        f"`{word}` is written `{now}` here",
        reason if since == 1 else f"the language says so since version {since}",
        f"write `{now}`; `satdsl fmt --upgrade` does it for the whole file",
        fix=Fix(f"write `{now}`", (change.edit,)),
    )


def _has_any(text: str) -> bool:
    """Return whether any such word is in the text at all: nearly always it is not, and the tree stays as it is."""
    words = {word for _, _, word in table()} - {"1", "2"}
    return not words.isdisjoint(re.findall(r"\w+", text)) or bool(re.search(r"\bnorm\s*=\s*[12]\b", text))


def _is_term(node: tree.Value) -> bool:
    """Return whether a value is a term of a loss: `ce` alone is another library's word, `ce(clean)` is this one's."""
    return isinstance(node, tree.Call) and bool(node.arguments) and catalog().find("term", node.name.text) is not None


class _Renamer:
    def __init__(self) -> None:
        self.changes: list[RenamedWord] = []

    def statement(self, statement: Any) -> Any:
        match statement:
            case tree.Declaration(kind=kind, call=call):
                return replace(statement, call=self._call(call, kind))
            case tree.Train() | tree.Transfer():
                return self._lines(statement)
        return statement

    def _lines(self, statement: Any) -> Any:
        return replace(statement, lines=tuple(map(self._line, statement.lines)))

    def _line(self, line: Any) -> Any:
        if not isinstance(line, (tree.LossLine, tree.HeadLine)) or _is_term(line.value):
            return line
        return replace(line, value=self._named(line.value, "loss" if isinstance(line, tree.LossLine) else "head"))

    def _named(self, node: Any, family: str) -> Any:
        """Return an entry of a family, or a list of such."""
        match node:
            case tree.Call():
                return self._call(node, family)
            case tree.Name():
                return self._entry(node, family)
            case tree.Listing():
                items = (replace(item, value=self._named(item.value, family)) for item in node.items)
                return replace(node, items=tuple(items))
        return node

    def _entry(self, name: tree.Name, family: str) -> tree.Name:
        known = catalog().find(family, name.text) is not None
        return name if known else self._word("entry", family, name)

    def _call(self, call: tree.Call, family: str) -> tree.Call:
        name = self._entry(call.name, family)
        entry = catalog().find(family, name.text)
        if entry is None:
            return call
        given = {argument.name.text for argument in call.arguments if argument.name is not None}
        arguments = tuple(self._argument(argument, entry, given) for argument in call.arguments)
        return replace(call, name=name, arguments=arguments)

    def _argument(self, argument: tree.Argument, entry: Entry, given: set[str]) -> tree.Argument:
        name = argument.name
        if name is None:
            return argument
        if name.text not in entry.args:
            instead = table().get(("argument", entry.family, name.text))
            if instead is not None and instead.now in entry.args and instead.now not in given:
                name = self._word("argument", entry.family, name)
        taken = entry.args.get(name.text)
        value = argument.value if taken is None else self._value(argument.value, taken)
        return replace(argument, name=name, value=value)

    def _value(self, node: Any, taken: Argument) -> Any:
        if taken.family:
            return self._named(node, taken.family)
        word = node.value if isinstance(node, tree.Text) else node.span.text
        plain = isinstance(node, (tree.Name, tree.Number, tree.Text))
        if plain and taken.choices and word not in taken.choices:
            return self._word("value", taken.name, tree.Name(node.span, word), otherwise=node)
        return node

    def _word(self, kind: Kind, place: str, name: tree.Name, otherwise: Any = None) -> Any:
        """Return the language's own word for a name, where it has one."""
        instead = table().get((kind, place, name.text))
        if instead is None:
            return otherwise or name
        self.changes.append(RenamedWord(name.span, instead))
        return tree.Name(name.span, instead.now)
