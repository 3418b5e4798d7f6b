"""Draw a confusion matrix: a row for each class, its cells with the share that is predicted as which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from satdsl.report.charts.drawing import SMALLEST, Drawing, category_ticks, clean, new_drawing, text_width
from satdsl.report.charts.inline_svg import inline_svg
from satdsl.report.charts.palette import SEQUENTIAL
from satdsl.report.charts.theme import PAGE_THEME, Theme, themed
from satdsl.report.confusion import Confusion

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST = 0.005
"""The share below which a cell is coloured, and has no number."""


def confusion_svg(confusion: Confusion, *, prefix: str) -> str:
    """Return the figure as an `<svg>` element whose ids begin with `prefix`; each cell is of class `point`."""
    with themed(PAGE_THEME):
        label = f"Confusion matrix of {confusion.result}"
        return inline_svg(_draw(confusion, PAGE_THEME), prefix=prefix, label=label, description=_alt_text(confusion))


def _draw(confusion: Confusion, theme: Theme) -> Drawing:
    import matplotlib as mpl

    down, across, counts = confusion.shown
    letters = mpl.rcParams["ytick.labelsize"]
    beside = max(text_width(name, letters) for name in down) + 4 * letters
    side = max(theme.width * 72 - beside, 72.0) / len(across)
    drawing = new_drawing(theme, (side * len(down) + 5 * letters) / 72 + 0.3, confusion.result)
    axes = drawing.figure.add_subplot()
    axes.grid(visible=False)
    shares = counts / counts.sum(axis=1, keepdims=True)
    edges = [np.arange(size + 1) - 0.5 for size in counts.shape]
    axes.pcolormesh(edges[1], edges[0], shares, cmap=SEQUENTIAL, vmin=0.0, vmax=1.0)
    size = min(letters, side * 0.48)
    for row, of in enumerate(down):
        for column, into in enumerate(across):
            _say(drawing, axes, (row, column), f"{of} predicted as {into}", counts, size)
    axes.set_xlim(-0.5, len(across) - 0.5)
    axes.set_ylim(len(down) - 0.5, -0.5)
    category_ticks(axes, range(len(across)), across, side * len(across))
    axes.set_yticks(range(len(down)), [clean(name) for name in down])
    axes.set_xlabel("predicted class")
    axes.set_ylabel("class")
    drawing.fix_layout()
    return drawing


def _say(drawing: Drawing, axes: Axes, at: tuple[int, int], words: str, counts: NDArray[np.int64], size: float) -> None:
    """Let a cell say its count, and write its share in percent where that fits."""
    (row, column), count, of = at, int(counts[at]), int(counts[at[0]].sum())
    corners = ((column - 0.5, row - 0.5), (column + 0.5, row + 0.5))
    drawing.target(None, "point", f"{words}: {count:,} of {of:,} ({count / of:.1%})", axes.transData, corners=corners)
    if count >= _LEAST * of and size >= SMALLEST:
        colour = "#000000" if 2 * count < of else "#ffffff"
        axes.text(
            column, row, f"{100 * count / of:.0f}", fontsize=size, color=colour, ha="center", va="center_baseline"
        )


def _alt_text(confusion: Confusion) -> str:
    """Say of each class how many are right, and what it is most often taken for."""
    down, across, counts = confusion.shown
    said = []
    for row, name in enumerate(down):
        total, right = counts[row].sum(), counts[row, across.index(name)]
        wrong = [(counts[row, column], into) for column, into in enumerate(across) if into != name]
        most, into = max(wrong, default=(0, ""), key=lambda one: one[0])
        said.append(f"{name}: {right:,} of {total:,} right" + (f", {most:,} taken for {into}." if most else "."))
    return " ".join(said)
