"""Show findings as text: the source line with the place underlined, the reason, and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from satdsl.findings import Finding, Span, parted

if TYPE_CHECKING:
    from rich.text import Text

MOST = 100
"""The most findings that are shown in full. The number of the others is shown."""

_STYLES = {"error": "bold red", "warning": "bold yellow"}
_WIDEST = 200
"""The most characters of a source line that are shown."""

_CUT = "..."
"""What stands where a line is cut."""


class SpecError(Exception):
    """A specification with at least one error; `findings` has all of them, warnings included."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(self.findings)

    def __str__(self) -> str:
        """Return all findings as text, after a line break that keeps the first from the name of the exception."""
        return f"\n{rendered(self.findings).plain}"


def rendered(findings: Sequence[Finding]) -> Text:
    """Return the findings one below the other, a line for each accepted warning, and a line that counts them."""
    from rich.text import Text

    text = Text()
    open_, accepted = parted(findings)
    for finding in open_[:MOST]:
        text.append_text(_finding(finding))
        text.append("\n")
    if len(open_) > MOST:
        text.append(f"and {len(open_) - MOST} more findings\n\n")
    for finding in accepted[:MOST]:
        line, column = finding.span.place
        place = f"{finding.span.source.path}:{line}:{column}"
        text.append(f"accepted {finding.code} at {place}: {finding.accepted}\n", style="dim")
    if len(accepted) > MOST:
        text.append(f"and {len(accepted) - MOST} more accepted\n", style="dim")
    text.append("\n" * bool(accepted))
    return text.append_text(count(findings))


def count(findings: Sequence[Finding]) -> Text:
    """Return how many findings there are, as in `2 errors, 1 warning, 1 warning accepted`."""
    from rich.text import Text

    words = []
    open_, accepted = parted(findings)
    for severity in ("error", "warning"):
        number = sum(finding.severity == severity for finding in open_)
        if number:
            words.append(f"{number} {severity}{'s' * (number > 1)}")
    if accepted:
        words.append(f"{len(accepted)} warning{'s' * (len(accepted) > 1)} accepted")
    return Text(", ".join(words) or "no findings", style="bold")


def _finding(finding: Finding) -> Text:
    from rich.text import Text

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
    """Return the line that a span begins in, with the span underlined."""
    from rich.text import Text

    line, column = span.place
    source = span.source.line(line).replace("\t", " ")
    end_line, end_column = span.source.place(span.end)
    last = end_column if end_line == line else len(source) + 1
    start = max(0, min(column - 1 - _WIDEST // 2, len(source) - _WIDEST))
    end = min(len(source), start + _WIDEST)
    before, after = _CUT * (start > 0), _CUT * (end < len(source))
    width = max(1, min(last, end + 2) - column)
    number = str(line)
    text = Text(f"  {span.source.path}:{line}:{column}\n", style="dim")
    text.append(f"  {number} | ", style="dim").append(f"{before}{source[start:end]}{after}\n")
    indent = " " * (len(before) + column - 1 - start)
    return text.append(f"  {' ' * len(number)} | ", style="dim").append(f"{indent}{'^' * width}\n", style=style)
