"""Trees to a typed `Experiment`, or to findings: all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from satdsl.catalog import Catalog, catalog
from satdsl.check.datasets import located
from satdsl.check.experiment import AxisFacts, Experiment, Family
from satdsl.check.resolve import Named, Resolver, Scope
from satdsl.check.results import Measures
from satdsl.check.splits import split
from satdsl.check.trainings import train, transfer
from satdsl.check.values import Findings, NoValue, evaluate, parameters, walk
from satdsl.findings import Finding, Source, SpecError, did_you_mean, ordered
from satdsl.syntax import tree
from satdsl.syntax.layout import RESERVED
from satdsl.syntax.read import read

LANGUAGE = 1
"""The newest language version that this compiler knows."""


@dataclass
class _Spec:
    """The statements of a file and of all the files it uses, each once."""

    statements: list[tuple[tree.Statement, Path]] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)


def check(path: str, text: str, overrides: Mapping[str, str] | None = None) -> Experiment:
    """Check a specification; raises `SpecError` with every finding if one of them is an error.

    `overrides` has the text of the new value of each `param` or axis given with `--set`.
    """
    findings = Findings()
    spec = _Spec()
    _load(Source(path, text), Path(path).resolve(), spec, findings, ())
    return _Checker(spec, catalog(), findings).check(overrides or {})


def _load(source: Source, place: Path, spec: _Spec, findings: Findings, users: tuple[Path, ...]) -> None:
    file, problems = read(source)
    for problem in problems:
        findings._add(problem)
    spec.sources.append(source)
    spec.broken |= file.broken
    _check_version(source, file, findings)
    for statement in file.statements:
        if isinstance(statement, tree.Use):
            _use(statement, place, spec, findings, (*users, place))
        spec.statements.append((statement, place.parent))


def _check_version(source: Source, file: tree.File, findings: Findings) -> None:
    versions = [s for s in file.statements if isinstance(s, tree.Version)]
    if not versions:
        if file.statements and "1" not in file.broken:
            findings.warn(
                "E105",
                file.statements[0],
                "this file does not say which version of the language it is written in",
                "a later version may read it differently",
                "begin with `sat 1`",
            )
        return
    if file.statements[0] is not versions[0]:
        findings.error("E105", versions[0], "`sat` comes first in a file", help="move it to the first line")
    for version in versions[1:]:
        findings.error("E105", version, "the language version is given twice", help="keep one of them")
    number = versions[0].number
    if number.value > LANGUAGE or not number.is_integer or number.value < 1:
        findings.error(
            "E105",
            number,
            f"this file is written in language version {number.value:g}; this satdsl knows version {LANGUAGE}",
            help="upgrade satdsl" if number.value > LANGUAGE else f"write `sat {LANGUAGE}`",
        )


def _use(statement: tree.Use, place: Path, spec: _Spec, findings: Findings, users: tuple[Path, ...]) -> None:
    path = Path(located(place.parent, statement.path.value))
    if path in users:
        circle = " uses ".join(f"`{p.name}`" for p in [*users[users.index(path) :], path])
        findings.error(
            "E208",
            statement,
            f"files use each other in a circle: {circle}",
            help="move what both need into a third file",
        )
        return
    if any(Path(source.path).resolve() == path for source in spec.sources):
        return
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        findings.error(
            "E306",
            statement.path,
            f"`{path}` cannot be read",
            f"{reason}",
            "paths start from the folder of the file that names them",
        )
        return
    shown = str(Path(spec.sources[0].path).parent / statement.path.value) if len(users) == 1 else str(path)
    _load(Source(shown, text), path, spec, findings, users)


class _Checker:
    def __init__(self, spec: _Spec, known: Catalog, findings: Findings) -> None:
        self.spec = spec
        self.findings = findings
        self.scope = Scope(broken=spec.broken)
        self.resolver = Resolver(self.scope, known, findings)
        self.resolver.makers = {tree.Split: split, tree.Train: train, tree.Transfer: transfer}
        self.measures = Measures(self.resolver)
        self.parameters: dict[str, tree.Param | tree.Axis] = {}

    def check(self, overrides: Mapping[str, str]) -> Experiment:
        statements = [statement for statement, _ in self.spec.statements]
        self._declare()
        self._override(overrides)
        self._parameters_exist(statements)
        self._add_axes()
        self._values_exist()
        families = {name: self._family(name) for name in self.scope.named}
        for statement in _each(statements, tree.Evaluate):
            self.measures.evaluate(statement)
        params = self.resolver.axes.params
        displays = [self.measures.display(s, params) for s in _each(statements, tree.Display)]
        claims = [self.measures.claim(s, params) for s in _each(statements, tree.Expect)]
        if not any(finding.severity == "error" for finding in self.findings.all.values()):
            self._unused(statements)
        found = ordered(self.findings.all.values())
        if any(finding.severity == "error" for finding in found):
            raise SpecError(found)
        settled: Any = {name: family for name, family in families.items() if family is not None}

        def of(*kinds: str) -> dict[str, Any]:
            return {name: settled[name] for name in self.scope.of(*kinds)}

        axes = self.resolver.axes
        return Experiment(
            title=self._title(statements),
            sources=tuple(self.spec.sources),
            axes=tuple(AxisFacts(name, axes.labels(name)) for name in axes.names),
            datasets=of("dataset"),
            splits=of("split"),
            trainings=of("train"),
            transfers=of("transfer"),
            measured=tuple(known.measured for known in self.measures.known.values()),
            displays=tuple(display for display in displays if display is not None),
            claims=tuple(claim for claim in claims if claim is not None),
            conditional=axes.conditional,
            warnings=found,
        )

    def _title(self, statements: list[tree.Statement]) -> str:
        """The title that the main file gives, not one of a file that it uses."""
        main = self.spec.sources[0]
        titles = [s.text.value for s in _each(statements, tree.Title) if s.span.source is main]
        return titles[0] if titles else Path(main.path).stem

    def _declare(self) -> None:
        seen: dict[str, tuple[tree.Statement | tree.Axis, Path]] = {}
        for statement, base in self.spec.statements:
            declares: list[tuple[str, tree.Name, Any]] = []
            if isinstance(statement, Named):
                declares = [(statement.name.text, statement.name, statement)]
            elif isinstance(statement, tree.Param):
                declares = [(f"${statement.name.text}", statement.name, statement)]
            elif isinstance(statement, tree.Sweep):
                declares = [(f"${name.text}", name, line) for line in statement.lines for name in line.names]
            for key, name, what in declares:
                if key in seen and seen[key][0] == what and seen[key][0].span.source is not what.span.source:
                    continue
                if self._fine_name(key, name, seen):
                    seen[key] = (what, base)
                    self._add(key, what, base)

    def _fine_name(self, key: str, name: tree.Name, seen: Mapping[str, tuple[Any, Path]]) -> bool:
        if name.text in RESERVED and name.text != "sat":
            self.findings.error(
                "E201",
                name,
                f"`{name.text}` begins a statement and cannot be a name",
                help="choose another name",
            )
            return False
        if key in seen:
            first = seen[key][0]
            line = first.span.place[0]
            self.findings.error(
                "E201",
                name,
                f"`{key}` is declared twice",
                "a name stands for one thing",
                "rename one of them",
                ((first.span, f"first declared in line {line}"),),
            )
            return False
        return True

    def _add(self, key: str, what: Any, base: Path) -> None:
        if isinstance(what, (tree.Param, tree.Axis)):
            self.parameters[key[1:]] = what
        else:
            self.scope.named[key] = what
            self.scope.bases[key] = base

    def _override(self, overrides: Mapping[str, str]) -> None:
        for name, text in overrides.items():
            source = Source(f"--set {name}", f"param {name} = {text}")
            file, problems = read(source)
            statement = file.statements[0] if file.statements else None
            if len(file.statements) > 1:
                text = "--set takes one value"
                self.findings.error("E301", file.statements[1], text, help="give each name a --set of its own")
                continue
            if problems or not isinstance(statement, tree.Param):
                for problem in problems:
                    self.findings._add(problem)
                continue
            if name not in self.parameters:
                help = did_you_mean(name, self.parameters) or f"there are {', '.join(self.parameters) or 'none'}"
                self.findings.error("E203", statement.name, f"there is no param or axis called `{name}`", help=help)
                continue
            old = self.parameters[name]
            if isinstance(old, tree.Param):
                self.parameters[name] = statement
            elif len(old.names) == 1:
                self.parameters[name] = tree.Axis(statement.span, old.names, statement.value)
            else:
                tied = ", ".join(n.text for n in old.names)
                self.findings.error(
                    "E703",
                    statement.name,
                    f"`{name}` moves together with others ({tied})",
                    help="change the file",
                )

    def _parameters_exist(self, statements: list[tree.Statement]) -> None:
        broken = self.spec.broken
        for parameter in parameters([*statements, *self.parameters.values()]):
            if parameter.text in self.parameters or parameter.text in broken:
                continue
            help = did_you_mean(parameter.text, self.parameters) or "declare it: `param` or `sweep`"
            self.findings.error("E203", parameter, f"there is no param or axis called `${parameter.text}`", help=help)

    def _add_axes(self) -> None:
        """Params first, then axes, each after those it depends on."""
        axes = self.resolver.axes
        for name, what in self.parameters.items():
            if isinstance(what, tree.Param):
                axes.params[name] = what.value
        self._no_circles()
        waiting = list({id(line): line for line in self.parameters.values() if isinstance(line, tree.Axis)}.values())
        every = {name.text for line in waiting for name in line.names}
        while waiting:
            ready = [
                line for line in waiting if not ({p.text for p in parameters([line.value])} & every - set(axes.names))
            ]
            if not ready:
                break
            axes.add(ready[0])
            waiting.remove(ready[0])

    def _values_exist(self) -> None:
        """Evaluate every axis, and every param that has a value of its own, used or not."""
        axes = self.resolver.axes
        for name in axes.names:
            axes.labels(name)
        for node in axes.params.values():
            if not any(isinstance(part, (tree.Size, tree.Parameter)) for part in walk(node)):
                with suppress(NoValue):
                    axes.expand(node, {}) if isinstance(node, tree.Range) else evaluate(node, {}, self.findings)

    def _no_circles(self) -> None:
        values = {name: what.value for name, what in self.parameters.items()}
        needs = {name: {p.text for p in parameters([value])} for name, value in values.items()}
        for name in values:
            reached: set[str] = set()
            waiting = list(needs[name])
            while waiting:
                used = waiting.pop()
                if used not in reached:
                    reached.add(used)
                    waiting += needs.get(used, ())
            if name in reached:
                self.findings.error(
                    "E205", values[name], f"`${name}` depends on itself", help="give it a value of its own"
                )
                self.resolver.axes.params.pop(name, None)

    def _family(self, name: str) -> Family[Any] | None:
        try:
            return self.resolver.family(name)
        except NoValue:
            return None

    def _unused(self, statements: list[tree.Statement]) -> None:
        """What nobody uses is usually a slip."""
        nodes: list[object] = [s for s in statements if not isinstance(s, tree.Sweep)]
        nodes += [self.parameters[name] for name in self.parameters if isinstance(self.parameters[name], tree.Param)]
        used = {p.text for p in parameters(nodes)}
        used |= {p.text for line in self.resolver.axes.lines for p in parameters([line.value])}
        for name, what in self.parameters.items():
            if isinstance(what, tree.Axis) and not used & {n.text for n in what.names}:
                at = next(n for n in what.names if n.text == name)
                self.findings.warn(
                    "E707",
                    at,
                    f"nothing uses the axis `${name}`",
                    "an axis without users changes nothing",
                    "use it, or remove it",
                )
        self._unused_trainings(statements)
        shown = list(_each(statements, tree.Display)) + list(_each(statements, tree.Expect))
        for name, place in self.measures.places.items():
            if shown and name not in self.measures.used:
                self.findings.warn(
                    "E708",
                    place,
                    f"`{name}` is measured, but no plot, table or claim shows it",
                    "measuring costs passes; the value appears in `satdsl results` only",
                    "show it, or remove it",
                )

    def _unused_trainings(self, statements: list[tree.Statement]) -> None:
        mentioned: set[str] = set()
        for statement in statements:
            if isinstance(statement, tree.Evaluate):
                mentioned.add(statement.trained.text)
            text = re.sub(r'"[^"\n]*"|#[^\n]*', "", statement.span.text)
            own = statement.name.text if isinstance(statement, (tree.Train, tree.Transfer)) else ""
            mentioned |= set(re.findall(r"\w+", text)) - {own}
        for name in self.scope.of("train", "transfer"):
            if name not in mentioned:
                at = self.scope.named[name].name
                self.findings.warn(
                    "E709",
                    at,
                    f"nothing uses or measures `{name}`",
                    "it will not be trained",
                    f"add `evaluate {name} {{ ... }}`",
                )


def _each(statements: list[tree.Statement], kind: type[Any]) -> list[Any]:
    return [statement for statement in statements if isinstance(statement, kind)]


__all__ = ["Experiment", "Finding", "SpecError", "check"]
