"""Read a file that is being edited: only the statements that an edit touches are read again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from satdsl.findings import Finding, Source, Span
from satdsl.syntax import layout, tree
from satdsl.syntax.read import Piece, joined, read_chunk


@dataclass
class _Kept:
    chunk: layout.Chunk
    piece: Piece
    spans: tuple[Span, ...]
    """Every span in the piece: they move when the text before it changes."""


class IncrementalReader:
    """Reads one file again and again.

    What it gave for an earlier text is not to be used any more: statements that stay are the same objects, with
    their spans moved to the new text.
    """

    def __init__(self) -> None:
        self._text = ""
        self._kept: list[_Kept] = []

    def read(self, source: Source) -> tuple[tree.File, list[Finding]]:
        """Read the next text of the same file."""
        known = [kept.chunk for kept in self._kept]
        same, first_after, chunks = layout.chunks_after_edit(self._text, known, source.text)
        after = self._kept[first_after:]
        middle = chunks[same : len(chunks) - len(after)]
        now = [*self._kept[:same], *(self._fresh(source, chunk) for chunk in middle), *after]
        for kept, chunk in zip(now, chunks, strict=True):
            _move(kept, source, chunk)
        self._text, self._kept = source.text, now
        return joined([kept.piece for kept in now])

    @property
    def chunks(self) -> list[layout.Chunk]:
        """The chunks of the text that was read last."""
        return [kept.chunk for kept in self._kept]

    def _fresh(self, source: Source, chunk: layout.Chunk) -> _Kept:
        piece = read_chunk(source, chunk)
        return _Kept(chunk, piece, tuple({id(span): span for span in _spans(piece)}.values()))


def _move(kept: _Kept, source: Source, chunk: layout.Chunk) -> None:
    shift = chunk.start - kept.chunk.start
    for span in kept.spans:
        own = span.__dict__  # a span is frozen for all but the reader that made it
        own["source"] = source
        if shift:
            own["start"] += shift
            own["end"] += shift
    kept.chunk = chunk


def _spans(piece: Piece) -> Iterator[Span]:
    for statement in piece.statements:
        yield from _within(statement)
    for finding in piece.findings:
        yield finding.span
        yield from (span for span, _ in finding.related)
        if finding.fix is not None:
            yield from (span for span, _ in finding.fix.edits)


def _within(node: Any) -> Iterator[Span]:
    if isinstance(node, tree.Node):
        yield node.span
        for field in fields(node):
            yield from _within(getattr(node, field.name))
    elif isinstance(node, tuple):
        for item in node:
            yield from _within(item)
