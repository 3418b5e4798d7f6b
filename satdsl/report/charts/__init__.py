"""The figures of a plan's displays and trainings: for a page as SVG, for a paper as files.

matplotlib is imported when the first figure is drawn, not before; its settings are as they were afterwards, and
neither pyplot nor a window is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from satdsl.ir.plan import Display, Plan
from satdsl.report.charts.alt_text import of_chart, of_curve
from satdsl.report.charts.chart import chart
from satdsl.report.charts.figure_files import COLUMN, FORMATS, PAGE, FigureFiles, figure_files
from satdsl.report.charts.theme import ON_PAGE, STYLE, drawn_in
from satdsl.report.curves import Curve
from satdsl.report.results import Measured

__all__ = ["COLUMN", "FORMATS", "PAGE", "FigureFiles", "curve_svg", "figure_files", "spread", "style_path", "svg"]


def svg(display: Display, plan: Plan, results: Sequence[Measured], *, prefix: str) -> str | None:
    """A display as an `<svg>` element to put into HTML; None for a table.

    Each value is an element of class `point` (`published`, `baseline`) with its numbers as `<title>`. Text and axes
    are in `currentColor`. Every id starts with `prefix`, which no other figure of the page may have.

    Raises:
        ReportError: the display chooses no result.
    """
    figure = chart(display, plan, results)
    if figure is None:
        return None
    from satdsl.report.charts.draw import draw
    from satdsl.report.charts.inline_svg import inline

    with drawn_in(ON_PAGE):
        drawing = draw(figure, ON_PAGE)
        return inline(drawing, prefix=prefix, label=figure.title, description=of_chart(figure))


def spread(display: Display, plan: Plan, results: Sequence[Measured]) -> str:
    """What the bands and vertical lines of a display's figure stand for, for a caption; empty where it has none.

    Raises:
        ReportError: the display chooses no result.
    """
    figure = chart(display, plan, results)
    return figure.spread if figure is not None else ""


def curve_svg(curve: Curve, *, prefix: str) -> str:
    """A training's loss, accuracy and learning rate as an `<svg>` element; each epoch is of class `epoch`."""
    from satdsl.report.charts.inline_svg import inline
    from satdsl.report.charts.training_curves import draw

    with drawn_in(ON_PAGE):
        drawing = draw(curve, ON_PAGE)
        return inline(drawing, prefix=prefix, label=f"Training of {curve.name}", description=of_curve(curve))


def style_path() -> Path:
    """The matplotlib style of the figures for a paper: `plt.style.use(style_path())`."""
    return STYLE
