"""Cut a statement into tokens: what stands before each, whether it may begin a line, and its comments."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from satdsl.syntax import layout, tree
from satdsl.syntax.layout import Chunk

PIECES = re.compile(
    r'(?P<comment>#[^\n\r]*)|(?P<newline>\r\n?|\n)|(?P<space>[^\S\n\r]+)|(?P<string>"[^"\n]*")'
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?%?)|(?P<word>\$?[^\W\d]\w*)|(?P<sign>\.\.|\+/-|[<>=!]=|.)"
)
"""What a text consists of."""

_COMPARISONS = {">=", "<=", "==", "!=", ">", "<"}
_HYPHENATED = re.compile(r"[A-Za-z_]\w*(-[A-Za-z_]\w*)+")


@dataclass(slots=True)
class Token:
    """A word, number, text or sign.

    `before` has the comments on lines of their own that stand above it, `after` the one at the end of its line, if any.
    `parted` says that it begins a line as it is written, `blank` that an empty line stands right above it. A `glued`
    token cannot begin a line: there it would begin a statement.
    """

    text: str
    start: int
    role: str = ""
    space: bool = True
    parted: bool = False
    blank: bool = False
    glued: bool = False
    before: list[Comment] = field(default_factory=list)
    after: list[Comment] = field(default_factory=list)

    @property
    def separates(self) -> bool:
        return self.role == "separator"


@dataclass(slots=True)
class Comment:
    text: str
    blank: bool = False
    """An empty line stands right above it."""


def tokens(text: str, chunk: Chunk, statement: tree.Statement) -> tuple[list[Token], list[Comment]]:
    """Return the tokens of a statement, with those that separate the lines of its block; and the comments below it."""
    found, below = _scanned(text, chunk)
    code = [token for token in found if not token.separates]
    _give_roles(code, statement)
    _space(code, _followed_closely(statement))
    _glue(code)
    _settle_comments(code)
    return found, below


def _scanned(text: str, chunk: Chunk) -> tuple[list[Token], list[Comment]]:
    """Return tokens with their comments: one on the line of a token comes after it, others before the next token."""
    found: list[Token] = []
    waiting: list[Comment] = []
    newlines = 0
    for match in PIECES.finditer(text, chunk.start, chunk.start + len(chunk.text)):
        kind, piece, start = match.lastgroup, match[0], match.start()
        if kind == "newline" or piece == ";":
            newlines += kind == "newline"
            if chunk.text[start - chunk.start] == "\n":
                found.append(Token("", start, "separator"))
        elif kind == "comment":
            comment = Comment(piece.rstrip(), newlines > 1)
            last = next((token for token in reversed(found) if not token.separates), None)
            if newlines == 0 and last is not None and not waiting:
                last.after.append(comment)
            else:
                waiting.append(comment)
            newlines = 0
        elif kind != "space":
            found.append(Token(piece, start, parted=bool(newlines), blank=newlines > 1, before=waiting))
            waiting, newlines = [], 0
    return found, waiting


def nodes(node: tree.Node) -> Iterator[tree.Node]:
    """Return a node and all below it."""
    yield node
    for name in node._compared:
        value = getattr(node, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, tree.Node):
                yield from nodes(part)


def _give_roles(code: list[Token], statement: tree.Statement) -> None:
    """Decide what each sign is to a reader, as far as the space around it and the end of the line depend on that."""
    starts = [token.start for token in code]

    def after(node: tree.Node) -> Token:
        """Return what joins a node to its right neighbour."""
        place = bisect_left(starts, node.span.end)
        while code[place].text == ")":
            place += 1
        return code[place]

    bars = depth = 0
    enclosed = {}
    for token in code:
        enclosed[token.start] = depth > 0
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if token.text in ("+", "-", "&", "±", "+/-"):
            token.role = "plus"
        elif token.text in _COMPARISONS:
            token.role = "compare"
        elif token.text == ",":
            token.role = "comma"
        elif token.text == "|":
            token.role = "close bar" if bars % 2 else "open bar"
            bars += 1
    at = dict(zip(starts, code, strict=True))
    for node in nodes(statement):
        match node:
            case tree.Negative():
                at[node.span.start].role = "sign"
            case tree.Conditional():
                after(node.value).role = "if"
                after(node.condition).role = "else"
            case tree.Condition():
                for left, _ in pairwise(node.comparisons):
                    after(left).role = "and"
            case tree.Pick() if enclosed[node.span.start]:
                for modifier in node.modifiers:
                    ranked = isinstance(modifier, tree.Ranking)
                    code[bisect_left(starts, modifier.span.start) - ranked].role = "modifier"
            case tree.Name() | tree.Binary() if _HYPHENATED.fullmatch(node.span.text):
                for place in range(node.span.start, node.span.end):
                    if place in at and at[place].text == "-":
                        at[place].role = "hyphen"


def _followed_closely(statement: tree.Statement) -> set[int]:
    """Return where names stand whose bracket follows without a space: calls, and results or models at a point."""
    found = set()
    for node in nodes(statement):
        match node:
            case tree.Call():
                found.add(node.name.span.start)
            case tree.Reference() if node.selectors:
                found.add(node.result.span.start)
            case tree.PointOf() if node.selectors:
                found.add(node.name.span.start)
    return found


def _space(code: list[Token], followed_closely: set[int]) -> None:
    depth = 0
    equals = False
    """Whether the `=` before has spaces around it."""
    for previous, token in zip([None, *code], code, strict=False):
        if token.text == "=":
            token.space = equals = depth == 0
        elif previous is None or not _apart(previous, token) or previous.start in followed_closely:
            token.space = False
        elif previous.text == "=":
            token.space = equals
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))


def _apart(previous: Token, token: Token) -> bool:
    """Return whether two neighbours have a space between them (about `=`, and brackets after names, others decide)."""
    return not (
        previous.text in ("(", "[", ".", "..", "*", "/")
        or token.text in (")", "]", ",", ":", ".", "..", "*", "/")
        or previous.role in ("sign", "hyphen", "open bar")
        or token.role in ("hyphen", "close bar")
    )


def _glue(code: list[Token]) -> None:
    for place, token in enumerate(code):
        if token.text in layout.RESERVED:
            rest = code[place + 1 : place + 3]
            text = token.text + "".join(" " * follower.space + follower.text for follower in rest)
            token.glued = layout.begins_statement(text)


def _settle_comments(code: list[Token]) -> None:
    """Move comments from before a sign that ends a line to behind it; all but the first stand above the next token."""
    for previous, token, following in zip([None, *code], code, [*code[1:], None], strict=False):
        if previous is None or following is None or following.glued:
            continue
        if token.role in ("comma", "compare", "plus", "and") or token.text in ("=", ":", "{"):
            moved = [*previous.after, *token.before, *token.after]
            previous.after, token.before, token.after = [], [], moved[:1]
            following.before = [*moved[1:], *following.before]
            following.parted |= bool(moved)
