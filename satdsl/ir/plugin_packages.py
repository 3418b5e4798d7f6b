"""Name the installed packages that a plug-in imports, from its text."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from satdsl.ir.steps import PluginCode

ALWAYS = ("satdsl", "torch")
"""What is there wherever a plug-in runs."""


def packages_of(code: PluginCode) -> tuple[str, ...]:
    """Return the names, as they are imported, of what a plug-in needs beside Python, torch and its own files."""
    own = {name.partition("/")[0].removesuffix(".py") for name, _ in code.files}
    found = {name for _, text in code.files for name in _imported(text)}
    return tuple(sorted(found - own - sys.stdlib_module_names - {*ALWAYS}))


def _imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]
