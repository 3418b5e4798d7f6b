"""Measured results as CSV, JSON or text.

A share is written as a fraction in [0, 1], not in percent. What is not run has an empty value in CSV and null
in JSON; so has `published` where nothing is. The interval is 95 %: Wilson's for shares, mean ± 1.96 standard
errors for scores; CSV gives its ends as `low..high`, JSON as a pair.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from satdsl.report.attack_breakdown import AttackBreakdown
from satdsl.report.claims import ClaimResult, ComparisonResult
from satdsl.report.load_report import Report
from satdsl.report.number_text import point_text
from satdsl.report.published_values import PublishedComparison, PublishedValues
from satdsl.report.render import WIDTH, breakdown_rows, published_means, result_table, text, warning_rows
from satdsl.report.results import Measured

FORMAT = 1
"""The version of the JSON document. Raise it when a reader of the old one would stumble."""

COLUMNS = ("result", "point", "value", "n", "interval", "published")


def to_csv(results: Sequence[Measured]) -> str:
    """One line per result; the point is written `order=hardest, share=30%`, the interval `low..high`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in results:
        interval = "" if one.interval is None else f"{one.interval.low}..{one.interval.high}"
        value = "" if one.value is None else one.value
        published = "" if one.published is None else one.published
        writer.writerow((one.result, point_text(one.point), value, one.n, interval, published))
    return out.getvalue()


def to_json(report: Report) -> str:
    """One document: the results, what is published for them, what each attack did, what is to be doubted, and the
    claims with their verdicts."""
    document = {
        "format_version": FORMAT,
        "title": report.plan.title,
        "results": [_result(one) for one in report.results],
        "published": [_beside(one) for one in PublishedValues(report.plan, report.results)],
        "broken": [_breakdown(one) for one in report.breakdowns],
        "warnings": [{"result": one.result, "point": dict(one.point), "text": one.text} for one in report.warnings],
        "claims": [_claim(verdict) for verdict in report.verdicts],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_text(report: Report, width: int = WIDTH) -> str:
    """A table to read, at most `width` columns wide; below it published means, what each attack did, the warnings."""
    parts = [result_table(report.results)]
    publications = PublishedValues(report.plan, report.results)
    parts += [published_means(publications)] if any(len(one.results) > 1 for one in publications) else []
    parts += [breakdown_rows(report.breakdowns)] if report.breakdowns else []
    parts += [warning_rows(report.warnings)] if report.warnings else []
    return "\n".join(text(part, width) for part in parts)


def _result(one: Measured) -> dict[str, Any]:
    return {
        "result": one.result,
        "point": dict(one.point),
        "value": one.value,
        "n": one.n,
        "interval": None if one.interval is None else [one.interval.low, one.interval.high],
        "published": one.published,
    }


def _beside(one: PublishedComparison) -> dict[str, Any]:
    published = one.published
    return {
        "result": published.result,
        "at": dict(published.at),
        "published": published.value,
        "source": published.source,
        "value": one.value,
        "of": len(one.results),
        "file": published.file,
        "line": published.line,
    }


def _breakdown(one: AttackBreakdown) -> dict[str, Any]:
    return {"result": one.result, "point": dict(one.point), "wrong": one.wrong, "by": dict(one.broken)}


def _claim(verdict: ClaimResult) -> dict[str, Any]:
    return {
        "claim": verdict.claim.text,
        "verdict": verdict.standing.value,
        "file": verdict.claim.file,
        "line": verdict.claim.line,
        "condition": verdict.claim.condition,
        "comparisons": [_comparison(one) for one in verdict.compared],
    }


def _comparison(one: ComparisonResult) -> dict[str, Any]:
    return {
        "comparison": one.comparison.text,
        "at": dict(one.comparison.at),
        "verdict": one.standing.value,
        "left": one.left,
        "right": one.right,
        "difference": one.difference,
        "half_width": one.half_width,
        "figures": one.figures,
    }
