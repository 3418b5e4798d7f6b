"""Find the functions of a file that are marked as entries, under whatever name `satdsl.plugin` is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from satdsl.catalog.plugins.python_text import Places
from satdsl.findings import Finding, Span
from satdsl.hints import suggest
from satdsl.records import Record, record

MODULE = "satdsl.plugin"

KINDS = ("model", "attack", "loss", "score", "dataset", "augmentation", "schedule", "measure")
"""What a function can be marked as."""

NORM, RADIUS, SHARE = "Norm", "Radius", "Share"
LIMITS = {"Above": "above", "AtLeast": "at_least", "Below": "below", "AtMost": "at_most"}
"""The markers of a range, each with the field of `Argument` that it fills."""
TEXTS = {"Unit": "unit", "Help": "help"}

PUBLIC = (*KINDS, NORM, RADIUS, SHARE, *LIMITS, *TEXTS, "Mark", "MARK")


class Names:
    """What the names of a file stand for: which of them are `satdsl.plugin`'s, or of `typing`."""

    def __init__(self, tree: ast.Module) -> None:
        self._stands_for: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    self._stands_for[name] = alias.name if alias.asname else name
            elif isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    self._stands_for[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def full(self, node: ast.expr) -> str:
        """Return what a name stands for: `satdsl.plugin.attack` for `sat.attack`; empty for what is no name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._stands_for.get(node.id, node.id), *reversed(parts)])

    def ours(self, node: ast.expr) -> str:
        """Return which name of `satdsl.plugin` a node is; empty for anything else."""
        module, _, name = self.full(node).rpartition(".")
        return name if module == MODULE else ""

    def typing(self, node: ast.expr) -> str:
        """Return which name of `typing` (or built-in name) a node is."""
        module, _, name = self.full(node).rpartition(".")
        return name if module in ("", "typing", "typing_extensions", "builtins") else ""


@record
class MarkedFunction(Record):
    """A function at module level that is marked as an entry, with what its mark says besides."""

    kind: str
    node: ast.FunctionDef
    options: Mapping[str, ast.expr]
    mark: Span


Found = MarkedFunction | Finding


def marked(tree: ast.Module, names: Names, places: Places) -> Iterator[Found]:
    """Give the marked functions of a file in order, and findings about marks that mark nothing."""
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for mark in node.decorator_list:
                yield from _mark(mark, node, id(node) in top, names, places)


def _mark(
    mark: ast.expr,
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
    at_top: bool,
    names: Names,
    places: Places,
) -> Iterator[Found]:
    called = mark.func if isinstance(mark, ast.Call) else mark
    kind, span = names.ours(called), places.span(mark)
    if not kind:
        return
    if kind not in KINDS:
        yield Finding(
            "E214", span, f"`{kind}` marks no function", help=str(suggest(kind, KINDS, there_are="marks are"))
        )
    elif not at_top:
        message, reason = f"`{node.name}` is marked inside something else", "what is there depends on running the code"
        yield Finding(
            "E112", span, message, reason, "define it at the beginning of a line, outside of `if` and `class`"
        )
    elif not isinstance(node, ast.FunctionDef):
        what = "a class" if isinstance(node, ast.ClassDef) else "an `async` function"
        yield Finding(
            "E112", span, f"`{node.name}` is {what}, and an entry is a function", help=f"write `def {node.name}`"
        )
    elif isinstance(mark, ast.Call) and (mark.args or any(word.arg is None for word in mark.keywords)):
        yield Finding("E214", span, f"what `{kind}` says of a function is given by name", help="write `name=value`")
    else:
        words = mark.keywords if isinstance(mark, ast.Call) else []
        yield MarkedFunction(kind, node, {str(word.arg): word.value for word in words}, span)
