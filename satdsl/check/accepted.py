"""Note which warnings a file accepts, and find the comments that accept nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from satdsl.catalog.pages import codes, page
from satdsl.findings import Finding, Source, Span, ordered
from satdsl.hints import did_you_mean
from satdsl.syntax.directives import Directive, Units, directives

OWN = ("E107", "E108", "E109")
"""The findings about the comments themselves, which no comment accepts."""


def with_accepted(findings: Sequence[Finding], sources: Iterable[Source], *, settled: bool) -> tuple[Finding, ...]:
    """Return the findings, the accepted ones with their reason, together with those about the comments.

    The main file is the first of `sources`; what a comment in a used file accepts may be found in another file that
    uses it. `settled` says that every warning there is was looked for, so that one that is not found is not there.
    """
    found = list(findings)
    for number, source in enumerate(sources):
        mine, problems = directives(source)
        found += problems
        for directive in mine:
            for code, at in directive.codes:
                refused = _not_acceptable(code)
                if refused:
                    found.append(Finding("E108", at, *refused, severity="warning"))
                    continue
                matching = [i for i, finding in enumerate(found) if _concerns(directive, code, finding)]
                for i in matching:
                    found[i] = replace(found[i], accepted=found[i].accepted or directive.reason)
                if not matching and settled and number == 0:
                    found.append(Finding("E109", at, *_idle(directive, code, found), severity="warning"))
    return ordered(found)


def accepting(finding: Finding, units: Units) -> tuple[Span, str] | None:
    """Return the edit that puts a comment above what a warning is about, with a place for the reason.

    What stands at the top of the file gets it at its end, since above it would be for the whole file. None where
    something else stands there.
    """
    source = finding.span.source
    words = f"# sat: allow {finding.code} because ..."
    about = (units.at(finding.span.start), units.statement_at(finding.span.start))
    for unit in about:
        if unit is None:
            continue
        start = unit.start - unit.place[1] + 1
        margin = source.text[start : unit.start]
        if units.at_the_top(unit.start):
            if re.compile(r"[ \t]*(?:[\r\n]|$)").match(source.text, unit.end):
                return Span(source, unit.end, unit.end), f"  {words}"
        elif not margin.strip(" \t"):
            end = "\r\n" if "\r\n" in source.text else "\n"
            return Span(source, unit.start, unit.start), f"{words}{end}{margin}"
    return None


def _concerns(directive: Directive, code: str, finding: Finding) -> bool:
    """Return whether a finding is a warning of this code inside of what a directive is about."""
    span, extent = finding.span, directive.extent
    inside = span.source is extent.source and extent.start <= span.start < max(extent.end, extent.start + 1)
    return finding.code == code and finding.severity == "warning" and inside


def _not_acceptable(code: str) -> tuple[str, str, str] | None:
    """Return what to say of a code that no comment can accept: message, reason, help."""
    if code not in codes():
        meant = did_you_mean(code, codes()).text
        return f"there is no finding {code}", "", meant or "`satdsl help` lists all findings"
    if code in OWN:
        return f"{code} cannot be accepted", "it is about comments that accept", "correct the comment it is about"
    if "warning" not in page(code).severity:
        return f"{code} is an error, and cannot be accepted", "an experiment with an error in it is not run", "mend it"
    return None


def _idle(directive: Directive, code: str, findings: Iterable[Finding]) -> tuple[str, str, str]:
    """Return what to say of a directive that accepts nothing: message, reason, help."""
    elsewhere = [f.span.place[0] for f in findings if f.code == code and f.span.source is directive.span.source]
    where = "in this file" if directive.whole_file else "there"
    help = "remove the comment"
    if elsewhere:
        help = f"{code} is found in line {elsewhere[0]}: move the comment there, or to the top of the file"
    return f"{code} is accepted, but not found {where}", "a warning that comes back would be accepted unseen", help
