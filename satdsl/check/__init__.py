"""Check a specification: make a typed `Experiment` of its trees, or report everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from satdsl.catalog import Catalog
from satdsl.check.accepted import with_accepted
from satdsl.check.axes import Axes
from satdsl.check.claims import Claims
from satdsl.check.collector import FindingCollector, Rejected
from satdsl.check.declarations import declaration
from satdsl.check.definition_cache import DefinitionCache, Fingerprints
from satdsl.check.displays import Displays
from satdsl.check.epochs import with_kept_weights
from satdsl.check.evaluations import Evaluations, ResultInfo, lines_of
from satdsl.check.fixes import remove_repeated
from satdsl.check.given_labels import given_labels
from satdsl.check.joined_data import joined
from satdsl.check.plugins import catalog_with
from satdsl.check.published import Publications
from satdsl.check.references import References
from satdsl.check.resolve import InstanceReader, NamedStatement, Resolver, Scope
from satdsl.check.splits import split
from satdsl.check.threat_models import unmeasured_threats
from satdsl.check.trainings import train
from satdsl.check.transfer_attacks import transfer_attacks_alone
from satdsl.check.transfers import transfer
from satdsl.check.unused import dropped_labels, unused_axes, unused_results, unused_trainings
from satdsl.check.used_files import FileReader, Program, load
from satdsl.check.values import evaluate, parameters, walk
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding, Source
from satdsl.hints import did_you_mean, write
from satdsl.ir.experiment import RADIUS, RESULT_AXES, AxisFacts, Experiment, Measurement, SweepTable
from satdsl.records import Record, record
from satdsl.syntax import tree
from satdsl.syntax.layout import RESERVED
from satdsl.syntax.read import read


def check(path: str, text: str, overrides: Mapping[str, str] | None = None) -> Experiment:
    """Check a specification; raises `SpecError` with every finding if one of them is an error.

    `overrides` has the text of the new value of each `param` or axis given with `--set`.
    """
    found = analyse(Source(path, text), overrides)
    if any(finding.severity == "error" for finding in found.findings):
        raise SpecError(found.findings)
    return found.experiment


@record
class Analysis(Record):
    """What is known of a specification, whatever is wrong with it.

    `experiment` has what could be settled; it is whole if no finding is an error.
    """

    findings: tuple[Finding, ...]
    experiment: Experiment
    program: Program
    scope: Scope
    parameters: Mapping[str, tree.Param | tree.Axis]
    axes: Axes
    definitions: Mapping[str, SweepTable[Any] | None]
    """What each declared name stands for, None where something is wrong with it."""
    results: Mapping[str, ResultInfo]
    """Each result, by its full name."""
    catalog: Catalog
    """The entries that the file can name: those of the catalog, and those of the Python files that it uses."""


def analyse(
    source: Source,
    overrides: Mapping[str, str] | None = None,
    files: FileReader | None = None,
    cache: DefinitionCache | None = None,
) -> Analysis:
    """Return all findings of a specification, and everything that could be settled of it.

    `overrides` as for `check`. With the `cache` of earlier texts of the same file, only what has changed is settled
    anew; the lines that displays and claims say they stand in may then be those of the earlier text.
    """
    findings = FindingCollector()
    files = files or FileReader()
    program = load(source, findings, files)
    known = catalog_with(program.plugins.values(), program.python_missing, findings)
    return _Checker(program, known, findings, files, cache).analysis(overrides or {})


_READERS: dict[type[NamedStatement], InstanceReader] = {
    tree.Declaration: declaration,
    tree.Joined: joined,
    tree.Split: split,
    tree.Train: train,
    tree.Transfer: transfer,
}


class _Checker:
    def __init__(
        self,
        program: Program,
        known: Catalog,
        findings: FindingCollector,
        files: FileReader,
        cache: DefinitionCache | None,
    ) -> None:
        self.program = program
        self.cache = cache
        self.findings = findings
        self.scope = Scope(broken=program.broken)
        self.resolver = Resolver(self.scope, known, findings, _READERS, files.folder)
        self.main = program.sources[0]
        self.evaluations = Evaluations(self.resolver, self.main)
        self.references = References(self.evaluations)
        self.parameters: dict[str, tree.Param | tree.Axis] = {}
        self._other_values: list[tuple[tree.Name, tree.Axis, tree.Axis]] = []

    def analysis(self, overrides: Mapping[str, str]) -> Analysis:
        statements = [statement for statement, _ in self.program.statements]
        self._declare()
        self._override(overrides)
        self._parameters_exist(statements)
        self._add_axes()
        self._axes_agree()
        self._values_exist()
        if self.cache is not None:
            self.cache.forget_if_large()
            declared: dict[str, tree.Node] = {
                **self.scope.statements,
                **{f"${name}": what for name, what in self.parameters.items()},
            }
            for s in reversed(_each(statements, tree.Evaluate)):
                names = [name.text for name in reversed(s.trained)]
                declared |= {f"{name}.{line.name.text}": line for name in names for line in reversed(lines_of(s))}
            self.resolver.fingerprints = Fingerprints(
                self.cache, declared, self.resolver.axes.names, self.program.broken, self._python()
            )
        definitions = {name: self._definition(name) for name in self.scope.statements}
        for statement in _each(statements, tree.Evaluate):
            self.evaluations.evaluate(statement)
        unmeasured_threats(self.evaluations)
        transfer_attacks_alone(self.evaluations)
        params = self.resolver.axes.params
        read_display, read_claim = Displays(self.references).display, Claims(self.references).claim
        read_published = Publications(self.references).published
        cached = self.references.cached
        displays = [cached(s, lambda s: read_display(s, params)) for s in _each(statements, tree.Display)]
        claims = [cached(s, lambda s: read_claim(s, params)) for s in _each(statements, tree.Expect)]
        published = [one for s in _each(statements, tree.Published) for one in read_published(s, params)]
        labels = given_labels(_each(statements, tree.Labelled), self.resolver, self.evaluations.results)
        self.references.warn_of_left_out()
        shows = any(isinstance(s, (tree.Display, tree.Expect)) for s in statements)
        if not any(finding.severity == "error" for finding in self.findings.all.values()):
            unused_axes(self.main, statements, self.parameters, self.resolver)
            dropped_labels(statements, self.findings)
            unused_trainings(self.main, statements, self.resolver)
            if shows:
                unused_results(self.main, self.evaluations, self.references.used)
        found = self._found(overrides)
        settled: Any = {name: definition for name, definition in definitions.items() if definition is not None}

        def of(*kinds: str) -> dict[str, Any]:
            return {name: settled[name] for name in self.scope.names(*kinds) if name in settled}

        axes = self.resolver.axes
        wanted = self._wanted() if shows else list(self.evaluations.results)
        measured = tuple(self.references.measured(name) for name in wanted)
        experiment = Experiment(
            title=self._title(statements),
            sources=tuple(self.program.sources),
            axes=tuple(AxisFacts(name, axes.labels(name)) for name in self._axes_of(measured)),
            datasets=of("dataset"),
            splits=of("split"),
            trainings=with_kept_weights(
                of("train"),
                of("transfer"),
                of("split"),
                (known.measured for known in self.evaluations.results.values()),
            ),
            transfers=of("transfer"),
            measured=measured,
            displays=tuple(display for display in displays if display is not None),
            claims=tuple(claim for claim in claims if claim is not None),
            published=tuple(one for one in published if one.result in wanted),
            given_labels=labels,
            conditional=axes.conditional,
            warnings=found,
            overrides=tuple(sorted(overrides.items())),
        )
        return Analysis(
            found,
            experiment,
            self.program,
            self.scope,
            self.parameters,
            self.resolver.axes,
            definitions,
            self.evaluations.results,
            self.resolver.settings.catalog,
        )

    def _python(self) -> tuple[Hashable, ...]:
        """Return the text of all Python code that is used, on which every definition may depend."""
        return tuple(file.code.files for file in self.program.plugins.values())

    def _found(self, overrides: Mapping[str, str]) -> tuple[Finding, ...]:
        """Return all findings, and which of them are accepted. With errors, `--set` or data that are not there, some
        warnings are not looked for.
        """
        found = list(self.findings.all.values())
        tables = filter(None, map(self._definition, self.scope.names("dataset")))
        unknown = any(data.facts is None for table in tables for data in table.table.values())
        settled = not overrides and not unknown and all(finding.severity == "warning" for finding in found)
        return with_accepted(found, self.program.sources, settled=settled)

    def _title(self, statements: list[tree.Statement]) -> str:
        """Return the title that the main file gives, not one of a file that it uses."""
        titles = [s.text.value for s in _each(statements, tree.Title) if s.span.source is self.main]
        return titles[0] if titles else Path(self.main.path).stem

    def _wanted(self) -> list[str]:
        """Return the results that belong to the plan. A used file may measure more than this one shows."""
        places = self.evaluations.places
        asked = self.references.used
        return [name for name in self.evaluations.results if name in asked or places[name].span.source is self.main]

    def _axes_of(self, measured: Iterable[Measurement]) -> list[str]:
        """Return the axes of the plan: those of this file, and those of a used one that some result depends on."""
        depended_on = {axis for one in measured for axis in one.measures.axes}
        axes = self.resolver.axes
        own = {name.text for line in axes.lines for name in line.names if name.span.source is self.main}
        return [name for name in axes.names if name in own | depended_on]

    def _declare(self) -> None:
        seen: dict[str, tree.Statement | tree.Axis] = {}
        for statement, base in self.program.statements:
            declares: list[tuple[str, tree.Name, Any]] = []
            if isinstance(statement, NamedStatement):
                declares = [(statement.name.text, statement.name, statement)]
            elif isinstance(statement, tree.Param):
                declares = [(f"${statement.name.text}", statement.name, statement)]
            elif isinstance(statement, tree.Sweep):
                declares = [(f"${name.text}", name, line) for line in statement.lines for name in line.names]
            for key, name, what in declares:
                first = seen.get(key)
                if first is not None and first.span.source is not what.span.source:
                    if first == what:
                        continue
                    if isinstance(first, tree.Axis) and isinstance(what, tree.Axis):
                        self._other_values.append((name, first, what))
                        continue
                if self._fine_name(key, name, what, first):
                    seen[key] = what
                    self._add(key, what, base)

    def _fine_name(self, key: str, name: tree.Name, what: tree.Node, first: tree.Node | None) -> bool:
        if name.text in RESERVED and name.text != "sat":
            self.findings.error(
                "E201",
                name,
                f"`{name.text}` begins a statement and cannot be a name",
                help="choose another name",
            )
            return False
        if first is not None:
            self._declared_twice(f"`{key}` is declared twice", name, first, what)
        return first is None

    def _declared_twice(self, message: str, name: tree.Name, first: tree.Node, what: tree.Node) -> None:
        source, (line, _) = first.span.source, first.span.place
        where = f"line {line}" if source is name.span.source else f"line {line} of {Path(source.path).name}"
        related = ((first.span, f"first declared in {where}"),)
        help = remove_repeated(what, [first], "rename one of them")
        self.findings.error("E201", name, message, "a name can be declared only once", help, related)

    def _axes_agree(self) -> None:
        """Check that an axis that two files declare has the same values in both, however they are written."""
        for name, first, second in self._other_values:
            if not self.resolver.axes.same_values(first, second):
                message = f"`${name.text}` has other values in another file"
                self._declared_twice(message, name, first, second)

    def _add(self, key: str, what: Any, base: Path) -> None:
        if isinstance(what, (tree.Param, tree.Axis)):
            self.parameters[key[1:]] = what
        else:
            self.scope.statements[key] = what
            self.scope.folders[key] = base

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
                    self.findings.add(problem)
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
        broken = self.program.broken
        for parameter in parameters([*statements, *self.parameters.values()]):
            if parameter.text in self.parameters or parameter.text in broken:
                continue
            help = did_you_mean(parameter.text, self.parameters, parameter.span) or "declare it: `param` or `sweep`"
            # `$eps` is more often a param that is missing than the axis of a curve.
            if parameter.text in RESULT_AXES and parameter.text != RADIUS:
                text = f"an axis of results has no `$`: write `{parameter.text}`"
                help = write(parameter.span, parameter.text, text)
            self.findings.error("E203", parameter, f"there is no param or axis called `${parameter.text}`", help=help)

    def _add_axes(self) -> None:
        """Add the params first, then the axes, each after those that it depends on."""
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
                with suppress(Rejected):
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

    def _definition(self, name: str) -> SweepTable[Any] | None:
        try:
            return self.resolver.definition(name)
        except Rejected:
            return None


def _each(statements: list[tree.Statement], kind: type[Any]) -> list[Any]:
    return [statement for statement in statements if isinstance(statement, kind)]


__all__ = ["Analysis", "Experiment", "Finding", "SpecError", "analyse", "check"]
