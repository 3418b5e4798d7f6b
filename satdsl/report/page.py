"""Results and verdicts to what a person reads: on the terminal, and as files in a folder."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console, RenderableType
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

from satdsl.report import export
from satdsl.report.curves import summary_table, to_csv
from satdsl.report.gathered import Report
from satdsl.report.render import rendered, verdict_table, warning_rows
from satdsl.report.tables import table

_WIDTH = 110

SHOWN = 10
"""Warnings that a terminal shows after a run; a sweep may have one for each of its points."""


def show(report: Report, *, width: int = 80, warnings: int | None = SHOWN) -> list[RenderableType]:
    """Every display of the specification as a table, then at most so many warnings, then the verdict on every claim."""
    parts: list[RenderableType] = []
    for display in report.plan.displays:
        parts += [Text(""), rendered(table(display, report.plan, report.results), width)]
    if report.warned:
        parts += [Text(""), warning_rows(report.warned, warnings)]
    if report.verdicts:
        parts += [Text(""), verdict_table(report.verdicts)]
    return [*parts, Text("")]


def write(report: Report, folder: Path) -> Path:
    """Write `report.html`, `results.csv`, `results.json` and `curves.csv`; the place of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(record=True, file=io.StringIO(), width=_WIDTH)
    console.print(Text(report.plan.title, style="bold"))
    for part in show(report, width=_WIDTH, warnings=None):
        console.print(part)
    if report.curves:
        console.print(summary_table(report.curves))
    page = folder / "report.html"
    page.write_text(console.export_html(theme=DEFAULT_TERMINAL_THEME), "utf-8")
    (folder / "results.csv").write_text(export.to_csv(report.results), "utf-8")
    (folder / "curves.csv").write_text(to_csv(report.curves), "utf-8")
    (folder / "results.json").write_text(export.to_json(report), "utf-8")
    return page
