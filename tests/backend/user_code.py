"""Calls of plug-ins, written as text in a test."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from satdsl.catalog.plugins import read
from satdsl.catalog.plugins.folder_code import gathered
from satdsl.findings import Source
from satdsl.ir.steps import CatalogCall

MARKS = "import satdsl.plugin as sat\n"


def plugin(text: str, function: str, /, files: dict[str, str] | None = None, **args: Any) -> CatalogCall:
    """Return a call of a function of `mine.py`, whose text this is; `files` lie beside it.

    Its first line is `import satdsl.plugin as sat`.
    """
    others = {name: Source(name, dedent(other)) for name, other in (files or {}).items()}
    source = Source("mine.py", MARKS + dedent(text).lstrip("\n"))
    found = read(gathered("mine.py", source, others.get, "mine.py", "/nowhere/mine.py"))
    assert not found.findings, found.findings
    entry = next(entry for entry in found.entries if entry.name == function)
    return CatalogCall(function, tuple({**entry.defaults, **args}.items()), entry.defaults, entry.plugin)
