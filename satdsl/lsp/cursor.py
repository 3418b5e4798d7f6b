"""Find out what the grammar accepts at the cursor, by running the parser up to it."""

from __future__ import annotations

import re
from typing import Any

from lark import Token, Tree
from lark.exceptions import UnexpectedInput

from satdsl.lsp.snapshot import Snapshot
from satdsl.records import Record, record
from satdsl.syntax import layout
from satdsl.syntax.read import LINES, read_so_far

_WORD = re.compile(r"\$?\w*$")
_HYPHENATED = re.compile(r"[A-Za-z_]\w*(?:-\w*)+$")
_BY = re.compile(r"\bby[ \t]+\w*$")
_IN_TEXT = re.compile(r'^(?P<before>(?:[^"#]|"[^"]*")*)"(?P<text>[^"]*)$')
_IN_COMMENT = re.compile(r'^(?:[^"#]|"[^"]*")*#')


@record
class CursorContext(Record):
    """The syntax around the cursor.

    `construct` is the word that the statement begins with, followed by ` line` inside its block, and empty between
    statements; `header` the words of the statement before its block; `symbols` what the parser has read so far of
    the statement (or of the block's line), as names of terminals and rules, and `nodes` the same as they were read;
    `accepted` the terminals that could come next; `word` what has been typed of the next one.
    """

    construct: str
    header: tuple[str, ...]
    symbols: tuple[str, ...]
    nodes: tuple[Any, ...]
    accepted: frozenset[str]
    word: str

    def text(self, place: int) -> str:
        """Return the text of the symbol at a place."""
        return "".join(str(token) for token in _tokens(self.nodes[place]))

    @property
    def open_call(self) -> int | None:
        """The place of the name of the innermost call that the cursor is in."""
        depth = 0
        for place in range(len(self.symbols) - 1, 0, -1):
            if self.symbols[place] == "RPAR":
                depth += 1
            elif self.symbols[place] == "LPAR":
                depth -= 1
                if depth < 0 and self.symbols[place - 1] in ("name", "CALLED"):
                    return place - 1
                depth = max(depth, 0)
        return None


@record
class InString(Record):
    """The cursor is inside quotes: what stands before the quote in its line, and what was typed after it."""

    before: str
    text: str


def cursor_at(snapshot: Snapshot, offset: int) -> CursorContext | InString | None:
    """Return what is around an offset; None inside comments, and where the text before it cannot be parsed."""
    # Reading starts at the third statement before: where one ends depends on how the next begins.
    before = [chunk.start for chunk in snapshot.chunks if chunk.start <= offset]
    return cursor_in(snapshot.source.text, offset, before[-4] if len(before) > 3 else 0)


def cursor_in(text: str, offset: int, begin: int = 0) -> CursorContext | InString | None:
    """Do the same for a text; `begin` is where some statement before the offset begins."""
    line = text[max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1 : offset]
    quoted = _IN_TEXT.match(line)
    if quoted is not None:
        return InString(quoted["before"], quoted["text"])
    if _IN_COMMENT.match(line):
        return None
    for pattern in (_HYPHENATED, _WORD, _BY):
        word = pattern.search(text, 0, offset)
        found = _read(text[begin:], offset - begin, word[0]) if word and word.start() >= begin else None
        if found is not None and (pattern is not _HYPHENATED or _takes_hyphens(found)):
            return found
    return None


def _takes_hyphens(found: CursorContext) -> bool:
    return "SCORE" in found.accepted or found.open_call is not None


def _read(text: str, offset: int, word: str) -> CursorContext | None:
    start = offset - len(word)
    *_, chunk = layout.chunks(text[:start] + "x")
    before = chunk.text[: start - chunk.start]
    if not before:
        return CursorContext("", (), (), (), frozenset(), word)
    match = re.match(r"[^\W\d]\w*", before)
    construct = rule = match[0] if match else ""
    if construct not in layout.RESERVED:
        return None
    block = layout.block(before) if construct in LINES else None
    header = before[: block[0] - 1] if block is not None else before
    if block is None:
        rule = "statement"
    else:
        rule, construct = f"{construct}_line", f"{construct} line"
        before = before[block[0] :].rpartition("\n")[2]
    try:
        nodes, accepted = read_so_far(before, rule)
    except UnexpectedInput:
        return None
    symbols = tuple(node.type if isinstance(node, Token) else str(node.data) for node in nodes)
    words = tuple(re.findall(r"[$\w.]+|[^\s\w]", header))
    return CursorContext(construct, words, symbols, nodes, accepted, word)


def _tokens(node: Any) -> list[Token]:
    if isinstance(node, Tree):
        return [token for child in node.children for token in _tokens(child)]
    return [node] if isinstance(node, Token) else []
