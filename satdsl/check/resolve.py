"""Look up each declared name once, and settle its definition at each point of the axes that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from satdsl.catalog import Catalog
from satdsl.catalog.datasets import DatasetEntry
from satdsl.catalog.measures import MeasureEntry
from satdsl.catalog.models import ModelEntry
from satdsl.catalog.scores import ScoreEntry
from satdsl.check import science
from satdsl.check.axes import Axes
from satdsl.check.checkpoints import checkpoint
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.datasets import dataset
from satdsl.check.definition_cache import Fingerprints
from satdsl.check.fixes import with_argument, with_line
from satdsl.check.settings import Settings
from satdsl.check.values import Environment, Num, Share, Word, evaluate, label, parameters, walk
from satdsl.hints import Hint, did_you_mean, write
from satdsl.ir.experiment import Dataset, PointRef, Split, SweepTable, Train
from satdsl.syntax import tree

T = TypeVar("T")

KEEP = "keep snapshots every epoch"

NamedStatement = tree.Declaration | tree.Train | tree.Split | tree.Transfer

InstanceReader = Callable[["Resolver", Any, Environment, dict[str, str]], Any]
"""Settles one instance of a statement: from the environment and the axes' labels at a point."""


@dataclass
class Scope:
    """What the files declare. `broken` has names whose statements could not be read."""

    statements: dict[str, NamedStatement] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    folders: dict[str, Path] = field(default_factory=dict)
    """The folder of the file that declares each name; relative paths start there."""

    def names(self, *kinds: str) -> list[str]:
        return [name for name, statement in self.statements.items() if kind_of(statement) in kinds]


def kind_of(statement: NamedStatement) -> str:
    """The word that declares it."""
    if isinstance(statement, tree.Declaration):
        return statement.kind
    return {tree.Train: "train", tree.Split: "split", tree.Transfer: "transfer"}[type(statement)]


class Resolver:
    """Settles definitions on demand; a definition in which something is wrong has None, and its findings are made."""

    def __init__(self, scope: Scope, catalog: Catalog, findings: FindingCollector) -> None:
        self.scope = scope
        self.findings = findings
        self.settings = Settings(catalog, findings)
        self.axes = Axes({}, self.class_names_of, findings)
        self.readers: dict[type[NamedStatement], InstanceReader] = {}
        self.fingerprints: Fingerprints | None = None
        """Where there was an earlier check, what can be taken from it."""
        self._definitions: dict[str, SweepTable[Any] | None] = {}
        self._axes_of: dict[str, frozenset[str]] = {}
        self._path: list[str] = []
        self._circles: set[frozenset[str]] = set()

    # --- names ---

    def lookup(self, word: tree.Word, at: Environment, *kinds: str) -> str:
        """The declared name that a word stands for at a point; raises `Rejected` after making a finding."""
        value = evaluate(word, at, self.findings)
        if not isinstance(value, Word):
            self.findings.reject(
                "E301", word, f"`{word.span.text}` does not name a {' or '.join(kinds)}", help="write a name"
            )
        return self.declared(word, value.text, *kinds)

    def declared(self, at: tree.Node, name: str, *kinds: str) -> str:
        """`name`, if it is declared as one of `kinds`."""
        statement = self.scope.statements.get(name)
        if statement is not None and kind_of(statement) in kinds:
            return name
        if statement is None and name in self.scope.broken:
            raise Rejected
        what = {"train": "training", "dataset": "data set"}
        wanted = " or ".join(what.get(kind, kind) for kind in kinds)
        known = self.scope.names(*kinds)
        if statement is not None:
            is_a = what.get(kind_of(statement), kind_of(statement))
            article = "an" if is_a[0] in "aeiou" else "a"
            help = did_you_mean(name, known, at.span) or self._how_to_declare(name, kinds, known)
            self.findings.error("E203", at, f"`{name}` is {article} {is_a}; a {wanted} is wanted here", help=help)
        else:
            help = did_you_mean(name, known, at.span) or self._how_to_declare(name, kinds, known)
            self.findings.error("E203", at, f"there is no {wanted} called `{name}`", help=help)
        raise Rejected

    def _how_to_declare(self, name: str, kinds: tuple[str, ...], known: list[str]) -> str:
        entry = next((k for k in kinds if k in ("dataset", "model", "attack", "recipe")), None)
        if entry and self.settings.catalog.find(entry, name):
            return f"declare it: `{entry} {name.lower()} = {name}(...)`"
        return f"there are {', '.join(known)}" if known else f"declare one with `{kinds[0]}`"

    def candidates(self, word: tree.Word, *kinds: str) -> tuple[str, ...]:
        """Every name that a word can stand for over the sweep."""
        used = self.axes.used_by([word])
        names: dict[str, None] = {}
        for point in self.axes.points(used):
            names[self.lookup(word, self.axes.environment(point), *kinds)] = None
        return tuple(names)

    # --- axes ---

    def axes_of(self, name: str) -> frozenset[str]:
        """The axes that a declared name depends on, directly or through what it names."""
        if name in self._axes_of:
            return self._axes_of[name]
        statement = self.scope.statements[name]
        if name in self._path:
            circle = [*self._path[self._path.index(name) :], name]
            if frozenset(circle) in self._circles:
                raise Rejected
            self._circles.add(frozenset(circle))
            self.findings.reject(
                "E205",
                statement.name,
                f"`{name}` depends on itself: {' uses '.join(f'`{n}`' for n in circle)}",
                "difficulty is measured with a model that is trained before the split is made",
                "rank by a model that is not trained on this split",
            )
        self._path.append(name)
        try:
            axes = set(self.axes.used_by([self._own_nodes(statement)]))
            for word, kinds in self._words(statement):
                if isinstance(word, tree.PointOf):
                    axes |= self.axes_of_point(word, *kinds)
                else:
                    for used in self.candidates(word, *kinds):
                        axes |= self.axes_of(used)
        finally:
            self._path.pop()
        self._axes_of[name] = frozenset(axes)
        return self._axes_of[name]

    def axes_of_point(self, point: tree.PointOf, *kinds: str) -> frozenset[str]:
        """The axes that a model at a point still depends on."""
        fixed = {selector.axis.text: label(selector.value) for selector in point.selectors}
        axes: set[str] = set(self.axes.used_by(selector.value for selector in point.selectors))
        literal = {s.axis.text for s in point.selectors if not parameters([s.value])}
        for name in self.candidates(point.name, *kinds):
            free: dict[str, set[str]] = {}
            for combination in self.axes.points(self.axes_of(name)):
                if all(combination[axis].label == fixed[axis] for axis in literal & combination.keys()):
                    for axis, value in combination.items():
                        free.setdefault(axis, set()).add(value.label)
            axes |= {axis for axis, labels in free.items() if len(labels) > 1} - fixed.keys()
        return frozenset(axes)

    def _own_nodes(self, statement: NamedStatement) -> object:
        """A statement without the places that point at models: those bring their own axes."""
        if isinstance(statement, tree.Split):
            return statement.lines
        return statement

    def _words(self, statement: NamedStatement) -> Iterable[tuple[tree.Word | tree.PointOf, tuple[str, ...]]]:
        match statement:
            case tree.Declaration():
                return
            case tree.Train():
                yield statement.model, ("model",)
                yield statement.data, ("dataset", "split")
                yield statement.recipe, ("recipe",)
                for line in statement.lines:
                    if isinstance(line, tree.AttackLine):
                        yield line.attack, ("attack",)
                    elif isinstance(line, tree.StartLine):
                        yield line.model, ("train", "transfer")
                    elif isinstance(line, tree.SelectLine) and line.measure is not None:
                        for attack in MeasureEntry.of_node(line.measure).attacks(line.measure):
                            yield attack, ("attack",)
            case tree.Split():
                yield statement.dataset, ("dataset",)
                for node in _rankings(statement):
                    yield node.model, ("train",)
            case tree.Transfer():
                yield statement.source, ("train",)
                yield statement.target, ("dataset",)
                yield statement.recipe, ("recipe",)

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

    def build(
        self,
        name: str,
        axes: Iterable[str],
        make: Callable[[Environment, dict[str, str]], T],
        instance_key: Callable[[dict[str, str]], Hashable] | None = None,
    ) -> SweepTable[T] | None:
        """A table from a function of the environment and the axes' labels; None if any instance fails.

        Points that `instance_key` gives equal values share one instance: a sweep over draws settles a training once.
        """
        wanted = frozenset(axes)
        ordered = tuple(axis for axis in self.axes.names if axis in wanted)
        table: dict[tuple[str, ...], T] = {}
        settled: dict[Hashable, T] = {}
        failed = False
        for point in self.axes.points(wanted):
            labels = {axis: value.label for axis, value in point.items()}
            place = tuple(labels.values())
            try:
                same = place if instance_key is None else instance_key(labels)
                if same not in settled:
                    settled[same] = make(self.axes.environment(point), labels)
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
        make: Callable[[Environment, dict[str, str]], Any]
        match statement:
            case tree.Declaration():
                make = self._declaration(statement)
            case _:
                make_instance = self.readers[type(statement)]
                instance_key = self._alike(statement) if isinstance(statement, tree.Train) else None
                return self.build(
                    name, axes, lambda at, labels: make_instance(self, statement, at, labels), instance_key
                )
        return self.build(name, axes, make)

    def _alike(self, statement: tree.Train) -> Callable[[dict[str, str]], Hashable] | None:
        """What a training on a split depends on: its own axes, and what its split looks like from outside."""
        split = self.scope.statements.get(statement.data.text) if isinstance(statement.data, tree.Name) else None
        if not isinstance(split, tree.Split):
            return None
        own = set(self.axes.used_by([statement]))
        for word, kinds in [*self._words(statement), (split.dataset, ("dataset",))]:
            if word is statement.data:
                continue
            if isinstance(word, tree.PointOf):
                own |= self.axes_of_point(word, *kinds)
            else:
                own |= {axis for used in self.candidates(word, *kinds) for axis in self.axes_of(used)}
        table: SweepTable[Split] = self.definition(split.name.text)

        def instance_key(labels: dict[str, str]) -> Hashable:
            made = table.at(labels)
            return tuple([labels[axis] for axis in own]), made.dataset, made.names, made.sizes, made.by_class

        return instance_key

    def _declaration(self, statement: tree.Declaration) -> Callable[[Environment, dict[str, str]], Any]:
        def make(at: Environment, labels: dict[str, str]) -> Any:
            entry = self.settings.entry(statement.call.name, (statement.kind,))
            if isinstance(entry, DatasetEntry):
                base = self.scope.folders[statement.name.text]
                return dataset(statement.call, entry, at, self.settings, base)
            choice = self.settings.choice(statement.call, entry, at)
            science.settings_fit(statement.call, entry, choice, self.findings)
            if isinstance(entry, ModelEntry) and entry.from_file:
                return checkpoint(statement.call, choice, self.scope.folders[statement.name.text], self.findings)
            return choice

        return make

    def class_names_of(self, name: tree.Name) -> tuple[str, ...]:
        """The classes of a data set, for `classes of cifar10`."""
        table = self.definition(self.declared(name, name.text, "dataset"))
        data: Dataset = next(iter(table.table.values()))
        if data.facts is None:
            raise Rejected
        return data.facts.classes

    def in_dataset(self, name: str, argument: str, help: str, near: tree.Node) -> Hint:
        """`help`, which says that the declaration of a data set should have an argument."""
        statement = self.scope.statements.get(name)
        return (
            with_argument(statement.call, argument, help, near.span)
            if isinstance(statement, tree.Declaration)
            else Hint(help)
        )

    # --- points ---

    def point(self, node: tree.PointOf, at: Environment, labels: dict[str, str], *kinds: str) -> tuple[PointRef, Any]:
        """A reference to a model at a point, and the model's definition there."""
        name = self.lookup(node.name, at, *kinds)
        table = self.definition(name)
        fixed = {}
        for selector in node.selectors:
            axis = selector.axis.text
            if axis not in table.axes:
                help = did_you_mean(axis, table.axes, selector.axis.span) or (
                    f"it depends on {', '.join(table.axes)}" if table.axes else "it depends on no axis"
                )
                self.findings.reject("E701", selector.axis, f"`{name}` does not depend on an axis `{axis}`", help=help)
            fixed[axis] = self.axis_label(selector, at, self.axes.labels(axis))
        here = {axis: labels[axis] for axis in table.axes if axis in labels} | fixed
        whole = not fixed and len(here) == len(table.axes)
        found = [here] if whole else [there for there, _ in table.instances() if here.items() <= there.items()]
        try:
            (there,) = found
            settled = {axis: at_axis for axis, at_axis in there.items() if axis in fixed or axis not in labels}
            return PointRef(name, tuple(sorted(settled.items()))), table.at(there)
        except (KeyError, ValueError):
            self.findings.reject(
                "E701", node, f"`{name}` does not exist at this point", help="pick a point that is in the sweep"
            )

    def axis_label(
        self,
        selector: tree.Selector,
        at: Environment,
        labels: Iterable[str],
        absent: Callable[[list[str], tree.Node], None] = lambda axes, node: None,
    ) -> str:
        """The label of the value that a selector picks on its axis; `absent` is told if it is not there."""
        labels = list(labels)
        node = selector.value
        while isinstance(node, tree.Parameter) and node.text in at:
            node = at[node.text]
        wanted = label(node)
        if wanted not in labels and not isinstance(node, (tree.Name, tree.Text)):
            value = evaluate(node, at, self.findings)
            if isinstance(value, Num):
                wanted = f"{value.value:.12g}"
            elif isinstance(value, Share):
                wanted = f"{100 * value.value:.12g}%"
        if wanted in labels:
            return wanted
        absent([selector.axis.text], selector)
        shown = f"{', '.join(labels[:10])}{', ...' * (len(labels) > 10)}"
        help = did_you_mean(wanted, labels, selector.value.span) or f"its values are {shown}"
        self.findings.reject("E701", selector, f"axis `{selector.axis.text}` has no value `{wanted}`", help=help)

    # --- scores ---

    def score_name(self, word: tree.Word, at: Environment) -> str:
        """The difficulty score that a word stands for."""
        value = evaluate(word, at, self.findings)
        text = value.text if isinstance(value, Word) else word.span.text
        self.settings.entry(tree.Name(word.span, text), ("score",))
        return text

    def score_of(self, node: tree.Node, score: str, name: str, model: Train) -> str:
        """The name that `model` records a score under. Scores over snapshots need a training that keeps them."""
        entry = ScoreEntry.of(score)
        if entry.over_snapshots and not model.snapshots:
            self.findings.reject(
                "E503",
                node,
                f"`{score}` needs the snapshots of `{name}`, which keeps none",
                "it is taken over the snapshots of a training",
                self._keeping(
                    name,
                    node,
                    f"add `{KEEP}` to `train {name}`" + (f", or use `{entry.of_weights}`" if entry.of_weights else ""),
                ),
            )
        if entry.one_is_too_few and len(model.snapshots) == 1:
            self.findings.reject(
                "E503",
                node,
                f"`{score}` needs two snapshots of `{name}`, which keeps one",
                entry.one_is_too_few,
                self._keeping(name, node, f"write `{KEEP}` in `train {name}`"),
            )
        return entry.recorded_as

    def _keeping(self, name: str, near: tree.Node, help: str) -> Hint:
        """`help`, which says that a training should keep snapshots of every epoch."""
        statement = self.scope.statements[name]
        if not isinstance(statement, tree.Train) or statement.span.source is not near.span.source:
            return Hint(help)
        kept = [line for line in statement.lines if isinstance(line, tree.KeepLine) and line.what == "snapshots"]
        if kept:
            return write(kept[-1].span, KEEP, help)
        return with_line(statement, statement.lines, KEEP, help, near.span)


def _rankings(statement: tree.Split) -> Iterable[tree.ScoreOf]:
    return [node for node in walk(statement.lines) if isinstance(node, tree.ScoreOf)]
