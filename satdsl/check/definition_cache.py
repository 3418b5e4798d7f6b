"""Keep what earlier checks of a file have settled, for the parts of it that an edit leaves as they are.

A definition is settled from its text and from what that names. Each gets a number that stands for both; where the
number is known and nothing was found wrong the last time, the definition is taken as it was settled then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from satdsl.check.collector import FindingCollector
from satdsl.syntax import tree

T = TypeVar("T")

_READS_DISK = re.compile(r"\b(?:folder|checkpoint)\s*\(|\b(?:listed|scores)\s+in\b")
_MOST = 4_000


class DefinitionCache:
    """Remembers across checks. `disk` is raised when files may have changed that definitions read."""

    def __init__(self) -> None:
        self.disk = 0
        self._numbers: dict[Hashable, int] = {}
        self._kept: dict[Hashable, Any] = {}

    def number(self, what: Hashable) -> int:
        return self._numbers.setdefault(what, len(self._numbers))

    def recall(self, what: Hashable, make: Callable[[], T | None], findings: FindingCollector) -> T | None:
        """Return what `make` gives, or gave when it was asked for the same without finding anything wrong."""
        if what in self._kept:
            kept: T = self._kept[what]
            return kept
        before = findings.made
        value = make()
        if value is not None and findings.made == before:
            self._kept[what] = value
        return value

    def forget_if_large(self) -> None:
        if len(self._numbers) > _MOST:
            self._numbers.clear()
            self._kept.clear()


class Fingerprints:
    """The numbers of everything that one reading of a file declares.

    `declared` has the statement (or line) of each name, `$` before those of params and axes; `broken` the names whose
    statements could not be read whole; `python` the text of all Python files that are used.
    """

    def __init__(
        self,
        cache: DefinitionCache,
        declared: Mapping[str, tree.Node],
        axes: Iterable[str],
        broken: Iterable[str],
        python: tuple[Hashable, ...] = (),
    ) -> None:
        self._cache = cache
        self._python = cache.number(python)
        self._declared = declared
        self._axes = [f"${name}" for name in axes]
        self._broken = frozenset(broken)
        self._found: dict[str, tuple[int, frozenset[str]] | None] = {}
        self._results: dict[str, list[str]] = {}
        for name in declared:
            if "." in name:
                self._results.setdefault(name.partition(".")[0], []).append(name)

    def definition(self, name: str, make: Callable[[], T | None], findings: FindingCollector) -> T | None:
        """Return what a declared name stands for: cached, or made now."""
        found = self._named(name)
        return make() if found is None else self._cache.recall(("definition", found[0]), make, findings)

    def statement(
        self, node: tree.Node, make: Callable[[], T | None], findings: FindingCollector, *about: str
    ) -> T | None:
        """Return what `node` says, which depends on what it names, and on the results of everything in `about`."""
        results = tuple(result for name in about for result in self._results.get(name, ()))
        found = self._read(node, results, ())
        return make() if found is None else self._cache.recall((type(node).__name__, found[0]), make, findings)

    def _named(self, name: str) -> tuple[int, frozenset[str]] | None:
        """Return the number of a declaration, and the axes that it can depend on; None where it depends on itself."""
        if name not in self._found:
            self._found[name] = None
            node = self._declared[name]
            self._found[name] = self._read(node, (name.partition(".")[0],) if "." in name else (), (name,))
        return self._found[name]

    def _read(self, node: tree.Node, more: tuple[str, ...], own: tuple[str, ...]) -> tuple[int, frozenset[str]] | None:
        text = node.span.text
        if isinstance(node, tree.MeasureLine) and node.when is not None:
            text += f" {node.when.span.text}"
        below: list[int] = []
        axes: set[str] = set()
        for word in (*_words(text), *more):
            if word in self._declared and word not in own:
                found = self._named(word)
                if found is None:
                    return None
                below.append(found[0])
                axes |= found[1]
                if word[0] == "$":
                    axes.add(word)
        order = tuple(axis for axis in self._axes if axis in axes)
        disk = self._cache.disk if _READS_DISK.search(text) else 0
        broken = any(name in self._broken for name in own)
        what = (text, node.span.source.path, own, broken, tuple(below), order, disk, self._python)
        return self._cache.number(what), frozenset(axes)


@lru_cache(10_000)
def _words(text: str) -> tuple[str, ...]:
    return tuple(sorted(set(re.findall(r"\$?[^\W\d]\w*", text))))
