"""Findings, plans, verdicts, curves and figures to what a notebook or a Python prompt shows of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from satdsl.findings import Finding
from satdsl.ir.plan import Display, Plan
from satdsl.report.claims import ClaimResult
from satdsl.report.curves import Curve
from satdsl.report.results import Measured

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, RenderableType

T = TypeVar("T")

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

    def __repr__(self) -> str:
        console = _console(None)
        console.print(self._rendered())
        lines = console.export_text().splitlines()
        return "\n".join(line.rstrip() for line in lines).strip("\n")

    def _repr_html_(self) -> str:
        console = _console("truecolor")
        console.print(self._rendered())
        return console.export_html(inline_styles=True, code_format=_HTML)


def _console(colours: Any) -> Console:
    from rich.console import Console

    return Console(
        file=io.StringIO(), record=True, width=WIDTH, color_system=colours, highlight=False, force_jupyter=False
    )


class Several(Shown, Sequence[T], Generic[T]):
    """A sequence of things that are shown together."""

    def __init__(self, items: Sequence[T]) -> None:
        self._items = tuple(items)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        return self._items[place]


class Findings(Several[Finding]):
    """What is wrong with a specification, and what to beware of."""

    def _rendered(self) -> RenderableType:
        from satdsl.diagnostics import rendered

        return rendered(self._items)


class Explanation(Shown):
    """The resolved plan; `document` is the same as data (see docs/reference/plan.md)."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = dict(document)

    def _rendered(self) -> RenderableType:
        from satdsl.show.text import page

        return page(self.document)


class Verdicts(Several[ClaimResult]):
    """The claims with their verdicts and figures."""

    def _rendered(self) -> RenderableType:
        from satdsl.report.render import verdict_table

        return verdict_table(self._items) if self._items else "the specification makes no claim"


class Curves(Several[Curve]):
    """The stored trainings, each with all its `epochs`."""

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each epoch and part of the images: see `report.columns`. Needs `pip install satdsl[notebook]`."""
        from satdsl.report.data_frames import curves_frame

        return curves_frame(self)

    def _rendered(self) -> RenderableType:
        from satdsl.report.curves import summary_table

        return summary_table(self._items) if self._items else "no training is stored yet"


class Figures(Several["Figure"]):
    """The plots and tables of a specification."""

    @classmethod
    def of(cls, plan: Plan, results: Sequence[Measured]) -> Figures:
        return cls([Figure(display, plan, results) for display in plan.displays])

    def _rendered(self) -> RenderableType:
        from rich.console import Group

        return Group(*self._tables()) if self._items else "the specification has no plot and no table"

    def _tables(self) -> Iterator[RenderableType]:
        for figure in self._items:
            yield figure._rendered()
            yield ""

    def _repr_html_(self) -> str:
        return "\n".join(figure._repr_html_() for figure in self._items) if self._items else super()._repr_html_()


@dataclass(frozen=True, eq=False, repr=False)
class Figure(Shown):
    """One plot or table: drawn in a notebook, its numbers elsewhere."""

    display: Display
    plan: Plan
    results: Sequence[Measured]

    @property
    def title(self) -> str:
        return self.display.title

    @property
    def svg(self) -> str | None:
        """The drawing as an SVG element; None for a table of rows."""
        from satdsl.report.charts import svg

        return svg(self.display, self.plan, self.results, prefix=f"figure{next(_numbers)}-")

    def _rendered(self) -> RenderableType:
        from satdsl.report.render import rendered
        from satdsl.report.tables import table

        return rendered(table(self.display, self.plan, self.results), WIDTH)

    def _repr_html_(self) -> str:
        drawn = self.svg
        if drawn is None:
            return super()._repr_html_()
        return f"<figure><figcaption>{escape(self.title)}</figcaption>{drawn}</figure>"
