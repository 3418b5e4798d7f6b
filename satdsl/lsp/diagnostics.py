"""Findings to what an editor shows beneath the text, and a finding's fix to an action."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lsprotocol import types

from satdsl.catalog.pages import address
from satdsl.check.used_files import Program
from satdsl.findings import Finding, Fix, Source, Span
from satdsl.lsp.navigation import UriOf, located_in
from satdsl.lsp.positions import Positions
from satdsl.lsp.view import View
from satdsl.syntax import tree

UNUSED = ("E707", "E708", "E709")
"""Findings about what nothing uses: an editor shows it faded."""

_SEVERITIES = {"error": types.DiagnosticSeverity.Error, "warning": types.DiagnosticSeverity.Warning}


def diagnostics(view: View, uri_of: UriOf) -> list[types.Diagnostic]:
    """All findings of a file; those in the files it uses stand where it uses them."""
    found = []
    elsewhere: dict[int, list[Finding]] = {}
    for finding in view.analysis.findings:
        if finding.span.source is view.source:
            found.append(_diagnostic(finding, view.positions, uri_of))
        else:
            way = _way_to(view, finding.span.source)
            if way is not None:
                elsewhere.setdefault(way.span.start, []).append(finding)
    for use in view.file.statements:
        if isinstance(use, tree.Use) and use.span.start in elsewhere:
            found.append(_in_used_file(use, elsewhere[use.span.start], view.positions, uri_of))
    return found


def _diagnostic(finding: Finding, at: Positions, uri_of: UriOf) -> types.Diagnostic:
    lines = [finding.message]
    lines += [f"why: {finding.reason}"] if finding.reason else []
    lines += [f"help: {finding.help}"] if finding.help else []
    page = address(finding.code)
    return types.Diagnostic(
        range=at.span(finding.span),
        message="\n".join(lines),
        severity=_SEVERITIES[finding.severity],
        code=finding.code,
        code_description=types.CodeDescription(page) if page else None,
        source="satdsl",
        tags=[types.DiagnosticTag.Unnecessary] if finding.code in UNUSED else None,
        related_information=[_related(span, text, at, uri_of) for span, text in finding.related] or None,
    )


def _related(span: Span, text: str, at: Positions, uri_of: UriOf) -> types.DiagnosticRelatedInformation:
    place = types.Location(uri_of(span.source.path), Positions(span.source, at.encoding).span(span))
    return types.DiagnosticRelatedInformation(place, text)


def _in_used_file(use: tree.Use, findings: list[Finding], at: Positions, uri_of: UriOf) -> types.Diagnostic:
    errors = sum(finding.severity == "error" for finding in findings)
    worst = findings[0] if not errors else next(finding for finding in findings if finding.severity == "error")
    many = f"{len(findings)} findings" if len(findings) > 1 else "a finding"
    return types.Diagnostic(
        range=at.span(use.path.span),
        message=f"{many} in `{use.path.value}` or what it uses: {worst.message}",
        severity=_SEVERITIES[worst.severity],
        code=worst.code,
        source="satdsl",
        related_information=[_related(finding.span, finding.message, at, uri_of) for finding in findings],
    )


def _way_to(view: View, wanted: Source) -> tree.Use | None:
    """The `use` of this file through which another one came in."""
    spec = view.analysis.program
    for statement in view.file.statements:
        if isinstance(statement, tree.Use):
            path = located_in(str(Path(view.source.path).parent), statement.path.value)
            if _leads(path, wanted.path, spec, set()):
                return statement
    return None


def _leads(path: str, wanted: str, spec: Program, seen: set[str]) -> bool:
    if path == wanted:
        return True
    if path in seen:
        return False
    seen.add(path)
    uses = [s for s, _ in spec.statements if isinstance(s, tree.Use) and s.span.source.path == path]
    return any(_leads(located_in(str(Path(path).parent), s.path.value), wanted, spec, seen) for s in uses)


def actions(view: View, start: int, end: int, uri_of: UriOf) -> list[types.CodeAction]:
    """The fixes of the findings that touch a piece of the file."""
    found = []
    for finding in view.analysis.findings:
        span = finding.span
        if finding.fix is not None and span.source is view.source and span.start <= end and span.end >= start:
            found.append(
                types.CodeAction(
                    title=finding.fix.title,
                    kind=types.CodeActionKind.QuickFix,
                    diagnostics=[_diagnostic(finding, view.positions, uri_of)],
                    is_preferred=True,
                    edit=edit_of([finding.fix], view.positions, uri_of),
                )
            )
    return found


def edit_of(fixes: Iterable[Fix], at: Positions, uri_of: UriOf) -> types.WorkspaceEdit:
    changes: dict[str, list[types.TextEdit]] = {}
    for fix in fixes:
        for span, text in fix.edits:
            place = Positions(span.source, at.encoding).span(span)
            changes.setdefault(uri_of(span.source.path), []).append(types.TextEdit(place, text))
    return types.WorkspaceEdit(changes=changes)
