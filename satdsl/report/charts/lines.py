"""A `Chart` of lines or grouped bars as a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from satdsl.report.charts.chart import Baseline, Chart, Mark, Series
from satdsl.report.charts.drawing import Drawing, category_ticks, clean, legend, new_drawing, wrapped
from satdsl.report.charts.labels import hover_published, number
from satdsl.report.charts.palette import Style, are_meant, baseline_styles, colours_of, styles
from satdsl.report.charts.theme import Look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import AbstractPathEffect
    from matplotlib.transforms import Transform

_REACH = 8.0
"""How near a pointer has to come to a point, in points of 1/72 inch."""

_ATTACKED = {"all": "all attacked", "none": "none attacked", "some": "some attacked"}


def draw(chart: Chart, look: Look) -> Drawing:
    """Lines with their bands, or bars with their error bars; baselines across; published values hollow."""
    own = list(zip(chart.series, styles(chart), strict=True))
    across = list(zip(chart.baselines, baseline_styles(chart.baselines), strict=True))
    handles = [] if chart.empty else _handles(chart, own, across, look)
    drawing = new_drawing(look, look.width * 0.6, chart.title, [str(handle.get_label()) for handle in handles])
    axes = drawing.figure.add_subplot()
    scale = 100.0 if chart.unit == "share" else 1.0
    if chart.empty:
        axes.text(0.5, 0.5, "not run yet", transform=axes.transAxes, ha="center", va="center")
        axes.set_yticks([])
    layer = (_Bars if chart.kind == "bars" else _Lines)(chart, drawing, axes, scale)
    for place, (series, style) in enumerate(own):
        layer.draw(series, style, place)
    for baseline, style in across:
        _baseline(baseline, style, drawing, axes, scale)
    _limit(chart, axes, scale)
    _label(chart, drawing, axes)
    legend(drawing, handles)
    drawing.laid_out()
    return drawing


def _handles(
    chart: Chart, own: Sequence[tuple[Series, Style]], across: Sequence[tuple[Baseline, Style]], look: Look
) -> list[Artist]:
    """The entries of the legend; a single series needs none, since the axis names it."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = []
    for series, style in own if len(own) > 1 else ():
        if chart.kind == "bars":
            handles.append(Patch(label=clean(series.name), **_filled(style)))
        else:
            handles.append(Line2D([], [], marker=style.marker, label=clean(series.name), **_stroked(style)))
    if any(cell.published is not None for cell in chart.cells):
        handles.append(_hollow("o", look.ink))
    for baseline, style in across:
        if baseline.cell.value is not None:
            how = _ATTACKED.get(baseline.attacked)
            label = clean(baseline.name) + (f" ({how})" if how else "")
            handles.append(Line2D([], [], label=label, **_stroked(style)))
    return handles


def _stroked(style: Style) -> dict[str, Any]:
    return {"color": style.colour, "linestyle": (0, style.dashes) if style.dashes else "-"}


def _filled(style: Style) -> dict[str, Any]:
    return {
        "facecolor": style.colour,
        "hatch": style.hatch or None,
        "edgecolor": "none",
        "hatchcolor": "#ffffff",
    }


def positions(labels: Sequence[str]) -> list[float]:
    """Where labels lie along x: numbers at their values, or their logarithms where these are spaced more evenly.

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
    """The widest gap between neighbours over the narrowest."""
    gaps = [right - left for left, right in pairwise(sorted(values))]
    return round(max(gaps) / min(gaps), 6)


def value_of(place: Mark | Baseline) -> float | None:
    """A value that can be drawn."""
    value = place.cell.value
    return value if value is not None and math.isfinite(value) else None


class _Lines:
    def __init__(self, chart: Chart, drawing: Drawing, axes: Axes, scale: float) -> None:
        self.drawing, self.axes, self.scale = drawing, axes, scale
        self.at = dict(zip(chart.x, positions(chart.x), strict=True))
        self.averaged = bool(chart.averaged)

    def draw(self, series: Series, style: Style, place: int) -> None:
        marks = sorted(series.marks, key=lambda mark: self.at[mark.x])
        xs = [self.at[mark.x] for mark in marks]
        ys = [math.nan if (value := value_of(mark)) is None else value * self.scale for mark in marks]
        self.axes.plot(xs, ys, **_stroked(style))
        self.axes.plot(xs, ys, style.marker, color=style.colour, zorder=3)
        self._spread(marks, style)
        for mark, x, y in zip(marks, xs, ys, strict=True):
            if mark.cell.published is not None:
                _published(_beside(mark, x, series, self.axes), self.drawing, self.axes, style, self.scale)
            if math.isfinite(y):
                self.drawing.spot(
                    None,
                    "point",
                    mark.says,
                    self.axes.transData,
                    corners=((x, y), (x, y)),
                    pad=_REACH,
                    series=series.name,
                    x=mark.x,
                )

    def _spread(self, marks: Sequence[Mark], style: Style) -> None:
        """A band of one standard deviation over draws; the 95 % interval of each value where nothing is averaged."""
        if not self.averaged:
            self._error_bars(marks, [_interval(mark) for mark in marks], style)
            return
        for shaded, group in groupby(marks, key=lambda mark: value_of(mark) is not None and mark.cell.std is not None):
            run = list(group)
            if not shaded:
                continue
            ends = [_deviation(mark) for mark in run]
            if len(run) == 1:
                self._error_bars(run, ends, style)
                continue
            xs = [self.at[mark.x] for mark in run]
            low, high = ([end[side] * self.scale for end in ends if end is not None] for side in (0, 1))
            self.axes.fill_between(xs, low, high, color=style.colour, alpha=0.2, linewidth=0)

    def _error_bars(self, marks: Sequence[Mark], ends: Sequence[tuple[float, float] | None], style: Style) -> None:
        known = [(self.at[mark.x], *end) for mark, end in zip(marks, ends, strict=True) if end is not None]
        if known:
            xs, *sides = zip(*known, strict=True)
            low, high = ([end * self.scale for end in side] for side in sides)
            self.axes.vlines(xs, low, high, color=style.colour, linewidth=0.7)


class _Bars:
    def __init__(self, chart: Chart, drawing: Drawing, axes: Axes, scale: float) -> None:
        self.drawing, self.axes, self.scale = drawing, axes, scale
        self.at = {x: float(place) for place, x in enumerate(chart.x)}
        self.averaged = bool(chart.averaged)
        self.wide = 0.8 / max(len(chart.series), 1)
        self.alone = len(chart.series) == 1
        # A single series of orders or parts: its bars have the colours that these have everywhere.
        self.by_x = colours_of(chart.x) if self.alone and are_meant(chart.x) else {}
        axes.margins(y=0.08)
        axes.axhline(0, color=drawing.look.ink, linewidth=0.6)

    def draw(self, series: Series, style: Style, place: int) -> None:
        for mark in series.marks:
            left = self.at[mark.x] - 0.4 + place * self.wide
            centre, value = left + self.wide / 2, value_of(mark)
            coloured = replace(style, colour=self.by_x.get(mark.x, style.colour))
            if mark.cell.published is not None:
                _published(_beside(mark, centre, series, self.axes), self.drawing, self.axes, coloured, self.scale)
            if value is not None:
                self._bar(mark, series, coloured, left, value * self.scale)

    def _bar(self, mark: Mark, series: Series, style: Style, left: float, height: float) -> None:
        from matplotlib.patches import Rectangle

        (bar,) = self.axes.bar(
            left + self.wide / 2,
            height,
            self.wide * 0.94,
            zorder=2,
            **_filled(style),
        )
        assert isinstance(bar, Rectangle)
        ends = (_deviation if self.averaged else _interval)(mark)
        if ends is not None:
            middle = left + self.wide / 2
            low, high = (end * self.scale for end in ends)
            self.axes.plot([middle, middle], [low, high], color=self.drawing.look.ink, linewidth=0.8, zorder=2.2)
        self.drawing.spot(
            bar,
            "point",
            mark.says,
            self.axes.get_xaxis_transform(),
            corners=((left, 0.0), (left + self.wide, 1.0)),
            series=series.name,
            x=mark.x,
        )


@dataclass(frozen=True)
class Published:
    """A published value: where it lies along x in `transform`, and what it says."""

    value: float
    at: float
    transform: Transform
    says: str
    series: str
    x: str


def _beside(mark: Mark, at: float, series: Series, axes: Axes) -> Published:
    assert mark.cell.published is not None
    says = hover_published(mark.place, mark.cell.published, mark.cell.unit)
    return Published(mark.cell.published, at, axes.transData, says, series.name, mark.x)


def _interval(mark: Mark) -> tuple[float, float] | None:
    """The ends of a single value's 95 % interval."""
    found = mark.cell.measured[0].interval if len(mark.cell.measured) == 1 else None
    return None if found is None or value_of(mark) is None else (found.low, found.high)


def _deviation(mark: Mark) -> tuple[float, float] | None:
    """A mean less and plus one standard deviation over its draws."""
    value, std = value_of(mark), mark.cell.std
    return None if value is None or std is None else (value - std, value + std)


def _published(place: Published, drawing: Drawing, axes: Axes, style: Style, scale: float) -> None:
    """Hollow, below the measured point and larger than it, so that both are seen where they agree."""
    y = place.value * scale
    hollow = _hollow(style.marker or "o", style.colour)
    hollow.set(xdata=[place.at], ydata=[y], transform=place.transform, clip_on=False, path_effects=_halo(hollow))
    axes.add_artist(hollow)
    axes.update_datalim([(0, y)], updatex=False)
    drawing.spot(
        hollow,
        "published",
        place.says,
        place.transform,
        corners=((place.at, y), (place.at, y)),
        pad=_REACH,
        series=place.series,
        x=place.x,
    )


def _halo(marker: Line2D) -> list[AbstractPathEffect]:
    """White around a marker: it is seen on a bar of its own colour, too."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=float(marker.get_markeredgewidth()) * 2.5, foreground="#ffffff"), Normal()]


def _hollow(marker: str, colour: str) -> Line2D:
    import matplotlib as mpl
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        markersize=mpl.rcParams["lines.markersize"] * 1.6,
        markerfacecolor="none",
        markeredgecolor=colour,
        label="published",
        zorder=2.5,
    )


def _baseline(baseline: Baseline, style: Style, drawing: Drawing, axes: Axes, scale: float) -> None:
    value = value_of(baseline)
    transform = axes.get_yaxis_transform()
    if value is not None:
        y = value * scale
        line = axes.axhline(y, zorder=1.9, **_stroked(style))
        drawing.spot(
            line,
            "baseline",
            baseline.says,
            transform,
            corners=((0.0, y), (1.0, y)),
            pad=_REACH / 2,
            series=baseline.name,
        )
    if baseline.cell.published is not None:
        says = hover_published(baseline.name, baseline.cell.published, baseline.cell.unit)
        at_edge = Published(baseline.cell.published, 0.98, transform, says, baseline.name, "")
        _published(at_edge, drawing, axes, style, scale)


def _limit(chart: Chart, axes: Axes, scale: float) -> None:
    """Bars begin at 0; a baseline at the bottom is not hidden by the frame."""
    axes.autoscale_view(scalex=False)
    low, high = axes.get_ylim()
    if not any(cell.value or cell.published for cell in chart.cells):
        low, high = 0.0, 1.0 * scale
    if any(value_of(baseline) == 0 for baseline in chart.baselines):
        low = min(low, -0.02 * (high - low))
    axes.set_ylim(low, high)


def _label(chart: Chart, drawing: Drawing, axes: Axes) -> None:
    """Ticks where the values of x lie, and words on both axes; percent signs move to the axis."""
    import matplotlib as mpl

    look, size = drawing.look, mpl.rcParams["axes.labelsize"]
    places = positions(chart.x) if chart.kind == "line" else [float(place) for place in range(len(chart.x))]
    in_percent = bool(chart.x) and all(label.endswith("%") and number(label) is not None for label in chart.x)
    labels = [label.removesuffix("%") if in_percent else label for label in chart.x]
    room = (look.width - 0.6) * 72
    category_ticks(axes, places, labels, room)
    edge = 0.5 if chart.kind == "bars" or len(places) < 2 else 0.04 * (max(places) - min(places))
    axes.set_xlim(min(places, default=0) - edge, max(places, default=0) + edge)
    words = f"{chart.x_axis} (%)" if in_percent else chart.x_axis
    axes.set_xlabel(wrapped(words, look.width - 0.6, size))
    axes.set_ylabel(wrapped(chart.y_axis, look.width * 0.5, size))
