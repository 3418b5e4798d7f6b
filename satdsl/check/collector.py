"""Collect the findings of a check, and stop the reading of what a finding makes unusable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NoReturn

from satdsl.findings import Finding, Fix, Span
from satdsl.hints import Hint
from satdsl.syntax import tree

Related = tuple[tuple[Span, str], ...]
"""Other places that a finding mentions, each with what it says about them."""


class Rejected(Exception):
    """An expression or a definition was rejected, so it has no value; the finding that says why is already made."""


class FindingCollector:
    """The findings made so far. The same mistake at the same place, met at several points of a sweep, counts once."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str, int, int, str], Finding] = {}
        self.made = 0
        """How many findings were added, the repeated ones included."""
        self._said: dict[tuple[str, str], Span] = {}

    def add(self, finding: Finding, about: str = "") -> None:
        """Add a finding, unless one with its code is already at its place, about the same thing."""
        span = finding.span
        self.made += 1
        self.all.setdefault((finding.code, span.source.path, span.start, span.end, about), finding)

    def once(self, finding: Finding, about: str = "") -> None:
        """Add a finding about two things that meet at many places, such as an attack and data: at the first of them."""
        first = self._said.setdefault((finding.code, finding.message), finding.span)
        if (first.source.path, first.start) == (finding.span.source.path, finding.span.start):
            self.add(finding, about)
        else:
            self.made += 1

    def error(
        self,
        code: str,
        at: tree.Node | Span,
        message: str,
        reason: str = "",
        help: str | Hint = "",
        related: Related = (),
        about: str = "",
    ) -> None:
        """Add an error, after which the reading goes on."""
        self.add(Finding(code, _span(at), message, reason, str(help), related=related, fix=_fix(help)), about)

    def reject(
        self,
        code: str,
        at: tree.Node | Span,
        message: str,
        reason: str = "",
        help: str | Hint = "",
        related: Related = (),
        about: str = "",
    ) -> NoReturn:
        """Add an error because of which what is being read has no value, and raise `Rejected`."""
        self.error(code, at, message, reason, help, related, about)
        raise Rejected from None

    def warn(
        self,
        code: str,
        at: tree.Node | Span,
        message: str,
        reason: str = "",
        help: str | Hint = "",
        about: str = "",
    ) -> None:
        """Add a warning."""
        finding = Finding(code, _span(at), message, reason, str(help), severity="warning", fix=_fix(help))
        self.add(finding, about)


class FindingsApart:
    """Tells apart what is found of one text that is read about several things, such as the networks of `evaluate a, b`.

    What is found about all of them is said once; what is found about some names them.
    """

    def __init__(self, findings: FindingCollector) -> None:
        self._findings = findings
        self._read: list[str] = []
        self._found: dict[tuple[Finding, str], list[str]] = {}

    @contextmanager
    def about(self, name: str) -> Iterator[None]:
        """Take what is found in this block to be about `name`."""
        every = self._findings.all
        before = set(every)
        yield
        self._read.append(name)
        for key in [key for key in every if key not in before]:
            self._found.setdefault((every.pop(key), key[-1]), []).append(name)

    def put_together(self) -> None:
        """Add all that was found."""
        for (finding, about), names in self._found.items():
            if len(names) < len(self._read):
                unsaid = [f"`{name}`" for name in names if f"`{name}" not in finding.message + finding.reason]
                message = finding.message + (f" (of {' and '.join(unsaid)})" if unsaid else "")
                finding, about = replace(finding, message=message), f"{about} {message}"
            self._findings.add(finding, about)


def _span(at: tree.Node | Span) -> Span:
    return at.span if isinstance(at, tree.Node) else at


def _fix(help: str | Hint) -> Fix | None:
    return help.fix if isinstance(help, Hint) else None
