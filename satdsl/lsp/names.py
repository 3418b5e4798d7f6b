"""Trees to every name in them, with what it stands for: what definitions, references, renaming and colours go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from satdsl.catalog import Argument, Entry, catalog
from satdsl.findings import Source, Span
from satdsl.ir.experiment import PSEUDO_AXES
from satdsl.lsp.declared import SUBSETS, Declared, listed
from satdsl.records import Record, record
from satdsl.syntax import tree

Role = tuple[str, ...]
"""What a `$name` stands for somewhere: a declared `name`, or a `subset` of a split."""


@record
class Key(Record):
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
class Use(Record):
    """A piece of a file that is a name."""

    span: Span
    key: Key
    declares: bool = False


class Names(Declared):
    """All names in the statements of a file and of those it uses."""

    def __init__(self, statements: Iterable[tree.Statement]) -> None:
        every = tuple(statements)
        super().__init__(every)
        self.uses: list[Use] = []
        self._roles: dict[str, set[Role]] = {}
        self._picked: list[tuple[str, tree.Name]] = []
        for statement in every:
            self._statement(statement)
        self._settle_roles()

    def of(self, key: Key) -> list[Use]:
        return self._by_key.get(key, [])

    def declaration(self, key: Key) -> Use | None:
        return next((use for use in self.of(key) if use.declares), None)

    def at(self, source: Source, offset: int) -> list[Use]:
        """The names that an offset touches; one that ends there comes after one that begins."""
        found = [use for use in self._by_path.get(source.path, []) if use.span.start <= offset <= use.span.end]
        return sorted(found, key=lambda use: (offset == use.span.end, use.span.end - use.span.start))

    def within(self, source: Source) -> list[Use]:
        return self._by_path.get(source.path, [])

    @cached_property
    def results(self) -> dict[str, list[str]]:
        """Of each training, the names of what is measured of it."""
        found: dict[str, list[str]] = {}
        for use in self.uses:
            if use.key.kind == "result" and use.declares:
                found.setdefault(use.key.of, []).append(use.key.name)
        return found

    @cached_property
    def _by_key(self) -> dict[Key, list[Use]]:
        found: dict[Key, list[Use]] = {}
        for use in self.uses:
            found.setdefault(use.key, []).append(use)
        return found

    @cached_property
    def _by_path(self) -> dict[str, list[Use]]:
        found: dict[str, list[Use]] = {}
        for use in self.uses:
            found.setdefault(use.span.source.path, []).append(use)
        return found

    # --- statements ---

    def _use(self, span: Span, kind: str, name: str, of: str = "", declares: bool = False) -> None:
        self.uses.append(Use(span, Key(kind, name, of), declares))

    def _statement(self, statement: tree.Statement) -> None:
        match statement:
            case tree.Declaration():
                self._use(statement.name.span, "name", statement.name.text, declares=True)
                self._call(statement.call, (statement.kind,))
            case tree.Use():
                self._use(statement.path.span, "file", statement.path.value)
            case tree.Param():
                self._use(statement.name.span, "param", statement.name.text, declares=True)
                self._value(statement.value)
            case tree.Sweep():
                for line in statement.lines:
                    self._axis(line)
            case tree.Train():
                self._train(statement)
            case tree.Split():
                self._split(statement)
            case tree.Transfer():
                self._use(statement.name.span, "name", statement.name.text, declares=True)
                self._point(statement.source)
                self._words(statement.target, statement.recipe)
                for setting in statement.lines:
                    if isinstance(setting, tree.HeadLine):
                        self._entry_or_call(setting.value, "head")
                    else:
                        self._value(setting.value)
            case tree.Evaluate():
                self._evaluate(statement)
            case tree.Display():
                self._call(statement.call, (statement.kind,))
            case tree.Expect() | tree.Published():
                self._claim(statement)

    def _axis(self, line: tree.Axis) -> None:
        for name in line.names:
            self._use(name.span, "param", name.text, declares=True)
            for label, value in self.listed(name.text):
                if label is not None:
                    self._use(label.span, "label", label.text, name.text, declares=True)
                elif isinstance(value, tree.Name):
                    self._use(value.span, "label", value.text, name.text, declares=True)
        self._value(line.value)

    def _train(self, statement: tree.Train) -> None:
        self._use(statement.name.span, "name", statement.name.text, declares=True)
        self._words(statement.model, statement.data, statement.recipe)
        splits = self.split_names(statement.name.text)
        for line in statement.lines:
            match line:
                case tree.AttackLine():
                    self._subset(line.subset, splits)
                    self._words(line.attack)
                case tree.LossLine():
                    self._subset(line.subset, splits)
                    self._entry_or_call(line.value, "loss")
                case tree.SelectLine():
                    self._measure(line.measure)
                    if isinstance(line.when, tree.EveryEpochs):
                        self._value(line.when.epochs)
                case tree.KeepLine():
                    self._value(line.every.epochs)
                case tree.SeedLine():
                    self._value(line.value)
                case tree.StartLine():
                    self._point(line.model)

    def _split(self, statement: tree.Split) -> None:
        name = statement.name.text
        self._use(statement.name.span, "name", name, declares=True)
        self._words(statement.dataset)
        for line in statement.lines:
            if isinstance(line, tree.SubsetLine):
                self._use(line.name.span, "subset", line.name.text, name, declares=True)
                self._region(line.subset, name)
            else:
                self._subset(line.subset, (name,))
                self._value(line.value, (name,))

    def _region(self, node: tree.Subset, split: str) -> None:
        match node:
            case tree.NamedSubset():
                self._subset(node.name, (split,))
            case tree.ClassSubset():
                for given in node.classes:
                    if isinstance(given, (tree.Name, tree.Text)):
                        text = given.text if isinstance(given, tree.Name) else given.value
                        for dataset in self.dataset_of(split):
                            self._use(given.span, "class", text, dataset)
                    else:
                        self._value(given)
            case tree.Pick():
                self._value(node.order)
                self._value(node.amount, (split,))
                for modifier in node.modifiers:
                    match modifier:
                        case tree.ScoreOf():
                            self._score_of(modifier)
                        case tree.Within():
                            self._region(modifier.subset, split)
                        case tree.WithSeed():
                            self._value(modifier.value)
            case tree.WhereSubset():
                if isinstance(node.ranking, tree.ScoreOf):
                    self._score_of(node.ranking)
                self._value(node.threshold)
            case tree.CombinedSubset():
                self._region(node.left, split)
                self._region(node.right, split)

    def _score_of(self, node: tree.ScoreOf) -> None:
        self._score(node.score)
        self._point(node.model)

    def _evaluate(self, statement: tree.Evaluate) -> None:
        trained = statement.trained.text
        self._use(statement.trained.span, "name", trained)
        for line in statement.lines:
            self._use(line.name.span, "result", line.name.text, trained, declares=True)
            self._measure(line.measured.measure)
            for part in line.measured.parts:
                if part.dataset is not None:
                    self._use(part.dataset.span, "name", part.dataset.text)
                else:
                    self._part(part.part.span, trained)

    def _part(self, span: Span, trained: str) -> None:
        """`A_val` begins with the name of a subset."""
        subset, _, base = span.text.rpartition("_")
        for split in self.split_names(trained):
            if base in ("val", "train") and subset in self.subsets(split):
                self._use(Span(span.source, span.start, span.start + len(subset)), "subset", subset, split)

    def _measure(self, measure: tree.Measure | None) -> None:
        match measure:
            case tree.RobustAccuracy():
                self._words(*measure.attacks)
            case tree.MeanScore():
                self._score(measure.score)

    def _claim(self, statement: tree.Expect | tree.Published) -> None:
        for one in statement.over:
            if one.axis.text not in PSEUDO_AXES:
                self._use(one.axis.span, "param", one.axis.text)
            for _, value in listed(one.values, None, None) if one.values is not None else ():
                self._picks(one.axis.text, value)
        if isinstance(statement, tree.Expect):
            for comparison in statement.condition.comparisons:
                self._value(comparison.left)
                self._value(comparison.right)
        else:
            self._value(statement.what)
            self._value(statement.value)

    # --- words and values ---

    def _words(self, *words: tree.Word) -> None:
        for word in words:
            self._word(word, ("name",))

    def _word(self, word: tree.Word, role: Role) -> None:
        if isinstance(word, tree.Parameter):
            self._use(word.span, "param", word.text)
            self._roles.setdefault(word.text, set()).add(role)
        else:
            self._stands_for(word, role)

    def _stands_for(self, word: tree.Name, role: Role) -> None:
        if role[0] == "name":
            self._use(word.span, "name", word.text)
        elif word.text not in SUBSETS or word.text in self.subsets(role[1]):
            self._use(word.span, "subset", word.text, role[1])

    def _subset(self, word: tree.Word, splits: tuple[str, ...]) -> None:
        for split in splits:
            self._word(word, ("subset", split))

    def _point(self, point: tree.PointOf) -> None:
        self._words(point.name)
        for selector in point.selectors:
            self._selector(selector, "")

    def _selector(self, selector: tree.Selector, trained: str) -> None:
        axis = selector.axis.text
        if axis not in PSEUDO_AXES:
            self._use(selector.axis.span, "param", axis)
        elif axis == "part" and isinstance(selector.value, tree.Name):
            self._part(selector.value.span, trained)
        self._picks(axis, selector.value)

    def _picks(self, axis: str, value: tree.Value) -> None:
        if isinstance(value, tree.Name) and axis not in PSEUDO_AXES:
            self._picked.append((axis, value))
        elif not isinstance(value, tree.Name):
            self._value(value)

    def _score(self, word: tree.Word) -> None:
        if isinstance(word, tree.Parameter):
            self._value(word)
        else:
            self._use(word.span, "entry", word.text, "score")

    def _value(self, node: tree.Value | None, splits: tuple[str, ...] = ()) -> None:
        """The names in an expression; `|A|` counts a subset of one of `splits`."""
        match node:
            case tree.Parameter():
                self._use(node.span, "param", node.text)
                for split in splits:
                    self._roles.setdefault(node.text, set()).add(("size", split))
            case tree.Size():
                for split in splits:
                    if node.subset.text in self.subsets(split):
                        self._use(node.subset.span, "subset", node.subset.text, split)
            case tree.ClassesOf():
                self._use(node.dataset.span, "name", node.dataset.text)
            case tree.Reference():
                self._use(node.owner.span, "name", node.owner.text)
                self._use(node.result.span, "result", node.result.text, node.owner.text)
                for selector in node.selectors:
                    self._selector(selector, node.owner.text)
            case tree.Call():
                for argument in node.arguments:
                    if node.name.text == "classes" and isinstance(argument.value, tree.Name):
                        self._subset(argument.value, splits)
                    self._value(argument.value, splits)
            case tree.Conditional():
                self._value(node.value, splits)
                for comparison in node.condition.comparisons:
                    self._compared(comparison)
                self._value(node.otherwise, splits)
            case _:
                for part in _parts(node):
                    self._value(part, splits)

    def _compared(self, node: tree.Comparison) -> None:
        """`$order == random`: the word is one of the axis's."""
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(one, tree.Parameter) and isinstance(other, tree.Name):
                self._picked.append((one.text, other))
        self._value(node.left)
        self._value(node.right)

    # --- calls ---

    def _call(self, call: tree.Call, families: tuple[str, ...]) -> None:
        entry = next((found for f in families if (found := catalog().find(f, call.name.text)) is not None), None)
        if entry is None:
            for argument in call.arguments:
                self._value(argument.value)
            return
        self._use(call.name.span, "entry", entry.name, entry.family)
        of = f"{entry.family}.{entry.name}"
        for argument, known in arguments(call, entry):
            if argument.name is not None and known is not None:
                self._use(argument.name.span, "argument", known.name, of)
            self._argument(argument.value, known, of)

    def _argument(self, node: tree.Value, known: Argument | None, of: str) -> None:
        for _, value in listed(node, None, None):
            if known is not None and known.type == "call":
                self._entry_or_call(value, known.family)
            elif known is not None and known.type == "word" and isinstance(value, (tree.Name, tree.Binary)):
                self._use(value.span, "choice", value.span.text, f"{of}.{known.name}")
            else:
                self._value(value)

    def _entry_or_call(self, node: tree.Value, family: str) -> None:
        if isinstance(node, tree.Call):
            self._call(node, (family,))
        elif isinstance(node, tree.Name):
            if catalog().find(family, node.text) is not None:
                self._use(node.span, "entry", node.text, family)
        else:
            self._value(node)

    # --- what parameters stand for ---

    def _settle_roles(self) -> None:
        """The values of params and axes stand for what their uses want: a model, a subset, sizes in a split."""
        waiting = [(param, role) for param, roles in self._roles.items() for role in roles]
        seen: set[tuple[str, Role]] = set()
        while waiting:
            param, role = waiting.pop()
            if (param, role) in seen:
                continue
            seen.add((param, role))
            for _, value in self.listed(param):
                waiting += self._plays(value, role)
        for axis, word in self._picked:
            self._pick(axis, word, [role for param, role in seen if param == axis])

    def _plays(self, value: tree.Value, role: Role) -> list[tuple[str, Role]]:
        if isinstance(value, tree.Parameter):
            return [(value.text, role)]
        if role[0] == "size":
            known = len(self.uses)
            self._value(value, (role[1],))
            again = self.uses[known:]
            self.uses[known:] = [use for use in again if use.key.kind == "subset"]
        elif isinstance(value, tree.Name):
            self._stands_for(value, role)
        return []

    def _pick(self, axis: str, word: tree.Name, roles: list[Role]) -> None:
        self._use(word.span, "label", word.text, axis)
        unlabelled = any(label is None and value == word for label, value in self.listed(axis))
        for role in roles:
            if unlabelled and role[0] in ("name", "subset"):
                self._stands_for(word, role)


def arguments(call: tree.Call, entry: Entry) -> Iterator[tuple[tree.Argument, Argument | None]]:
    """The arguments of a call, each with what the catalog knows of it."""
    order = list(entry.args.values())
    gathers = bool(order) and order[0].many and order[0].type == "results"
    place = 0
    for argument in call.arguments:
        if argument.name is not None:
            yield argument, entry.args.get(argument.name.text)
        else:
            yield argument, order[0] if gathers else order[place] if place < len(order) else None
            place += 1


def _parts(node: tree.Value | None) -> list[tree.Value]:
    match node:
        case tree.Negative():
            return [node.operand]
        case tree.Binary():
            return [node.left, node.right]
        case tree.Range():
            return [part for part in (node.start, node.stop, node.step) if part is not None]
        case tree.Listing():
            return [item.value for item in node.items]
        case tree.Tuple():
            return list(node.values)
    return []
