"""Turn the text of a specification into lines of HTML, each with an anchor and its words in colour."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape
from pygments.token import Comment, Error, Keyword, Name, Number, String

from satdsl.findings import Source
from satdsl.highlight import SatLexer

_CSS_CLASSES = {
    Comment: "comment",
    String: "string",
    Error: "string",
    Number: "number",
    Keyword: "keyword",
    Name.Variable.Global: "parameter",
}
"""What `report.css` calls the tokens that it colours; an error of the lexer is a string that does not end."""


@dataclass(frozen=True)
class SourceListing:
    """A file of the specification.

    `name` is what the page calls it, `anchor` what the ids of its lines begin with, `lines` are HTML.
    """

    path: str
    name: str
    anchor: str
    lines: tuple[Markup, ...]

    def line_id(self, number: int) -> str:
        """Return the id of a line, counted from 1."""
        return f"{self.anchor}-L{number}"


def source_listings(sources: Sequence[Source]) -> list[SourceListing]:
    """Return a listing of each file, the main one first; names are relative to its folder."""
    home = Path(sources[0].path).resolve().parent if sources else Path()
    listings: list[SourceListing] = []
    for source in sources:
        name = Path(os.path.relpath(Path(source.path).resolve(), home)).as_posix()
        anchor = re.sub(r"[^\w.]+", "-", name).strip("-")
        while any(anchor == other.anchor for other in listings):
            anchor += "-"
        listings.append(SourceListing(source.path, name, anchor, _highlighted_lines(source.text)))
    return listings


def _highlighted_lines(text: str) -> tuple[Markup, ...]:
    lines = [Markup()]
    for token, words in SatLexer(stripnl=False, ensurenl=False).get_tokens(text):
        css_class = next((name for kind, name in _CSS_CLASSES.items() if token in kind), None)
        for i, piece in enumerate(words.split("\n")):
            if i:
                lines.append(Markup())
            coloured = css_class and piece
            lines[-1] += Markup('<span class="{}">{}</span>').format(css_class, piece) if coloured else escape(piece)
    return tuple(lines if lines[-1] else lines[:-1])


class SourceLinks:
    """Leads to the lines of the specification on the page; nowhere where the page does not have them."""

    def __init__(self, texts: Sequence[SourceListing]) -> None:
        self._texts = {text.path: text for text in texts}

    def __call__(self, file: str, line: int) -> str:
        """Return the address of a line; empty where the page does not have it."""
        text = self._texts.get(file)
        return f"#{text.line_id(line)}" if text is not None and 0 < line <= len(text.lines) else ""

    def name(self, file: str, line: int) -> str:
        """Return `common.sat, line 12`; `line 12` where there is one file."""
        if len(self._texts) == 1 and file in self._texts:
            return f"line {line}"
        text = self._texts.get(file)
        return f"{text.name if text is not None else Path(file).name}, line {line}"
