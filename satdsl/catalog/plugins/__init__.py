"""Read Python files of the user's own: which entries they declare, from their text, without running any of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from satdsl.catalog.plugins.folder_code import FolderCode, ReadFile, gathered, in_folder
from satdsl.catalog.plugins.kinds import KINDS
from satdsl.catalog.plugins.packages import PACKAGE, InstalledPlugin, installed, package_code
from satdsl.catalog.plugins.reading import PluginFile, entry_of, read
from satdsl.findings import Source
from satdsl.sources import opened

__all__ = [
    "KINDS",
    "FolderCode",
    "InstalledPlugin",
    "PluginFile",
    "ReadFile",
    "digest_of",
    "entry_of",
    "in_folder",
    "installed",
    "on_disk",
    "package_code",
    "read",
    "source_of",
]


def source_of(path: Path, shown: str) -> Source:
    """Return a file's text under the path that findings show; raise OSError, or ValueError if it is no UTF-8."""
    with opened(path) as file:
        return Source(shown, file.read().decode("utf-8-sig"))


def digest_of(files: Mapping[str, str]) -> str:
    """Return the digest of code that consists of these texts, of which the first declares the entries."""
    sources = {name: Source(name, text) for name, text in files.items()}
    name, first = next(iter(sources.items()))
    return gathered(name, first, sources.get, "", "").digest


def on_disk(place: str) -> FolderCode | None:
    """Return the code that lies at the `place` of a `PluginCode` now; None where it is gone."""
    if place.startswith(PACKAGE):
        plugins = installed().get(place.removeprefix(PACKAGE), [])
        return package_code(plugins[0], source_of) if len(plugins) == 1 else None
    try:
        return in_folder(Path(place), place, source_of)
    except (OSError, ValueError):
        return None
