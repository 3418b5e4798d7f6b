"""Show what a run has found: what a person reads on the terminal at its end."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from satdsl.report.load_report import Report
from satdsl.report.result_formats import warning_line
from satdsl.report.result_tables import results_table, verdict_table
from satdsl.show.terminal import WIDTH, ruled, ruled_in_pieces

MOST_WARNINGS = 10
"""Warnings that a terminal shows after a run; a sweep may have one for each of its points."""


def run_summary(
    report: Report, *, width: int = WIDTH, most_warnings: int | None = MOST_WARNINGS
) -> list[RenderableType]:
    """Return every display of the plan as a table, then at most so many warnings, then the verdict on every claim.

    A plan that shows and claims nothing shows its results.
    """
    words = report.plan.variant.words
    parts: list[RenderableType] = [Text(""), Text(words)] if words else []
    for figure in report.figures:
        parts += [Text(""), ruled_in_pieces(figure.table, width)]
    if report.results and not (report.figures or report.verdicts):
        parts += [Text(""), ruled(results_table(report.results, report.plan))]
    if report.warnings:
        parts += [Text(""), *map(warning_line, report.warnings[:most_warnings])]
        left = len(report.warnings[most_warnings:]) if most_warnings is not None else 0
        parts += [Text(f"and {left} more warnings: see the report, or satdsl results")] * bool(left)
    if report.verdicts:
        parts += [Text(""), ruled(verdict_table(report.verdicts))]
    return [*parts, Text("")]
