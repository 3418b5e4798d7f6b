"""The tree-sitter parser, built from what the repository has, and its trees."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tree_sitter import Language, Node

FOLDER = Path(__file__).parents[2] / "editors" / "tree-sitter-sat"


@cache
def language() -> Language:
    """The compiled grammar; the test is skipped where it cannot be compiled."""
    tree_sitter = pytest.importorskip("tree_sitter", reason="needs the Python package tree-sitter")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs a C compiler")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "sat.so"
        sources = [str(FOLDER / "src" / name) for name in ("parser.c", "scanner.c")]
        flags = ["-shared", "-fPIC", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused"]
        subprocess.run([compiler, *flags, f"-I{FOLDER / 'src'}", *sources, "-o", str(library)], check=True)
        made = ctypes.CDLL(str(library)).tree_sitter_sat
    made.restype = ctypes.c_void_p
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return tree_sitter.Language(made())  # type: ignore[no-any-return]


def parsed(text: str) -> Node:
    from tree_sitter import Parser

    return Parser(language()).parse(text.encode()).root_node


def nodes(node: Node) -> list[Node]:
    """A node and everything in it, in order."""
    return [node, *(inner for child in node.children for inner in nodes(child))]


def offsets(text: str) -> list[int]:
    """The character that each byte of a text belongs to, and its length."""
    return [i for i, mark in enumerate(text) for _ in mark.encode()] + [len(text)]
