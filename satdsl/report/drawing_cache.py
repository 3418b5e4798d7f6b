"""Draw the figures and training curves of a page, each once for as long as its numbers stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from satdsl.report.charts.training_curves import curve_svg
from satdsl.report.curves import Curve
from satdsl.report.figure import Figure

CURVES = 3
"""Trainings of one name whose curves are drawn."""

MOST_CURVES = 20
"""Trainings whose curves are drawn on one page."""


@dataclass(frozen=True)
class DrawnCurves:
    """The drawn curves of some trainings of one name, out of `of` that are stored."""

    training: str
    curves: tuple[tuple[str, Markup], ...]
    of: int


class DrawingCache:
    """What has been drawn, by the prefix of its ids: drawing is what costs when a page follows a run."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, Markup | None]] = {}

    def figure(self, figure: Figure, prefix: str) -> Markup | None:
        """Return a plot as SVG; None for a table.

        Raises:
            ReportError: the display chooses no result.
        """
        display = figure.display
        names = {one.name for one in (*display.results, *display.baselines)}
        numbers = [(one.result, one.point, one.value, one.n) for one in figure.results if one.result in names]
        return (
            self._once(prefix, (display, figure.plan.given_labels, numbers), lambda: figure.inline_svg(prefix))
            if figure.is_plot
            else None
        )

    def curves(self, trained: Sequence[Curve]) -> Iterator[DrawnCurves]:
        """Give the curves of the first few trainings of each name, of fewer where there are many names."""
        groups: dict[str, list[Curve]] = {}
        for curve in trained:
            groups.setdefault(curve.training, []).append(curve)
        each = max(min(CURVES, MOST_CURVES // max(len(groups), 1)), 1)
        for i, (name, group) in enumerate(groups.items()):
            shown = group[:each] if i < MOST_CURVES else []
            svgs = [(curve.name, self._curve(curve, f"t{i}-{k}")) for k, curve in enumerate(shown)]
            yield DrawnCurves(name, tuple((named, svg) for named, svg in svgs if svg is not None), len(group))

    def _curve(self, curve: Curve, prefix: str) -> Markup | None:
        return self._once(prefix, curve.key, lambda: curve_svg(curve, prefix=prefix))

    def _once(self, prefix: str, numbers: object, draw: Callable[[], str | None]) -> Markup | None:
        known, drawn = self._kept.get(prefix, (None, None))
        if known != numbers:
            svg = draw()
            drawn = None if svg is None else Markup(svg)
            self._kept[prefix] = numbers, drawn
        return drawn
