"""Cut a text into statements, and keep only those newlines that mean something.

A statement ends at a newline or `;` outside all brackets. A newline is white space inside `( )` and `[ ]`, after what
cannot end a line (`=`, `:`, `,`, an operator) and before what cannot begin one.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator

from satdsl.records import Record, record

RESERVED = [
    "sat",
    "title",
    "use",
    "param",
    "dataset",
    "model",
    "attack",
    "recipe",
    "train",
    "split",
    "transfer",
    "evaluate",
    "sweep",
    "plot",
    "table",
    "expect",
    "published",
    "label",
]
"""The words that begin a statement."""

_TOKEN = re.compile(r'"[^"\n]*"?|#[^\n\r]*|\r\n?|[{}()\[\]\n;]|[^\S\n\r]+|[^\s"#{}()\[\];]+')
_GAP = re.compile(r"(?:[\s;\ufeff]|#[^\n\r]*)*")
_BEGINS_LINE = re.compile(r"attack\b(?!\s+\w+\s*=)|train\s+(?:all|head)\b(?!\s*=)", re.ASCII)
_BEGINS_STATEMENT = re.compile(
    rf"(?!{_BEGINS_LINE.pattern})(?:{'|'.join(RESERVED)})\s+(?:[A-Za-z_\"{{]|\d)|label\s+[$\[]", re.ASCII
)
_CANNOT_END = re.compile(r"(?:[-=:,+*/<>&.{(\[!±]|\b(?:and|if|else))$")
_CANNOT_BEGIN = re.compile(r"[-=:,+*/<>&.{})\]±]|(?:and|if|else)\b")
_PAIRS = {"(": ")", "[": "]", "{": "}"}


@record
class Chunk(Record):
    """One statement: `text` begins at offset `start` of the source and is as long as what it was read from.

    Where brackets were left open, the missing ones are added at its end, but for those inside of others that are closed
    (`unclosed` has the offsets of all). `mismatched` has the offsets of brackets that close nothing.
    """

    start: int
    text: str
    unclosed: tuple[int, ...] = ()
    mismatched: tuple[int, ...] = ()
    unterminated: tuple[int, ...] = ()


def chunks(text: str) -> Iterator[Chunk]:
    """Return the statements of `text`, in order."""
    position = after_gap(text, 0)
    while position < len(text):
        chunk, position = _chunk(text, position)
        yield chunk
        position = after_gap(text, position)


def chunks_after_edit(before: str, known: list[Chunk], text: str) -> tuple[int, int, list[Chunk]]:
    """Return the chunks of an edited text, and look only at what the edit may have changed.

    The first number says how many chunks at the beginning are known ones, the second with which known one the others
    go on at the end.
    """
    same, alike = _common(before, text)
    ends = [chunk.start + len(chunk.text) for chunk in known]
    first = max(0, bisect.bisect_left(ends, same) - _LOOK_AHEAD)
    found = known[:first]
    places = {chunk.start: i for i, chunk in enumerate(known)}
    shift = len(text) - len(before)
    position = after_gap(text, known[first].start if first else 0)
    while position < len(text):
        after = places.get(position - shift) if position >= len(text) - alike else None
        if after is not None:
            return first, after, found + [_shifted(chunk, shift) for chunk in known[after:]]
        chunk, position = _chunk(text, position)
        found.append(chunk)
        position = after_gap(text, position)
    return first, len(known), found


_LOOK_AHEAD = 3
"""Where a chunk ends may depend on how the next ones begin."""


def _common(one: str, other: str) -> tuple[int, int]:
    """Return how many characters two texts have in common at the beginning, and at the end of what remains."""
    most = min(len(one), len(other))
    same = bisect.bisect_left(range(1, most + 1), True, key=lambda n: one[:n] != other[:n])
    most -= same
    return same, bisect.bisect_left(range(1, most + 1), True, key=lambda n: one[-n:] != other[-n:])


def _shifted(chunk: Chunk, by: int) -> Chunk:
    places = (chunk.unclosed, chunk.mismatched, chunk.unterminated)
    return Chunk(chunk.start + by, chunk.text, *(tuple(place + by for place in each) for each in places))


def block(text: str) -> tuple[int, int] | None:
    """Return where the inside of a statement's `{ }` begins and ends, if it has one."""
    start = _outside_strings(text).find("{")
    if start < 0:
        return None
    end = text.rstrip().rfind("}")
    return start + 1, end if end > start else len(text)


def begins_statement(text: str, position: int = 0) -> bool:
    """Return whether what stands there begins a statement, at the beginning of a line."""
    return bool(_BEGINS_STATEMENT.match(text, position))


def begins_line(text: str) -> bool:
    """Return whether a word that begins statements begins a line of a block: `attack A with p`, `train all`."""
    return bool(_BEGINS_LINE.match(text))


def joins(before: str, text: str, position: int = 0) -> bool:
    """Return whether a newline between `before` and what stands there is white space."""
    return bool(_CANNOT_END.search(before) or _CANNOT_BEGIN.match(text, position))


def _outside_strings(text: str) -> str:
    return re.sub(r'"[^"\n]*"?', lambda match: " " * len(match[0]), text)


def after_gap(text: str, position: int) -> int:
    """Return where the next word stands, after white space, semicolons and comments."""
    gap = _GAP.match(text, position)
    return gap.end() if gap else position


def _chunk(text: str, start: int) -> tuple[Chunk, int]:
    """Return the statement that begins at `start`, and where it ends."""
    kept: list[str] = []
    open_brackets: list[tuple[str, int]] = []
    mismatched: list[int] = []
    unclosed_inside: list[int] = []
    unterminated: list[int] = []
    before = ""
    position = start
    while position < len(text):
        match = _TOKEN.match(text, position)
        token = match[0] if match else text[position]
        if token[0] in "\r\n;":
            following = after_gap(text, position)
            joined = token != ";" and joins(before, text, following)
            if begins_statement(text, following) or (not open_brackets and not joined):
                break
            separates = open_brackets and open_brackets[-1][0] == "{" and not joined
            useful = following < len(text) and text[following] != "}" and not before.endswith(("{", "\n"))
            kept.append("\n".ljust(len(token)) if separates and useful else " " * len(token))
            before = "\n" if separates and useful else before
        elif token[0] == "#" or token.isspace():
            kept.append(" " * len(token))
        else:
            if token in _PAIRS:
                open_brackets.append((token, position))
            elif token in _PAIRS.values():
                if any(_PAIRS[bracket] == token for bracket, _ in open_brackets):
                    while _PAIRS[open_brackets[-1][0]] != token:
                        unclosed_inside.append(open_brackets.pop()[1])
                    open_brackets.pop()
                else:
                    mismatched.append(position)
            elif token[0] == '"' and (len(token) < 2 or token[-1] != '"'):
                unterminated.append(position)
            kept.append(token)
            before = token
        position += len(token)
    closers = "".join(_PAIRS[bracket] for bracket, _ in reversed(open_brackets))
    unclosed = tuple(sorted([*unclosed_inside, *(place for _, place in open_brackets)]))
    chunk = Chunk(start, "".join(kept) + closers, unclosed, tuple(mismatched), tuple(unterminated))
    return chunk, position
