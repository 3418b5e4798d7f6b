"""Draw the figures and training curves of a page, each once for as long as its numbers stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from satdsl.ir.plan import Plan
from satdsl.report.charts.clean_against_robust import comparison_svg
from satdsl.report.charts.confusion_matrix import confusion_svg
from satdsl.report.charts.learning_curves import learning_curves_svg, style_of
from satdsl.report.charts.training_curves import curve_svg
from satdsl.report.clean_against_robust import Comparison, clean_against_robust
from satdsl.report.confusion import Confusion
from satdsl.report.curves import Curve
from satdsl.report.figure import Figure
from satdsl.report.learning_curves import curve_groups
from satdsl.report.results import Measured

CURVES = 3
"""Trainings of one name whose curves are drawn."""

MOST_CURVES = 20
"""Trainings whose curves are drawn on one page."""

MOST_COMPARED = 30
"""Trainings that are drawn on the same axes: so many have a colour and dashes of their own."""

SHOWN_AT_FIRST = 6
"""Of these, those that a page shows until the reader chooses: so many have a colour of their own."""


MOST_CONFUSIONS = 6
"""Confusion matrices of a page."""

MOST_COMPARISONS = 4
"""Attacks under which the methods of a page are compared with their clean accuracy."""


@dataclass(frozen=True)
class DrawnCurves:
    """The drawn curves of some trainings of one name, out of `of` that are stored."""

    training: str
    curves: tuple[tuple[str, Markup], ...]
    of: int


@dataclass(frozen=True)
class ComparedCurves:
    """The learning curves of several trainings on the same axes, with what the reader chooses them by.

    `choices` has a name, a colour, dashes and whether it is shown at first; `left_out` how many more there are.
    """

    svg: Markup
    choices: tuple[tuple[str, str, str, bool], ...]
    left_out: int
    several_seeds: bool


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

    def compared(self, plan: Plan, trained: Sequence[Curve]) -> ComparedCurves | None:
        """Return the first trainings on the same axes; None where there is one alone."""
        groups = curve_groups(plan, trained)
        shown = groups[:MOST_COMPARED]
        if len(trained) < 2:
            return None
        svg = self._once(
            "lc",
            [(curve.key, curve.name) for curve in trained] + [one.title for one in shown],
            lambda: learning_curves_svg(shown, prefix="lc"),
        )
        choices = tuple((one.title, *style_of(i), i < SHOWN_AT_FIRST) for i, one in enumerate(shown))
        assert svg is not None
        return ComparedCurves(svg, choices, len(groups) - len(shown), any(one.draws > 1 for one in shown))

    def clean_against_robust(self, plan: Plan, results: Sequence[Measured]) -> Iterator[tuple[Comparison, Markup]]:
        """Give the first comparisons of clean with robust accuracy, each with its drawing."""
        for i, one in enumerate(clean_against_robust(plan, results)[:MOST_COMPARISONS]):
            svg = self._once(f"cr{i}", one, partial(comparison_svg, one, prefix=f"cr{i}"))
            assert svg is not None
            yield one, svg

    def confusions(self, found: Sequence[Confusion]) -> Iterator[tuple[Confusion, Markup]]:
        """Give the first confusion matrices, each with its drawing."""
        for i, one in enumerate(found[:MOST_CONFUSIONS]):
            numbers = one.result, one.point, one.part, one.attack, one.classes, one.counts.tobytes()
            svg = self._once(f"cm{i}", numbers, partial(confusion_svg, one, prefix=f"cm{i}"))
            assert svg is not None
            yield one, svg

    def _curve(self, curve: Curve, prefix: str) -> Markup | None:
        return self._once(prefix, curve.key, lambda: curve_svg(curve, prefix=prefix))

    def _once(self, prefix: str, numbers: object, draw: Callable[[], str | None]) -> Markup | None:
        known, drawn = self._kept.get(prefix, (None, None))
        if known != numbers:
            svg = draw()
            drawn = None if svg is None else Markup(svg)
            self._kept[prefix] = numbers, drawn
        return drawn
