"""Make the tables that people read: of displays, results, verdicts, attacks, training curves and steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from satdsl.ir.plan import Plan
from satdsl.ir.steps import Key
from satdsl.report.attack_breakdown import AttackBreakdown
from satdsl.report.claims import ClaimResult, Verdict
from satdsl.report.intervals import Interval
from satdsl.report.number_text import NOT_RUN, amount, bare_amount, images, name_at
from satdsl.report.pivot import MEASURE, WEIGHTS, Cell, PivotTable
from satdsl.report.results import Measured, Unit
from satdsl.report.shown_names import ShownNames
from satdsl.show.document import shown_reasons
from satdsl.show.numbers import big
from satdsl.show.table import Column, Row, Table, Tone, Value, count, numeric
from satdsl.show.text import KINDS

if TYPE_CHECKING:
    from satdsl.report.source_listing import SourceLinks

MOST_STEPS = 400
"""Steps of a plan that the page lists; `satdsl explain` has all."""

PARTIAL = (
    "n of m: only n of the m images are measured so far; the 95 % interval is where the value on all m lies, however "
    "often one looks"
)

_TONES: dict[Verdict, Tone] = {
    Verdict.HOLDS: "good",
    Verdict.FAILS: "bad",
    Verdict.TOO_CLOSE: "doubtful",
    Verdict.NOT_RUN: "quiet",
    Verdict.UNDECIDED: "quiet",
    Verdict.SMOKE: "quiet",
    Verdict.NO_IMAGES: "quiet",
}


# --- displays ------------------------------------------------------------------------------------


def display_table(pivot: PivotTable, called: Callable[[str], str] = str) -> Table:
    """Return the numbers of a plot or a table; where all are shares the heads say once that they are in percent.

    `called` says what an axis is called.
    """
    unit = "%" if pivot.unit == "share" else ""
    rows: list[Row] = [(*row.names, *(cell_value(cell, unit) for cell in row.cells)) for row in pivot.rows]
    # A baseline has one name and one value: it belongs to no series.
    gaps = [""] * (len(pivot.heads) - 1), [""] * (len(pivot.columns) - 1)
    return Table(
        [*(Column(called(head)) for head in pivot.heads), *numeric(*pivot.columns, unit=unit, unbroken=False)],
        rows,
        pivot.title,
        names=len(pivot.heads),
        foot=[(name, *gaps[0], cell_value(cell, unit), *gaps[1]) for name, cell in pivot.baselines],
        notes=[*spread_note(pivot.cells, called), *_brackets(pivot.published), *[PARTIAL] * pivot.partial],
        across=", ".join(called(axis) for axis in pivot.across if axis not in (WEIGHTS, MEASURE)),
    )


def cell_value(cell: Cell | None, unit: str) -> Value | str:
    """Return `66.3 ± 0.8 %`, `not run`, `66.3 (3 of 10)` where seven of ten are not run; `66.3 [66.1]` if published.

    Where only so many of the images are measured, `66.3 (n=1,500 of 9,000)`.
    """
    if cell is None:
        return ""
    sign = " %" if cell.unit == "share" and not unit else ""
    shown = NOT_RUN
    if cell.value is not None:
        spread = f" ± {bare_amount(cell.std, cell.unit)}" if cell.std is not None else ""
        known = [f"{cell.over} of {cell.of}"] * (cell.over < cell.of)
        known += [f"n={images(*cell.partial)}"] if cell.partial is not None else []
        part = f" ({', '.join(known)})" if known else ""
        shown = f"{bare_amount(cell.value, cell.unit)}{spread}{sign}{part}"
    if cell.published is not None:
        shown += f" [{bare_amount(cell.published, cell.unit)}{sign}]"
    draws = f"mean of {cell.over} of {cell.of}, " if cell.of > 1 else ""
    return Value(shown, cell.value, note=f"{draws}n={images(*(cell.partial or (cell.n, cell.n)))}" if cell.n else "")


def spread_note(cells: Sequence[Cell], called: Callable[[str], str] = str) -> list[str]:
    """Return what stands below numbers with a ±: what it is, of how many values, and what a number without it is.

    Nothing where no cell has one. The axes are those along which the values behind the cells lie.
    """
    spread = [cell for cell in cells if cell.std is not None and cell.value is not None]
    if not spread:
        return []
    counts = sorted({cell.over for cell in spread})
    of = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    along = " and ".join(dict.fromkeys(called(axis) for cell in spread for axis in cell.averaged))
    note = f"±: standard deviation (n - 1) of the {of} values along {along}; no interval of their mean"
    bare = [cell for cell in cells if cell.value is not None and cell.std is None]
    single = any(cell.over == 1 for cell in bare)
    infinite = any(cell.over > 1 for cell in bare)
    what = " or ".join(["one value"] * single + ["a mean that is not finite"] * infinite)
    return [note + (f"; a number without ± is {what}" if what else "")]


def _brackets(published: Sequence[Cell]) -> list[str]:
    sources = ", ".join(dict.fromkeys(cell.source for cell in published if cell.source))
    return ["in brackets: published" + (f" ({sources})" if sources else "")] if published else []


# --- results -------------------------------------------------------------------------------------


def results_table(results: Sequence[Measured], plan: Plan, links: SourceLinks | None = None) -> Table:
    """Return every result with its value, number of images and 95 % interval, and what is published for it.

    A result keeps its name, by which it can be asked for; what it is called where it has a label stands below that.

    With `links`, the last column leads to the line of the specification that asks for the result.
    """
    published = any(one.published is not None for one in results)
    heads = ("value", "n", "95 % interval", *["published"] * published)
    rows: list[Row] = []
    names = ShownNames(plan)
    for one in results:
        name, called = name_at(one.result, one.point), names.result(one.result, one.point)
        row: Row = (
            Value(name, detail=called) if called != name else name,
            measured_value(one.value, one.unit),
            Value(images(one.n, one.of), one.n) if one.n else count(0, zero=""),
            _interval(one.interval, one.unit),
            *[measured_value(one.published, one.unit, nothing="")] * published,
        )
        rows.append((*row, _line(one, links)) if links else row)
    columns = [Column("result"), *numeric(*heads), *([Column("asked for in")] if links else [])]
    return Table(columns, rows, notes=[PARTIAL] * any(one.prefix is not None for one in results))


def measured_value(value: float | None, unit: Unit, nothing: str = NOT_RUN, more: int = 0) -> Value:
    """Return a value as people read it, with so many digits `more`; or `nothing`."""
    return Value(nothing if value is None else amount(value, unit, more), value)


def _interval(interval: Interval | None, unit: Unit) -> Value:
    if interval is None:
        return Value("")
    return Value(f"{bare_amount(interval.low, unit)} .. {amount(interval.high, unit)}", interval.low)


def _line(one: Measured, links: SourceLinks) -> Value:
    file, line = one.source.file, one.source.line
    return Value(links.name(file, line) if line else "", link=links(file, line))


def verdict_table(verdicts: Sequence[ClaimResult]) -> Table:
    """Return the claims with their verdicts, and the figures below each."""
    rows = [
        (Value(one.verdict.value, tone=_TONES[one.verdict]), Value(one.claim.text, detail=one.figures))
        for one in verdicts
    ]
    return Table([Column("verdict", width=max(len(one.value) for one in Verdict)), Column("claim")], rows)


def breakdown_table(breakdowns: Sequence[AttackBreakdown]) -> Table:
    """Return the share of images that each attack of an evaluation was the first to break."""
    attacks = tuple(dict.fromkeys(attack for one in breakdowns for attack, _ in one.broken))
    rows = []
    for one in breakdowns:
        broken = dict(one.broken)
        shares = (one.wrong, *(broken.get(attack) for attack in attacks), 1 - one.wrong - sum(broken.values()))
        cells = ("" if share is None else Value(f"{100 * max(share, 0.0):.1f}", max(share, 0.0)) for share in shares)
        rows.append((name_at(one.result, one.point), *cells))
    heads = ("wrong without attack", *attacks, "withstands")
    return Table([Column("evaluation"), *numeric(*heads, unit="%")], rows)


# --- the plan ------------------------------------------------------------------------------------


def step_table(plan: Plan, reasons: Mapping[Key, str]) -> Table:
    """Return the plan's steps, with how many others use each."""
    used: dict[Key, int] = {}
    for step in plan.shown.values():
        for _, key in step.sources:
            used[key] = used.get(key, 0) + 1
    states = shown_reasons(plan, reasons)
    rows = [_step(plan, key, used.get(key, 0), states[key]) for key in list(plan.shown)[:MOST_STEPS]]
    rest = len(plan.shown) - len(rows)
    columns = [Column("step"), Column("kind"), *numeric("used by", "passes"), Column("state")]
    notes = [f"and {rest:,} more steps: satdsl explain FILE --format json lists them all"] if rest else []
    return Table(columns, rows, notes=notes)


def _step(plan: Plan, key: Key, used: int, reason: str) -> Row:
    passes, count_of_blocks = plan.whole_passes(key), len(plan.steps[key].blocks)
    cost = passes.cost
    bound = "≤ " if passes.at_most else ""
    return (
        Value(plan.labels[key] + f", in {count_of_blocks} blocks" * bool(count_of_blocks), note=f"key {key[:12]}"),
        KINDS[plan.steps[key].kind].removesuffix("s"),
        count(used, zero=""),
        Value(bound + big(cost) if cost else "", cost),
        reason,
    )
