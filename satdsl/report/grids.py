"""Numbers to grids: tables of words whose columns a reader can sort, before they become HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from satdsl.ir.plan import Plan, Point
from satdsl.ir.steps import Key
from satdsl.report.attack_breakdown import AttackBreakdown
from satdsl.report.number_text import NOT_RUN, amount, point_text
from satdsl.report.render import cell_text, in_brackets, named
from satdsl.report.results import Measured
from satdsl.report.tables import Cell, Row, Table
from satdsl.show.text import KINDS, big

MOST_STEPS = 400
"""Steps of a plan that the page lists; `satdsl explain` has all."""


@dataclass(frozen=True)
class Field:
    """One cell: what it says, what it is sorted by (its text where None), a remark, and where it leads."""

    text: str
    key: float | None = None
    note: str = ""
    link: str = ""


@dataclass(frozen=True)
class Column:
    head: str
    numeric: bool = False


@dataclass(frozen=True)
class Grid:
    """`names` is how many fields at the start of each row name it; `foot` stays below, however the rows are sorted."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Field, ...], ...]
    foot: tuple[tuple[Field, ...], ...] = ()
    names: int = 1
    left_out: str = ""
    """What is said below of rows that are not shown."""
    sortable: bool = True


class Links(Protocol):
    """Leads to the lines of the specification."""

    def __call__(self, file: str, line: int) -> str:
        """The address of a line; empty where there is none."""

    def name(self, file: str, line: int) -> str:
        """What a line is called: `common.sat, line 12`."""


def display_grid(table: Table) -> Grid:
    """A plot's or a table's numbers; baselines are its foot."""
    in_percent = table.unit == "share"
    columns = (*map(Column, table.heads), *(Column(name, numeric=True) for name in table.columns))
    body = [row for row in table.rows if not row.baseline]
    below = [row for row in table.rows if row.baseline]
    return Grid(
        caption="; ".join(filter(None, ["in percent" if in_percent else "", in_brackets(table)])),
        columns=columns,
        rows=tuple(_display_row(row, in_percent) for row in body),
        foot=tuple(_padded(_display_row(row, in_percent), len(columns), len(table.heads)) for row in below),
        names=len(table.heads),
    )


def _display_row(row: Row, in_percent: bool) -> tuple[Field, ...]:
    return (*map(Field, row.names), *(_number(cell, in_percent) for cell in row.cells))


def _padded(fields: tuple[Field, ...], width: int, names: int) -> tuple[Field, ...]:
    """A baseline's row has one name: the heads that it has no label for stay empty."""
    return (fields[0], *[Field("")] * max(width - len(fields), 0), *fields[1:]) if names else fields


def _number(cell: Cell | None, in_percent: bool) -> Field:
    if cell is None:
        return Field("")
    draws = f"mean of {cell.over} of {cell.of}, " if cell.of > 1 else ""
    note = f"{draws}n={cell.n:,}" if cell.n else ""
    return Field(cell_text(cell, percent_sign=not in_percent), cell.value, note)


def result_grid(results: Sequence[Measured], links: Links) -> Grid:
    """Every result: value, 95 % interval, number of images, what is published for it, and the line that asks for it."""
    published = any(one.published is not None for one in results)
    heads = ("value", "95 % interval", "n", *["published"] * published)
    columns = (Column("result"), *(Column(head, numeric=True) for head in heads), Column("asked for in"))
    return Grid("", columns, tuple(_result(one, links, published=published) for one in results))


def _result(one: Measured, links: Links, *, published: bool) -> tuple[Field, ...]:
    interval = one.interval
    ends = "" if interval is None else " to ".join(amount(end, one.unit) for end in (interval.low, interval.high))
    file, line = one.source.file, one.source.line
    return (
        Field(named(one)),
        Field(NOT_RUN if one.value is None else amount(one.value, one.unit), one.value),
        Field(ends, None if interval is None else interval.low),
        Field(f"{one.n:,}" if one.n else "", one.n or None),
        *[Field("" if one.published is None else amount(one.published, one.unit), one.published)] * published,
        Field(links.name(file, line) if line else "", link=links(file, line)),
    )


def breakdown_grid(breakdowns: Sequence[AttackBreakdown]) -> Grid:
    """Of each evaluation by several attacks, the shares of images that each attack was the first to break."""
    attacks = tuple(dict.fromkeys(attack for one in breakdowns for attack, _ in one.broken))
    heads = ("wrong without attack", *attacks, "withstands")
    return Grid(
        "in percent",
        (Column("evaluation"), *(Column(head, numeric=True) for head in heads)),
        tuple(_breakdown(one, attacks) for one in breakdowns),
    )


def _breakdown(one: AttackBreakdown, attacks: Sequence[str]) -> tuple[Field, ...]:
    broken = dict(one.broken)
    shares = (one.wrong, *(broken.get(attack) for attack in attacks), 1 - one.wrong - sum(broken.values()))
    fields = (Field("") if s is None else Field(f"{100 * max(s, 0.0):.1f}", max(s, 0.0)) for s in shares)
    return (Field(at(one.result, one.point)), *fields)


def step_grid(plan: Plan, reasons: Mapping[Key, str]) -> Grid:
    """The plan's steps, with how many others use each."""
    used: dict[Key, int] = {}
    for step in plan.steps.values():
        for _, key in step.inputs:
            used[key] = used.get(key, 0) + 1
    columns = (Column("step"), Column("kind"), Column("used by", True), Column("passes", True), Column("state"))
    rows = [_step(plan, key, used.get(key, 0), reasons.get(key, "")) for key in list(plan.steps)[:MOST_STEPS]]
    rest = len(plan.steps) - len(rows)
    left_out = f"and {rest:,} more steps: satdsl explain FILE --format json lists them all" if rest else ""
    return Grid("", columns, tuple(rows), left_out=left_out)


def _step(plan: Plan, key: Key, used: int, reason: str) -> tuple[Field, ...]:
    passes = plan.passes.get(key)
    cost = passes.cost if passes is not None else 0.0
    bound = "≤ " if passes is not None and passes.at_most else ""
    return (
        Field(plan.labels[key], note=f"key {key[:12]}"),
        Field(KINDS[plan.steps[key].kind].removesuffix("s")),
        Field(f"{used:,}" if used else "", used),
        Field(bound + big(cost) if cost else "", cost),
        Field(reason),
    )


def at(name: str, point: Point) -> str:
    return f"{name}[{point_text(point)}]" if point else name


# --- what is made for a terminal -----------------------------------------------------------------


def from_terminal(shown: RenderableType | None) -> Iterator[str | Grid]:
    """The sentences and tables in something made for a terminal, in order."""
    match shown:
        case Group():
            for part in shown.renderables:
                yield from from_terminal(part)
        case Padding():
            yield from from_terminal(shown.renderable)
        case Text():
            if shown.plain.strip():
                yield shown.plain
        case RichTable():
            yield _rich(shown)
            if shown.caption:
                yield str(shown.caption)


def _rich(table: RichTable) -> Grid:
    columns = tuple(Column(_plain(column.header), column.justify == "right") for column in table.columns)
    cells = [[_field(_plain(cell), column.justify == "right") for cell in column.cells] for column in table.columns]
    sortable = all(
        field.key is not None or not field.text
        for k, column in enumerate(columns)
        if column.numeric
        for field in cells[k]
    )
    return Grid("", columns, tuple(zip(*cells, strict=True)), sortable=sortable)


def _field(text: str, numeric: bool) -> Field:
    """A number is sorted by its value; not one that is written in words, as `1.2 M` is."""
    try:
        return Field(text, float(text.replace(",", "")) if numeric else None)
    except ValueError:
        return Field(text)


def _plain(shown: Any) -> str:
    return (shown.plain if isinstance(shown, Text) else str(shown)).replace("\n", " ")


def captioned(parts: Iterable[str | Grid]) -> Iterator[str | Grid]:
    """The same, a sentence right before a table becoming the table's caption."""
    before: str | None = None
    for part in parts:
        if isinstance(part, Grid) and before is not None:
            part, before = replace(part, caption=before), None
        if before is not None:
            yield before
        before = part if isinstance(part, str) else None
        if isinstance(part, Grid):
            yield part
    if before is not None:
        yield before
