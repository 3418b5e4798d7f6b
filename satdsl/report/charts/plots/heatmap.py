"""Draw a heat map: a row for each y, its number in each cell, attacked classes framed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from satdsl.report.charts.chart import Chart, Mark, Plot, Series, rows_as_series
from satdsl.report.charts.drawing import (
    SMALLEST,
    Drawing,
    category_ticks,
    clean,
    legend,
    new_drawing,
    text_width,
    wrapped,
)
from satdsl.report.charts.palette import SEQUENTIAL, SUBSET_A
from satdsl.report.charts.theme import Theme
from satdsl.report.charts.xy_plot import value_of
from satdsl.report.pivot import MEASURE, WEIGHTS, DisplayedResults, PivotTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable


def _layout(shown: DisplayedResults) -> PivotTable:
    x, y = shown.display.x or MEASURE, shown.display.y or WEIGHTS
    return shown.pivot((*(axis for axis in shown.left_by(x, y) if axis not in (x, y)), y), (x,))


def _draw(chart: Chart, theme: Theme) -> Drawing:
    """Draw a cell for each value; those not run are hatched."""
    import matplotlib as mpl
    from matplotlib.patches import Patch, Rectangle

    handles: list[Any] = []
    if any(mark.attacked for mark in chart.marks):
        handles.append(Rectangle((0, 0), 1, 1, fill=False, edgecolor=SUBSET_A, linewidth=1.4, label="attacked"))
    if any(value_of(mark) is None for mark in chart.marks):
        handles.append(Patch(facecolor="none", edgecolor=theme.ink, hatch="////", label="not run yet"))
    names = [clean(series.name) for series in chart.series]
    tick = mpl.rcParams["ytick.labelsize"]
    beside = max(text_width(name, tick) for name in names) + 3 * tick
    room = max(theme.width * 72 - beside, 72.0)
    side = (room / max(len(chart.x), 1), min(room / max(len(chart.x), 1), 22.0))
    height = max(len(names), 3) * max(side[1], 4.0) / 72 + 0.33 * theme.width
    drawing = new_drawing(theme, height, chart.title, [str(handle.get_label()) for handle in handles])
    axes = drawing.figure.add_subplot()
    axes.grid(visible=False)
    colours, size = _colours(chart), _number_size(chart, side)
    for row, series in enumerate(chart.series):
        for mark in series.marks:
            cell = _Cell(drawing, axes, chart.x.index(mark.x), row)
            cell.draw(series, mark, colours, _factor(chart), size)
    axes.set_xlim(-0.5, len(chart.x) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    category_ticks(axes, range(len(chart.x)), chart.x, room)
    step = max(1, round(tick * 1.1 / side[1]))
    axes.set_yticks(range(0, len(names), step), names[::step])
    axes.set_xlabel(wrapped(chart.x_label, theme.width - 0.6, mpl.rcParams["axes.labelsize"]))
    axes.set_ylabel(wrapped(chart.down_label, theme.width * 0.5, mpl.rcParams["axes.labelsize"]))
    if any(value_of(mark) is not None for mark in chart.marks):
        _scale(chart, drawing, axes, colours)
    legend(drawing, handles)
    drawing.fix_layout()
    return drawing


class _Cell:
    def __init__(self, drawing: Drawing, axes: Axes, column: int, row: int) -> None:
        self.drawing, self.axes, self.column, self.row = drawing, axes, column, row

    def draw(self, series: Series, mark: Mark, colours: ScalarMappable, factor: float, size: float) -> None:
        from matplotlib.patches import Rectangle

        value, ink = value_of(mark), self.drawing.theme.ink
        corner = (self.column - 0.5, self.row - 0.5)
        face: Any = "none" if value is None else colours.cmap(_place(value * factor, colours))
        square = Rectangle(corner, 1, 1, facecolor=face, edgecolor="none", linewidth=0)
        self.axes.add_patch(square)
        if value is None:
            square.set(hatch="////", edgecolor=ink, alpha=0.4)
        else:
            corners = (corner, (corner[0] + 1, corner[1] + 1))
            at = {"corners": corners, "series": series.name, "x": mark.x}
            self.drawing.target(square, "point", mark.tooltip, self.axes.transData, **at)
            self._number(_text(value, factor), face, size)
        if mark.attacked:
            inset = (corner[0] + 0.06, corner[1] + 0.06)
            for colour, width, order in (("#ffffff", 2.4, 2.0), (SUBSET_A, 1.4, 2.1)):
                frame = Rectangle(inset, 0.88, 0.88, fill=False, edgecolor=colour, linewidth=width, zorder=order)
                self.axes.add_patch(frame)

    def _number(self, text: str, face: tuple[float, float, float, float], size: float) -> None:
        if size < SMALLEST:
            return
        red, green, blue, _ = face
        colour = "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#ffffff"
        place: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 3}
        self.axes.text(self.column, self.row, text, fontsize=size, color=colour, **place)


def _place(value: float, colours: ScalarMappable) -> float:
    low, high = colours.get_clim()
    return 0.0 if low is None or high is None else (value - low) / (high - low)


def _text(value: float, factor: float) -> str:
    return f"{value * factor:.1f}" if factor == 100 else f"{value:.3g}"


def _factor(chart: Chart) -> float:
    return 100.0 if chart.unit == "share" else 1.0


def _number_size(chart: Chart, side: tuple[float, float]) -> float:
    """Return the font size at which the numbers fit into cells of this width and height, in points."""
    import matplotlib as mpl

    longest = max(
        (len(f"{value * _factor(chart):.3g}") for mark in chart.marks if (value := value_of(mark))), default=4
    )
    fitting = min(side[0] * 0.86 / text_width("0" * max(longest, 4), 1.0), side[1] * 0.6)
    return min(fitting, float(mpl.rcParams["font.size"]))


def _colours(chart: Chart) -> ScalarMappable:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    values = [value * _factor(chart) for mark in chart.marks if (value := value_of(mark)) is not None] or [0.0]
    low, high = min(values), max(values)
    return ScalarMappable(Normalize(low, high if high > low else low + 1), SEQUENTIAL)


def _scale(chart: Chart, drawing: Drawing, axes: Axes, colours: ScalarMappable) -> None:
    bar = drawing.figure.colorbar(colours, ax=axes, location="top", fraction=0.05, aspect=40, pad=0.02)
    bar.set_label(chart.y_label)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)


PLOT = Plot(_layout, rows_as_series, _draw, noun="A grid")
