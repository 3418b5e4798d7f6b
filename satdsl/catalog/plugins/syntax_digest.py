"""Take the digest of what Python code says, whatever it looks like.

The digest is that of the syntax tree without places and without docstrings: comments, blank lines, line breaks, quotes
and docstrings change nothing, as with `python -OO`. The text is our own and not `ast.dump`'s, which differs between
versions of Python, as do a few trees: empty fields are left out, and the pieces of a formatted text are joined.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from satdsl.records import Record, record

_NO_MEANING = {"ctx", "type_comment", "type_ignores", "kind"}
"""Fields that follow from the others, or that Python does not run."""


def digest(modules: Iterable[tuple[str, ast.Module]]) -> str:
    """Return the SHA-256 of some modules, each with its name."""
    sha = hashlib.sha256()
    for name, module in modules:
        sha.update(" ".join([ascii(name), *_words(module), ""]).encode())
    return sha.hexdigest()


def _words(tree: ast.AST) -> Iterator[str]:
    """Give a tree as words that are the same in every version of Python. It may be nested deeper than calls may."""
    waiting: list[Any] = [tree]
    while waiting:
        match waiting.pop():
            case _Word(text):
                yield text
            case ast.Constant(value=value):
                yield f"{type(value).__name__} {_constant(value)}"
            case ast.JoinedStr(values=values):
                waiting += [_Word(")"), *reversed(list(_joined(values))), _Word("(JoinedStr")]
            case ast.AST() as node:
                waiting += [_Word(")"), *reversed(list(_fields(node))), _Word(f"({type(node).__name__}")]
            case list() as items:
                waiting += [_Word("]"), *reversed(items), _Word("[")]
            case other:
                yield ascii(other)


@record
class _Word(Record):
    """A piece of the text, between the pieces of the tree that are still to be written."""

    text: str


def _fields(node: ast.AST) -> Iterator[Any]:
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            value = _without_docstring(value)
        if name not in _NO_MEANING and value is not None and value != []:
            yield from (_Word(name), value)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body


def _constant(value: Any) -> str:
    """Return a constant in ASCII. Which characters `repr` escapes depends on the version of Unicode."""
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)  # a decimal of many digits is refused
    return value.hex() if isinstance(value, bytes) else ascii(value)


def _joined(values: list[ast.expr]) -> Iterator[Any]:
    """Give the pieces of a formatted text. How many constants stand between two values depends on the version."""
    text = ""
    for value in values:
        if isinstance(value, ast.Constant):
            text += str(value.value)
            continue
        if text:
            yield _Word(ascii(text))
        text = ""
        yield value
    if text:
        yield _Word(ascii(text))
