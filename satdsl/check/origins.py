"""Find the line of a specification that set a setting of a step, by the statements that the step is made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from satdsl.check import Analysis
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.fixes import argument
from satdsl.check.values import Environment, Word, evaluate, settled, walk
from satdsl.findings import Span
from satdsl.ir.plan import Plan
from satdsl.ir.steps import CatalogCall, Data, Evaluate, Head, Key, Score, Split, Step, Train
from satdsl.records import Record, record
from satdsl.syntax import tree

Path = tuple[str | int, ...]
"""Where a setting stands: the names of fields and arguments, and places in lists."""


@record
class Origin(Record):
    """What sets a setting: the text at `span`; or where nothing does, `default_of` what is called there."""

    span: Span
    default_of: str = ""

    @property
    def document(self) -> dict[str, str | int | None]:
        """Return it as data: the file, the line and its text; a value of `--set` has no line."""
        source, (line, _) = self.span.source, self.span.place
        given = source.path.startswith("--set ")
        return {
            "file": source.path.partition(" ")[0] if given else source.path,
            "line": None if given else line,
            "text": source.text.removeprefix("param ") if given else source.line(line).strip(),
            "default_of": self.default_of or None,
        }


class Origins:
    """Where the settings of a plan's steps come from, in the specification that the plan is of."""

    def __init__(self, analysis: Analysis, plan: Plan) -> None:
        self.statements, self.axes, self.plan = analysis.scope.statements, analysis.axes, plan
        self.definitions, self.catalog = analysis.definitions, analysis.catalog
        self.measures = {
            (name.text, line.name.text): line
            for statement, _ in analysis.program.statements
            if isinstance(statement, tree.Evaluate)
            for name in statement.trained
            for line in statement.lines
        }
        self._owners: dict[Key, tuple[str, dict[str, str]]] = {
            key: (name, dict(point)) for name, points in plan.named.items() for point, key in points
        }
        self._owners |= {split.key: (split.name, dict(split.point)) for split in plan.splits}

    def of(self, key: Key, path: Path) -> Origin | None:
        """Return what sets the setting at `path` of a step; None where no line does."""
        step = self.plan.steps[key]
        try:
            return next(filter(None, self._found(key, step, path)), None)
        except (Rejected, KeyError):
            return None

    def _found(self, key: Key, step: Step, path: Path) -> Iterator[Origin | None]:
        first, *rest = path or ("",)
        match step.settings:
            case Evaluate() | Score():
                yield from self._measured(key, step.settings, path)
            case Data():
                called = self.plan.labels[key].partition(" ")[2].partition("[")[0]
                yield self._declared(called, tuple(rest), self._at({}))
            case Split():
                name, labels = self._owners[key]
                yield self._in_split(self._split(name), key, path, self._at(labels))
            case Train() | Head():
                name, labels = self._owners[key]
                yield self._in_training(name, str(first), tuple(rest), key, self._at(labels))

    # --- statements ---

    def _in_training(self, name: str, first: str, rest: Path, key: Key, at: Environment) -> Origin | None:
        statement = self.statements[name]
        assert isinstance(statement, tree.Train | tree.Transfer)
        named = {"recipe": statement.recipe}
        if isinstance(statement, tree.Train):
            named |= {"model": statement.model, "pretrained": statement.model}
        if first in named:
            return self._declared(self._name(named[first], at), () if first == "pretrained" else rest, at)
        if first == "subsets":
            place = rest[0] if rest else None
            if not isinstance(place, int):
                return Origin(statement.span)
            return self._of_subset(statement, key, place, rest[1:], at)
        kinds: dict[str, type[tree.Node]] = {"seed": tree.SeedLine, "select": tree.SelectLine, "head": tree.HeadLine}
        kinds |= {"start_epoch": tree.StartLine, "snapshots": tree.KeepLine, "keep_weights": tree.KeepLine}
        if first in kinds:
            lines = [line for line in statement.lines if isinstance(line, kinds[first])]
            kept = {"snapshots": "snapshots", "keep_weights": "weights"}.get(first)
            found = next((line for line in reversed(lines) if getattr(line, "what", None) == kept), None)
            return Origin(statement.span, _word(statement)) if found is None else self._value(found, at)
        if first in ("augment", "holdout"):
            return self._of_data(statement, (first,), at)
        return Origin(statement.span) if first in ("part", "repick") else None

    def _of_data(self, statement: tree.Train | tree.Transfer, path: Path, at: Environment) -> Origin | None:
        """Return what sets a setting of the data set that a training is on, itself or through its split."""
        name = self._name(statement.data if isinstance(statement, tree.Train) else statement.target, at)
        on = self.statements[name]
        if isinstance(on, tree.Split):
            name = self._name(on.dataset, at)
        return self._declared(name, path, at)

    def _of_subset(
        self, statement: tree.Train | tree.Transfer, key: Key, place: int, rest: Path, at: Environment
    ) -> Origin | None:
        """Return what sets how a subset is trained: its weight and share, its attacks, its loss."""
        split = next((one for role, one in self.plan.steps[key].inputs if role == "split"), None)
        name = self.plan.subsets_of(key)[place]
        if rest[:1] in (("weight",), ("share",)) and split is not None:
            of_split: type[tree.WeightLine | tree.ShareLine]
            of_split = tree.WeightLine if rest[0] == "weight" else tree.ShareLine
            lines = [line for line in self._split(self._owners[split][0]).lines if isinstance(line, of_split)]
            found = next((line for line in lines if line.subset.text == name), None)
            return self._value(found, at) if found is not None else None
        kind = tree.LossLine if rest[:1] == ("loss",) else tree.AttackLine
        about = [line for line in statement.lines if isinstance(line, tree.AttackLine | tree.LossLine)]
        about = [line for line in about if self._name(line.subset, at) in (name, "all")]
        fits = [line for line in about if isinstance(line, kind)] if rest[:1] != ("changes",) else about
        if not fits:
            return Origin(statement.span, _word(statement))
        line = fits[-1] if rest[:1] == ("changes",) else fits[0]
        if isinstance(line, tree.AttackLine) and len(line.attacks) == 1 and len(rest) > 1 and rest[0] == "attack":
            inside = tuple(step for step in rest[1:] if step != "attacks")
            if inside and inside[-1] != "digest":
                return self._declared(self._name(line.attacks[0], at), inside, at)
        return Origin(line.span)

    def _split(self, name: str) -> tree.Split:
        statement = self.statements[name]
        assert isinstance(statement, tree.Split)
        return statement

    def _in_split(self, statement: tree.Split, key: Key, path: Path, at: Environment) -> Origin | None:
        if path[:1] == ("holdout",):
            return self._declared(self._name(statement.dataset, at), ("holdout",), at)
        if len(path) > 1 and isinstance(path[1], int):
            called = self.plan.subsets_of(key)[path[1]]
            for line in statement.lines:
                if isinstance(line, tree.SubsetLine) and line.name.text == called:
                    return Origin(line.span)
        return Origin(statement.span)

    def _measured(self, key: Key, settings: Evaluate | Score, path: Path) -> Iterator[Origin | None]:
        """Give what sets what is measured: the declaration of its attack, or the line that asks for it."""
        attack = settings.attack
        for result in self.plan.results:
            if key not in result.measure.steps:
                continue
            at = self._at(dict(result.point))
            if path[:1] == ("attack",) and attack is not None and len(path) > 1:
                yield from (self._declared(name, path[1:], at) for name in self._attacks(attack, dict(result.point)))
            network, _, line = result.name.partition(".")
            if (network, line) in self.measures:
                yield Origin(self.measures[network, line].span)
        if attack is not None and len(path) > 1:  # a score that only a split asks for
            yield from (self._declared(name, path[1:], self._at({})) for name in self._attacks(attack, {}))

    def _attacks(self, attack: CatalogCall, labels: Mapping[str, str]) -> Iterator[str]:
        """Give the names under which an attack is declared."""
        for name, table in self.definitions.items():
            statement = self.statements[name]
            if isinstance(statement, tree.Declaration) and statement.kind == "attack" and table is not None:
                try:
                    if table.at(labels) == attack:
                        yield name
                except KeyError:
                    continue

    # --- declarations and values ---

    def _declared(self, name: str, path: Path, at: Environment) -> Origin | None:
        """Return what sets an argument, at `path` in the call that a name is declared as."""
        statement = self.statements[name]
        if not isinstance(statement, tree.Declaration):
            return Origin(statement.span)
        node: tree.Node = statement.call
        for step in path:
            if not isinstance(node, tree.Call) or isinstance(step, int):
                break
            given = argument(node, step, self._position(node.name.text, step))
            if given is None:
                return Origin(node.span, node.name.text)
            node = settled(given, at, FindingCollector())
        return self._value(node, at) if node is not statement.call else Origin(statement.span)

    def _position(self, entry: str, name: str) -> int | None:
        for family in ("dataset", "model", "attack", "recipe", "schedule", "augmentation", "perturbation", "head"):
            found = self.catalog.find(family, entry)
            if found is not None and name in found.args:
                return list(found.args).index(name)
        return None

    def _value(self, node: tree.Node, at: Environment) -> Origin:
        """Return a value, or where it is one parameter or a line with one in it, what that parameter is."""
        value = getattr(node, "value", node)
        if isinstance(value, tree.Parameter | tree.Conditional):
            return Origin(settled(value, at, FindingCollector()).span)
        parameters = [one for one in walk(node) if isinstance(one, tree.Parameter)]
        if len(parameters) == 1 and parameters[0].text in at:
            return Origin(settled(parameters[0], at, FindingCollector()).span)
        return Origin(node.span)

    def _name(self, word: tree.Word, at: Environment) -> str:
        value = evaluate(word, at, FindingCollector())
        return value.text if isinstance(value, Word) else word.span.text

    # --- points ---

    def _at(self, labels: Mapping[str, str]) -> Environment:
        """Return what `$name`s stand for at the point with these labels, the first where several have them."""
        known = {axis: label for axis, label in labels.items() if axis in self.axes.names}
        for combination in self.axes.points(frozenset(self.axes.settled_with(frozenset(known)))):
            if all(combination[axis].label == label for axis, label in known.items()):
                return self.axes.environment(combination)
        return dict(self.axes.params)


def _word(statement: tree.Train | tree.Transfer) -> str:
    """Return what a statement is called that leaves something to its default."""
    return f"`{'train' if isinstance(statement, tree.Train) else 'transfer'} {statement.name.text}`"
