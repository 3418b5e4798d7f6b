"""Check files, and write fixes that are certain back into them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from satdsl.compile import UnreadableFile, check_file
from satdsl.diagnostics import SpecError
from satdsl.findings import Finding, Fix, Source, Span, applied
from satdsl.format.rewrite import write_anew
from satdsl.records import Record, record

ROUNDS = 20
"""A fix can lay bare another finding with a fix; a specification has no longer chain of them."""


@record
class Checked(Record):
    """What was found in some files, in their order."""

    findings: tuple[Finding, ...]
    unreadable: tuple[UnreadableFile, ...]


def checked(files: Iterable[Path], overrides: Mapping[str, str]) -> Checked:
    """Check each file, the others too where one cannot be read."""
    found: list[Finding] = []
    unreadable = []
    for file in files:
        try:
            found += findings_of(file, overrides)
        except UnreadableFile as error:
            unreadable.append(error)
    return Checked(tuple(found), tuple(unreadable))


def findings_of(file: Path, overrides: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return all findings of one file; raises `UnreadableFile`."""
    try:
        return check_file(file, overrides).warnings
    except SpecError as error:
        return error.findings


def fixed(file: Path, overrides: Mapping[str, str]) -> list[Finding]:
    """Make all certain fixes in a file and those that it uses; the findings that they removed.

    Raises:
        UnreadableFile: the file cannot be read.
        OSError: a file cannot be written.
    """
    done: list[Finding] = []
    for _ in range(ROUNDS):
        chosen = _compatible(findings_of(file, overrides))
        if not chosen:
            break
        edits = dict.fromkeys(edit for finding in chosen if finding.fix for edit in finding.fix.edits)
        for source in {span.source for span, _ in edits}:
            mine = tuple((span, _ended(text, source)) for span, text in edits if span.source is source)
            _write(Path(source.path), applied(Fix("", mine), source.text))
        done += chosen
    return done


def _compatible(findings: Sequence[Finding]) -> list[Finding]:
    """Return those with a fix in files, as far as their changes leave each other alone; the others have to wait."""
    chosen: list[Finding] = []
    taken: set[tuple[Span, str]] = set()
    for finding in findings:
        edits = set(finding.fix.edits) if finding.fix is not None and not finding.accepted else set()
        clear = not any(_touch(one, other) for one, _ in edits - taken for other, _ in taken)
        if edits and clear and all(_text(span.source) == span.source.text for span, _ in edits):
            chosen.append(finding)
            taken |= edits
    return chosen


def _touch(one: Span, other: Span) -> bool:
    return one.source.path == other.source.path and one.start <= other.end and other.start <= one.end


def _text(source: Source) -> str | None:
    """Return what a source's file has; None where it has none, as what was given with `--set`."""
    try:
        return Path(source.path).read_bytes().decode("utf-8-sig")
    except (OSError, ValueError):
        return None


def _write(path: Path, text: str) -> None:
    marked = path.read_bytes().startswith(codecs.BOM_UTF8)
    write_anew(path, "\ufeff" * marked + text)


def _ended(text: str, source: Source) -> str:
    """Return a change's lines with the ends that those of its file have."""
    return re.sub(r"\r?\n", "\r\n", text) if "\r\n" in source.text else text
