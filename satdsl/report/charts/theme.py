"""Set how figures look: in the style of the paper, or in that of the page, with the ink of the text around them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STYLE = Path(__file__).with_name("paper.mplstyle")

INK = "#123456"
"""What the page's figures are drawn in until `currentColor` takes its place; no figure has this colour otherwise."""

_INKED = (
    *("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"),
    *("grid.color", "legend.labelcolor", "patch.edgecolor"),
)

_ONE_AT_A_TIME = threading.RLock()
"""matplotlib's settings are global; they are changed for one drawing at a time, and put back."""


@dataclass(frozen=True)
class Theme:
    """How a figure looks.

    `width` is in inches; text and axes have the colour `ink`, on `paper`; `scale` enlarges fonts, lines and marks.
    """

    width: float
    ink: str = "#000000"
    paper: str = "#ffffff"
    scale: float = 1.0
    titled: bool = True


PAGE_THEME = Theme(4.2, INK, "none", 1.2, titled=False)

_SCALED = (
    *("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"),
    *("figure.titlesize", "lines.linewidth", "lines.markersize", "lines.markeredgewidth"),
)


@contextmanager
def themed(theme: Theme) -> Iterator[None]:
    """Draw in this theme, whatever the user's own matplotlib settings are; afterwards they are as before."""
    import matplotlib as mpl

    with _ONE_AT_A_TIME, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc_file(STYLE, use_default_template=False)
        settings: Any = mpl.rcParams
        settings.update(dict.fromkeys(_INKED, theme.ink))
        settings.update({name: settings[name] * theme.scale for name in _SCALED})
        settings.update({"svg.hashsalt": "satdsl", "axes.facecolor": "none"})
        yield
