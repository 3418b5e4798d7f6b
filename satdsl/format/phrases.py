"""Lay out tokens in lines: words and brackets stand in one line if they fit, and are broken where they may be.

Lines break inside brackets after commas, and outside where the language lets a line go on: after `and`, a comparison,
a comma, `+`, `-` or `&`, and before `if` or `else`. What goes on is aligned with where it began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from satdsl.format.tokens import Comment, Token

WIDTH = 120
"""Columns that a line has."""

STEP = 2
"""Spaces by which what belongs to the line above is indented."""


@dataclass
class Group:
    """Brackets with what is between them, cut after its commas."""

    open: Token
    items: list[list[Atom]]
    close: Token

    @property
    def space(self) -> bool:
        return self.open.space

    @cached_property
    def flat(self) -> str | None:
        """Return the text in one line, or None where a comment keeps it from that."""
        items = [flat(item) for item in self.items]
        commented = self.open.after or self.close.before or any(last_token(item).after for item in self.items)
        if commented or None in items:
            return None
        return f"{self.open.text}{' '.join(item for item in items if item is not None)}{self.close.text}"


Atom = Token | Group


@dataclass
class Row:
    """A line, and the comment at its end."""

    code: str
    comment: str = ""


@dataclass
class Page:
    """Lines as they are written, one atom after the other."""

    rows: list[Row] = field(default_factory=list)
    code: str = ""
    comment: str = ""

    @property
    def fresh(self) -> bool:
        return not self.code.strip()

    @property
    def ended(self) -> bool:
        """Whether the line ends with a comment, so that only a new line can follow."""
        return bool(self.comment)

    def newline(self, indent: int) -> None:
        self.rows.append(Row(self.code.rstrip(), self.comment))
        self.code, self.comment = " " * indent, ""

    def blank(self) -> None:
        """Put an empty line before the one that is about to be written."""
        self.rows.append(Row(""))

    def note(self, comment: Comment, indent: int) -> None:
        """Write a comment on a line of its own."""
        if not self.fresh:
            self.newline(indent)
        self.code = " " * indent + comment.text
        self.newline(indent)

    def put(self, text: str, space: bool, indent: int) -> None:
        """Write a piece of text, in a new line if a comment has ended this one."""
        if self.ended:
            self.newline(indent)
        self.code += " " * (space and not self.fresh) + text

    def token(self, token: Token, indent: int) -> None:
        for comment in token.before:
            self.note(comment, indent)
        self.put(token.text, token.space, indent)
        self.end(token)

    def end(self, token: Token) -> None:
        if token.after:
            self.comment = token.after[0].text

    def phrase(self, atoms: Sequence[Atom], indent: int, tail: int = 0) -> None:
        """Write atoms in one line or several. `tail` characters follow; the line after a comment has `indent`."""
        first = first_token(atoms)
        for comment in first.before:
            self.note(comment, indent)
        first.before = []
        start = indent if self.ended else len(self.code) + (atoms[0].space and not self.fresh)
        text = flat(atoms)
        if text is not None and start + len(text) + tail <= WIDTH:
            self.put(text, atoms[0].space, indent)
            self.end(last_token(atoms))
            return
        role, pieces = _cut(atoms)
        if len(pieces) == 1:
            self._sequence(atoms, start, tail)
            return
        inner = start + STEP * (role in ("compare", "comma"))
        for place, piece in enumerate(pieces):
            room = tail if place == len(pieces) - 1 else 0
            stays = self.ended or first_token(piece).glued or (role != "and" and self._fits(piece, room))
            if place and not stays:
                self.newline(inner)
            self.phrase(piece, inner if place else indent, room)

    def _fits(self, atoms: Sequence[Atom], tail: int) -> bool:
        text = flat(atoms)
        return text is not None and len(self.code) + atoms[0].space + len(text) + tail <= WIDTH

    def _sequence(self, atoms: Sequence[Atom], start: int, tail: int) -> None:
        """Write atoms between which no line can break."""
        named = len(atoms) > 2 and isinstance(atoms[1], Token) and atoms[1].text in ("=", ":")
        if named:
            for atom in atoms[:2]:
                self._atom(atom, start, 0)
            self.phrase(atoms[2:], start, tail)
            return
        for place, atom in enumerate(atoms):
            rest = atoms[place + 1 :]
            self._atom(atom, start, tail + len((flat(rest) or "") if rest else ""))

    def _atom(self, atom: Atom, indent: int, tail: int) -> None:
        if isinstance(atom, Token):
            self.token(atom, indent)
            return
        self.token(atom.open, indent)
        inner = len(self.code)
        for place, item in enumerate(atom.items):
            room = tail + 1 if place == len(atom.items) - 1 else 0
            if place and not self.ended and not self._fits(item, room) and not first_token(item).glued:
                self.newline(inner)
            self.phrase(item, inner, room)
        for comment in atom.close.before:
            self.note(comment, inner)
        if self.fresh:
            self.code = " " * (inner - 1)
        self.put(atom.close.text, False, inner - 1)
        self.end(atom.close)


def flat(atoms: Sequence[Atom]) -> str | None:
    """Return atoms in one line, or None where a comment inside keeps them from that."""
    pieces = []
    for place, atom in enumerate(atoms):
        if isinstance(atom, Token):
            text: str | None = atom.text
            commented = atom.before or (atom.after and place < len(atoms) - 1)
        else:
            text = atom.flat
            commented = atom.open.before or (atom.close.after and place < len(atoms) - 1)
        if text is None or commented:
            return None
        pieces.append(" " * (atom.space and place > 0) + text)
    return "".join(pieces)


def atoms_of(code: Sequence[Token]) -> list[Atom]:
    """Return the tokens, with those between brackets put together."""
    return _level(iter(code))[0]


def _level(code: Iterator[Token]) -> tuple[list[Atom], Token | None]:
    """Return the atoms until a bracket closes, and that bracket."""
    found: list[Atom] = []
    for token in code:
        if token.text in (")", "]"):
            return found, token
        if token.text in ("(", "["):
            inside, close = _level(code)
            assert close is not None
            found.append(_group(token, inside, close))
        else:
            found.append(token)
    return found, None


def _group(open: Token, inside: list[Atom], close: Token) -> Group:
    items: list[list[Atom]] = [[]]
    for atom in inside:
        items[-1].append(atom)
        if isinstance(atom, Token) and atom.role == "comma":
            items.append([])
    if items[-1] == [] and len(items) > 1:
        _drop_comma(items[-2], close)
    return Group(open, [item for item in items if item], close)


def _drop_comma(item: list[Atom], close: Token) -> None:
    """Drop a last comma, which nothing follows; its comment goes to what is then last."""
    comma = item.pop()
    assert isinstance(comma, Token)
    last_token(item).after = comma.after


def _cut(atoms: Sequence[Atom]) -> tuple[str, list[list[Atom]]]:
    """Cut atoms where a line breaks best: at what binds loosest."""
    for roles, leads in (
        (("if", "else"), True),
        (("and",), False),
        (("compare",), False),
        (("plus",), False),
        (("comma",), False),
        (("modifier",), True),
    ):
        pieces: list[list[Atom]] = [[]]
        for atom in atoms:
            cuts = isinstance(atom, Token) and atom.role in roles
            if cuts and leads:
                pieces.append([])
            pieces[-1].append(atom)
            if cuts and not leads:
                pieces.append([])
        pieces = [piece for piece in pieces if piece]
        if len(pieces) > 1:
            return roles[0], pieces
    return "", [list(atoms)]


def first_token(atoms: Sequence[Atom]) -> Token:
    atom = atoms[0]
    return atom if isinstance(atom, Token) else atom.open


def last_token(atoms: Sequence[Atom]) -> Token:
    atom = atoms[-1]
    return atom if isinstance(atom, Token) else atom.close
