"""Draw what plots of series over an x axis have in common: axes, legend, baselines and published values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from satdsl.report.charts.chart import Baseline, Chart, Mark, Series
from satdsl.report.charts.drawing import Drawing, category_ticks, clean, legend, new_drawing, wrapped
from satdsl.report.charts.labels import number, published_tooltip
from satdsl.report.charts.palette import Style, baseline_styles, series_styles
from satdsl.report.charts.theme import Theme
from satdsl.report.pivot import MEASURE, WEIGHTS, Cell, DisplayedResults, PivotTable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import AbstractPathEffect
    from matplotlib.transforms import Transform

REACH = 8.0
"""How near a pointer has to come to a point, in points of 1/72 inch."""

_ATTACKED = {"all": "all attacked", "none": "none attacked", "some": "some attacked"}


def series_layout(shown: DisplayedResults) -> PivotTable:
    """Return a table with a row for each value of x, a column for each series, and the baselines below."""
    x = shown.display.x or MEASURE
    names = [name for name in (WEIGHTS, MEASURE) if shown.tells_apart(name)]
    series = (axis for axis in (*names, *shown.display.series, *shown.left_by(x, *shown.display.series)) if axis != x)
    return shown.pivot((x,), series, baselines=True)


def positions(labels: Sequence[str]) -> list[float]:
    """Return where labels lie along x: numbers at their values, or their logarithms if these are spaced more evenly.

    Percentages always lie at their values. The unit is the mean distance: limits and ticks need not know the values.
    """
    values = [number(label) for label in labels]
    known = [value for value in values if value is not None]
    if len(known) < len(labels) or len(set(known)) < len(labels) or len(labels) < 2:
        return [float(place) for place in range(len(labels))]
    if min(known) > 0 and max(known) / min(known) >= 8 and not any(label.endswith("%") for label in labels):
        known = min(known, [math.log10(value) for value in known], key=_unevenness)
    low, high = min(known), max(known)
    return [(value - low) / (high - low) * (len(known) - 1) for value in known]


def _unevenness(values: Sequence[float]) -> float:
    """Return the widest gap between neighbours over the narrowest."""
    gaps = [right - left for left, right in pairwise(sorted(values))]
    return round(max(gaps) / min(gaps), 6)


class XYPlot:
    """Series over an x axis with baselines across; how a series is drawn is for the kind of plot to say."""

    def __init__(self, chart: Chart, theme: Theme) -> None:
        self.chart = chart
        self.scale = 100.0 if chart.unit == "share" else 1.0
        self.at = dict(zip(chart.x, self.positions(), strict=True))
        self._styles = list(zip(chart.series, series_styles(chart.series), strict=True))
        self._baselines = list(zip(chart.baselines, baseline_styles(chart.baselines), strict=True))
        handles = [] if chart.empty else self._handles(theme)
        entries = [str(handle.get_label()) for handle in handles]
        self.drawing = new_drawing(theme, theme.width * 0.6, chart.title, entries)
        self.axes = self.drawing.figure.add_subplot()
        self._legend = handles

    # --- what a kind of plot defines ---------------------------------------------------------------

    def positions(self) -> list[float]:
        """Return where the values of x lie."""
        return [float(place) for place in range(len(self.chart.x))]

    def edge(self) -> float:
        """Return how far the x axis goes on beyond the first and the last value."""
        return 0.5

    def prepare(self) -> None:
        """Draw what lies below the series."""

    @staticmethod
    def handle(series: Series, style: Style) -> Artist:
        """Return the entry of a series in the legend."""
        raise NotImplementedError

    def draw_series(self, series: Series, style: Style, number: int) -> None:
        """Draw a series, the one of this number."""
        raise NotImplementedError

    # --- what they share -----------------------------------------------------------------------------

    def draw(self) -> Drawing:
        """Return the drawing, laid out."""
        if self.chart.empty:
            self.axes.text(0.5, 0.5, "not run yet", transform=self.axes.transAxes, ha="center", va="center")
            self.axes.set_yticks([])
        self.prepare()
        for place, (series, style) in enumerate(self._styles):
            self.draw_series(series, style, place)
        for baseline, style in self._baselines:
            self._draw_baseline(baseline, style)
        self._set_limits()
        self._label_axes()
        legend(self.drawing, self._legend)
        self.drawing.fix_layout()
        return self.drawing

    def draw_published(self, mark: Mark, x: float, series: Series, style: Style) -> None:
        """Draw the value that is published for a mark at a place along x; nothing where none is."""
        if mark.cell.published is not None:
            where = (x, self.axes.transData, series.name, mark.x)
            self._draw_hollow(mark.cell.published, published_tooltip(mark.place, mark.cell), where, style)

    def _draw_hollow(self, value: float, tooltip: str, where: tuple[float, Transform, str, str], style: Style) -> None:
        """Draw a hollow marker below the measured point and larger than it, so that both are seen where they agree."""
        x, transform, series, label = where
        y = value * self.scale
        hollow = _hollow(style.marker or "o", style.colour)
        hollow.set(xdata=[x], ydata=[y], transform=transform, clip_on=False, path_effects=_halo(hollow))
        self.axes.add_artist(hollow)
        self.axes.update_datalim([(0, y)], updatex=False)
        at = {"corners": ((x, y), (x, y)), "pad": REACH, "series": series, "x": label}
        self.drawing.target(hollow, "published", tooltip, transform, **at)

    def _draw_baseline(self, baseline: Baseline, style: Style) -> None:
        value = value_of(baseline)
        transform = self.axes.get_yaxis_transform()
        if value is not None:
            y = value * self.scale
            line = self.axes.axhline(y, zorder=1.9, **stroke(style))
            at = {"corners": ((0.0, y), (1.0, y)), "pad": REACH / 2, "series": baseline.name}
            self.drawing.target(line, "baseline", baseline.tooltip, transform, **at)
        if baseline.cell.published is not None:
            tooltip = published_tooltip(baseline.name, baseline.cell)
            self._draw_hollow(baseline.cell.published, tooltip, (0.98, transform, baseline.name, ""), style)

    def _handles(self, theme: Theme) -> list[Artist]:
        """Return the entries of the legend; a single series needs none, since the axis names it."""
        from matplotlib.lines import Line2D

        series = self._styles if len(self._styles) > 1 else ()
        handles = [self.handle(one, style) for one, style in series]
        if any(cell.published is not None for cell in self.chart.cells):
            handles.append(_hollow("o", theme.ink))
        for baseline, style in self._baselines:
            if baseline.cell.value is not None:
                how = _ATTACKED.get(baseline.attacked)
                label = clean(baseline.name) + (f" ({how})" if how else "")
                handles.append(Line2D([], [], label=label, **stroke(style)))
        return handles

    def _set_limits(self) -> None:
        """Set the limits of y: bars begin at 0, and the frame does not hide a baseline at the bottom."""
        self.axes.autoscale_view(scalex=False)
        low, high = self.axes.get_ylim()
        if not any(cell.value or cell.published for cell in self.chart.cells):
            low, high = 0.0, 1.0 * self.scale
        if any(value_of(baseline) == 0 for baseline in self.chart.baselines):
            low = min(low, -0.02 * (high - low))
        self.axes.set_ylim(low, high)

    def _label_axes(self) -> None:
        """Set ticks where the values of x lie, and words on both axes; percent signs move to the axis."""
        import matplotlib as mpl

        x, width, size = self.chart.x, self.drawing.theme.width, mpl.rcParams["axes.labelsize"]
        places = [self.at[label] for label in x]
        in_percent = bool(x) and all(label.endswith("%") and number(label) is not None for label in x)
        labels = [label.removesuffix("%") if in_percent else label for label in x]
        category_ticks(self.axes, places, labels, (width - 0.6) * 72)
        self.axes.set_xlim(min(places, default=0) - self.edge(), max(places, default=0) + self.edge())
        x_label = f"{self.chart.x_label} (%)" if in_percent else self.chart.x_label
        self.axes.set_xlabel(wrapped(x_label, width - 0.6, size))
        self.axes.set_ylabel(wrapped(self.chart.y_label, width * 0.5, size))


# --- pieces --------------------------------------------------------------------------------------


def value_of(place: Mark | Baseline) -> float | None:
    """Return a value that can be drawn; None where it is not run or not finite."""
    return _drawable(place.cell)


def _drawable(cell: Cell) -> float | None:
    return cell.value if cell.value is not None and math.isfinite(cell.value) else None


def interval(cell: Cell) -> tuple[float, float] | None:
    """Return the ends of a single value's 95 % interval."""
    found = cell.interval
    return None if found is None or _drawable(cell) is None else (found.low, found.high)


def deviation(cell: Cell) -> tuple[float, float] | None:
    """Return a mean less and plus one standard deviation over its draws."""
    value, std = _drawable(cell), cell.std
    return None if value is None or std is None else (value - std, value + std)


def stroke(style: Style) -> dict[str, Any]:
    """Return how a line of this style is drawn."""
    return {"color": style.colour, "linestyle": (0, style.dashes) if style.dashes else "-"}


def _halo(marker: Line2D) -> list[AbstractPathEffect]:
    """Return a white edge around a marker, so that it is seen on a bar of its own colour, too."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=float(marker.get_markeredgewidth()) * 2.5, foreground="#ffffff"), Normal()]


def _hollow(marker: str, colour: str) -> Line2D:
    import matplotlib as mpl
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"linestyle": "none", "marker": marker, "markerfacecolor": "none", "markeredgecolor": colour}
    size = mpl.rcParams["lines.markersize"] * 1.6
    return Line2D([], [], markersize=size, label="published", zorder=2.5, **look)
