"""Write the manual's page for each finding from `satdsl.catalog.pages`, and link it with the other pages."""

from __future__ import annotations

import posixpath
import re

from satdsl.catalog import pages as catalog_pages
from satdsl.catalog.pages import FAMILIES, FindingPage

FOLDER = "reference/findings"

CODE = re.compile(r"(\| |\()(E\d{3})(?= \||[),])")
"""A code in a table's cell or in parentheses."""


def pages() -> dict[str, str]:
    """Return the page of each finding, by its place in `docs/`."""
    return {f"{FOLDER}/{code}.md": _page(page) for code, page in catalog_pages.pages().items()}


def linked(text: str, place: str) -> str:
    """Return the Markdown of the page at `place` with codes that link to their pages.

    The files in `docs/` have no such links: the pages are generated, so whoever reads the files has none of them.
    """
    if place.startswith(f"{FOLDER}/"):
        return text
    folder = posixpath.relpath(FOLDER, posixpath.dirname(place) or ".")
    known = catalog_pages.codes()
    return CODE.sub(lambda at: f"{at[1]}[{at[2]}]({folder}/{at[2]}.md)" if at[2] in known else at[0], text)


def _page(page: FindingPage) -> str:
    """Return the page with a link to the other findings instead of the line that names its family."""
    about = FAMILIES[page.code[:2]]
    anchor = re.sub(r"[^a-z0-9]+", "-", f"{page.code[:2]}xx {about}".lower())
    family = f"{page.severity.capitalize()}, one of the [findings about {about}](../findings.md#{anchor})."
    title, _, rest = page.text.split("\n\n", 2)
    return f"{title}\n\n{family}\n\n{rest}"
