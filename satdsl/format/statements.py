"""Lay out statements: decide what has a line of its own, what is aligned with its neighbours, what is indented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, pairwise

from satdsl.format.phrases import STEP, WIDTH, Atom, Page, Row, atoms_of, first_token, flat, last_token
from satdsl.format.tokens import Comment, Token
from satdsl.syntax import layout

DECLARED = {"param", "dataset", "model", "attack", "recipe"}
"""Statements that are a name and its value: their first words are aligned, too."""

_LED = {"expect", "published", "plot", "table"}
"""Statements whose first part may have a line of its own."""

_ALIGNED = {"split", "train", "transfer", "evaluate", "plot", "table", "published"}
"""Statements that are aligned with those of their kind, where they are written in one line."""


@dataclass
class Line:
    """A statement, or a line of a block: its words, and its block if it has one."""

    atoms: list[Atom]
    blank: bool = False
    """An empty line stands before it."""
    open: Token | None = None
    inside: list[Entry] = field(default_factory=list)
    close: Token | None = None
    in_one: bool = True
    """The block is written in one line."""

    @property
    def word(self) -> str:
        first = self.atoms[0]
        return first.text if isinstance(first, Token) else ""

    @property
    def last(self) -> Token:
        return self.close or last_token(self.atoms)

    @cached_property
    def equals(self) -> int | None:
        """Which of its atoms is the `=` between a name and its value."""
        places = (place for place, atom in enumerate(self.atoms) if isinstance(atom, Token) and atom.text == "=")
        return next(places, None)

    @cached_property
    def left(self) -> str | None:
        """What comes before its `=`, the `of` of a split, or else its block; None where comments stand there."""
        place = 2 if self.word == "split" and self.open is not None else self.equals
        text = flat(self.atoms[:place])
        commented = last_token(self.atoms[:place]).after or (
            self.equals and first_token(self.atoms[self.equals :]).before
        )
        return None if commented and place is not None else text

    @cached_property
    def flat(self) -> str | None:
        """All of it in one line, or None where it is too long for that, written in several, or has comments inside."""
        head = flat(self.atoms)
        apart = self.word in _LED and any(_parted(part) for part in led(self.atoms)[1:])
        if head is None or apart or not self.in_one:
            return None
        if self.open is not None:
            lines = [line.flat for line in self.inside if isinstance(line, Line)]
            if len(lines) < len(self.inside) or None in lines:
                return None
            inside = "; ".join(line for line in lines if line is not None)
            head = f"{head} {{ {inside} }}" if inside else f"{head} {{ }}"
        return head if len(head) <= WIDTH else None


Entry = Comment | Line

FARTHEST = 20
"""Spaces before `=` or a block that an alignment may take; declarations are aligned whatever it takes."""


def line_of(code: Sequence[Token]) -> Line:
    """Return the tokens of a statement as a line; where it has a block, with the lines in it."""
    opened = next((place for place, token in enumerate(code) if token.text == "{"), None)
    if opened is None:
        return Line(atoms_of(code), code[0].blank)
    open, *inside, close = code[opened:]
    lines = [list(part) for separates, part in groupby(inside, lambda token: token.separates) if not separates]
    entries: list[Entry] = [Comment(comment.text) for comment in open.after[1:]]
    for part in lines:
        entries += standing(part[0])
        entries.append(line_of(part))
    entries += standing(close)
    in_one = not any(token.parted for token in [*inside, close]) or not (entries or open.after)
    return Line(atoms_of(code[:opened]), code[0].blank, open, entries, close, in_one)


def standing(token: Token) -> list[Comment]:
    """Return the comments above what begins with a token; they are lines of their own."""
    comments, token.before = token.before, []
    return comments


def led(atoms: Sequence[Atom]) -> list[Sequence[Atom]]:
    """Return the parts of a claim, a display or a published value: each ends in `:` or `=`, but for the last."""
    ends = [place + 1 for place, atom in enumerate(atoms) if isinstance(atom, Token) and atom.text in (":", "=")]
    return [atoms[start:end] for start, end in pairwise([0, *ends, len(atoms)])]


def write(page: Page, entries: Sequence[Entry], indent: int = 0) -> None:
    """Write entries as lines, each with this indent."""
    first_words = _first_words(entries) if indent == 0 else {}
    widths = _widths(entries, indent, first_words)
    for place, entry in enumerate(entries):
        if entry.blank and place > 0:
            page.blank()
        if isinstance(entry, Comment):
            page.note(entry, indent)
            continue
        _line(page, entry, indent, _padded(entry, first_words), widths.get(id(entry), 0))
        following = next((later for later in entries[place + 1 :] if isinstance(later, Line)), None)
        if following is not None and _would_join(entry, following):
            page.code += ";"
        page.newline(indent)


def _line(page: Page, line: Line, indent: int, left: str | None, width: int) -> None:
    """Write a line, with what is to the left of its `=` or block made so wide."""
    if line.flat is not None and line.left is not None and left is not None:
        text = left.ljust(width) + line.flat[len(line.left) :]
        if indent + len(text) <= WIDTH:
            page.put(text, False, indent)
            page.end(line.last)
            return
    if line.word in _LED:
        _led(page, led(line.atoms))
        return
    further = STEP if line.open is None else 2 * STEP
    tail = 0 if line.open is None else len(" {")
    if line.equals is None or left is None:
        page.phrase(line.atoms, indent + further, tail)
    else:
        page.put(left.ljust(width), False, indent)
        page.phrase(line.atoms[line.equals : line.equals + 1], indent)
        page.phrase(line.atoms[line.equals + 1 :], indent + further, tail)
    if line.open is not None and line.close is not None:
        _block(page, line, line.open, line.close, indent)


def _block(page: Page, line: Line, open: Token, close: Token, indent: int) -> None:
    page.token(open, indent + STEP)
    page.newline(indent + STEP)
    write(page, line.inside, indent + STEP)
    page.code = " " * indent
    page.put(close.text, False, indent)
    page.end(close)


def _led(page: Page, parts: list[Sequence[Atom]]) -> None:
    """Write parts, each in a line of its own if it was written so, or if the rest would not fit otherwise."""
    indent = 0
    for place, part in enumerate(parts):
        together = next((later for later in range(place + 1, len(parts)) if _parted(parts[later])), len(parts))
        rest = flat([atom for later in parts[place:together] for atom in later])
        if place and (_parted(part) or rest is None or len(page.code) + 1 + len(rest) > WIDTH):
            indent += STEP
            page.newline(indent)
        page.phrase(part, indent + STEP)


def _parted(part: Sequence[Atom]) -> bool:
    return first_token(part).parted


def _first_words(entries: Sequence[Entry]) -> dict[int, int]:
    """Return how wide the first word of each declaration is: as the longest of those declared one after the other."""
    found: dict[int, int] = {}
    lines = (entry for entry in entries if isinstance(entry, Line))
    for declared, stretch in groupby(lines, lambda line: line.word in DECLARED):
        together = list(stretch)
        if declared:
            found |= {id(line): max(len(line.word) for line in together) for line in together}
    return found


def _padded(line: Line, first_words: dict[int, int]) -> str | None:
    """Return what is left of a line's `=` or block, with its first word as wide as those around."""
    if line.left is None:
        return None
    return line.word.ljust(first_words.get(id(line), 0)) + line.left[len(line.word) :]


def _widths(entries: Sequence[Entry], indent: int, first_words: dict[int, int]) -> dict[int, int]:
    """Return how wide the left side of `=` or a block is made: as the widest line of its kind that stands beside it."""
    found: dict[int, int] = {}
    for run in _runs(entries, indent):
        lefts = {id(line): len(_padded(line, first_words) or "") for line in run}
        widest = max(lefts.values())
        if run[0].word in DECLARED or _worth_it(run, lefts, widest, WIDTH - indent):
            found |= dict.fromkeys(lefts, widest)
    return found


def _worth_it(run: list[Line], lefts: dict[int, int], widest: int, room: int) -> bool:
    """Return whether aligned lines are not torn far apart, and need not be broken."""
    fit = all(len(line.flat or "") + widest - lefts[id(line)] <= room for line in run)
    return fit and widest - min(lefts.values()) <= FARTHEST


def _runs(entries: Sequence[Entry], indent: int) -> Iterator[list[Line]]:
    """Return the lines of one kind that follow each other, with nothing but comments between them."""
    run: list[Line] = []
    for entry in entries:
        kind = _kind(entry, indent) if isinstance(entry, Line) else None
        if run and (entry.blank or (isinstance(entry, Line) and kind != _kind(run[0], indent))):
            yield run
            run = []
        if isinstance(entry, Line) and kind is not None:
            run.append(entry)
    if run:
        yield run


def _kind(line: Line, indent: int) -> str | None:
    """Return what a line is aligned with: others of the same kind, or nothing."""
    if line.left is None:
        return None
    if indent > 0:
        return None if line.equals is None else "name" if line.equals == 1 else line.word
    if line.word in DECLARED:
        return "declared"
    return line.word if line.word in _ALIGNED and line.flat is not None else None


def _would_join(line: Line, following: Line) -> bool:
    """Return whether the next line, after a mere newline, would be read as part of this one."""
    text = following.left or following.word
    return layout.joins(line.last.text, text) and not layout.begins_statement(
        text + " =" * (following.equals is not None)
    )


def aligned(rows: Iterable[Row]) -> list[str]:
    """Return rows as text, in which the comments at the ends of neighbouring lines stand below each other."""
    found: list[str] = []
    for commented, stretch in groupby(rows, lambda row: bool(row.code and row.comment)):
        together = list(stretch)
        column = max((len(row.code) for row in together), default=0)
        fits = commented and all(column + len(row.comment) + 2 <= WIDTH for row in together)
        for row in together:
            code = row.code.ljust(column) if fits else row.code
            found.append(f"{code}  {row.comment}" if commented else row.code)
    return found
