"""Colour a file: names by what they stand for, everything else by what it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsprotocol import types

from satdsl.lsp.snapshot import Snapshot
from satdsl.syntax import layout

LEGEND = types.SemanticTokensLegend(
    token_types=[
        "keyword",
        "variable",
        "parameter",
        "property",
        "function",
        "enumMember",
        "string",
        "number",
        "comment",
        "operator",
    ],
    token_modifiers=["declaration"],
)

_OF_SYMBOL = {
    "name": "variable",
    "param": "parameter",
    "subset": "enumMember",
    "result": "property",
    "label": "enumMember",
    "class": "enumMember",
    "entry": "function",
    "argument": "property",
    "choice": "enumMember",
    "file": "string",
}
_LEXICAL = re.compile(
    r'(?P<comment>#[^\n\r]*)|(?P<string>"[^"\n\r]*"?)|(?P<parameter>\$[A-Za-z_]\w*)'
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?%?)|(?P<word>[^\W\d]\w*)"
    r"|(?P<operator>\.\.|[<>=!]=|[-+*/&<>=|])"
)
_NUMBERS = {kind: number for number, kind in enumerate(LEGEND.token_types)}
_SOFT = frozenset(
    re.findall(
        r"\w+",
        """on using of to with by all under select after each lr drop at end every epoch epochs keep snapshots weights
        seed start from until one loss head clean robust accuracy mean class classes hardest easiest random examples
        example per median distance where listed scores ranking in itself rest none weight step if else and for
        attack share images""",
    )
)
"""The keywords of the grammar. Where they are names, the tree says so."""


def semantic_tokens(snapshot: Snapshot) -> list[int]:
    """Return the tokens of a whole file as the protocol wants them.

    A token has five numbers: how many lines and columns it is after the one before, its width, type and modifiers.
    """
    found = list(_tokens(snapshot))
    data: list[int] = []
    line = column = 0
    places = snapshot.positions.columns((start, end) for start, end, _, _ in found)
    for (_, _, kind, defines), (at, start, width) in zip(found, places, strict=True):
        data += (at - line, start - column if at == line else start, width, _NUMBERS[kind], int(defines))
        line, column = at, start
    return data


def _tokens(snapshot: Snapshot) -> Iterator[tuple[int, int, str, bool]]:
    """Yield each token's start, end and type, and whether it defines a symbol; no token goes over a line's end."""
    named: dict[int, tuple[int, str, bool]] = {}
    for one in snapshot.symbols.within(snapshot.source):
        if one.span.source is snapshot.source:
            named.setdefault(one.span.start, (one.span.end, _OF_SYMBOL[one.symbol.kind], one.defines))
    starts = {chunk.start for chunk in snapshot.chunks}
    text, position = snapshot.source.text, 0
    while match := _LEXICAL.search(text, position):
        start, end, kind = match.start(), match.end(), match.lastgroup or "operator"
        defines = False
        if start in named and "\n" not in text[start : named[start][0]] and "\r" not in text[start : named[start][0]]:
            end, kind, defines = named[start]
        elif kind == "word":
            begins = start in starts and match[0] in layout.RESERVED
            kind = "keyword" if begins or match[0] in _SOFT else "variable"
        position = max(end, start + 1)
        yield start, position, kind, defines
