"""Show findings, plans, verdicts, curves and figures in a notebook and at a Python prompt."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cached_property
from html import escape
from itertools import count
from typing import TYPE_CHECKING, Any

from satdsl.findings import Finding
from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key
from satdsl.report.claims import ClaimResult
from satdsl.report.curves import Curve
from satdsl.report.figure import Figure

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

WIDTH = 100
"""Columns of text; a notebook's cells are about as wide."""

_HTML = (
    '<pre style="white-space:pre;overflow-x:auto;line-height:normal;font-family:Menlo,Consolas,monospace">{code}</pre>'
)

_numbers = count(1)
"""Of the figures of this process: names inside one SVG must not be those of another on the same page."""


class Shown:
    """Something that is text at a Python prompt and HTML in a notebook."""

    def _rendered(self) -> RenderableType:
        raise NotImplementedError

    def _print(self, colours: Any) -> Any:
        from rich.console import Console

        sizes: dict[str, Any] = {"width": WIDTH, "color_system": colours, "highlight": False, "force_jupyter": False}
        console = Console(file=io.StringIO(), record=True, **sizes)
        console.print(self._rendered())
        return console

    def __repr__(self) -> str:
        lines = self._print(None).export_text().splitlines()
        return "\n".join(line.rstrip() for line in lines).strip("\n")

    def _repr_html_(self) -> str:
        html: str = self._print("truecolor").export_html(inline_styles=True, code_format=_HTML)
        return html


class Findings(Shown, tuple[Finding, ...]):
    """What is wrong with a specification, and what to beware of."""

    def _rendered(self) -> RenderableType:
        from satdsl.diagnostics import rendered

        return rendered(self)


class Explanation(Shown):
    """The resolved plan; `document` is the same as data (see docs/reference/plan.md)."""

    def __init__(self, plan: Plan, reasons: Mapping[Key, str]) -> None:
        self._plan, self._reasons = plan, reasons

    @cached_property
    def document(self) -> dict[str, Any]:
        from satdsl.show.document import plan_document

        return plan_document(self._plan, self._reasons)

    def _rendered(self) -> RenderableType:
        from satdsl.show.text import page

        return page(self._plan, self._reasons)


class Verdicts(Shown, tuple[ClaimResult, ...]):
    """The claims, each with the verdict on it and the figures that it rests on."""

    def _rendered(self) -> RenderableType:
        from satdsl.report.result_tables import verdict_table
        from satdsl.show.terminal import ruled

        return ruled(verdict_table(self)) if self else "the specification makes no claim"


class Curves(Shown, tuple[Curve, ...]):
    """The stored trainings, each with all its `epochs`."""

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each epoch and part of the images: see `report.columns`. Needs `pip install satdsl[notebook]`."""
        from satdsl.report.data_frames import curves_frame

        return curves_frame(self)

    def _rendered(self) -> RenderableType:
        from satdsl.report.curves import summary_table
        from satdsl.show.terminal import ruled

        return ruled(summary_table(self), compact=True) if self else "no training is stored yet"


class ShownFigure(Shown, Figure):
    """A plot or table: drawn in a notebook, its numbers elsewhere."""

    @property
    def svg(self) -> str | None:
        """The drawing as an SVG element; None for a table of rows."""
        return self.inline_svg(f"figure{next(_numbers)}-")

    def _rendered(self) -> RenderableType:
        from satdsl.show.terminal import ruled_in_pieces

        return ruled_in_pieces(self.table, WIDTH)

    def _repr_html_(self) -> str:
        drawn = self.svg
        if drawn is None:
            return super()._repr_html_()
        return f"<figure><figcaption>{escape(self.title)}</figcaption>{drawn}</figure>"


class Figures(Shown, tuple[ShownFigure, ...]):
    """The plots and tables of a specification."""

    def _rendered(self) -> RenderableType:
        from rich.console import Group

        tables = (part for figure in self for part in (figure._rendered(), ""))
        return Group(*tables) if self else "the specification has no plot and no table"

    def _repr_html_(self) -> str:
        return "\n".join(figure._repr_html_() for figure in self) if self else super()._repr_html_()
