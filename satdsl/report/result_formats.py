"""Write measured results as CSV, JSON or text.

A share is written as a fraction in [0, 1], not in percent. What is not run has an empty value in CSV and null
in JSON; so has `published` where nothing is. The interval is 95 %: Wilson's for shares, mean ± 1.96 standard
errors for scores; CSV gives its ends as `low..high`, JSON as a pair. Where only the first blocks of images are
measured, `n` of `of` images, the interval is where the value of all of them lies, however often one looks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from satdsl.report.attack_breakdown import AttackBreakdown
from satdsl.report.claims import ClaimResult, ComparisonResult
from satdsl.report.csv_text import csv_text
from satdsl.report.early_looks import Look
from satdsl.report.load_report import Report
from satdsl.report.number_text import amount, name_at
from satdsl.report.published_values import PublishedComparison, PublishedValues
from satdsl.report.result_tables import measured_value, results_table
from satdsl.report.result_warnings import ResultWarning
from satdsl.report.results import Measured
from satdsl.show.terminal import WIDTH, ruled, text

FORMAT = 1
"""The version of the JSON document. Raise it when a reader of the old one would stumble."""

COLUMNS = ("result", "point", "value", "n", "of", "interval", "published")


def to_csv(results: Sequence[Measured]) -> str:
    """Return a line for each result; its interval is written `low..high`."""
    intervals = (one.interval and f"{one.interval.low}..{one.interval.high}" for one in results)
    records = (
        _result(one) | {"point": one.point, "interval": ends} for one, ends in zip(results, intervals, strict=True)
    )
    return csv_text(COLUMNS, records)


def to_json(report: Report) -> str:
    """Return one document: the results, published values, what each attack broke, the warnings, and the verdicts."""
    document = {
        "format_version": FORMAT,
        "title": report.plan.title,
        "set": dict(report.plan.variant.values),
        "only": list(report.plan.variant.only),
        "results": [_result(one) for one in report.results],
        "published": [_published(one) for one in PublishedValues(report.plan, report.results)],
        "broken": [_breakdown(one) for one in report.breakdowns],
        "warnings": [{"result": one.result, "point": dict(one.point), "text": one.text} for one in report.warnings],
        "claims": [_claim(one) for one in report.verdicts],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_text(report: Report, width: int = WIDTH) -> str:
    """Return a table to read, at most `width` columns wide.

    Above it stands what was asked for beside the file; below it the published means, what each attack did, and the
    warnings.
    """
    means = [one for one in PublishedValues(report.plan, report.results) if len(one.results) > 1]
    lists = (map(_published_mean, means), map(breakdown_line, report.breakdowns), map(warning_line, report.warnings))
    words = report.plan.variant.words
    parts = [
        *[Text(words)] * bool(words),
        ruled(results_table(report.results, report.plan)),
        *(Group(*lines) for lines in map(list, lists) if lines),
    ]
    return "\n".join(text(part, width) for part in parts)


def _published_mean(one: PublishedComparison) -> Text:
    published = one.published
    return Text.assemble(
        (f"mean of {name_at(published.result, published.at)}", "bold"),
        f": {measured_value(one.value, one.unit).text}, published {amount(published.value, one.unit)}",
        f" ({published.source})" * bool(published.source),
    )


def breakdown_line(one: AttackBreakdown) -> Text:
    """Return what each attack of an evaluation broke, in a line for a terminal."""
    return Text.assemble((name_at(one.result, one.point), "bold"), f": {one.text}")


def warning_line(one: ResultWarning) -> Text:
    """Return a warning in a line for a terminal."""
    return Text.assemble(("warning", "yellow"), ": ", (name_at(one.result, one.point), "bold"), f": {one.text}")


def _result(one: Measured) -> dict[str, Any]:
    return {
        "result": one.result,
        "point": dict(one.point),
        "value": one.value,
        "n": one.n,
        "of": one.of,
        "interval": None if one.interval is None else [one.interval.low, one.interval.high],
        "published": one.published,
    }


def _published(one: PublishedComparison) -> dict[str, Any]:
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


def _claim(result: ClaimResult) -> dict[str, Any]:
    return {
        "claim": result.claim.text,
        "verdict": result.verdict.value,
        "decided_on": dict(zip(("n", "of"), result.decided_on, strict=True)) if result.decided_on else None,
        "file": result.claim.file,
        "line": result.claim.line,
        "condition": result.claim.condition,
        "comparisons": [_comparison(one) for one in result.compared],
    }


def _comparison(one: ComparisonResult) -> dict[str, Any]:
    return {
        "comparison": one.comparison.text,
        "at": dict(one.comparison.at),
        "verdict": one.verdict.value,
        "left": one.left,
        "right": one.right,
        "difference": one.difference,
        "half_width": one.half_width,
        "look": None if one.look is None else _look(one.look),
        "figures": one.figures,
    }


def _look(look: Look) -> dict[str, Any]:
    """Return what some of the images say of all of them: where the difference lies with the error of the claim."""
    return {"n": look.n, "of": look.of, "interval": [look.difference.low, look.difference.high]}
