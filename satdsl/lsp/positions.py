"""Convert offsets in a text to an editor's lines and columns and back.

Columns count code units, those of UTF-16 unless the editor agrees to another encoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lsprotocol import types

from satdsl.findings import Source, Span

_WIDTHS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
_UNITS = {"utf-8": 1, "utf-16": 2, "utf-32": 4}


class Positions:
    """The lines and columns of one text."""

    def __init__(self, source: Source, encoding: str = "utf-16") -> None:
        self.source = source
        self.encoding = encoding

    def position(self, offset: int) -> types.Position:
        line, column = self.source.place(min(max(offset, 0), len(self.source.text)))
        start = self.source.line_starts[line - 1]
        before = self.source.text[start : start + column - 1]
        return types.Position(line - 1, len(before) if before.isascii() else self._units(before))

    def columns(self, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
        """Yield the line, column and width of pieces in their order, which is faster than asking for each."""
        text, starts = self.source.text, self.source.line_starts
        plain = self.encoding == "utf-32" or text.isascii()
        line, last = 0, len(starts) - 1
        for start, end in spans:
            while line < last and starts[line + 1] <= start:
                line += 1
            if plain:
                yield line, start - starts[line], end - start
            else:
                yield line, self._units(text[starts[line] : start]), self._units(text[start:end])

    def range(self, start: int, end: int) -> types.Range:
        return types.Range(self.position(start), self.position(end))

    def span(self, span: Span) -> types.Range:
        return self.range(span.start, span.end)

    def offset(self, position: types.Position) -> int:
        """Return the offset of a position. One beyond the end of its line or of the text counts as that end."""
        starts = self.source.line_starts
        if position.line >= len(starts):
            return len(self.source.text)
        start = starts[position.line]
        end = starts[position.line + 1] if position.line + 1 < len(starts) else len(self.source.text)
        line = self.source.text[start:end].rstrip("\r\n")
        if line.isascii():
            return start + min(position.character, len(line))
        return start + self._characters(line, position.character)

    def _units(self, text: str) -> int:
        return len(text.encode(_WIDTHS[self.encoding], "surrogatepass")) // _UNITS[self.encoding]

    def _characters(self, line: str, units: int) -> int:
        """Return how many whole characters the first code units of a line make."""
        passed = 0
        for count, character in enumerate(line):
            passed += self._units(character)
            if passed > units:
                return count
        return len(line)
