"""Define findings: what is wrong with a specification, as data that is rendered elsewhere."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from satdsl.records import Record, record


@dataclass(frozen=True, eq=False)
class Source:
    """A specification's text and where it was read."""

    path: str
    text: str

    @cached_property
    def line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", self.text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Return the 1-based line and column of a character offset."""
        line = bisect.bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return the text of a 1-based line."""
        ends = [*self.line_starts[1:], len(self.text)]
        return self.text[self.line_starts[number - 1] : ends[number - 1]].rstrip("\r\n")


@record
class Span(Record):
    """A piece of a source: characters `start` (included) to `end` (excluded)."""

    source: Source = field(repr=False)
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def place(self) -> tuple[int, int]:
        return self.source.place(self.start)

    def contains(self, other: Span) -> bool:
        return self.source is other.source and self.start <= other.start and other.end <= self.end


@record
class Fix(Record):
    """A change that certainly does what the author meant: its name, and each piece of text with what replaces it."""

    title: str
    edits: tuple[tuple[Span, str], ...]

    def document(self) -> dict[str, Any]:
        return {"title": self.title, "edits": [{**_place(span), "text": text} for span, text in self.edits]}


@record
class Finding(Record):
    """One mistake (`error`) or doubt (`warning`): where, what, why it matters, and the way out."""

    code: str
    span: Span
    message: str
    reason: str = ""
    help: str = ""
    severity: Literal["error", "warning"] = "error"
    related: tuple[tuple[Span, str], ...] = ()
    fix: Fix | None = None
    accepted: str = ""
    """The reason for which the file accepts a warning (`# sat: allow E609 because ...`)."""

    def document(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            **_place(self.span),
            "message": self.message,
            "reason": self.reason,
            "help": self.help,
            "related": [
                {"file": span.source.path, "line": span.place[0], "column": span.place[1], "message": text}
                for span, text in self.related
            ],
            "fix": self.fix.document() if self.fix else None,
            "accepted": self.accepted or None,
        }


def _place(span: Span) -> dict[str, Any]:
    """Return where a span is: 1-based lines and columns, the end excluded."""
    line, column = span.place
    end_line, end_column = span.source.place(span.end)
    return {"file": span.source.path, "line": line, "column": column, "end_line": end_line, "end_column": end_column}


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings by file and place, each once."""
    unique = {(f.code, f.span.source.path, f.span.start, f.message): f for f in findings}
    return tuple(sorted(unique.values(), key=lambda f: (f.span.source.path, f.span.start, f.code)))


def parted(findings: Iterable[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Return the findings that call for something to be done, and the warnings that the file accepts."""
    found = list(findings)
    return [one for one in found if not one.accepted], [one for one in found if one.accepted]


def applied(fix: Fix, text: str) -> str:
    """Return `text`, in which the fix was found, with its edits made."""
    for span, replacement in sorted(fix.edits, key=lambda edit: edit[0].start, reverse=True):
        text = text[: span.start] + replacement + text[span.end :]
    return text
