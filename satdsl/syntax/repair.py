"""Find the one change that makes an unreadable statement readable, if there is just one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from satdsl.findings import Fix, Source, Span
from satdsl.hints import Hint, closest, typo_of, write
from satdsl.syntax.layout import RESERVED, Chunk
from satdsl.syntax.messages import ENGLISH, english
from satdsl.syntax.slips import LONGEST, Change, Reads, begun_with, bracket_twice, first_words_turned, opened, slip

KEYWORDS = tuple(words.strip("`") for words in map(english, ENGLISH) if re.fullmatch(r"`[a-z]{4,}`", words))
"""The words of the language that stand where a name may also stand."""

_QUOTED = {"title", "use"}
"""Statements that are a word and a text."""


class Repair:
    """A text that stands at `offset` of a source and cannot be read from `place` on, where `found` stands."""

    def __init__(self, source: Source, offset: int, text: str, place: int, found: str, reads: Reads) -> None:
        self.source, self.offset, self.text = source, offset, text
        self.place, self.found, self.reads = place, found, reads

    def hint(self, construct: str, accepted: set[str]) -> Hint:
        """Return the change that makes it readable, if there is one. The parser would have taken one of `accepted`."""
        words = [word for terminal in sorted(accepted) for word in _fixed(terminal)]
        meant = typo_of(self.found, (word for word in words if word.isalpha()))
        if meant is not None and self._reads_with(self.place, self.place + len(self.found), meant):
            return write(self._span(self.place, self.place + len(self.found)), meant, f"did you mean `{meant}`?")
        if second := self._second_word(words):
            return second
        near = closest(self.found, (word for word in words if word.isalpha()))
        if len(near) == 1 and self._reads_with(self.place, self.place + len(self.found), near[0]):
            return Hint(f"did you mean `{near[0]}`?")
        rest = self.text[self.place :].rstrip()
        if before := self._word_before():
            return before
        if construct in _QUOTED and accepted == {"STRING"} and rest and '"' not in rest:
            return Hint("", write(self._span(self.place, self.place + len(rest)), f'"{rest}"').fix)
        if construct in ("dataset", "model") and "LPAR" in accepted and not self.found:
            words = ["()"]
        return self._one_change(words)

    def _second_word(self, words: list[str]) -> Hint | None:
        """Return the change of a misspelt second word, as in `by calss`."""
        for first, _, second in (word.partition(" ") for word in words if word.startswith(f"{self.found} ")):
            match = re.compile(rf"{first}\s+(\w+)").match(self.text, self.place)
            if match and typo_of(match[1], [second]) and self._reads_with(match.start(1), match.end(1), second):
                return write(self._span(match.start(1), match.end(1)), second, f"did you mean `{first} {second}`?")
        return None

    def _one_change(self, words: list[str]) -> Hint:
        """Return the one slip, or the one word left out, without which it can be read; nothing where both can be."""
        if self._added():
            return Hint("")
        slipped, left_out = slip(self.text, self.place, self.reads), self._only_insertion(words)
        if slipped is None:
            return Hint("", left_out)
        is_certain = left_out is None or not slipped.text
        return self._hint(slipped) if is_certain else Hint("")

    def _hint(self, change: Change) -> Hint:
        return Hint(change.what, Fix(change.what, ((self._span(change.start, change.end), change.text),)))

    def _word_before(self) -> Hint | None:
        """Return the change of the word before to the keyword of which it is a typo: it was taken for a name."""
        match = re.compile(r"([^\W\d]\w*)\s*$").search(self.text[: self.place])
        if match is None:
            return None
        keyword = typo_of(match[1], KEYWORDS)
        if keyword in (None, match[1]) or not self._reads_with(match.start(1), match.end(1), str(keyword)):
            return None
        return write(self._span(match.start(1), match.end(1)), str(keyword), f"did you mean `{keyword}`?")

    def _only_insertion(self, words: list[str]) -> Fix | None:
        """Return the one word that, put in before what was found, makes the text readable; None where several do."""
        if len(self.text) > LONGEST:
            return None
        readable = (word for word in words if self._reads_with(*self._insertion(word)))
        word, other = next(readable, None), next(readable, None)
        if word is None or other is not None:
            return None
        start, end, text = self._insertion(word)
        return Fix(f"add `{word}`", ((self._span(start, end), text),))

    def _insertion(self, word: str) -> tuple[int, int, str]:
        before = len(self.text[: self.place].rstrip())
        if not self.found or word in (",", ":"):
            return before, before, word if word in (",", ":", "()") else f" {word}"
        return self.place, self.place, f"{word} "

    def _reads_with(self, start: int, end: int, text: str) -> bool:
        return self.reads(self.text[:start] + text + self.text[end:])

    def _added(self) -> bool:
        """Return whether brackets stand at the end of the text that the source has not."""
        end = self.offset + len(self.text.rstrip())
        return self.source.text[end - 1 : end] != self.text.rstrip()[-1:]

    def _span(self, start: int, end: int) -> Span:
        return Span(self.source, self.offset + start, self.offset + end)


def _fixed(terminal: str) -> Iterator[str]:
    """Return the text of a terminal that has only one."""
    words = english(terminal)
    if words.count("`") == 2 and words.startswith("`") and words.endswith("`"):
        yield words.strip("`")


def closed_text(source: Source, chunk: Chunk) -> Hint:
    """Return the fix of a title or a file name that lacks its second quote: it ends with the line."""
    help = 'end it with `"` on the same line'
    (place, *more) = chunk.unterminated
    line = re.compile(r"[^\r\n]*").match(source.text, place)
    text = line[0].rstrip() if line else ""
    only = not more and re.fullmatch(r"(title|use)\s*", chunk.text[: place - chunk.start])
    if not only or len(text) < 2 or any(mark in text for mark in "#;"):
        return Hint(help)
    return Hint(help, Fix('add `"`', ((Span(source, place + len(text), place + len(text)), '"'),)))


def without_bracket(source: Source, chunk: Chunk, reads: Reads) -> Hint:
    """Return the fix that removes a bracket that closes nothing, if the statement can be read without it."""
    help = "remove it, or open it before"
    (place, *more) = chunk.mismatched
    at = place - chunk.start
    if more or chunk.unclosed:
        return Hint(help)
    opening = opened(chunk.text, at, reads)
    if not reads(f"{chunk.text[:at]} {chunk.text[at + 1 :]}"):
        return Hint(help) if opening is None else made(source, chunk, opening)
    if opening is not None:  # either may be meant
        return Hint(help)
    return Hint(help, Fix(f"remove `{source.text[place]}`", ((Span(source, place, place + 1), ""),)))


def beginning(source: Source, chunk: Chunk, reads: Reads) -> Hint:
    """Return the fix of a statement that begins with its second word, or whose first word was left out."""
    if chunk.unclosed or chunk.mismatched or chunk.unterminated:
        return Hint("")
    change = first_words_turned(chunk.text, reads) or begun_with(chunk.text, RESERVED, reads)
    return Hint("") if change is None else made(source, chunk, change)


def made(source: Source, chunk: Chunk, change: Change) -> Hint:
    """Return the hint to change a chunk."""
    span = Span(source, chunk.start + change.start, chunk.start + change.end)
    return Hint(change.what, Fix(change.what, ((span, change.text),)))


def closed_bracket(source: Source, chunk: Chunk, reads: Reads) -> Hint:
    """Return the fix that closes a bracket at the end of the statement, if the statement can then be read."""
    help = "close it before the next statement"
    if len(chunk.unclosed) == 1:
        again = bracket_twice(chunk.text, chunk.unclosed[0] - chunk.start, chunk.text[-1], reads)
        if again is not None:
            return made(source, chunk, again)
    if around := _closed_around(chunk):
        return Hint(f"close it before `{around}`")
    if len(chunk.unclosed) != 1 or not reads(chunk.text):
        return Hint(help)
    closer = chunk.text[-1]
    end = chunk.start + len(chunk.text[:-1].rstrip())
    text = closer
    if closer == "}":
        line = re.compile(r"[^\r\n]*").match(source.text, end)
        inside = source.text[chunk.unclosed[0] : end]
        newline = "\r\n" if "\r\n" in inside else "\n"
        text, end = (f"{newline}}}", line.end()) if "\n" in inside and line else (" }", end)
    return Hint(help, Fix(f"add `{closer}`", ((Span(source, end, end), text),)))


def _closed_around(chunk: Chunk) -> str:
    """Return the bracket that closes another one around the first that is left open; "" where there is none."""
    opened: list[str] = []
    text = re.sub(r'"[^"\n]*"?', lambda match: " " * len(match[0]), chunk.text)
    for mark in text[chunk.unclosed[0] - chunk.start + 1 :]:
        if mark in "([{":
            opened.append(mark)
        elif mark in ")]}":
            if not opened:
                own = {"(": ")", "[": "]", "{": "}"}[chunk.text[chunk.unclosed[0] - chunk.start]]
                return "" if mark == own else mark
            opened.pop()
    return ""
