"""Read the Python files that a specification uses, and make their functions entries beside those of the catalog."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from satdsl.catalog import Catalog, Entry, catalog
from satdsl.catalog.registry import ANY
from satdsl.catalog.renamed import table
from satdsl.check.collector import FindingCollector
from satdsl.findings import Finding
from satdsl.hints import Hint, article, suggest
from satdsl.syntax import tree

if TYPE_CHECKING:
    from satdsl.catalog.plugins import FolderCode, PluginFile, ReadFile

PYTHON = ".py"
"""The ending of the files whose marked functions are entries."""


def names_package(statement: tree.Use, path: Path) -> bool:
    """Return whether a `use` names an installed package: a word that is the name of no file."""
    return statement.path.value.replace("-", "_").isidentifier() and not os.path.exists(path)


def use_python(
    statement: tree.Use,
    path: Path,
    shown: str,
    known: dict[str, PluginFile],
    findings: FindingCollector,
    read_file: ReadFile,
) -> bool:
    """Add what a Python file declares to those that are `known`; return whether the file could be read.

    What is wrong with it is among the findings.
    """
    from satdsl.catalog.plugins import in_folder

    if str(path) in known:
        return True
    try:
        code = in_folder(path, shown, read_file)
    except (OSError, ValueError) as error:
        unreadable(statement, path, error, findings)
        return False
    _add(code, known, findings)
    return True


def use_package(
    statement: tree.Use, known: dict[str, PluginFile], findings: FindingCollector, read_file: ReadFile
) -> bool:
    """Add what the plug-in of an installed package declares; return whether there is one."""
    from satdsl.catalog.plugins import installed, package_code

    name, there = statement.path.value, installed()
    found = there.get(name, [])
    if len(found) != 1:
        message, help = f"there is neither a file nor an installed plug-in called `{name}`", suggest(name, there)
        if found:
            message = f"several packages have a plug-in `{name}`: {', '.join(one.package for one in found)}"
            help = Hint("uninstall all but one of them")
        reason = "packages declare plug-ins in the entry point group `satdsl.plugins`"
        findings.error("E114", statement.path, message, reason, help)
        return False
    code = package_code(found[0], read_file)
    if code is None:
        message = f"the module `{found[0].module}` of {found[0].package} has no file that can be read"
        findings.error("E114", statement.path, message, "its text says what it declares", "install the package again")
        return False
    _add(code, known, findings)
    return True


def _add(code: FolderCode, known: dict[str, PluginFile], findings: FindingCollector) -> None:
    from satdsl.catalog.plugins import read

    if code.place not in known:
        known[code.place] = read(code)
        for finding in known[code.place].findings:
            findings.add(finding)


def unreadable(statement: tree.Use, path: Path, error: OSError | ValueError, findings: FindingCollector) -> None:
    """Make the finding about a file that cannot be read."""
    reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
    where = "paths start from the folder of the file that names them"
    findings.error("E306", statement.path, f"`{path}` cannot be read", f"{reason}", where)


def catalog_with(files: Iterable[PluginFile], missing: bool, findings: FindingCollector) -> Catalog:
    """Return the catalog with the entries of some files, each of a name that no other has.

    `missing` says that there are files beside which could not be read.
    """
    more: dict[str, Entry] = {}
    unread = {ANY} if missing else set()
    for file in files:
        unread |= file.unread
        for entry in file.entries:
            span = file.places[entry.name]
            if families := catalog().families_of(entry.name):
                message = f"`{entry.name}` is already {article(families[0])} of the catalog"
                findings.add(Finding("E213", span, message, help="give the function another name"))
                unread.add(entry.name)
            elif (instead := table().get(("entry", entry.family, entry.name))) is not None:
                message = f"`{entry.name}` is what {instead.source} calls `{instead.now}`"
                reason = f"`satdsl fmt --upgrade` writes `{instead.now}` in its place"
                findings.add(Finding("E213", span, message, reason, "give the function another name"))
                unread.add(entry.name)
            elif entry.name in more:
                message = f"`{entry.name}` is declared by another file, too"
                findings.add(Finding("E213", span, message, help="rename one of the functions"))
            else:
                more[entry.name] = entry
    return Catalog(more.values(), unread) if more or unread else catalog()
