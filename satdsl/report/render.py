"""Tables, results and verdicts as text for a terminal, readable at 80 columns and without colour."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from satdsl.ir.plan import Point
from satdsl.report.attack_breakdown import AttackBreakdown
from satdsl.report.claims import ClaimResult, Verdict
from satdsl.report.intervals import Interval
from satdsl.report.number_text import NOT_RUN, amount, point_text
from satdsl.report.published_values import PublishedValues
from satdsl.report.result_warnings import ResultWarning
from satdsl.report.results import Measured, Unit
from satdsl.report.tables import Cell, Row, Table

WIDTH = 80

_GAP = 3
"""Columns between two cells of a table in this box style."""

_COLOURS = {
    Verdict.HOLDS: "green",
    Verdict.FAILS: "bold red",
    Verdict.TOO_CLOSE: "yellow",
    Verdict.NOT_RUN: "dim",
    Verdict.NO_IMAGES: "dim",
    Verdict.SMOKE: "dim",
}


def rendered(table: Table, width: int = WIDTH) -> RenderableType:
    """A table for `rich`; one too wide for `width` columns is broken into several, one below the other."""
    parts: list[RenderableType] = [_one(part) for part in _broken(table, width)]
    if table.published:
        parts.append(Text(in_brackets(table), style="dim"))
    return Group(*parts)


def verdict_table(verdicts: Sequence[ClaimResult]) -> RenderableType:
    """The claims with their verdicts, in colour and in words, and the figures below each."""
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    shown.add_column("verdict", width=max(len(standing.value) for standing in Verdict))
    shown.add_column("claim", overflow="fold", ratio=1)
    for verdict in verdicts:
        word = Text(verdict.standing.value, style=_COLOURS[verdict.standing])
        shown.add_row(word, Text(verdict.claim.text).append(f"\n{verdict.figures}", style="dim"))
    return shown


def warning_rows(warnings: Sequence[ResultWarning], at_most: int | None = None) -> RenderableType:
    """A line for each warning, in colour and in words; beyond `at_most` only how many there are."""
    shown = [
        Text.assemble(("warning", "yellow"), ": ", (_at(one.result, one.point), "bold"), f": {one.text}")
        for one in warnings[:at_most]
    ]
    if len(shown) < len(warnings):
        shown.append(Text(f"and {len(warnings) - len(shown)} more warnings: see the report, or satdsl results"))
    return Group(*shown)


def breakdown_rows(breakdowns: Sequence[AttackBreakdown]) -> RenderableType:
    """A line for each evaluation by several attacks."""
    return Group(*(Text.assemble((_at(one.result, one.point), "bold"), f": {one.text}") for one in breakdowns))


def result_table(results: Sequence[Measured]) -> RenderableType:
    """Every result with its point, value, number of images and 95 % interval, and what is published for it."""
    published = any(one.published is not None for one in results)
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    shown.add_column("result", overflow="fold", ratio=1)
    for head in ("value", "n", "95 % interval", *["published"] * published):
        shown.add_column(head, justify="right", no_wrap=True)
    for one in results:
        shown.add_row(
            Text(named(one)),
            _amount_or(one.value, one.unit, NOT_RUN),
            str(one.n) if one.n else "",
            _interval(one.interval, one.unit),
            *[_amount_or(one.published, one.unit, "")] * published,
        )
    return shown


def published_means(publications: PublishedValues) -> RenderableType:
    """A line for each published mean of several results."""
    return Group(
        *(
            Text.assemble(
                (f"mean of {_at(one.published.result, one.published.at)}", "bold"),
                f": {_amount_or(one.value, one.unit, NOT_RUN)}, published {amount(one.published.value, one.unit)}",
                f" ({one.published.source})" * bool(one.published.source),
            )
            for one in publications
            if len(one.results) > 1
        )
    )


def text(shown: RenderableType, width: int = WIDTH) -> str:
    """What a terminal of `width` columns without colour shows, without trailing spaces."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n") + "\n"


def named(measured: Measured) -> str:
    """A result with its point, as the language writes it: `sat.robust[order=hardest, share=30%]`."""
    return _at(measured.result, measured.point)


def _at(name: str, point: Point) -> str:
    return f"{name}[{point_text(point)}]" if point else name


def cell_text(cell: Cell | None, *, percent_sign: bool) -> str:
    """`66.3 ± 0.8 %`, `not run`, `66.3 (3 of 10)` where seven of ten are not run; nothing for no cell. What is
    published follows in brackets: `66.3 ± 0.8 [66.1]`."""
    if cell is None:
        return ""
    shown = _measured_text(cell, percent_sign=percent_sign)
    if cell.published is None:
        return shown
    published = amount(cell.published, cell.unit)
    return f"{shown} [{published if percent_sign else published.removesuffix(' %')}]"


def _measured_text(cell: Cell, *, percent_sign: bool) -> str:
    if cell.value is None:
        return NOT_RUN
    shown = _plain(cell.value, cell.unit)
    if cell.std is not None:
        shown += f" ± {_plain(cell.std, cell.unit)}"
    if cell.unit == "share" and percent_sign:
        shown += " %"
    return shown if cell.over == cell.of else f"{shown} ({cell.over} of {cell.of})"


def in_brackets(table: Table) -> str:
    """What the numbers in brackets are; nothing where there are none."""
    if not table.published:
        return ""
    sources = ", ".join(dict.fromkeys(cell.source for cell in table.published if cell.source))
    return "in brackets: published" + (f" ({sources})" if sources else "")


def _amount_or(value: float | None, unit: Unit, nothing: str) -> str:
    return nothing if value is None else amount(value, unit)


def _plain(value: float, unit: Unit) -> str:
    return amount(value, unit).removesuffix(" %")


def _interval(interval: Interval | None, unit: Unit) -> str:
    if interval is None:
        return ""
    ends = f"{_plain(interval.low, unit)} .. {_plain(interval.high, unit)}"
    return f"{ends} %" if unit == "share" else ends


def _one(table: Table) -> RenderableType:
    """The title on a line of its own: rich would wrap it at the width of the table."""
    in_percent = table.unit == "share"
    title = f"{table.title} (%)" if in_percent else table.title
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for head in table.heads:
        shown.add_column(Text(head), overflow="fold")
    for column in table.columns:
        shown.add_column(Text(column), justify="right")
    for row, following in _pairs(table.rows):
        cells = [Text(cell_text(cell, percent_sign=not in_percent)) for cell in row.cells]
        ends_body = following is not None and following.baseline and not row.baseline
        shown.add_row(*map(Text, row.names), *cells, end_section=ends_body)
    return Group(Text(title, style="bold"), shown)


def _pairs(rows: tuple[Row, ...]) -> Iterator[tuple[Row, Row | None]]:
    return zip(rows, (*rows[1:], None), strict=True)


def _broken(table: Table, width: int) -> Iterator[Table]:
    """The table in pieces of as many columns as fit; each has the rows' names."""
    in_percent = table.unit == "share"
    names = [_widest([head, *(row.names[i] for row in table.rows)]) for i, head in enumerate(table.heads)]
    room = max(width - sum(name + _GAP for name in names), 1)
    piece: list[int] = []
    used = 0
    for i, column in enumerate(table.columns):
        cells = [cell_text(row.cells[i], percent_sign=not in_percent) for row in table.rows]
        wide = _widest([*column.split(), *cells]) + _GAP
        if piece and used + wide > room:
            yield _piece(table, piece)
            piece, used = [], 0
        piece.append(i)
        used += wide
    yield _piece(table, piece)


def _piece(table: Table, columns: Sequence[int]) -> Table:
    rows = tuple(replace(row, cells=tuple(row.cells[i] for i in columns)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[i] for i in columns), rows=rows)


def _widest(texts: Sequence[str]) -> int:
    return max((cell_len(text) for text in texts), default=0)
