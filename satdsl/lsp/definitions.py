"""Collect what the statements of a file define, and find what a `$name` may stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from satdsl.check.resolve import NamedStatement, kind_of
from satdsl.syntax import tree

SUBSETS = ("all", "none", "rest")
"""The subsets that every split has without defining them."""


class Definitions:
    """Everything that a file and the files it uses define."""

    def __init__(self, statements: Iterable[tree.Statement]) -> None:
        self.statements: dict[str, NamedStatement] = {}
        """The statements that define a name, by the name."""
        self.values: dict[str, tuple[tree.Value, int | None]] = {}
        """The list of values of each param and axis; and the place in its tuples of an axis that moves with others."""
        for statement in statements:
            match statement:
                case tree.Declaration() | tree.Joined() | tree.Train() | tree.Split() | tree.Transfer():
                    self.statements.setdefault(statement.name.text, statement)
                case tree.Param():
                    self.values.setdefault(statement.name.text, (statement.value, None))
                case tree.Sweep():
                    for line in statement.lines:
                        for i, name in enumerate(line.names):
                            self.values.setdefault(name.text, (line.value, i if len(line.names) > 1 else None))

    def listed(self, param: str) -> Iterator[tuple[tree.Name | None, tree.Value]]:
        """Yield the label (if there is one) and the value of everything that a param or an axis lists."""
        if param in self.values:
            value, place = self.values[param]
            yield from listed(value, place)

    def meant(self, word: tree.Word) -> Iterator[str]:
        """Yield the names that a word may stand for: a `$name` may stand for several."""
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
        """Return the splits that a training may use."""
        match self.statements.get(training):
            case tree.Train(data=data) | tree.Transfer(target=data):
                return tuple(name for name in self.meant(data) if isinstance(self.statements.get(name), tree.Split))
        return ()

    def data_of(self, trained: str) -> tuple[str, ...]:
        """Return the data sets that a training or a transfer may use, split or not."""
        match self.statements.get(trained):
            case tree.Train(data=data) | tree.Transfer(target=data):
                return tuple(whole for name in self.meant(data) for whole in self.dataset_of(name) or (name,))
        return ()

    def subset_lines(self, split: str) -> dict[str, tree.SubsetLine]:
        """Return the lines that define the subsets of a split, by the subsets' names."""
        statement = self.statements.get(split)
        lines = statement.lines if isinstance(statement, tree.Split) else ()
        return {line.name.text: line for line in lines if isinstance(line, tree.SubsetLine)}

    def dataset_of(self, split: str) -> tuple[str, ...]:
        """Return the data sets that a split may be of."""
        statement = self.statements.get(split)
        return tuple(self.meant(statement.dataset)) if isinstance(statement, tree.Split) else ()


def kind_in_words(statement: NamedStatement) -> str:
    """Return the kind of what a statement defines: `data set`, `training`, ..."""
    return {"dataset": "data set", "train": "training"}.get(kind_of(statement), kind_of(statement))


def listed(
    value: tree.Value | None, place: int | None = None, label: tree.Name | None = None
) -> Iterator[tuple[tree.Name | None, tree.Value]]:
    """Yield every value that a list (in lists, in conditions) may give, with its label. `place` is that in tuples."""
    match value:
        case None:
            return
        case tree.Listing():
            for item in value.items:
                yield from listed(item.value, place, item.label if isinstance(item.label, tree.Name) else None)
        case tree.Conditional():
            yield from listed(value.value, place, label)
            yield from listed(value.otherwise, place, label)
        case tree.Tuple() if place is not None:
            if place < len(value.values):
                yield label if place == 0 else None, value.values[place]
        case _:
            yield label, value
