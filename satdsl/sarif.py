"""Write findings as a log in SARIF 2.1.0, the OASIS format in which code hosts and editors read them."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from satdsl.catalog.pages import FindingPage, page
from satdsl.findings import Finding, Fix, Span
from satdsl.lint import Checked
from satdsl.version import __version__

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(found: Checked) -> dict[str, Any]:
    """Return the log: a rule with its page for each code that occurs, a result for each finding.

    Places count from 1, columns in characters, and end where what follows begins. Files that cannot be read are
    notifications of an invocation that was not successful.
    """
    codes = sorted({finding.code for finding in found.findings})
    driver = {
        "name": "satdsl",
        "version": __version__,
        "rules": [_rule(page(code)) for code in codes],
    }
    notes = [
        {
            "level": "error",
            "message": {"text": str(file)},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(str(file.path))}}}],
        }
        for file in found.unreadable
    ]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "newlineSequences": ["\r\n", "\r", "\n"],
        "invocations": [{"executionSuccessful": not notes, "toolExecutionNotifications": notes}],
        "results": [_result(finding, codes.index(finding.code)) for finding in found.findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def relative(path: str) -> str | None:
    """Return the path of a file from the current folder, with `/`; None for what was given with `--set`."""
    if path.startswith("--set "):
        return None
    try:
        return PurePath(os.path.relpath(path)).as_posix()
    except ValueError:  # another drive
        return PurePath(path).as_posix()


def _rule(about: FindingPage) -> dict[str, Any]:
    return {
        "id": about.code,
        "shortDescription": {"text": about.title},
        "fullDescription": {"text": about.about},
        "help": {"text": about.text, "markdown": about.text},
        "defaultConfiguration": {"level": "error" if "error" in about.severity else "warning"},
        "properties": {"tags": [about.family]},
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    help = f"Help: {finding.help}" if finding.help else ""
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": "\n".join(part for part in (finding.message, finding.reason, help) if part)},
        "locations": [_location(finding.span)],
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": text}, **_location(span)}
            for number, (span, text) in enumerate(finding.related, 1)
        ]
    if finding.accepted:
        result["suppressions"] = [{"kind": "inSource", "status": "accepted", "justification": finding.accepted}]
    if finding.fix is not None and all(relative(span.source.path) for span, _ in finding.fix.edits):
        result["fixes"] = [_fix(finding.fix)]
    return result


def _location(span: Span) -> dict[str, Any]:
    if relative(span.source.path) is None:
        return {"logicalLocations": [{"name": span.source.path}]}
    region = {**_region(span), "snippet": {"text": span.text}}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(span.source.path)}, "region": region}}


def _region(span: Span) -> dict[str, int]:
    (line, column), (end_line, end_column) = span.place, span.source.place(span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _fix(fix: Fix) -> dict[str, Any]:
    replacements: dict[str, list[dict[str, Any]]] = {}
    for span, text in fix.edits:
        replacement = {"deletedRegion": _region(span), "insertedContent": {"text": text}}
        replacements.setdefault(_uri(span.source.path), []).append(replacement)
    changes = [{"artifactLocation": {"uri": uri}, "replacements": made} for uri, made in replacements.items()]
    return {"description": {"text": fix.title}, "artifactChanges": changes}


def _uri(path: str) -> str:
    """Return a path as a relative reference; as an absolute address where it lies outside of the current folder."""
    place = relative(path)
    if place is None or place.startswith("../"):
        return Path(os.path.abspath(path)).as_uri()
    return quote(place if ":" not in place.split("/")[0] else f"./{place}")
