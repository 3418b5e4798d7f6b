"""Findings to text for a terminal: the source line underlined, the reason, the way out."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from satdsl.findings import Finding, Span

MOST = 100
"""Findings that are shown in full; how many more there are is said."""

_STYLES = {"error": "bold red", "warning": "bold yellow"}
_WIDEST = 200


def rendered(findings: Sequence[Finding]) -> Text:
    """All findings, one below the other, and a line that counts them."""
    text = Text()
    for finding in findings[:MOST]:
        text.append_text(_finding(finding))
        text.append("\n")
    if len(findings) > MOST:
        text.append(f"and {len(findings) - MOST} more findings\n\n")
    return text.append_text(count(findings))


def count(findings: Sequence[Finding]) -> Text:
    """`2 errors, 1 warning`."""
    words = []
    for severity in ("error", "warning"):
        number = sum(finding.severity == severity for finding in findings)
        if number:
            words.append(f"{number} {severity}{'s' * (number > 1)}")
    return Text(", ".join(words) or "no findings", style="bold")


def _finding(finding: Finding) -> Text:
    style = _STYLES[finding.severity]
    text = Text()
    text.append(f"{finding.severity} {finding.code}", style=style).append(f": {finding.message}\n")
    text.append_text(_quote(finding.span, style))
    for span, note in finding.related:
        text.append(f"  {note}:\n", style="dim").append_text(_quote(span, "cyan"))
    if finding.reason:
        text.append("  why:  ", style="dim").append(f"{finding.reason}\n")
    if finding.help:
        text.append("  help: ", style="bold").append(f"{finding.help}\n")
    return text


def _quote(span: Span, style: str) -> Text:
    """The line that a span begins in, with the span underlined."""
    line, column = span.place
    source = span.source.line(line).replace("\t", " ")
    end_line, end_column = span.source.place(span.end)
    last = end_column if end_line == line else len(source) + 1
    start = max(0, column - 1 - _WIDEST // 2)
    shown = source[start : start + _WIDEST]
    width = max(1, min(last, start + _WIDEST + 1) - column)
    margin = " " * len(str(line))
    text = Text(f"  {span.source.path}:{line}:{column}\n", style="dim")
    text.append(f"  {line} | ", style="dim").append(f"{shown}\n")
    return text.append(f"  {margin} | ", style="dim").append(
        f"{' ' * (column - 1 - start)}{'^' * width}\n", style=style
    )
