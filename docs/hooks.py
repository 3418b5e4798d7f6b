"""Hooks of MkDocs: pages made from the catalog, the grammar and the command line, and what GitHub does not need."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.manual import colours, explanations, pages  # noqa: E402
from tools.manual.fences import without_marks  # noqa: E402

colours.register()

LOADED = re.compile(
    r"<(?:script|link|img|iframe|source|object)\b[^>]*?\b(?:src|href|data)=[\"']?((?:https?:)?//[^\"'\s>]+)"
)
COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    for name, text in pages.generated(ROOT).items():
        # One page for each finding would swamp the navigation; the index of findings leads to them.
        listed = InclusionLevel.NOT_IN_NAV if name.startswith(explanations.FOLDER) else InclusionLevel.UNDEFINED
        files.append(File.generated(config, name, content=text, inclusion=listed))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """What fences and comments say to the tests is not for readers; codes of findings lead to their pages."""
    return explanations.linked(without_marks(COMMENT.sub("", markdown)), page.file.src_uri)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """The manual is read where there is no network, and tells nobody that it is."""
    loaded = LOADED.findall(output)
    if loaded:
        raise PluginError(f"{page.file.src_path} loads {', '.join(loaded)}")
    return output
