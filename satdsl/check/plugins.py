"""Read the Python files that a specification uses, and make their functions entries beside those of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from satdsl.catalog import Catalog, Entry, catalog
from satdsl.check.collector import FindingCollector
from satdsl.findings import Finding, Source
from satdsl.hints import article
from satdsl.syntax import tree

if TYPE_CHECKING:
    from satdsl.catalog.plugins import PluginFile

PYTHON = ".py"
"""The ending of the files whose marked functions are entries."""

Reader = Callable[[Path, str], Source]
"""Returns a file's text under the path that findings show; raises OSError, or ValueError if it is no UTF-8."""


def use_python(
    statement: tree.Use,
    path: Path,
    shown: str,
    known: dict[Path, PluginFile],
    findings: FindingCollector,
    read_: Reader,
) -> None:
    """Add what a Python file declares to those that are `known`; what is wrong with it is among the findings."""
    if path in known:
        return
    try:
        source = read_(path, shown)
    except (OSError, ValueError) as error:
        unreadable(statement, path, error, findings)
        return
    from satdsl.catalog.plugins import gathered, read

    folder, above = path.parent, Path(shown).parent

    def lookup(name: str) -> Source | None:
        try:
            return read_(folder / name, str(above / name))
        except (OSError, ValueError):
            return None

    known[path] = read(gathered(path.name, source, lookup), shown)
    for finding in known[path].findings:
        findings.add(finding)


def unreadable(statement: tree.Use, path: Path, error: OSError | ValueError, findings: FindingCollector) -> None:
    """Make the finding about a file that cannot be read."""
    reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
    where = "paths start from the folder of the file that names them"
    findings.error("E306", statement.path, f"`{path}` cannot be read", f"{reason}", where)


def catalog_with(files: Iterable[PluginFile], findings: FindingCollector) -> Catalog:
    """Return the catalog with the entries of some files, each of a name that no other has."""
    more: dict[str, Entry] = {}
    for file in files:
        for entry in file.entries:
            span = file.places[entry.name]
            if families := catalog().families_of(entry.name):
                message = f"`{entry.name}` is already {article(families[0])} of the catalog"
                findings.add(Finding("E213", span, message, help="give the function another name"))
            elif entry.name in more:
                message = f"`{entry.name}` is declared by another file, too"
                findings.add(Finding("E213", span, message, help="rename one of the functions"))
            else:
                more[entry.name] = entry
    return Catalog(more.values()) if more else catalog()
