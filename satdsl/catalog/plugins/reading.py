"""Read the entries that a Python file declares: from its text, which is not executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from satdsl.catalog.plugins.annotations import Parameters, Unreadable
from satdsl.catalog.plugins.folder_code import FolderCode
from satdsl.catalog.plugins.kinds import KINDS, Kind, Marked
from satdsl.catalog.plugins.marks import MODULE, MarkedFunction, Names, marked
from satdsl.catalog.plugins.python_text import Places, first_line, parsed, too_deep
from satdsl.catalog.registry import ANY, Entry
from satdsl.findings import Finding, Source, Span
from satdsl.hints import article, suggest
from satdsl.ir.steps import PluginCode
from satdsl.records import Record, record


@record
class PluginFile(Record):
    """What a Python file declares. `places` has where each entry's function has its name."""

    source: Source
    code: FolderCode
    entries: tuple[Entry, ...]
    places: Mapping[str, Span]
    findings: tuple[Finding, ...]
    unread: frozenset[str] = frozenset()
    """The names of functions in which something is wrong; `ANY` where nothing can be read."""


def read(code: FolderCode) -> PluginFile:
    """Return what the first file of some code declares."""
    _, source = code.sources[0]
    tree = parsed(source)
    if isinstance(tree, Finding):
        return PluginFile(source, code, (), {}, code.findings, frozenset([ANY]))
    places, names = Places(source), Names(tree)
    reader = _FunctionReader(names, places, code)
    findings = [*code.findings]
    entries: dict[str, Entry] = {}
    spans: dict[str, Span] = {}
    unread: set[str] = set()
    found = list(marked(tree, names, places))
    for one in found:
        try:
            if isinstance(one, Finding):
                findings.append(one)
                unread.add(ANY)  # it does not say which function it marks
                continue
            span, name = places.name(one.node), one.node.name
            if name in entries:
                findings.append(Finding("E213", span, f"`{name}` is marked twice", help="rename one of the functions"))
                continue
            unread.add(name)
            entries[name], spans[name] = reader.entry(one), span
            unread.remove(name)
        except Unreadable as unreadable:
            findings.append(unreadable.finding)
        except RecursionError:
            findings.append(too_deep(source))
    if not found and not code.findings:
        message = "no function of this file is marked as an entry"
        help = f"write `import {MODULE} as sat`, and `@sat.attack` (or {', '.join(KINDS)}) before a function"
        findings.append(Finding("E113", first_line(source), message, help=help))
    return PluginFile(source, code, tuple(entries.values()), spans, tuple(findings), frozenset(unread))


@lru_cache(64)
def _of_texts(files: tuple[tuple[str, str], ...], path: str, digest: str, place: str) -> Mapping[str, Entry]:
    sources = tuple((name, Source(name, text)) for name, text in files)
    found = read(FolderCode(sources, path, digest, (), place))
    return {entry.name: entry for entry in found.entries}


def entry_of(code: PluginCode) -> Entry | None:
    """Return the entry that some code stands for, read from the text that it brings along."""
    return _of_texts(code.files, code.path, code.digest, code.place).get(code.function) if code.files else None


class _FunctionReader:
    def __init__(self, names: Names, places: Places, code: FolderCode) -> None:
        self.places, self.code = places, code
        self.parameters = Parameters(names, places)

    def entry(self, function: MarkedFunction) -> Entry:
        """Return the entry of a marked function; raise `Unreadable` for one that is none."""
        kind, node = KINDS[function.kind], function.node
        positional = self._positional(function, kind)
        doc = ast.get_docstring(node) or ""
        helps = _helps(doc)
        defaults = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        unsaid = f"It is an argument of `{node.name}` in {self.code.path}."
        arguments = tuple(
            self.parameters.argument(arg, default, helps.get(arg.arg, unsaid)) for arg, default in defaults
        )
        options = self._options(function, kind)
        code = PluginCode(node.name, self.code.digest, self.code.path, self.code.place, self.code.files)
        first = doc.partition("\n\n")[0] or f"{function.kind} of {self.code.path}"
        read = Marked(node.name, first, arguments, positional, options, code)
        for problem in kind.problems(read):
            named: dict[str, Any] = {arg.arg: arg for arg in node.args.kwonlyargs}
            at = function.options.get(problem.option) or named.get(problem.argument, node)
            self._reject(problem.code, at, problem.message, problem.reason, problem.help)
        return kind.entry(read)

    def _positional(self, function: MarkedFunction, kind: Kind) -> tuple[str, ...]:
        """Return the names of the parameters that satdsl gives by position, which are one of the kind's forms."""
        given = function.node.args
        forms = " or ".join(f"`({', '.join(form)}, *, ...)`" for form in kind.forms)
        for gathering, stars in ((given.vararg, "*"), (given.kwarg, "**")):
            if gathering is not None:
                message = f"`{stars}{gathering.arg}` does not say which arguments there are"
                self._reject("E215", gathering, message, help="name each argument, after a `*`")
        names = [*given.posonlyargs, *given.args]
        written = tuple(arg.arg for arg in names)
        if written in kind.forms:
            return written
        longest = max(kind.forms, key=len)
        odd = next((arg for arg, name in zip(names, longest, strict=False) if arg.arg != name), None)
        odd = odd or (names[len(longest)] if len(names) > len(longest) else None)
        message = f"{article(function.kind)} is called with {forms}, and `{function.node.name}` is not"
        reason = "arguments of a specification stand after a `*`"
        self._reject("E215", odd or function.node, message, reason, f"write `def {function.node.name}{_form(kind)}`")

    def _options(self, function: MarkedFunction, kind: Kind) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for name, node in function.options.items():
            if name not in kind.options:
                help = str(suggest(name, kind.options)) or f"write `@{function.kind}` alone"
                self._reject("E214", node, f"`{function.kind}` says nothing called `{name}` of a function", help=help)
            value = self.parameters.literal(node, f"`{name}`")
            if value is None:
                continue
            if not isinstance(value, kind.options[name]):
                self._reject(
                    "E218", node, f"`{name}` cannot be `{self.places.text(node)}`", help=_wanted(kind.options[name])
                )
            options[name] = value
        for name in kind.needed:
            if name not in options:
                self._reject("E218", function.node, f"`{function.kind}` needs `{name}`", help=f"write `{name}=...`")
        return options

    def _reject(self, code: str, node: Any, message: str, reason: str = "", help: str = "") -> NoReturn:
        span = self.places.name(node) if isinstance(node, ast.FunctionDef) else self.places.span(node)
        raise Unreadable(Finding(code, span, message, reason, help))


def _form(kind: Kind) -> str:
    return f"({', '.join(kind.forms[0])}, *, ...)"


def _wanted(kinds: type | tuple[type, ...]) -> str:
    """Return what an option may be, in words."""
    names = {str: "a text", int: "a whole number", bool: "True or False", tuple: "a tuple", list: "a list"}
    every = kinds if isinstance(kinds, tuple) else (kinds,)
    return f"write {' or '.join(names[one] for one in every if one in names)}"


_ARGUMENT = re.compile(r"(\w+)(?:\s*\([^)]*\))?:\s*(.+)")


def _helps(doc: str) -> dict[str, str]:
    """Return what the section `Args:` of a docstring says of each argument, where it has one."""
    return dict(_help_lines(doc.partition("\nArgs:\n")[2].splitlines()))


def _help_lines(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    indent = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    name, text = "", ""
    for line in lines:
        if not line.strip() or not line.startswith(" "):
            break
        found = _ARGUMENT.match(line.strip()) if len(line) - len(line.lstrip()) == indent else None
        if found:
            if name:
                yield name, text
            name, text = found[1], found[2]
        else:
            text += f" {line.strip()}"
    if name:
        yield name, text
