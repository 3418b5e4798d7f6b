"""Draw each method as a point: its accuracy without attack across, under attack upwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from satdsl.report.charts.drawing import Drawing, clean, legend, new_drawing, wrapped
from satdsl.report.charts.inline_svg import inline_svg
from satdsl.report.charts.palette import CYCLE, MARKERS
from satdsl.report.charts.theme import PAGE_THEME, Theme, themed
from satdsl.report.charts.xy_plot import REACH, deviation, interval
from satdsl.report.clean_against_robust import Comparison, Method

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def comparison_svg(comparison: Comparison, *, prefix: str) -> str:
    """Return the figure as an `<svg>` element whose ids begin with `prefix`; each method is of class `point`."""
    with themed(PAGE_THEME):
        label = f"Clean accuracy against that under {comparison.attack}"
        told = "; ".join(map(_tooltip, comparison.methods))
        return inline_svg(_draw(comparison, PAGE_THEME), prefix=prefix, label=label, description=f"Points: {told}.")


def _draw(comparison: Comparison, theme: Theme) -> Drawing:
    import matplotlib as mpl
    from matplotlib.lines import Line2D

    looks = [(CYCLE[i % len(CYCLE)], MARKERS[i % len(MARKERS)]) for i in range(len(comparison.methods))]
    handles = [
        Line2D([], [], linestyle="none", marker=marker, color=colour, label=clean(method.title))
        for method, (colour, marker) in zip(comparison.methods, looks, strict=True)
    ]
    title = f"Clean against {comparison.attack}"
    drawing = new_drawing(theme, theme.width * 0.65, title, [str(handle.get_label()) for handle in handles])
    axes, size = drawing.figure.add_subplot(), mpl.rcParams["axes.labelsize"]
    axes.margins(0.12)
    for method, (colour, marker) in zip(comparison.methods, looks, strict=True):
        _add_point(drawing, axes, method, colour, marker)
    axes.set_xlabel(wrapped(f"clean accuracy on {comparison.part} (%)", theme.width - 0.6, size))
    axes.set_ylabel(
        wrapped(f"robust accuracy under {comparison.attack} on {comparison.part} (%)", theme.width * 0.5, size)
    )
    legend(drawing, handles)
    drawing.fix_layout()
    return drawing


def _add_point(drawing: Drawing, axes: Axes, method: Method, colour: str, marker: str) -> None:
    x, y = (100 * (cell.value or 0.0) for cell in (method.clean, method.robust))
    for cell, draw in ((method.clean, axes.hlines), (method.robust, axes.vlines)):
        ends = deviation(cell) or interval(cell)
        if ends is not None:
            draw(y if cell is method.clean else x, 100 * ends[0], 100 * ends[1], color=colour, linewidth=0.8)
    axes.plot([x], [y], marker, color=colour, zorder=3)
    at = {"corners": ((x, y), (x, y)), "pad": REACH, "series": method.name}
    drawing.target(None, "point", _tooltip(method), axes.transData, **at)


def _tooltip(method: Method) -> str:
    """Return `sat, 3 seeds: clean 98.3 %, robust 39.0 %`."""
    shown = (
        f"{words} {100 * (cell.value or 0.0):.1f} %"
        for words, cell in (("clean", method.clean), ("robust", method.robust))
    )
    return f"{method.title}: {', '.join(shown)}"
