"""Format a specification: write it in the one layout that all specifications share."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import pairwise

from satdsl.diagnostics import SpecError
from satdsl.findings import Source, Span
from satdsl.format.phrases import Page
from satdsl.format.statements import Entry, Line, aligned, line_of, write
from satdsl.format.tokens import PIECES, Comment, tokens
from satdsl.syntax import tree
from satdsl.syntax.layout import chunks
from satdsl.syntax.read import read


def formatted(source: Source) -> str:
    """Return the text in the canonical layout. It reads as the same tree, with the same comments in the same order.

    Raises:
        SpecError: it cannot be read; the findings are those of its syntax alone.
    """
    file, findings = read(source)
    if findings:
        raise SpecError(findings)
    text = laid_out(source.text, file)
    again, problems = read(Source(source.path, text))
    return text if again == file and not problems else source.text


def edits(source: Source) -> tuple[tuple[Span, str], ...]:
    """Return the lines that the canonical layout changes, each stretch of them with what replaces it.

    Raises:
        SpecError: as `formatted` does.
    """
    new = [f"{line}\n" for line in formatted(source).split("\n")[:-1]]
    starts = [*source.line_starts, len(source.text)]
    if starts[-2] == starts[-1]:
        starts.pop()
    old = [source.text[start:end] for start, end in pairwise(starts)]
    changes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return tuple(
        (Span(source, starts[first], starts[last]), "".join(new[start:end]))
        for kind, first, last, start, end in changes
        if kind != "equal"
    )


def laid_out(text: str, file: tree.File) -> str:
    """Return the canonical layout of a text that has been read without findings."""
    page = Page()
    write(page, _entries(text, file))
    return "".join(f"{line}\n" for line in aligned(page.rows))


def _entries(text: str, file: tree.File) -> list[Entry]:
    """Return the statements of a file, and the comments between them."""
    entries: list[Entry] = []
    end = 0
    for chunk, statement in zip(chunks(text), file.statements, strict=True):
        blank = _between(text, end, chunk.start, entries)
        code, below = tokens(text, chunk, statement)
        code[0].blank = blank
        entries += [line_of(code), *below]
        end = chunk.start + len(chunk.text)
    _between(text, end, len(text), entries)
    return entries


def _between(text: str, start: int, end: int, entries: list[Entry]) -> bool:
    """Add the comments between two statements, the one that ends a line to that line; is the last line empty?"""
    newlines = 0
    for match in PIECES.finditer(text, start, end):
        if match.lastgroup == "newline":
            newlines += 1
        elif match.lastgroup == "comment":
            comment = Comment(match[0].rstrip(), newlines > 1)
            last = entries[-1] if entries else None
            if newlines == 0 and isinstance(last, Line) and not last.last.after:
                last.last.after = [comment]
            else:
                entries.append(comment)
            newlines = 0
    return newlines > 1
