"""Find the plug-ins of installed packages by their entry points, without importing any of them.

A package names a module in the entry point group `satdsl.plugins`; a specification uses it by the entry point's name.
Its file is found in the list of what the package installed, or, where the package is installed from a checkout, below
the folder of its topmost module: to look up a module within a package would import the package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from satdsl.catalog.plugins.folder_code import FolderCode, ReadFile, bounded, gathered, looked_up
from satdsl.findings import Source
from satdsl.records import Record, record

GROUP = "satdsl.plugins"
PACKAGE = "package "
"""What stands before the name in the place of a package's code."""


@record
class InstalledPlugin(Record):
    """A module of an installed package that declares entries: its name here, the package, and where its file may be."""

    name: str
    module: str
    package: str
    files: tuple[Path, ...]


def installed() -> dict[str, list[InstalledPlugin]]:
    """Return the plug-ins of all installed packages by name; several packages may claim one name."""
    found: dict[str, list[InstalledPlugin]] = {}
    for point in entry_points(group=GROUP):
        one = _of(point)
        if one not in found.setdefault(point.name, []):
            found[point.name].append(one)
    return found


def _of(point: EntryPoint) -> InstalledPlugin:
    dist = point.dist
    package = f"{dist.name} {dist.version}" if dist is not None else ""
    return InstalledPlugin(point.name, point.module, package, tuple(_places(point)))


def _places(point: EntryPoint) -> Iterator[Path]:
    parts = point.module.split(".")
    names = ("/".join([*parts, "__init__.py"]), "/".join(parts) + ".py")
    for file in (point.dist.files if point.dist is not None else None) or ():
        if file.as_posix() in names:
            yield Path(str(file.locate()))
    try:
        top = find_spec(parts[0])
    except (ImportError, ValueError):
        top = None
    for folder in (top.submodule_search_locations or ()) if top is not None else ():
        yield from (Path(folder).parent / name for name in names)
    if top is not None and top.origin and len(parts) == 1:
        yield Path(top.origin)


def package_code(plugin: InstalledPlugin, read: ReadFile) -> FolderCode | None:
    """Return the code of a package's plug-in with what it imports of the package; None where no file is found.

    The digest has the name and the version of the package in it, since not all of its code need be seen.
    """
    top, depth = plugin.module.partition(".")[0], plugin.module.count(".")
    for file in plugin.files:
        root = file.parents[depth + (file.name == "__init__.py")]

        def lookup(name: str, root: Path = root) -> Source | None:
            if name not in (f"{top}.py", f"{top}/__init__.py") and not name.startswith(f"{top}/"):
                return None
            return looked_up(root / name, str(root / name), read)

        try:
            source = bounded(file, str(file), read)
        except (OSError, ValueError):
            continue
        name = file.relative_to(root).as_posix()
        found = gathered(name, source, lookup, plugin.package, f"{PACKAGE}{plugin.name}")
        return replace(found, digest=with_version(plugin.package, found.digest))
    return None


def with_version(package: str, digest: str) -> str:
    """Return the digest of some code of a package, `extras 1.2`, that is told apart from that of other versions."""
    return hashlib.sha256(f"{package} {digest}".encode()).hexdigest()
