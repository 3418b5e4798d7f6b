"""Find the one change that makes an unreadable statement readable, if there is just one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from satdsl.findings import Fix, Source, Span
from satdsl.hints import Hint, closest, typo_of, write
from satdsl.syntax.layout import Chunk
from satdsl.syntax.messages import ENGLISH, english

Reads = Callable[[str], bool]
"""Whether a text can be read."""

LONGEST = 2_000
"""Characters of a statement that is tried with another word; one with a thousand values would take seconds."""

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
        return Hint("", self._only_insertion(words))

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
        if len(self.text) > LONGEST or self._added():
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
    if more or chunk.unclosed or not reads(f"{chunk.text[:at]} {chunk.text[at + 1 :]}"):
        return Hint(help)
    return Hint(help, Fix(f"remove `{source.text[place]}`", ((Span(source, place, place + 1), ""),)))


def closed_bracket(source: Source, chunk: Chunk, reads: Reads) -> Hint:
    """Return the fix that closes a bracket at the end of the statement, if the statement can then be read."""
    help = "close it before the next statement"
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
