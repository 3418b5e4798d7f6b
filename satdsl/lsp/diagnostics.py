"""Show findings beneath the text they are about, and offer their fixes as code actions."""

from __future__ import annotations

from lsprotocol import types

from satdsl.catalog.pages import address
from satdsl.check.accepted import OWN, accepting
from satdsl.findings import Finding, Source, Span
from satdsl.lsp.navigation import used_path
from satdsl.lsp.snapshot import Snapshot
from satdsl.syntax import tree
from satdsl.syntax.directives import Units

UNUSED = ("E707", "E708", "E709")
"""The findings about what nothing uses, which an editor shows faded."""

_SEVERITIES = {"error": types.DiagnosticSeverity.Error, "warning": types.DiagnosticSeverity.Warning}


def diagnostics(snapshot: Snapshot) -> list[types.Diagnostic]:
    """Return all findings about a file. Those in the files it uses are shown where it uses them."""
    found = []
    elsewhere: dict[int, list[Finding]] = {}
    for finding in snapshot.analysis.findings:
        if finding.accepted and finding.span.source is not snapshot.source:
            continue
        if finding.span.source is snapshot.source:
            found.append(_diagnostic(finding, snapshot))
        else:
            use = _use_of(snapshot, finding.span.source)
            if use is not None:
                elsewhere.setdefault(use.span.start, []).append(finding)
    for statement in snapshot.file.statements:
        if isinstance(statement, tree.Use) and statement.span.start in elsewhere:
            found.append(_in_used_file(statement, elsewhere[statement.span.start], snapshot))
    return found


def code_actions(snapshot: Snapshot, start: int, end: int) -> list[types.CodeAction]:
    """Return the fixes of the findings that touch a piece of the file, and comments that accept the warnings."""
    touched = [
        finding
        for finding in snapshot.analysis.findings
        if finding.span.source is snapshot.source and not finding.accepted
        if finding.span.start <= end and finding.span.end >= start
    ]
    fixes = [
        types.CodeAction(
            title=finding.fix.title,
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[_diagnostic(finding, snapshot)],
            is_preferred=True,
            edit=snapshot.workspace_edit(finding.fix.edits),
        )
        for finding in touched
        if finding.fix is not None
    ]
    acceptable = [finding for finding in touched if finding.severity == "warning" and finding.code not in OWN]
    if not acceptable:
        return fixes
    units = Units(snapshot.source)
    return fixes + [
        types.CodeAction(
            title=f"accept {finding.code} here, for a reason",
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[_diagnostic(finding, snapshot)],
            edit=snapshot.workspace_edit([edit]),
        )
        for finding in acceptable
        if (edit := accepting(finding, units)) is not None
    ]


def _diagnostic(finding: Finding, snapshot: Snapshot) -> types.Diagnostic:
    lines = [finding.message, *([f"accepted: {finding.accepted}"] if finding.accepted else [])]
    lines += [f"why: {finding.reason}"] if finding.reason else []
    lines += [f"help: {finding.help}"] if finding.help else []
    page = address(finding.code)
    return types.Diagnostic(
        range=snapshot.positions.span(finding.span),
        message="\n".join(lines),
        severity=types.DiagnosticSeverity.Hint if finding.accepted else _SEVERITIES[finding.severity],
        code=finding.code,
        code_description=types.CodeDescription(page) if page else None,
        source="satdsl",
        tags=[types.DiagnosticTag.Unnecessary] if finding.code in UNUSED and not finding.accepted else None,
        related_information=[_related(span, text, snapshot) for span, text in finding.related] or None,
    )


def _related(span: Span, text: str, snapshot: Snapshot) -> types.DiagnosticRelatedInformation:
    return types.DiagnosticRelatedInformation(snapshot.location(span), text)


def _in_used_file(use: tree.Use, findings: list[Finding], snapshot: Snapshot) -> types.Diagnostic:
    worst = next((finding for finding in findings if finding.severity == "error"), findings[0])
    many = f"{len(findings)} findings" if len(findings) > 1 else "a finding"
    return types.Diagnostic(
        range=snapshot.positions.span(use.path.span),
        message=f"{many} in `{use.path.value}` or in a file that it uses: {worst.message}",
        severity=_SEVERITIES[worst.severity],
        code=worst.code,
        source="satdsl",
        related_information=[_related(finding.span, finding.message, snapshot) for finding in findings],
    )


def _use_of(snapshot: Snapshot, wanted: Source) -> tree.Use | None:
    """Return the `use` of this file that brought another file in, directly or not."""
    uses: dict[str, list[str]] = {}
    for one, _ in snapshot.analysis.program.statements:
        if isinstance(one, tree.Use):
            user = one.span.source.path
            uses.setdefault(user, []).append(used_path(snapshot, user, one.path.value))
    wanted_path = _user_of(snapshot, wanted)

    def leads(path: str, seen: set[str]) -> bool:
        if path == wanted_path:
            return True
        if path in seen:
            return False
        seen.add(path)
        return any(leads(used, seen) for used in uses.get(path, ()))

    own = (statement for statement in snapshot.file.statements if isinstance(statement, tree.Use))
    return next((one for one in own if leads(used_path(snapshot, snapshot.source.path, one.path.value), set())), None)


def _user_of(snapshot: Snapshot, source: Source) -> str:
    """Return the path of a file, or of the Python file that imports it."""
    for file in snapshot.analysis.program.plugins.values():
        if any(one.path == source.path for _, one in file.code.sources):
            return file.source.path
    return source.path
