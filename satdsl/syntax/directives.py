"""Read the comments by which a file accepts warnings: `# sat: allow E609 because the norms are compared`.

A comment at the end of a line holds for the statement, or the line of a block, that ends before it; one on a line of
its own for the one that follows; one at the top, above everything but `sat 1`, for the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from satdsl.findings import Finding, Fix, Source, Span
from satdsl.hints import typo_of
from satdsl.records import Record, record
from satdsl.syntax import layout

_SAT = re.compile(r"#+\s*sat\s*:\s*(?=\w)", re.IGNORECASE)
_COMMENT = re.compile(r'"[^"\n]*"?|(#[^\n\r]*)')
_CODE = re.compile(r"E\d{3}", re.IGNORECASE)
_BECAUSE = re.compile(r"\bbecause\b[\s:]*", re.IGNORECASE)


@record
class Directive(Record):
    """A comment that accepts warnings of some `codes`, each with its place, in `extent`."""

    span: Span
    codes: tuple[tuple[str, Span], ...]
    reason: str
    extent: Span
    whole_file: bool


def directives(source: Source) -> tuple[list[Directive], list[Finding]]:
    """Return the directives of a file, and a finding for each comment that is meant as one and cannot be read.

    A comment is meant as one if after `sat:` it says `allow`, or something near to it, or names the code of a finding.
    Others speak of a network that is called `sat`.
    """
    found: list[Directive] = []
    problems: list[Finding] = []
    comments = list(_comments(source))
    places = Units(source) if comments else None
    for comment in comments:
        assert places is not None
        read = _read(comment)
        if isinstance(read, Finding):
            problems.append(read)
        elif read is not None:
            codes, reason = read
            extent, whole_file = places.about(comment)
            found.append(Directive(comment, codes, reason, extent, whole_file))
    return found, problems


def _comments(source: Source) -> Iterator[Span]:
    """Yield the comments that begin with `sat:`."""
    if _SAT.search(source.text):
        for match in _COMMENT.finditer(source.text):
            if match[1] and _SAT.match(match[1]):
                yield Span(source, match.start(), match.start() + len(match[1].rstrip()))


# --- what a comment says ----------------------------------------------------------------------------


def _read(comment: Span) -> tuple[tuple[tuple[str, Span], ...], str] | Finding | None:
    """Return the codes and the reason of a comment; what is wrong with it; None where it is no directive."""
    text = comment.text
    begin = _SAT.match(text)
    assert begin is not None
    word = re.compile(r"[\w-]+").match(text, begin.end())
    if word is None:
        return None
    if word[0].lower() != "allow":
        return _misspelt(comment, Span(comment.source, comment.start + word.start(), comment.start + word.end()))
    because = _BECAUSE.search(text, word.end())
    names = [*re.finditer(r"[^\s,:]+", text[: because.start()])] if because else []
    named = [match for match in re.finditer(r"[^\s,:]+", text) if match.start() >= word.end()]
    listed = [match for match in names if match.start() >= word.end() and match[0] != "and"]
    if not named or (because and not listed):
        return _no_codes(comment)
    if because is None:
        return _without_reason(comment, [match for match in named if typo_of(match[0].lower(), ["because"])])
    codes = []
    for match in listed:
        at = Span(comment.source, comment.start + match.start(), comment.start + match.end())
        if not _CODE.fullmatch(match[0]):
            return _no_code(comment, at)
        codes.append((match[0].upper(), at))
    reason = text[because.end() :].strip()
    if not re.search(r"\w", reason):
        return _without_reason(comment, [])
    return tuple(codes), reason


def _misspelt(comment: Span, word: Span) -> Finding | None:
    meant = typo_of(word.text.lower(), ["allow"])
    if meant is None and not _CODE.search(comment.text, word.end - comment.start):
        return None
    return Finding(
        "E107",
        word,
        f"`{word.text}` accepts no warning",
        "a comment that begins with `sat:` and names a finding is meant to accept it",
        f"did you mean `{meant}`?" if meant else _form(comment),
        severity="warning",
        fix=Fix(f"write `{meant}`", ((word, meant),)) if meant else None,
    )


def _without_reason(comment: Span, meant: list[re.Match[str]]) -> Finding:
    """Return the finding about a missing reason; `meant` has the words that are near to `because`."""
    fix, help = None, _form(comment)
    if len(meant) == 1:
        at = Span(comment.source, comment.start + meant[0].start(), comment.start + meant[0].end())
        fix, help = Fix("write `because`", ((at, "because"),)), "did you mean `because`?"
    what = "this comment accepts a warning without a reason"
    why = "the report shows the reason to those who read its numbers"
    return Finding("E107", comment, what, why, help, severity="warning", fix=fix)


def _no_code(comment: Span, at: Span) -> Finding:
    return Finding(
        "E107",
        at,
        f"`{at.text}` is not the code of a finding",
        "what a run warns of is about its numbers, and cannot be accepted before",
        _form(comment),
        severity="warning",
    )


def _no_codes(comment: Span) -> Finding:
    return Finding("E107", comment, "this comment names no warning", help=_form(comment), severity="warning")


def _form(comment: Span) -> str:
    """Return how a comment is written that accepts what this one is about."""
    named = _CODE.search(comment.text)
    return f"write `# sat: allow {named[0].upper() if named else 'E609'} because ...`, with the reason"


# --- what a comment is about ------------------------------------------------------------------------


class Units:
    """The statements of a file and the lines of their blocks, by their places."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.statements: list[Span] = []
        self.lines: list[Span] = []
        for chunk in layout.chunks(source.text):
            end = min(chunk.start + len(chunk.text), len(source.text))
            if self.statements:
                # The brackets that a chunk lacks are added to it, beyond what the text has.
                before = self.statements.pop()
                self.statements.append(Span(source, before.start, min(before.end, chunk.start)))
            self.statements.append(Span(source, chunk.start, end))
            self.lines += self._lines(chunk)

    def _lines(self, chunk: layout.Chunk) -> Iterator[Span]:
        inside = layout.block(chunk.text)
        if inside is None:
            return
        place = chunk.start + inside[0]
        for text in chunk.text[slice(*inside)].split("\n"):
            if line := text.strip():
                start = place + text.index(line)
                yield Span(self.source, start, start + len(line))
            place += len(text) + 1

    def at(self, offset: int) -> Span | None:
        """Return the line of a block, or else the statement, that an offset is in."""
        return next((span for span in self.lines if span.start <= offset < span.end), self.statement_at(offset))

    def statement_at(self, offset: int) -> Span | None:
        """Return the statement that an offset is in."""
        return next((span for span in self.statements if span.start <= offset < span.end), None)

    def about(self, comment: Span) -> tuple[Span, bool]:
        """Return what a comment is about, and whether that is the whole file; nothing where nothing follows it."""
        text = self.source.text
        line = max(text.rfind("\n", 0, comment.start), text.rfind("\r", 0, comment.start)) + 1
        before = text[line : comment.start].rstrip("; \t\ufeff")
        if before:
            return self.at(line + len(before) - 1) or self._nothing(comment), False
        if self.at_the_top(comment.start):
            return Span(self.source, 0, len(text)), True
        return self.at(layout.after_gap(text, comment.start)) or self._nothing(comment), False

    def at_the_top(self, offset: int) -> bool:
        """Return whether nothing stands before an offset but comments and `sat 1`."""
        before = [statement for statement in self.statements if statement.start < offset]
        return all(re.match(r"sat\b", statement.text) for statement in before)

    def _nothing(self, comment: Span) -> Span:
        return Span(self.source, comment.end, comment.end)
