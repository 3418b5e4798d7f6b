"""Choose what of a font goes into a PDF."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LAYOUT = ("GSUB", "GPOS", "GDEF", "MATH")
"""The tables that say how glyphs are chosen and placed. A PDF says that itself, glyph by glyph."""


@contextmanager
def outlines_only() -> Iterator[None]:
    """Embed fonts without the tables that no PDF reader uses: cutting these down takes longer than drawing the figure.

    matplotlib has no setting for it; it takes the tables to leave out from fontTools.
    """
    from fontTools import subset

    of_fonttools = subset.Options

    def options(**given: Any) -> Any:
        made = of_fonttools(**given)
        made.drop_tables += _LAYOUT
        return made

    subset.Options = options
    try:
        yield
    finally:
        subset.Options = of_fonttools
