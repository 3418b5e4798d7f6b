"""A file to its colours: names by what they stand for, the rest by what it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsprotocol import types

from satdsl.lsp.view import View
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

_OF_KEY = {
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
        seed start from loss head clean robust accuracy mean class classes hardest easiest random examples example per
        where listed scores in rest none weight step if else and for attack""",
    )
)
"""Words that the grammar has a use for; where they are names, the tree says so."""


def tokens(view: View) -> list[int]:
    """The tokens of a whole file as the protocol wants them: five numbers each, places counted from the one before."""
    found = list(_tokens(view))
    data: list[int] = []
    line = column = 0
    places = view.positions.columns((start, end) for start, end, _, _ in found)
    for (_, _, kind, declares), (at, start, width) in zip(found, places, strict=True):
        data += (at - line, start - column if at == line else start, width, _NUMBERS[kind], int(declares))
        line, column = at, start
    return data


def _tokens(view: View) -> Iterator[tuple[int, int, str, bool]]:
    """Each token's start, end and type, in order; none overlap, none goes over a line's end."""
    named: dict[int, tuple[int, str, bool]] = {}
    for use in view.names.within(view.source):
        if use.span.source is view.source:
            named.setdefault(use.span.start, (use.span.end, _OF_KEY[use.key.kind], use.declares))
    starts = {chunk.start for chunk in view.chunks}
    text, position = view.source.text, 0
    while match := _LEXICAL.search(text, position):
        start, end, kind = match.start(), match.end(), match.lastgroup or "operator"
        declares = False
        if start in named and "\n" not in text[start : named[start][0]] and "\r" not in text[start : named[start][0]]:
            end, kind, declares = named[start]
        elif kind == "word":
            begins = start in starts and match[0] in layout.RESERVED
            kind = "keyword" if begins or match[0] in _SOFT else "variable"
        position = max(end, start + 1)
        yield start, position, kind, declares
