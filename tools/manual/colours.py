"""Register satdsl's Pygments lexer for ```sat blocks."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec


def register() -> None:
    """Let Pygments find the lexer without its entry point, which a working tree does not have."""
    if find_spec("satdsl.highlight") is None:
        return
    from pygments.lexer import Lexer
    from pygments.lexers import LEXERS

    for name, one in vars(import_module("satdsl.highlight")).items():
        if isinstance(one, type) and issubclass(one, Lexer) and one.__module__ == "satdsl.highlight":
            LEXERS[name] = (one.__module__, one.name, tuple(one.aliases), tuple(one.filenames), tuple(one.mimetypes))
