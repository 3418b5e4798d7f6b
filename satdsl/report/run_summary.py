"""Results, warnings and verdicts to what a person reads on the terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from satdsl.report.load_report import Report
from satdsl.report.render import rendered, verdict_table, warning_rows
from satdsl.report.tables import table

SHOWN = 10
"""Warnings that a terminal shows after a run; a sweep may have one for each of its points."""


def show(report: Report, *, width: int = 80, warnings: int | None = SHOWN) -> list[RenderableType]:
    """Every display of the specification as a table, then at most so many warnings, then the verdict on every claim."""
    parts: list[RenderableType] = []
    for display in report.plan.displays:
        parts += [Text(""), rendered(table(display, report.plan, report.results), width)]
    if report.warnings:
        parts += [Text(""), warning_rows(report.warnings, warnings)]
    if report.verdicts:
        parts += [Text(""), verdict_table(report.verdicts)]
    return [*parts, Text("")]
