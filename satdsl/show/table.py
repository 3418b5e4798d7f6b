"""Define the table that every renderer reads: columns, and rows of values.

A table is made once, of results, of a display, of verdicts or of a plan. `show.terminal` prints it, the templates of
the report make HTML of it, and `report.latex` makes a `tabular` of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "good", "bad", "doubtful", "quiet"]


@dataclass(frozen=True)
class Value:
    """A value in a table; one that is only text may also stand there as a `str`.

    Attributes:
        text: what people read.
        number: what the column is sorted by, in the value's own unit; by the text where it is None.
        detail: lines below the text that say more.
        note: a remark, which the page shows on hover.
        link: the address that the page leads to.
        tone: how good the news is.
    """

    text: str
    number: float | None = None
    detail: str = ""
    note: str = ""
    link: str = ""
    tone: Tone = ""


Row = tuple[Value | str, ...]


@dataclass(frozen=True)
class Column:
    """A column: its head, the unit that its values do not repeat, and how they are aligned.

    Numbers are aligned to the right. The values of an `unbroken` column stay in one line. A terminal gives the column
    at least `width` letters.
    """

    head: str = ""
    numeric: bool = False
    unit: str = ""
    unbroken: bool = False
    width: int = 0


@dataclass(frozen=True)
class Table:
    """Rows of values in columns.

    Attributes:
        names: how many values at the start of each row name it.
        foot: rows that stay below the others, however these are sorted.
        notes: sentences below the table.
        across: what the columns of numbers stand for together, where they have that in common: `class`.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    title: str = ""
    names: int = 1
    foot: Sequence[Row] = ()
    notes: Sequence[str] = ()
    across: str = ""

    @property
    def unit(self) -> str:
        """The unit of all columns of numbers; empty where they differ."""
        units = {column.unit for column in self.columns if column.numeric}
        return units.pop() if len(units) == 1 else ""


def numeric(*heads: str, unit: str = "", unbroken: bool = True) -> list[Column]:
    """Return a column of numbers for each head."""
    return [Column(head, True, unit, unbroken) for head in heads]


def count(number: int, *, zero: str = "0") -> Value:
    """Return a number of things: `12,345`."""
    return Value(f"{number:,}" if number else zero, number)


def text_of(value: Value | str) -> str:
    """Return what people read."""
    return value if isinstance(value, str) else value.text
