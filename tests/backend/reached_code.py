"""Digest the code that a kind of step reaches: every module of satdsl that its own imports, and what that imports.

Only what runs counts: comments, docstrings and layout do not. Catalog entries and their counterparts in the backend are
found by their folders and not by import lines, so all modules in those folders are reached.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "satdsl"

GIVING_NUMBERS = tuple(f"satdsl.{package}." for package in ("backend", "catalog", "ir", "artifacts"))
"""The modules that may have a part in a step's numbers; the others read specifications or show results."""


def digest(module: str) -> str:
    """Return the SHA-256 of all code that `module` (`satdsl.backend.train`) reaches."""
    reached: set[str] = set()
    waiting = [module, *_entries()]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _imported(name)
    text = "".join(f"{name}\n{_code(name)}\n" for name in sorted(reached))
    return hashlib.sha256(text.encode()).hexdigest()


def _entries() -> Iterator[str]:
    for family in ("backend", "catalog"):
        for path in (PACKAGE / family).glob("*/*.py"):
            yield _name(path)


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _file(name: str) -> Path | None:
    plain = ROOT.joinpath(*name.split("."))
    return next((path for path in (plain.with_suffix(".py"), plain / "__init__.py") if path.exists()), None)


@cache
def _tree(name: str) -> ast.Module:
    path = _file(name)
    assert path is not None
    return ast.parse(path.read_text("utf-8"))


@cache
def _imported(name: str) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in found if name.startswith(GIVING_NUMBERS) and _file(name))


@cache
def _code(name: str) -> str:
    """The syntax tree without docstrings: texts that stand for themselves."""
    tree = _tree(name)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
