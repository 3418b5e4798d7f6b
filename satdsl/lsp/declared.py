"""Statements to what they declare, and what a `$name` may stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from satdsl.check.resolve import NamedStatement, kind_of
from satdsl.syntax import tree

SUBSETS = ("all", "none", "rest")
"""What may stand for a subset without being declared."""


class Declared:
    """Everything that a file and those it uses declare."""

    def __init__(self, statements: Iterable[tree.Statement]) -> None:
        self.declared: dict[str, NamedStatement] = {}
        self.values: dict[str, tuple[tree.Value, int | None]] = {}
        """Of each param and axis what it lists; an axis that moves with others has its place in the tuples."""
        for statement in statements:
            self._declare(statement)

    def _declare(self, statement: tree.Statement) -> None:
        match statement:
            case tree.Declaration() | tree.Train() | tree.Split() | tree.Transfer():
                self.declared.setdefault(statement.name.text, statement)
            case tree.Param():
                self.values.setdefault(statement.name.text, (statement.value, None))
            case tree.Sweep():
                for line in statement.lines:
                    for i, name in enumerate(line.names):
                        self.values.setdefault(name.text, (line.value, i if len(line.names) > 1 else None))

    def listed(self, param: str) -> Iterator[tuple[tree.Name | None, tree.Value]]:
        """What a param or an axis lists: the label (if it has one) and the value of each."""
        if param in self.values:
            value, place = self.values[param]
            yield from listed(value, place, None)

    def meant(self, word: tree.Word) -> Iterator[str]:
        """The names that a word may stand for."""
        if isinstance(word, tree.Name):
            yield word.text
            return
        waiting, seen = [word.text], set[str]()
        while waiting:
            param = waiting.pop()
            if param in seen:
                continue
            seen.add(param)
            for _, value in self.listed(param):
                if isinstance(value, tree.Name):
                    yield value.text
                elif isinstance(value, tree.Parameter):
                    waiting.append(value.text)

    def split_names(self, training: str) -> tuple[str, ...]:
        """The splits that a training may be on."""
        statement = self.declared.get(training)
        if not isinstance(statement, tree.Train):
            return ()
        return tuple(name for name in self.meant(statement.data) if isinstance(self.declared.get(name), tree.Split))

    def data_of(self, trained: str) -> tuple[str, ...]:
        """The data sets that a training or a transfer may be on, split or not."""
        statement = self.declared.get(trained)
        if not isinstance(statement, (tree.Train, tree.Transfer)):
            return ()
        data = statement.data if isinstance(statement, tree.Train) else statement.target
        return tuple(whole for name in self.meant(data) for whole in self.dataset_of(name) or (name,))

    def subsets(self, split: str) -> tuple[str, ...]:
        statement = self.declared.get(split)
        lines = statement.lines if isinstance(statement, tree.Split) else ()
        return tuple(line.name.text for line in lines if isinstance(line, tree.SubsetLine))

    def dataset_of(self, split: str) -> tuple[str, ...]:
        """The data sets that a split may be of."""
        statement = self.declared.get(split)
        return tuple(self.meant(statement.dataset)) if isinstance(statement, tree.Split) else ()


def kind_in_words(statement: NamedStatement) -> str:
    """What a declaration declares: `data set`, `training`, ..."""
    return {"dataset": "data set", "train": "training"}.get(kind_of(statement), kind_of(statement))


def listed(
    value: tree.Value, place: int | None, label: tree.Name | None
) -> Iterator[tuple[tree.Name | None, tree.Value]]:
    match value:
        case tree.Listing():
            for item in value.items:
                yield from listed(item.value, place, item.label)
        case tree.Conditional():
            yield from listed(value.value, place, label)
            yield from listed(value.otherwise, place, label)
        case tree.Tuple() if place is not None:
            if place < len(value.values):
                yield label, value.values[place]
        case _:
            yield label, value
