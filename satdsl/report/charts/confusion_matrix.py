"""Draw a confusion matrix: a row for each class, its cells with the share that is predicted as which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from satdsl.report.charts.drawing import Drawing, category_ticks, clean, new_drawing, text_width
from satdsl.report.charts.inline_svg import inline_svg
from satdsl.report.charts.theme import PAGE_THEME, Theme, themed
from satdsl.report.confusion import Confusion

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = "YlGnBu"
"""Light to dark in grey as well; the same as in heat maps."""

_LEAST = 0.005
"""Shares below it are coloured, and have no number."""


def confusion_svg(confusion: Confusion, *, prefix: str) -> str:
    """Return the figure as an `<svg>` element whose ids begin with `prefix`; each cell is of class `point`."""
    with themed(PAGE_THEME):
        label = f"Confusion matrix of {confusion.result}"
        return inline_svg(_draw(confusion, PAGE_THEME), prefix=prefix, label=label, description=_alt_text(confusion))


def _draw(confusion: Confusion, theme: Theme) -> Drawing:
    import matplotlib as mpl

    down, across, counts = confusion.shown
    size = mpl.rcParams["ytick.labelsize"]
    beside = max(text_width(name, size) for name in down) + 4 * size
    side = max(theme.width * 72 - beside, 72.0) / len(across)
    drawing = new_drawing(theme, (side * len(down) + 5 * size) / 72 + 0.3, confusion.result)
    axes = drawing.figure.add_subplot()
    axes.grid(visible=False)
    for row, of in enumerate(down):
        for column, into in enumerate(across):
            _add_cell(drawing, axes, (row, column), (of, into), counts[row, column], counts[row].sum(), side)
    axes.set_xlim(-0.5, len(across) - 0.5)
    axes.set_ylim(len(down) - 0.5, -0.5)
    category_ticks(axes, range(len(across)), across, side * len(across))
    axes.set_yticks(range(len(down)), [clean(name) for name in down])
    axes.set_xlabel("predicted class")
    axes.set_ylabel("class")
    drawing.fix_layout()
    return drawing


def _add_cell(
    drawing: Drawing, axes: Axes, at: tuple[int, int], names: tuple[str, str], count: int, of: int, side: float
) -> None:
    import matplotlib as mpl
    from matplotlib.patches import Rectangle

    (row, column), share = at, float(count) / float(of)
    face = mpl.colormaps[_COLOURS](share)
    corner = (column - 0.5, row - 0.5)
    square = Rectangle(corner, 1, 1, facecolor=face, edgecolor="none", linewidth=0)
    axes.add_patch(square)
    told = f"{names[0]} predicted as {names[1]}: {count:,} of {of:,} ({share:.1%})"
    ends = (corner, (corner[0] + 1, corner[1] + 1))
    drawing.target(square, "point", told, axes.transData, corners=ends, series=names[0], x=names[1])
    size = min(mpl.rcParams["ytick.labelsize"], side * 0.48)
    if share >= _LEAST and size >= 4:
        colour = "#000000" if share < 0.5 else "#ffffff"
        axes.text(column, row, f"{100 * share:.0f}", fontsize=size, color=colour, ha="center", va="center_baseline")


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
