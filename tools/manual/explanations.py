"""Pages of findings, one a code, from `satdsl.catalog.pages`, where satdsl has them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

FOLDER = "reference/findings"


def pages() -> dict[str, str]:
    """One page a finding, by its place in `docs/`."""
    if find_spec("satdsl.catalog.pages") is None:
        return {}
    known = import_module("satdsl.catalog.pages").pages()
    return {f"{FOLDER}/{code}.md": _page(code, page.title, page.text) for code, page in known.items()}


def _page(code: str, title: str, text: str) -> str:
    """A page's text has its own heading or is given one."""
    body = text.strip()
    return f"{body}\n" if body.startswith("# ") else f"# {code}: {title}\n\n{body}\n"
