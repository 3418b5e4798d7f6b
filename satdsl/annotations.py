"""Write findings as workflow commands of GitHub Actions, which shows them beside the lines of a change.

`::error file=a.sat,line=3,endLine=3,col=11,endColumn=19,title=E202::there is no model called ...`
(GitHub's manual, "Workflow commands for GitHub Actions").
"""

from __future__ import annotations

from satdsl.findings import Finding
from satdsl.lint import Checked
from satdsl.sarif import relative

_IN_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_DATA, ":": "%3A", ",": "%2C"}


def annotated(found: Checked) -> str:
    """Return a line for each finding, and for each file that cannot be read."""
    lines = [_annotation(finding) for finding in found.findings]
    for file in found.unreadable:
        lines.append(_command("error", {"file": relative(str(file.path)), "title": "unreadable file"}, str(file)))
    return "".join(f"{line}\n" for line in lines)


def _annotation(finding: Finding) -> str:
    span = finding.span
    (line, column), (end_line, end_column) = span.place, span.source.place(span.end)
    where: dict[str, str | int] = {}
    if (file := relative(span.source.path)) is not None:
        where = {"file": file, "line": line, "endLine": end_line}
        if line == end_line:
            # Columns of a piece that ends on another line are refused.
            where |= {"col": column, "endColumn": end_column}
    help = f"help: {finding.help}" if finding.help else ""
    if finding.accepted:
        # Neither an error nor a warning: what the file accepts stands beside the line, and nothing fails for it.
        text = f"{finding.message}\naccepted: {finding.accepted}"
        return _command("notice", {**where, "title": finding.code}, text)
    text = "\n".join(part for part in (finding.message, finding.reason, help) if part)
    return _command(finding.severity, {**where, "title": finding.code}, text)


def _command(name: str, properties: dict[str, str | int | None], text: str) -> str:
    given = ",".join(f"{key}={_escaped(str(value), _IN_PROPERTY)}" for key, value in properties.items() if value)
    return f"::{name} {given}::{_escaped(text, _IN_DATA)}"


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character, character) for character in text)
