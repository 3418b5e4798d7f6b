"""Hooks of MkDocs: pages made from the catalog, the grammar and the command line, and what GitHub does not need."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.manual import colours, pages  # noqa: E402
from tools.manual.fences import without_marks  # noqa: E402

colours.register()


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    for name, text in pages.generated(ROOT).items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What a fence says to the tests is not for readers."""
    return without_marks(markdown)
