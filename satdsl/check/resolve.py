"""Look up each declared name once, and settle its definition at each point of the axes that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from satdsl import folder_contents
from satdsl.catalog import Catalog, catalog
from satdsl.catalog.measures import MeasureEntry
from satdsl.check.axes import Axes, Point
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.definition_cache import Fingerprints
from satdsl.check.epochs import epoch_of
from satdsl.check.fixes import with_argument
from satdsl.check.rows import naming, why_not
from satdsl.check.settings import Settings
from satdsl.check.values import Environment, Num, Share, Str, Word, circle, evaluate, label, parameters, walk
from satdsl.folder_contents import Contents
from satdsl.hints import Hint, did_you_mean, suggest, write
from satdsl.ir.experiment import EPOCH, Dataset, PointRef, SplitDefinition, SweepTable
from satdsl.syntax import tree

T = TypeVar("T")

NamedStatement = tree.Declaration | tree.Joined | tree.Train | tree.Split | tree.Transfer

InstanceReader = Callable[["Resolver", Any, Point], Any]
"""Reads a statement at one point of the sweep."""

_CALLED = {"train": "training", "dataset": "data set"}
"""What the kinds are called whose word is no English noun for them."""


@dataclass
class Scope:
    """What the files declare. `broken` has the names whose statements could not be read."""

    statements: dict[str, NamedStatement] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    folders: dict[str, Path] = field(default_factory=dict)
    """The folder of the file that declares each name; relative paths start there."""

    def names(self, *kinds: str) -> list[str]:
        return [name for name, statement in self.statements.items() if kind_of(statement) in kinds]


def kind_of(statement: NamedStatement) -> str:
    """Return the kind of what a statement declares, by the word for it: `dataset`, `train`, `split`, ...

    A transfer that trains the whole network is a training.
    """
    if isinstance(statement, (tree.Declaration, tree.Joined)):
        return statement.kind
    if isinstance(statement, tree.Transfer) and trains_all(statement):
        return "train"
    return {tree.Train: "train", tree.Split: "split", tree.Transfer: "transfer"}[type(statement)]


def trains_all(statement: tree.Transfer) -> bool:
    """Return whether a transfer trains the whole network, not its new head alone."""
    return any(isinstance(line, tree.TrainedLine) and line.whole for line in statement.lines)


class Resolver:
    """Settles definitions on demand. A definition in which something is wrong is None, and its findings are made.

    `readers` has what reads a statement of each type at one point of the sweep; `folder` says what lies in a folder of
    images.
    """

    def __init__(
        self,
        scope: Scope,
        catalog: Catalog,
        findings: FindingCollector,
        readers: Mapping[type[NamedStatement], InstanceReader],
        folder: Callable[[Path], Contents] = folder_contents.read,
    ) -> None:
        self.scope = scope
        self.findings = findings
        self.settings = Settings(catalog, findings, folder)
        self.axes = Axes({}, self.class_names_of, findings)
        self.fingerprints: Fingerprints | None = None
        """Where there was an earlier check, what can be taken from it."""
        self._readers = readers
        self._definitions: dict[str, SweepTable[Any] | None] = {}
        self._axes_of: dict[str, frozenset[str]] = {}
        self._path: list[str] = []
        self._circles: set[frozenset[str]] = set()

    # --- names ---

    def lookup(self, word: tree.Word, at: Environment, *kinds: str) -> str:
        """Return the declared name that a word stands for at a point; reject a word that names nothing of `kinds`."""
        value = evaluate(word, at, self.findings)
        if not isinstance(value, Word):
            message = f"`{word.span.text}` does not name a {_called(kinds)}"
            help = f"names stand without quotes: `{value.text}`" if isinstance(value, Str) else "write a name"
            self.findings.reject("E301", word, message, help=help)
        return self.declared(word, value.text, *kinds)

    def declared(self, at: tree.Node, name: str, *kinds: str) -> str:
        """Return `name`, if it is declared as one of `kinds`; else reject it."""
        statement = self.scope.statements.get(name)
        if statement is not None and kind_of(statement) in kinds:
            return name
        if statement is None and name in self.scope.broken:
            raise Rejected
        message = f"there is no {_called(kinds)} called `{name}`"
        if statement is not None:
            is_a = _called([kind_of(statement)])
            message = f"`{name}` is a{'n' * (is_a[0] in 'aeiou')} {is_a}, and a {_called(kinds)} is needed here"
        self.findings.reject("E203", at, message, help=self._how_to_declare(at, name, kinds))

    def _how_to_declare(self, at: tree.Node, name: str, kinds: tuple[str, ...]) -> Hint:
        known = self.scope.names(*kinds)
        if name in {*self.axes.names, *self.axes.params} and at.span.text == name:
            return write(at.span, f"${name}")
        if meant := did_you_mean(name, known, at.span):
            return meant
        for kind in kinds:
            if kind in ("dataset", "model", "attack", "recipe") and self.settings.catalog.find(kind, name):
                return Hint(f"declare it: `{kind} {name.lower()} = {name}(...)`")
        return suggest(name, known) or Hint(f"declare one with `{kinds[0]}`")

    def candidates(self, word: tree.Word, *kinds: str) -> tuple[str, ...]:
        """Return every name that a word can stand for over the sweep."""
        points = self.axes.points(self.axes.used_by([word]))
        return tuple(dict.fromkeys(self.lookup(word, self.axes.environment(point), *kinds) for point in points))

    # --- axes ---

    def axes_of(self, name: str) -> frozenset[str]:
        """Return the axes that a declared name depends on, directly or through what it names."""
        if name in self._axes_of:
            return self._axes_of[name]
        statement = self.scope.statements[name]
        if name in self._path:
            self._depends_on_itself(statement, [*self._path, name])
        self._path.append(name)
        try:
            # Where a split points at models, these bring their own axes.
            own = statement.lines if isinstance(statement, tree.Split) else statement
            axes = self.axes.used_by([own]) | self._axes_of_words(_words(statement))
        finally:
            self._path.pop()
        self._axes_of[name] = axes
        return axes

    def _depends_on_itself(self, statement: NamedStatement, path: list[str]) -> NoReturn:
        """Reject a definition that uses itself; a circle is reported once, wherever it is entered."""
        name = statement.name.text
        names = frozenset(path[path.index(name) :])
        if names in self._circles:
            raise Rejected
        self._circles.add(names)
        self.findings.reject(
            "E205",
            statement.name,
            f"`{name}` depends on itself: {circle(path)}",
            *(
                ("the order of its classes is that of another data set", "list the classes in one of them")
                if isinstance(statement, tree.Declaration)
                else ("it is joined from data sets that are there without it", "join it from others")
                if isinstance(statement, tree.Joined)
                else (
                    "a split is made with a model that is trained before it",
                    "rank by a model that is not trained on this split",
                )
                if any(isinstance(self.scope.statements[one], tree.Split) for one in names)
                else ("a loss asks networks that are trained before", "ask a network that does not depend on this one")
            ),
        )

    def _axes_of_words(self, words: Iterable[tuple[tree.Word | tree.PointOf, tuple[str, ...]]]) -> frozenset[str]:
        axes: set[str] = set()
        for word, kinds in words:
            if isinstance(word, tree.PointOf):
                axes |= self.axes_of_point(word, *kinds)
            else:
                axes.update(*(self.axes_of(used) for used in self.candidates(word, *kinds)))
        return frozenset(axes)

    def axes_of_point(self, point: tree.PointOf, *kinds: str) -> set[str]:
        """Return the axes that a model at a point still depends on.

        For `sat[order=hardest]` these are the axes of `sat` that have more than one value where `order` is `hardest`;
        for `sat[order=$order]` those that have more than one where `order` has some value.
        """
        fixed = {selector.axis.text: label(selector.value) for selector in point.selectors}
        axes = set(self.axes.used_by(selector.value for selector in point.selectors))
        literal = {selector.axis.text for selector in point.selectors if not parameters([selector.value])}
        for name in self.candidates(point.name, *kinds):
            own = self.axes_of(name)
            free: dict[tuple[str, ...], set[str]] = {}
            for combination in self.axes.points(own | frozenset(naming(self.axes, own, fixed))):
                if all(combination[axis].label == fixed[axis] for axis in literal & combination.keys()):
                    place = [combination[axis].label for axis in sorted(fixed.keys() & combination.keys())]
                    for axis, value in combination.items():
                        free.setdefault((axis, *place), set()).add(value.label)
            axes |= {axis for (axis, *_), labels in free.items() if len(labels) > 1} - fixed.keys()
        return axes

    # --- definitions ---

    def definition(self, name: str) -> SweepTable[Any]:
        """Return what a declared name stands for at every point; raise `Rejected` where that is broken."""
        if name not in self._definitions:
            self._definitions[name] = None
            if self.fingerprints is None:
                self._definitions[name] = self._settle(name)
            else:
                self._definitions[name] = self.fingerprints.definition(name, lambda: self._settle(name), self.findings)
        found = self._definitions[name]
        if found is None:
            raise Rejected
        return found

    def instance(self, word: tree.Word, point: Point, *kinds: str) -> Any:
        """Return what the name that a word stands for is defined as at a point."""
        return self.definition(self.lookup(word, point.environment, *kinds)).at(point.labels)

    def tabulate(
        self,
        name: str,
        axes: Iterable[str],
        read: Callable[[Point], T],
        instance_key: Callable[[dict[str, str]], Hashable] | None = None,
    ) -> SweepTable[T] | None:
        """Return what `read` gives at each point of some axes, or None where it rejects one of them.

        Points whose labels have equal `instance_key`s share one instance: a sweep over draws reads a training once.
        """
        wanted = frozenset(axes)
        ordered = tuple(axis for axis in self.axes.names if axis in wanted)
        table: dict[tuple[str, ...], T] = {}
        settled: dict[Hashable, T] = {}
        failed = False
        for combination in self.axes.points(wanted):
            labels = {axis: value.label for axis, value in combination.items()}
            place = tuple(labels.values())
            try:
                same = place if instance_key is None else instance_key(labels)
                if same not in settled:
                    settled[same] = read(Point(self.axes.environment(combination), labels))
                table[place] = settled[same]
            except Rejected:
                failed = True
        return None if failed or not table else SweepTable(name, ordered, table)

    def _settle(self, name: str) -> SweepTable[Any] | None:
        statement = self.scope.statements[name]
        try:
            axes = self.axes_of(name)
        except Rejected:
            return None
        read = self._readers[type(statement)]
        instance_key = self._instance_key(statement) if isinstance(statement, tree.Train) else None
        return self.tabulate(name, axes, lambda point: read(self, statement, point), instance_key)

    def _instance_key(self, statement: tree.Train) -> Callable[[dict[str, str]], Hashable] | None:
        """Return what tells apart the instances of a training on a split; None for one on a whole data set.

        It is the training's own axes and what its split looks like from outside. Two splits that differ in a seed
        alone give the same training, with other examples.
        """
        split = self.scope.statements.get(statement.data.text) if isinstance(statement.data, tree.Name) else None
        if not isinstance(split, tree.Split):
            return None
        words = [(word, kinds) for word, kinds in _words(statement) if word is not statement.data]
        own = self.axes.used_by([statement]) | self._axes_of_words([*words, (split.dataset, ("dataset",))])
        table: SweepTable[SplitDefinition] = self.definition(split.name.text)

        def instance_key(labels: dict[str, str]) -> Hashable:
            made = table.at(labels)
            whole = made.dataset, made.names, made.sizes, made.by_class, made.every, made.shares
            alone = () if statement.part is None else (made.class_counts, made.weights)
            return tuple([labels[axis] for axis in own]), *whole, *alone

        return instance_key

    def class_names_of(self, name: tree.Name, point: Point | None = None) -> tuple[str, ...]:
        """Return the classes of a data set, for `classes of cifar10`: at a point, or else at the first there is."""
        table = self.definition(self.declared(name, name.text, "dataset"))
        data: Dataset = next(iter(table.table.values())) if point is None else table.at(point.labels)
        if data.facts is None:
            raise Rejected
        return data.facts.classes

    def in_dataset(self, name: str, argument: str, help: str, near: tree.Node) -> Hint:
        """Return `help`, which asks for an argument in the declaration of a data set, with the fix that adds it."""
        statement = self.scope.statements.get(name)
        if isinstance(statement, tree.Declaration):
            return with_argument(statement.call, argument, help, near.span)
        return Hint(help)

    # --- points ---

    def model_at(self, node: tree.PointOf, point: Point, *kinds: str) -> tuple[PointRef, Any]:
        """Return a reference to a trained model, as in `sat[share=30%]`, and the definition of the model there."""
        name = self.lookup(node.name, point.environment, *kinds)
        table = self.definition(name)
        fixed, at_epoch = {}, None
        rows = naming(self.axes, table.axes, [selector.axis.text for selector in node.selectors])
        for selector in node.selectors:
            axis = selector.axis
            if axis.text == EPOCH and EPOCH not in table.axes:
                at_epoch = selector
                continue
            if axis.text not in (*table.axes, *rows):
                self.does_not_depend(name, axis, table.axes)
            fixed[axis.text] = self.axis_label(selector, point.environment, self.axes.labels(axis.text))
        if rows:
            fixed = self._settled(table.axes, rows, fixed)
        here = {axis: point.labels[axis] for axis in table.axes if axis in point.labels} | fixed
        whole = not fixed and len(here) == len(table.axes)
        found = [here] if whole else [there for there, _ in table.instances() if here.items() <= there.items()]
        try:
            (there,) = found
            settled = {axis: chosen for axis, chosen in there.items() if axis in fixed or axis not in point.labels}
            model = table.at(there)
        except (KeyError, ValueError):
            message = f"`{name}` does not exist at this point"
            self.findings.reject("E701", node, message, help="pick a point that is in the sweep")
        epoch = None
        if at_epoch is not None:
            epoch = epoch_of(at_epoch, name, model, point.environment, self.findings)
        return PointRef(name, tuple(sorted(settled.items())), epoch), model

    def _settled(self, axes: tuple[str, ...], rows: tuple[str, ...], fixed: Mapping[str, str]) -> dict[str, str]:
        """Return the labels that some of `axes` have wherever all of `fixed` hold, some of which name `rows`."""
        every = self.axes.points(frozenset((*axes, *rows)))
        there = [at for at in every if all(at[axis].label == label for axis, label in fixed.items())]
        left = {axis: {at[axis].label for at in there} for axis in axes}
        return {axis: next(iter(labels)) for axis, labels in left.items() if len(labels) == 1}

    def does_not_depend(self, name: str, axis: tree.Name, axes: tuple[str, ...]) -> NoReturn:
        """Reject the choice of a point on an axis that what is called `name`, which has these `axes`, does not have."""
        message = f"`{name}` does not depend on an axis `{axis.text}`"
        help = suggest(axis.text, axes, axis.span, "it depends on") or "it depends on no axis"
        self.findings.reject("E701", axis, message, why_not(self.axes, axes, axis.text), help)

    def axis_label(
        self,
        selector: tree.Selector,
        at: Environment,
        labels: Iterable[str],
        absent: Callable[[list[str], tree.Node], None] = lambda axes, node: None,
    ) -> str:
        """Return the label of the value that a selector picks; `absent` is called before one is rejected."""
        labels = list(labels)
        node = selector.value
        while isinstance(node, tree.Parameter) and node.text in at:
            node = at[node.text]
        wanted = label(node)
        if wanted not in labels and not isinstance(node, (tree.Name, tree.Text)):
            value = evaluate(node, at, self.findings)
            if isinstance(value, (Num, Share)):
                shown = {Num: f"{value.value:.12g}", Share: f"{100 * value.value:.12g}%"}
                wanted, other = shown[type(value)], shown[Share if isinstance(value, Num) else Num]
                wanted = wanted if wanted in labels or other not in labels else other
        if wanted in labels:
            return wanted
        absent([selector.axis.text], selector)
        help = suggest(wanted, labels, selector.value.span, "its values are")
        if f"{wanted}%" in labels and isinstance(selector.value, tree.Number):
            help = write(selector.value.span, f"{wanted}%", f"did you mean `{wanted}%`?")
        self.findings.reject("E701", selector, f"axis `{selector.axis.text}` has no value `{wanted}`", help=help)


def _called(kinds: Iterable[str]) -> str:
    return " or ".join(_CALLED.get(kind, kind) for kind in kinds)


def _words(statement: NamedStatement) -> Iterable[tuple[tree.Word | tree.PointOf, tuple[str, ...]]]:
    """Yield the words of a statement that name what is declared elsewhere, each with the kinds that it can name."""
    match statement:
        case tree.Declaration():
            yield from ((node.dataset, ("dataset",)) for node in walk(statement) if isinstance(node, tree.ClassesOf))
        case tree.Joined():
            parts = statement.parts if statement.kind == "dataset" else ()
            yield from ((part, ("dataset",)) for part in parts)
        case tree.Train():
            yield statement.model, ("model",)
            yield statement.data, ("dataset", "split")
            yield statement.recipe, ("recipe",)
            yield from _words_of_lines(statement)
        case tree.Split():
            yield statement.dataset, ("dataset",)
            yield from (
                (node.dataset, ("dataset",)) for node in walk(statement.lines) if isinstance(node, tree.ImagesOf)
            )
            scores = [node for node in walk(statement.lines) if isinstance(node, tree.ScoreOf)]
            yield from ((node.model, ("train",)) for node in scores)
            yield from ((node.attack, ("attack",)) for node in scores if node.attack is not None)
        case tree.Transfer():
            yield statement.source, ("train",)
            yield statement.target, ("dataset", "split") if trains_all(statement) else ("dataset",)
            yield statement.recipe, ("recipe",)
            yield from _words_of_lines(statement)


def asked_models(loss: tree.Value) -> Iterable[tree.PointOf]:
    """Yield the models whose predictions a loss looks at: what is called inside of a term, `kl(ref(clean), ...)`."""
    for node in walk(loss):
        if isinstance(node, tree.Predicted):
            yield node.model
        for argument in node.arguments if isinstance(node, tree.Call) else ():
            match argument.value:
                case tree.Call(name=name, arguments=(tree.Argument(name=None, value=tree.Name()),)):
                    if catalog().find("term", name.text) is None:
                        yield tree.PointOf(name.span, name)


def _words_of_lines(
    statement: tree.Train | tree.Transfer,
) -> Iterable[tuple[tree.Word | tree.PointOf, tuple[str, ...]]]:
    for line in statement.lines:
        match line:
            case tree.AttackLine():
                yield from ((word, ("attack",)) for word in line.attacks)
            case tree.LossLine():
                yield from ((model, ("train", "transfer")) for model in asked_models(line.value))
            case tree.StartLine():
                yield line.model, ("train", "transfer")
            case tree.SelectLine(measure=tree.Measure() as measure):
                yield from ((attack, ("attack",)) for attack in MeasureEntry.of_node(measure).attacks(measure))
