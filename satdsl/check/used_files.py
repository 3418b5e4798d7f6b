"""Read a specification and the files that it uses, each once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from satdsl import folder_contents
from satdsl.check.collector import FindingCollector
from satdsl.check.fixes import remove_repeated
from satdsl.check.plugins import PYTHON, names_package, unreadable, use_package, use_python
from satdsl.check.renamed import findings as renamed_findings
from satdsl.check.renamed import renamed
from satdsl.findings import Finding, Fix, Source, Span
from satdsl.folder_contents import Contents
from satdsl.hints import Hint, leave_out, write
from satdsl.sources import opened, resolve_path
from satdsl.syntax import tree
from satdsl.syntax.read import read

if TYPE_CHECKING:
    from satdsl.catalog.plugins import PluginFile

LANGUAGE = 1
"""The newest language version that this compiler knows."""

MOVE = "move it to the first line"


@dataclass
class Program:
    """The statements of a file and of all the files it uses, each once."""

    statements: list[tuple[tree.Statement, Path]] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    """The main file comes first."""
    broken: set[str] = field(default_factory=set)
    plugins: dict[str, PluginFile] = field(default_factory=dict)
    """The Python files that are used, by where they lie."""
    python_missing: bool = False
    """Whether a Python file that is used cannot be read, so that nobody knows what it declares."""


class FileReader:
    """Where the text of files comes from, and how it is read: from disk, once for each check. An editor has others."""

    def __init__(self) -> None:
        self._folders: dict[Path, Contents] = {}

    def source(self, path: Path, shown: str) -> Source:
        """Return a file's text under the path that findings show; raise OSError, or ValueError if it is no UTF-8."""
        return Source(shown, opened(path).read().decode("utf-8-sig"))

    def read(self, source: Source) -> tuple[tree.File, list[Finding]]:
        return read(source)

    def folder(self, place: Path) -> Contents:
        """Return what lies in a folder of images."""
        if place not in self._folders:
            self._folders[place] = folder_contents.read(place)
        return self._folders[place]


def load(source: Source, findings: FindingCollector, files: FileReader) -> Program:
    """Return a main file with everything it uses; what cannot be read is among the findings."""
    program = Program()
    _load(source, Path(source.path).resolve(), program, findings, files, ())
    return program


def _load(
    source: Source,
    place: Path,
    program: Program,
    findings: FindingCollector,
    files: FileReader,
    users: tuple[Path, ...],
) -> None:
    file, problems = files.read(source)
    for problem in problems:
        findings.add(problem)
    program.sources.append(source)
    program.broken |= file.broken
    check_version(source, file, findings)
    file = _in_own_words(file, findings)
    for statement in file.statements:
        if isinstance(statement, tree.Use):
            _use(statement, source, place, program, findings, files, (*users, place))
        program.statements.append((statement, place.parent))


def _in_own_words(file: tree.File, findings: FindingCollector) -> tree.File:
    """Return the file with words that are written otherwise replaced, so that they hide nothing else."""
    own, changes = renamed(file)
    version = next((s.number.value for s in file.statements if isinstance(s, tree.Version)), LANGUAGE)
    for finding in renamed_findings(changes, version):
        findings.add(finding)
    return own


def check_version(source: Source, file: tree.File, findings: FindingCollector) -> None:
    """Find out whether a file says first, once, and in which version of the language it is written."""
    versions = [s for s in file.statements if isinstance(s, tree.Version)]
    if not versions:
        if file.statements and "1" not in file.broken:
            findings.warn(
                "E105",
                file.statements[0],
                "this file does not say which version of the language it is written in",
                "a later version may read it differently",
                _first_line(source),
            )
        return
    if file.statements[0] is not versions[0]:
        help = _moved(versions[0]) if len(versions) == 1 else Hint(MOVE)
        findings.error("E105", versions[0], "`sat` must come first in a file", help=help)
    for version in versions[1:]:
        help = remove_repeated(version, versions, "keep one of them")
        findings.error("E105", version, "the language version is given twice", help=help)
    number = versions[0].number
    if number.value > LANGUAGE or not number.is_integer or number.value < 1:
        findings.error(
            "E105",
            number,
            f"this file is written in language version {number.value:g}, but this satdsl reads only version {LANGUAGE}",
            help="upgrade satdsl" if number.value > LANGUAGE else write(versions[0].span, f"sat {LANGUAGE}"),
        )


def _first_line(source: Source) -> Hint:
    line = f"sat {LANGUAGE}"
    end = "\r\n" if "\r\n" in source.text else "\n"
    return Hint(f"begin with `{line}`", Fix(f"add `{line}`", ((Span(source, 0, 0), line + end),)))


def _moved(version: tree.Version) -> Hint:
    """Return the line in its place, before the first."""
    source, text = version.span.source, version.span.text
    gone = leave_out(version.span, MOVE).fix
    first = _first_line(source).fix
    assert gone is not None
    assert first is not None
    ((start, line),) = first.edits
    moved = line.replace(f"sat {LANGUAGE}", text)
    return Hint(MOVE, Fix(f"move `{text}` to the first line", ((start, moved), *gone.edits)))


def _use(
    statement: tree.Use,
    source: Source,
    place: Path,
    program: Program,
    findings: FindingCollector,
    files: FileReader,
    users: tuple[Path, ...],
) -> None:
    path = Path(resolve_path(place.parent, statement.path.value))
    if path.suffix == PYTHON:
        shown = os.path.normpath(Path(source.path).parent / statement.path.value)
        found = use_python(statement, path, shown, program.plugins, findings, files.source)
        program.python_missing |= not found
        return
    if names_package(statement, path):
        found = use_package(statement, program.plugins, findings, files.source)
        program.python_missing |= not found
        return
    if path in users:
        circle = " uses ".join(f"`{p.name}`" for p in [*users[users.index(path) :], path])
        findings.error(
            "E208",
            statement,
            f"files use each other in a circle: {circle}",
            help="move what both need into a third file",
        )
        return
    try:
        used = files.source(path, os.path.normpath(Path(source.path).parent / statement.path.value))
    except (OSError, ValueError) as error:
        unreadable(statement, path, error, findings)
        return
    if any(Path(loaded.path).resolve() == path.resolve() for loaded in program.sources):
        return
    _load(used, path, program, findings, files, users)
