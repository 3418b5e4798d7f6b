"""Make a display of the plan into a figure: its numbers as a table, and a drawing of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

from satdsl.catalog import catalog
from satdsl.catalog.registry import FOLDERS
from satdsl.ir.plan import Display, Plan
from satdsl.report.charts.alt_text import chart_alt_text
from satdsl.report.charts.chart import Chart, Plot, make_chart
from satdsl.report.charts.drawing import Drawing
from satdsl.report.charts.inline_svg import inline_svg
from satdsl.report.charts.theme import PAGE_THEME, Theme, themed
from satdsl.report.pivot import DisplayedResults, PivotTable
from satdsl.report.result_tables import display_table
from satdsl.report.results import Measured
from satdsl.report.shown_names import ShownNames
from satdsl.show.table import Table

PACKAGES = {"plot": "satdsl.report.charts.plots", "table": "satdsl.report.tables"}
"""Where the module of each kind of plot and table lies."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A plot or a table of the plan with the measured results. What is made of it is made once.

    Every property raises `ReportError` where the display chooses no result.
    """

    display: Display
    plan: Plan
    results: Sequence[Measured]

    @property
    def title(self) -> str:
        return self.display.title

    @property
    def is_plot(self) -> bool:
        """Whether it is drawn; a table is not."""
        return catalog().find("plot", self.display.kind) is not None

    @cached_property
    def pivot(self) -> PivotTable:
        """Its results in rows and columns."""
        shown = DisplayedResults(self.display, self.plan, self.results)
        layout = self._plot.layout if self._plot else backend("table", self.display.kind).layout
        pivot: PivotTable = layout(shown)
        return pivot

    @cached_property
    def table(self) -> Table:
        """The same for people to read."""
        return display_table(self._names.shown(self.pivot), self._names.axis)

    @cached_property
    def chart(self) -> Chart | None:
        """What is drawn; None for a table."""
        if self._plot is None:
            return None
        return make_chart(self._names.shown(self.pivot), self.plan, self._plot, self.display.mean, self._names.axis)

    @cached_property
    def _names(self) -> ShownNames:
        return ShownNames(self.plan)

    def draw(self, theme: Theme) -> Drawing:
        """Return the drawing of a plot; to be called, and the drawing saved, within `themed`."""
        assert self._plot is not None
        assert self.chart is not None
        return self._plot.draw(self.chart, theme)

    def inline_svg(self, prefix: str) -> str | None:
        """Return the drawing as an `<svg>` element to put into HTML; None for a table.

        Each value is an element of class `point` (`published`, `baseline`) with its numbers as `<title>`. Text and
        axes are in `currentColor`. Every id starts with `prefix`, which no other figure of the page may have.
        """
        if self.chart is None:
            return None
        with themed(PAGE_THEME):
            drawing = self.draw(PAGE_THEME)
            return inline_svg(drawing, prefix=prefix, label=self.title, description=chart_alt_text(self.chart))

    @cached_property
    def _plot(self) -> Plot | None:
        return backend("plot", self.display.kind).PLOT if self.is_plot else None


def backend(family: str, kind: str) -> Any:
    """Return the module that makes plots or tables of a kind.

    Raises:
        LookupError: the catalog has the kind, but no module makes it.
    """
    name = f"{PACKAGES[family]}.{kind}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        entry = f"satdsl.catalog.{FOLDERS[family]}.{kind}"
        raise LookupError(f"there is no module {name}, which the {family} `{kind}` of {entry} needs") from None
