"""Gather the code that a Python file is made of: the file, and what it imports from its own folder, without importing.

An import is looked for below the folder by its name, as Python does it: `import shapes` is `shapes.py` or
`shapes/__init__.py`. What is not there is Python's own or installed, and no part of the code. Imports that are made by
calls (`importlib.import_module`) are not seen.
"""

from __future__ import annotations

import ast
import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from operator import itemgetter
from pathlib import Path, PurePosixPath

from satdsl.catalog.plugins.python_text import Places, parsed
from satdsl.catalog.plugins.syntax_digest import digest
from satdsl.findings import Finding, Source
from satdsl.records import Record, record

MOST_BYTES = 2_000_000
"""Of a file that is read at all."""

MOST_FILES = 100
MOST_CHARACTERS = 2_000_000
"""Of all files together."""

NOT_OURS = ("satdsl",)
"""What is never looked for in the folder, though a checkout may lie there."""

Lookup = Callable[[str], Source | None]
"""Returns the file at a path from the folder (`shapes/__init__.py`), None where there is none; raises OSError, or
ValueError, for one that cannot be read."""


ReadFile = Callable[[Path, str], Source]
"""Returns a file's text under the path that findings show; raises OSError, or ValueError if it is no UTF-8."""


@record
class FolderCode(Record):
    """A Python file with what it imports from its folder: each source by its path from there, the file first."""

    sources: tuple[tuple[str, Source], ...]
    path: str
    """What the first file is called, for people."""
    digest: str
    findings: tuple[Finding, ...]

    place: str
    """Where the file lies, from the root; of an installed package `package NAME`."""

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, source.text) for name, source in self.sources)


def in_folder(file: Path, shown: str, read: ReadFile) -> FolderCode:
    """Return the code of a file that findings call `shown`; raise OSError or ValueError where it cannot be read."""
    above = Path(shown).parent
    source = bounded(file, shown, read)

    def lookup(name: str) -> Source | None:
        return looked_up(file.parent / name, str(above / name), read)

    return gathered(file.name, source, lookup, shown, str(file))


def bounded(file: Path, shown: str, read: ReadFile) -> Source:
    """Return the text of a file, of which one that is too large is not read; raise as `read` does."""
    size = 0
    with suppress(OSError):
        size = file.stat().st_size
    if size > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes, and at most {MOST_BYTES:,} are read", str(file))
    return read(file, shown)


def looked_up(file: Path, shown: str, read: ReadFile) -> Source | None:
    """Return the text of a file, None where there is none; raise OSError or ValueError where it cannot be read."""
    try:
        return bounded(file, shown, read)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise


def gathered(name: str, source: Source, lookup: Lookup, path: str, place: str) -> FolderCode:
    """Return the code of the file that is called `name` in its folder, `path` by people, and lies at `place`."""
    gathering = _Gathering(lookup)
    gathering.add(name, source, ())
    found = gathering.sources
    modules = [(at, tree) for at, one in found.items() if isinstance(tree := parsed(one), ast.Module)]
    first, *others = modules or [("", ast.Module([], []))]
    code = digest([first, *sorted(others, key=itemgetter(0))])
    return FolderCode(tuple(found.items()), path, code, tuple(gathering.findings), place)


class _Gathering:
    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.sources: dict[str, Source] = {}
        self.findings: list[Finding] = []
        self._characters = 0
        self._at_once: set[ast.stmt] = set()
        """The statements that are executed when their file is imported, come what may."""

    def add(self, name: str, source: Source, users: tuple[str, ...]) -> None:
        """Add a file and all that it imports. `users` lead from the first file to this one."""
        self.sources[name] = source
        self._characters += len(source.text)
        tree = parsed(source)
        if isinstance(tree, Finding):
            self.findings.append(tree)
            return
        self._at_once.update(tree.body)
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for wanted in dict.fromkeys(_wanted(node, name)):
                    self._import(wanted, node, source, (*users, name))

    def _import(self, wanted: str, node: ast.Import | ast.ImportFrom, source: Source, users: tuple[str, ...]) -> None:
        for path in (f"{wanted}/__init__.py", f"{wanted}.py"):
            if path in users[:-1] and not _contains(path, users[-1]) and node in self._at_once:
                circle = " imports ".join(f"`{at}`" for at in [*users[users.index(path) :], path])
                self._found(node, source, f"files import each other in a circle: {circle}", _THIRD)
                return
            if path in self.sources:
                return
            try:
                there = self.lookup(path)
            except (OSError, ValueError) as error:
                why = str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8 text"
                self._found(node, source, f"`{path}` is imported here and cannot be read", _READABLE, why)
                return
            if there is None:
                continue
            if len(self.sources) >= MOST_FILES or self._characters + len(there.text) > MOST_CHARACTERS:
                if not any(finding.code == "E111" for finding in self.findings):
                    most = f"at most {MOST_FILES} files and {MOST_CHARACTERS:,} characters travel with a step"
                    self._found(node, source, "this is more code than a plug-in may have", _INSTALL, most)
                return
            self.add(path, there, users)
            return

    def _found(self, node: ast.stmt, source: Source, message: str, help: str, reason: str = "") -> None:
        self.findings.append(Finding("E111", Places(source).span(node), message, reason, help))


_READABLE = "make it a file that can be read, or take the import out"
_THIRD = "move what both need into a third file"
_INSTALL = "make it a package and install it; what is installed does not travel"


def _contains(path: str, importer: str) -> bool:
    """Return whether a file is that of a package that another lies in, which Python imports first by itself."""
    folder, _, name = path.rpartition("/")
    return name == "__init__.py" and importer.startswith(f"{folder}/")


def _wanted(node: ast.Import | ast.ImportFrom, importer: str) -> Iterator[str]:
    """Give the paths, without ending, that an import may stand for; of a package each part is imported, too."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _parts(alias.name.split("."))
        return
    base: list[str] = []
    if node.level:
        parents = PurePosixPath(importer).parent.parts
        if node.level - 1 > len(parents):
            return
        base = list(parents[: len(parents) - (node.level - 1)])
    base += (node.module or "").split(".") if node.module else []
    yield from _parts(base)
    for alias in node.names:
        if alias.name != "*":
            yield from _parts([*base, alias.name])


def _parts(names: list[str]) -> Iterable[str]:
    if names and names[0] not in NOT_OURS:
        yield from ("/".join(names[:end]) for end in range(1, len(names) + 1))
