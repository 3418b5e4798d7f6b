"""Print tables on a terminal, readable at 80 columns and without colour."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table as RichTable
from rich.text import Text

from satdsl.show.table import Row, Table, Value, text_of

WIDTH = 80

_GAP = 3
"""Columns between two cells of a table with a rule."""

_PLAIN_GAP = 2
"""Spaces between two cells of a plain table."""

_LEAST = 12
"""Letters to which a column of a plain table may be broken. Names of fewer would not be recognised."""

_STYLES = {"good": "green", "bad": "bold red", "doubtful": "yellow", "quiet": "dim", "": ""}


def text(shown: RenderableType, width: int = WIDTH) -> str:
    """Return what a terminal of `width` columns without colour shows, without spaces at the ends of lines."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n") + "\n"


def ruled(table: Table, *, compact: bool = False) -> RenderableType:
    """Return a table with a rule below its heads, its title above and its notes below.

    In a `compact` table, columns stand closer together, and heads of several lines end in the same line.
    """
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0 if compact else 1, 0, 1))
    for column in table.columns:
        shown.add_column(
            Text(column.head),
            justify="right" if column.numeric else "left",
            overflow="ellipsis" if column.numeric else "fold",
            no_wrap=column.unbroken,
            min_width=column.width or None,
            vertical="bottom" if compact else "top",
        )
    for i, row in enumerate(table.rows, start=1):
        shown.add_row(*map(_cell, row), end_section=bool(table.foot) and i == len(table.rows))
    for row in table.foot:
        shown.add_row(*map(_cell, row))
    # The title has a line of its own: rich would break it at the width of the table.
    title = [Text(f"{table.title} ({table.unit})" if table.unit else table.title, style="bold")] if table.title else []
    return Group(*title, shown, *_notes(table))


def ruled_in_pieces(table: Table, width: int = WIDTH) -> RenderableType:
    """Return the same as `ruled`, but a table that is too wide goes on below itself, with the names of its rows."""
    return Group(*(ruled(replace(piece, notes=())) for piece in _pieces(table, width)), *_notes(table))


class Plain:
    """A table without rules, its notes below; the title is left to the caller.

    rich renders each cell for itself, which takes seconds for a plan of hundreds of splits and is needed only where
    lines have to be broken; a table that fits is put together here.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        heads = [column.head for column in table.columns]
        self._lines = [heads] * any(heads) + [[text_of(value) for value in row] for row in table.rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [max(map(cell_len, cells), default=0) for cells in zip(*self._lines, strict=True)]
        if (
            _total(widths) > options.max_width
            or self._table.notes
            or any("\n" in c for line in self._lines for c in line)
        ):
            yield self._broken(widths, options.max_width)
            return
        has_heads = len(self._lines) > len(self._table.rows)
        for i, line in enumerate(self._lines):
            cells = [
                " " * (width - cell_len(cell)) + cell if column.numeric else set_cell_size(cell, width)
                for cell, width, column in zip(line, widths, self._table.columns, strict=True)
            ]
            yield Segment((" " * _PLAIN_GAP).join(cells), console.get_style("dim") if has_heads and not i else None)
            yield Segment.line()

    def _broken(self, widths: Sequence[int], room: int) -> RichTable:
        """Return the table with cells of several lines; the last columns are left out where there is no room."""
        least = [min(width, _LEAST) for width in widths]
        kept = len(widths)
        while kept > self._table.names + 1 and _total(least[:kept]) > room:
            kept -= 1
        whole = [width if c.unbroken else low for c, width, low in zip(self._table.columns, widths, least, strict=True)]
        unbroken = _total(whole[:kept]) <= room
        shown = RichTable(
            box=None,
            pad_edge=False,
            padding=(0, _PLAIN_GAP, 0, 0),
            header_style="dim",
            show_header=len(self._lines) > len(self._table.rows),
            caption="\n".join([*self._table.notes, *_left_out(self._table, kept)]) or None,
            caption_justify="left",
        )
        for column, low in zip(self._table.columns[:kept], least, strict=False):
            shown.add_column(
                column.head,
                justify="right" if column.numeric else "left",
                no_wrap=column.unbroken and unbroken,
                overflow="fold",
                min_width=low,
            )
        for row in self._table.rows:
            shown.add_row(*map(_cell, row[:kept]))
        return shown


def _total(widths: Sequence[int]) -> int:
    """Return how wide columns are with the gaps between them."""
    return sum(widths) + _PLAIN_GAP * (len(widths) - 1)


def _left_out(table: Table, kept: int) -> list[str]:
    heads = [f"`{column.head}`" for column in table.columns[kept:]]
    return [f"There is no room for {' and '.join(heads)}: use a wider terminal, or --format json."] if heads else []


def _cell(value: Value | str) -> Text:
    if isinstance(value, str):
        return Text(value)
    shown = Text(value.text, style=_STYLES[value.tone])
    return Text.assemble(shown, (f"\n{value.detail}", "dim")) if value.detail else shown


def _notes(table: Table) -> list[Text]:
    return [Text(note, style="dim") for note in table.notes]


def _pieces(table: Table, width: int) -> Iterator[Table]:
    """Give the table in pieces of as many columns as fit; each has the names of the rows."""
    heads = [[column.head] if i < table.names else column.head.split() for i, column in enumerate(table.columns)]
    cells = zip(*([text_of(value) for value in row] for row in (*table.rows, *table.foot)), strict=True)
    widths = [max(map(cell_len, (*head, *column))) + _GAP for head, column in zip(heads, cells, strict=True)]
    room = max(width - sum(widths[: table.names]), 1)
    piece: list[int] = []
    used = 0
    for i in range(table.names, len(table.columns)):
        if piece and used + widths[i] > room:
            yield _piece(table, piece)
            piece, used = [], 0
        piece.append(i)
        used += widths[i]
    yield _piece(table, piece)


def _piece(table: Table, chosen: Sequence[int]) -> Table:
    kept = [*range(table.names), *chosen]

    def part(rows: Sequence[Row]) -> list[Row]:
        return [tuple(row[i] for i in kept) for row in rows]

    return replace(table, columns=[table.columns[i] for i in kept], rows=part(table.rows), foot=part(table.foot))
