"""Results and verdicts to what a person reads: on the terminal, and as files in a folder."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

from satdsl.plan.plan import Plan
from satdsl.report import export
from satdsl.report.claims import Verdict
from satdsl.report.curves import Curve, summary_table, to_csv
from satdsl.report.render import rendered, verdict_table, warning_rows
from satdsl.report.results import Measured
from satdsl.report.tables import table
from satdsl.report.warnings import Warned

_WIDTH = 110

SHOWN = 10
"""Warnings that a terminal shows after a run; a sweep may have one for each of its points."""


def show(
    plan: Plan,
    results: Sequence[Measured],
    verdicts: Sequence[Verdict],
    warned: Sequence[Warned] = (),
    *,
    width: int = 80,
    warnings: int | None = SHOWN,
) -> list[RenderableType]:
    """Every display of the specification as a table, then at most so many warnings, then the verdict on every claim."""
    parts: list[RenderableType] = []
    for display in plan.displays:
        parts += [Text(""), rendered(table(display, plan, results), width)]
    if warned:
        parts += [Text(""), warning_rows(warned, warnings)]
    if verdicts:
        parts += [Text(""), verdict_table(verdicts)]
    return [*parts, Text("")]


def write(
    plan: Plan,
    results: Sequence[Measured],
    verdicts: Sequence[Verdict],
    warned: Sequence[Warned],
    trained: Sequence[Curve],
    folder: Path,
) -> Path:
    """Write `report.html`, `results.csv`, `results.json` and `curves.csv`; the place of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(record=True, file=io.StringIO(), width=_WIDTH)
    console.print(Text(plan.title, style="bold"))
    for part in show(plan, results, verdicts, warned, width=_WIDTH, warnings=None):
        console.print(part)
    if trained:
        console.print(summary_table(trained))
    page = folder / "report.html"
    page.write_text(console.export_html(theme=DEFAULT_TERMINAL_THEME), "utf-8")
    (folder / "results.csv").write_text(export.to_csv(results), "utf-8")
    (folder / "curves.csv").write_text(to_csv(trained), "utf-8")
    (folder / "results.json").write_text(export.to_json(plan, results, verdicts, warned), "utf-8")
    return page
