"""Parse the text of a Python file without running it, in bounded time, and say where things stand in it."""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache

from satdsl.findings import Finding, Source, Span

SHOWN = 60
"""Characters of code that a message shows."""

MOST_CHARACTERS = 300_000
"""Of one file. The standard library's longest module has about that many; a plug-in has a page or two."""


@lru_cache(64)
def parsed(source: Source) -> ast.Module | Finding:
    """Return the syntax tree of a file, or what is wrong with it."""
    if len(source.text) > MOST_CHARACTERS:
        message = f"the file has {len(source.text):,} characters, and at most {MOST_CHARACTERS:,} are read"
        return Finding("E110", first_line(source), message, help="move what is no code to a file of another kind")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source.text, source.path)
    except SyntaxError as error:
        return Finding("E110", _place(error, source), f"this is no Python: {error.msg}", help=_SAME_VERSION)
    except (RecursionError, MemoryError):
        return too_deep(source)
    except ValueError as error:
        return Finding("E110", first_line(source), f"this is no Python: {error}", help=_SAME_VERSION)


_SAME_VERSION = "`python -m py_compile` shows the same"


def too_deep(source: Source) -> Finding:
    """Return the finding about code that is nested so deeply that reading it would take more than there is."""
    message = "the code is nested too deeply to be read"
    return Finding("E110", first_line(source), message, help="write it in several steps")


def first_line(source: Source) -> Span:
    """Return the place of what is said about a whole file."""
    return Span(source, 0, max(1, len(source.line(1))))


def _place(error: SyntaxError, source: Source) -> Span:
    """Return where Python says that the mistake is; the whole first line where it says nothing."""
    line = min(max(error.lineno or 1, 1), len(source.line_starts))
    start = source.line_starts[line - 1]
    width = len(source.line(line))
    column = min(max((error.offset or 1) - 1, 0), width)
    last = (error.end_offset or 0) - 1 if error.end_lineno == error.lineno else width
    return Span(source, start + column, start + min(max(last, column + 1), max(width, column + 1)))


class Places:
    """Where the nodes of a syntax tree stand in its source: Python counts the bytes of a line, and we characters."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def span(self, node: ast.expr | ast.stmt | ast.arg | ast.keyword | ast.alias) -> Span:
        """Return the span of a node."""
        start = self._offset(node.lineno, node.col_offset)
        end = self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        return Span(self.source, start, max(start, end))

    def text(self, node: ast.expr) -> str:
        """Return what a node is in the text, its beginning where that is long."""
        text = " ".join(self.span(node).text.split())
        return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."

    def name(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Span:
        """Return the span of the name of a function, which follows `def`."""
        start = self._offset(function.lineno, function.col_offset)
        found = self.source.text.find(function.name, start + len("def"))
        start = start if found < 0 else found
        return Span(self.source, start, start + len(function.name))

    def _offset(self, line: int, byte: int) -> int:
        starts = self.source.line_starts
        start = starts[min(line, len(starts)) - 1]
        text = self.source.line(min(line, len(starts)))
        return start + (byte if text.isascii() else len(text.encode()[:byte].decode("utf-8", "ignore")))
