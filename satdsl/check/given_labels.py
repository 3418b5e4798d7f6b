"""Read `label` statements: what people are to read in place of a name, and whether that is unmistakable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NoReturn

from satdsl.check.collector import Rejected
from satdsl.check.resolve import Resolver, kind_of
from satdsl.check.values import label
from satdsl.hints import article, did_you_mean, listed
from satdsl.ir.experiment import RESULT_AXES
from satdsl.ir.plan import GivenLabel
from satdsl.syntax import tree

_Kind = Literal["weights", "measure", "axis", "value"]

LONGEST = 60
"""The most letters of a label: a column's head and a legend still have room for so many."""

_CALLED = {"weights": "training", "measure": "result", "axis": "axis", "value": "value of `${}`"}


def given_labels(
    statements: Iterable[tree.Labelled], resolver: Resolver, results: Iterable[str]
) -> tuple[GivenLabel, ...]:
    """Return the labels of a specification; `results` has the full names of what is measured."""
    reader = _Reader(resolver, results)
    for statement in statements:
        with suppress(Rejected):
            reader.read(statement)
    return tuple(one for one, _ in reader.found)


class _Reader:
    def __init__(self, resolver: Resolver, results: Iterable[str]) -> None:
        self.resolver, self.findings = resolver, resolver.findings
        self.trained = resolver.scope.names("train", "transfer")
        self.measures = list(dict.fromkeys(name.rpartition(".")[2] for name in results))
        self.found: list[tuple[GivenLabel, tree.Labelled]] = []

    def read(self, statement: tree.Labelled) -> None:
        kind, name, value = self._labelled(statement.what)
        self._readable(statement.text)
        one = GivenLabel(kind, name, statement.text.value, value)
        for earlier, node in self.found:
            if (earlier.kind, earlier.name, earlier.value) == (kind, name, value):
                if earlier == one and node.span.source is not statement.span.source:
                    return
                self._twice(statement, node, f"`{value or name}` is labelled twice", "keep one of the labels")
            if earlier.text == one.text and _side_by_side(earlier, one):
                what = f"`{earlier.value or earlier.name}` and `{value or name}`"
                self._twice(statement, node, f"{what} would look the same", "give each a label of its own")
        if one.text in self._names(one) and one.text != (value or name):
            self.findings.reject(
                "E328",
                statement.text,
                f"`{one.text}` is the name of another {_CALLED[kind].format(name)}",
                "a table could not tell the two apart",
                "choose another label",
            )
        self.found.append((one, statement))

    def _labelled(self, what: tree.Word | tree.Selector) -> tuple[_Kind, str, str]:
        """Return what a statement labels: its kind, its name, and the value of an axis."""
        if isinstance(what, tree.Selector):
            return self._value(what)
        name, axes = what.text, self.resolver.axes
        if isinstance(what, tree.Parameter):
            if name in axes.params:
                reason = "a param has one value, which no table shows"
                self.findings.reject(
                    "E327", what, f"`${name}` is no axis", reason, "label an axis, a training or a result"
                )
            if name not in axes.names:
                raise Rejected  # that there is no such axis is already said
            return "axis", name, ""
        if name in self.trained and name in self.measures:
            message = f"`{name}` is a training as well as a result"
            help = "rename one of them"
            self.findings.reject("E327", what, message, "a label would belong to either", help)
        if name in self.trained:
            return "weights", name, ""
        if name in self.measures:
            return "measure", name, ""
        if name in RESULT_AXES:
            return "axis", name, ""
        self._unknown(what, name)

    def _value(self, selector: tree.Selector) -> tuple[_Kind, str, str]:
        axis, axes = selector.axis.text, self.resolver.axes
        if axis not in axes.names:
            reason = "only the values of an axis of `sweep` have labels"
            help = did_you_mean(axis, axes.names, selector.axis.span)
            self.findings.reject(
                "E327", selector.axis, f"there is no axis called `{axis}`", reason, help or "leave it out"
            )
        value, labels = label(selector.value), axes.labels(axis)
        if value not in labels and not axes.is_open(axis):
            span = selector.value.span
            meant = did_you_mean(value, labels, span)
            message = f"`${axis}` has no value called `{value}`"
            self.findings.reject("E327", selector.value, message, help=meant or f"it has {listed(labels)}")
        return "value", axis, value

    def _unknown(self, what: tree.Word, name: str) -> NoReturn:
        scope = self.resolver.scope
        if name in scope.broken or (scope.broken and name not in scope.statements):
            raise Rejected
        statement = scope.statements.get(name)
        if statement is not None:
            message = f"`{name}` is {article(kind_of(statement))}, which tables do not name"
            help = 'label a training, a result or an axis; a value of an axis as `label [recipe=long] "100 epochs"`'
            self.findings.reject("E327", what, message, "its name stands in no row and no column", help)
        known = [*self.trained, *self.measures, *(f"${axis}" for axis in self.resolver.axes.names)]
        meant = did_you_mean(name, known, what.span)
        help = "label a training, a result (`robust`) or an axis (`$share`)"
        self.findings.reject("E327", what, f"there is nothing called `{name}` to label", help=meant or help)

    def _readable(self, text: tree.Text) -> None:
        said = text.value
        if not said.strip():
            self.findings.reject(
                "E328", text, "a label is empty", "nothing would stand in place of the name", "write it"
            )
        if any(not letter.isprintable() for letter in said):
            message = "a label has a character that cannot be printed"
            self.findings.reject("E328", text, message, "tables and LaTeX could not show it", "leave it out")
        if len(said) > LONGEST:
            message = f"a label of {len(said)} letters is too long"
            reason = f"the head of a column and a legend have room for {LONGEST}"
            self.findings.reject("E328", text, message, reason, "shorten it; the title of the table can say more")

    def _names(self, one: GivenLabel) -> Sequence[str]:
        """Return the names that stand beside what is labelled, as far as they have no label of their own."""
        if one.kind == "value":
            return self.resolver.axes.labels(one.name)
        return {"weights": self.trained, "measure": self.measures, "axis": self.resolver.axes.names}[one.kind]

    def _twice(self, statement: tree.Labelled, first: tree.Labelled, message: str, help: str) -> NoReturn:
        source, (line, _) = first.span.source, first.span.place
        where = f"line {line}" if source is statement.span.source else f"line {line} of {Path(source.path).name}"
        related = ((first.span, f"first labelled in {where}"),)
        self.findings.error("E328", statement, message, "a label stands for one thing", help, related)
        raise Rejected


def _side_by_side(one: GivenLabel, other: GivenLabel) -> bool:
    """Return whether two labels can stand in one row of heads, or in one column."""
    return one.kind == other.kind and (one.kind != "value" or one.name == other.name)
