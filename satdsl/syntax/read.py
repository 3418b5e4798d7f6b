"""Read a text into a tree: every statement that can be read, and a finding for each that cannot."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from lark import Lark
from lark import __version__ as lark_version
from lark.exceptions import LarkError, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from satdsl.findings import Finding, Fix, Source, Span
from satdsl.hints import Hint, did_you_mean, typo_of
from satdsl.records import Record, record
from satdsl.syntax import layout, other_ways, tree
from satdsl.syntax.build import Builder
from satdsl.syntax.messages import explain, foreign_statement
from satdsl.syntax.repair import Repair, beginning, closed_bracket, closed_text, without_bracket

LINES = {"sweep", "train", "split", "transfer", "evaluate"}
"""The statements that have a block of lines."""

DEEPEST = 100
"""Levels of nesting that are read; a written specification has a dozen."""

_STATEMENTS = "statements begin with " + ", ".join(f"`{word}`" for word in layout.RESERVED)

_OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "contextual",
    "start": ["statement", *(f"{word}_line" for word in sorted(LINES))],
    "propagate_positions": True,
    "maybe_placeholders": True,
}


def read(source: Source) -> tuple[tree.File, list[Finding]]:
    """Return the tree of a source, and a finding for each thing that could not be read."""
    return joined([read_chunk(source, chunk) for chunk in layout.chunks(source.text)])


@record
class Piece(Record):
    """What one chunk of a source was read to."""

    statements: tuple[tree.Statement, ...]
    findings: tuple[Finding, ...]
    broken: frozenset[str]
    unopened: bool = False
    """Whether it lacks the `{` of its block, so that the lines of the block stand outside."""
    stray: bool = False
    """Whether it begins as no statement does."""
    closes: bool = False
    """Whether it has a `}` that closes nothing."""


def read_chunk(source: Source, chunk: layout.Chunk) -> Piece:
    """Return the statement of a chunk, if it can be read, and a finding for each thing in it that cannot."""
    reader = _Reader(source)
    reader.statement(chunk)
    lists = tuple(reader.statements), tuple(reader.findings), frozenset(reader.broken)
    closes = any(source.text[place] == "}" for place in chunk.mismatched)
    return Piece(*lists, unopened=reader.unopened, stray=reader.stray, closes=closes)


def joined(pieces: Sequence[Piece]) -> tuple[tree.File, list[Finding]]:
    """Join the pieces of a source into its tree and its findings."""
    statements = tuple(statement for piece in pieces for statement in piece.statements)
    broken = frozenset[str]().union(*(piece.broken for piece in pieces))
    findings: list[Finding] = []
    told = 0
    for place, piece in enumerate(pieces):
        if piece.unopened:
            told = max(told, _end_of_block(pieces, place))
        findings += () if piece.stray and place < told else piece.findings
    return tree.File(statements, broken), findings


def _end_of_block(pieces: Sequence[Piece], opening: int) -> int:
    """Return the place behind the lines of a block that was not opened, which are told with its statement."""
    for place in range(opening + 1, len(pieces)):
        if not pieces[place].stray:
            break
        if pieces[place].closes:
            return place + 1
    return opening


class TooDeep(Exception):
    """A statement is nested too deeply to be read."""


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.statements: list[tree.Statement] = []
        self.findings: list[Finding] = []
        self.broken: set[str] = set()
        self.unopened = self.stray = False

    def statement(self, chunk: layout.Chunk) -> None:
        match = re.match(r"[^\W\d]\w*", chunk.text)
        word = match[0] if match else ""
        self.stray = word not in layout.RESERVED or layout.begins_line(chunk.text)
        if word not in layout.RESERVED:
            self._unknown_statement(chunk, word)
            return
        if self._unreadable(chunk):
            self._give_up(chunk.text)
            return
        try:
            self.statements.append(self._build(_parse(chunk.text, "statement"), chunk.start))
        except (UnexpectedInput, TooDeep) as error:
            recovered = self._recover(chunk, word, error)
            if recovered is not None:
                self.statements.append(recovered)
            self._give_up(chunk.text)

    def _build(self, parsed: Any, offset: int) -> Any:
        return Builder(self.source, offset).build(parsed)

    def _find(self, code: str, start: int, end: int, message: str, help: str | Hint = "") -> None:
        limit = len(self.source.text)
        start = min(start, max(limit - 1, 0))
        span = Span(self.source, start, max(start + 1, min(end, limit)))
        fix = help.fix if isinstance(help, Hint) else None
        self.findings.append(Finding(code, span, message, help=str(help), fix=fix))

    def _unknown_statement(self, chunk: layout.Chunk, word: str) -> None:
        meant = beginning(self.source, chunk, _reads)
        if word == "":
            what = f"a statement cannot begin with `{chunk.text[0]}`"
            self._find("E101", chunk.start, chunk.start + 1, what, meant or _STATEMENTS)
            self.broken.update(["1"] if re.match(r"\d", chunk.text) else ())
            return
        at = Span(self.source, chunk.start, chunk.start + len(word))
        help = foreign_statement(word) or did_you_mean(word, layout.RESERVED, at) or meant or _STATEMENTS
        self._find("E101", at.start, at.end, f"`{word}` does not begin a statement", help)
        self._give_up(chunk.text)

    def _unreadable(self, chunk: layout.Chunk) -> bool:
        """Report brackets and quotes that are not closed; True where parsing on would only add noise."""
        for place in chunk.unterminated:
            end = self.source.text.find("\n", place)
            end = len(self.source.text) if end < 0 else end
            self._find("E102", place, end, "this text is not closed", closed_text(self.source, chunk))
        if chunk.unterminated:
            return True
        for place in chunk.mismatched[:1]:  # the next ones miss the same bracket
            bracket = self.source.text[place]
            help = without_bracket(self.source, chunk, _reads)
            self._find("E103", place, place + 1, f"`{bracket}` closes nothing", help)
        if chunk.mismatched:
            return True
        for place in chunk.unclosed:
            bracket = self.source.text[place]
            help = closed_bracket(self.source, chunk, _reads)
            self._find("E103", place, place + 1, f"`{bracket}` is never closed", help)
        return bool(chunk.unclosed) and any(self.source.text[place] != "{" for place in chunk.unclosed)

    def _give_up(self, text: str) -> None:
        """Remember what a lost statement would have declared, so that its uses are not reported as unknown."""
        words = re.findall(r"[^\W\d]\w*", text)
        if words[:1] == ["evaluate"] or words[:1] == ["sweep"]:
            self.broken.update(words)
        self.broken.update(words[1:2] if words[:1] != ["sat"] else ["1"])
        if words and words[0] not in layout.RESERVED:
            # The word that begins the statement was left out (`tr = sgd(...)`), or is another one (`sta 1`).
            declared = re.match(r"\w+\s*(=|of\b|\{)", text)
            self.broken.update(() if declared is None else words if declared[1] == "{" else words[:1])
            self.broken.update(["1"] if typo_of(words[0], ["sat"]) else ())

    def _recover(self, chunk: layout.Chunk, word: str, error: UnexpectedInput | TooDeep) -> tree.Statement | None:
        """Read a statement without its block, and the block's lines one by one."""
        inside = layout.block(chunk.text) if word in LINES else None
        if inside is None:
            self._explain(chunk.text, chunk.start, word, "statement", error)
            return None
        start, end = inside
        header = chunk.text[:start] + " " * (end - start) + chunk.text[end:]
        statement = self._piece(header, chunk.start, word, "statement")
        lines = []
        place = chunk.start + start
        for line in chunk.text[start:end].split("\n"):
            text = line.strip()
            if text:
                offset = place + line.index(text)
                lines.append(self._piece(text, offset, f"{word} line", f"{word}_line"))
            place += len(line) + 1
        return replace(statement, lines=tuple(filter(None, lines))) if statement is not None else None

    def _piece(self, text: str, offset: int, construct: str, start: str) -> Any:
        """Return the node of a piece of a statement; where it cannot be read, make a finding and return None."""
        try:
            return self._build(_parse(text, start), offset)
        except (UnexpectedInput, TooDeep) as error:
            self._explain(text, offset, construct, start, error)
            self.broken.update(re.findall(r"[^\W\d]\w*", text)[:1])
            return None

    def _tell(self, offset: int, way: other_ways.Meant) -> None:
        """Make the finding of what is written here as it is not written in the language."""
        change = way.change
        span = None if change is None else Span(self.source, offset + change.start, offset + change.end)
        fix = None if change is None or span is None else Fix(change.what, ((span, change.text),))
        self._find("E104", offset + way.start, offset + way.end, way.message, Hint(way.help, fix))

    def _explain(self, text: str, offset: int, construct: str, start: str, error: UnexpectedInput | TooDeep) -> None:
        if isinstance(error, TooDeep):
            what = f"this is nested more than {DEEPEST} levels deep"
            self._find("E104", offset, offset + len(text), what, "give parts of it names of their own")
            return
        place, found = _found(text, error)
        accepted = _accepted(text, start)
        self.unopened |= start == "statement" and "LBRACE" in accepted
        if way := other_ways.meant(construct, text, partial(_reads, start=start)):
            self._tell(offset, way)
            return
        message, help = explain(construct, accepted, f"here is `{found}`" if found else "the line ends here", text)
        meant = Repair(self.source, offset, text, place, found, partial(_reads, start=start)).hint(construct, accepted)
        length = len(found)
        if not found:
            place, length = max(len(text.rstrip()) - 1, 0), 1
        self._find("E104", offset + place, offset + place + length, message, Hint(meant.text or help, meant.fix))


def _found(text: str, error: UnexpectedInput) -> tuple[int, str]:
    """Return where the parser stopped, and the word that stands there ("" at the end)."""
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return len(text), ""
    place = error.pos_in_stream or 0
    match = re.compile(r'"[^"]*"|[$\w.%]+|\n|.').match(text, place)
    word = match[0] if match else ""
    return (place, word) if word.strip() else (len(text[:place].rstrip()), "")


def _accepted(text: str, start: str) -> set[str]:
    """Return the terminals that the parser would have taken where it stopped."""
    interactive = _parser().parse_interactive(text, start=start)
    try:
        for _ in interactive.iter_parse():
            pass
        interactive.feed_eof()  # type: ignore[no-untyped-call]
    except (UnexpectedToken, UnexpectedCharacters):
        pass
    return set(interactive.accepts())  # type: ignore[no-untyped-call]


def read_so_far(text: str, start: str) -> tuple[tuple[Any, ...], frozenset[str]]:
    """Return what the parser made of the beginning of a `start`, and the terminals that could come next.

    Raises:
        UnexpectedInput: it is no beginning of one.
    """
    interactive = _parser().parse_interactive(text, start=start)
    for _ in interactive.iter_parse():
        pass
    accepted = frozenset(interactive.accepts())  # type: ignore[no-untyped-call]
    return tuple(interactive.parser_state.value_stack), accepted


def _parse(text: str, start: str) -> Any:
    parsed = _parser().parse(text, start=start)
    if _depth(parsed) > DEEPEST or _brackets(text) > DEEPEST:
        raise TooDeep
    return parsed


def _brackets(text: str) -> int:
    """Return how many brackets are open at once (those around a single value are no level of the tree)."""
    if text.count("(") + text.count("[") <= DEEPEST:
        return 0
    depth = deepest = 0
    for piece in re.findall(r'"[^"]*"|[()\[\]]', text):
        depth += (piece in ("(", "[")) - (piece in (")", "]"))
        deepest = max(deepest, depth)
    return deepest


def _reads(text: str, start: str = "statement") -> bool:
    try:
        _parse(text, start)
    except (UnexpectedInput, TooDeep):
        return False
    return True


def _depth(parsed: Any) -> int:
    """Return how many levels a parse tree has (its readers are recursive)."""
    depth, level = 0, [parsed]
    while level:
        depth += 1
        level = [child for node in level for child in getattr(node, "children", ())]
    return depth


def grammar_text() -> str:
    """Return the grammar: beside the package in a checkout or an editable install, inside it in a wheel."""
    inside = Path(__file__).parents[1] / "grammar" / "sat.lark"
    beside = Path(__file__).parents[2] / "grammar" / "sat.lark"
    return (inside if inside.exists() else beside).read_text("utf-8")


@cache
def _parser() -> Lark:
    """Return the parser, its tables from the user's own cache folder where they were saved before."""
    text = grammar_text()
    saved = _cache_file(hashlib.sha256(f"{lark_version}{sys.version}{_OPTIONS}{text}".encode()).hexdigest())
    with contextlib.suppress(OSError, *_UNREADABLE), saved.open("rb") as file:
        return Lark.load(file)
    parser = Lark(text, **_OPTIONS)
    with contextlib.suppress(OSError):
        saved.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = saved.with_suffix(f".{os.getpid()}")
        with beside.open("wb") as file:
            parser.save(file)
        beside.replace(saved)
    return parser


_UNREADABLE = (LarkError, pickle.PickleError, EOFError, KeyError, ValueError, AttributeError, TypeError, ImportError)
"""What loading tables that another version wrote, or that were cut short, may raise."""


def _cache_file(digest: str) -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "satdsl" / f"grammar-{digest[:16]}.pickle"
