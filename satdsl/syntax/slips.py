"""Find the slip of the hand in a text that cannot be read: a word written twice, or two the wrong way round."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from satdsl.records import Record, record

Reads = Callable[[str], bool]
"""Whether a text can be read."""

LONGEST = 2_000
"""Characters of a text that is tried with changes; one with a thousand values would take seconds."""

BEFORE, AFTER = 3, 1
"""How many words before and after the one at which reading stopped a slip is looked for."""

_BRACKETS = frozenset("()[]{}")

_WORD = re.compile(r'"[^"\n]*"|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?%?|\$?[^\W\d]\w*|\.\.|>=|<=|==|!=|[^\s\w]')


@record
class Change(Record):
    """What stands from `start` to `end` becomes `text`; `what` says so."""

    start: int
    end: int
    text: str
    what: str

    def of(self, text: str) -> str:
        """Return a text with this change."""
        return text[: self.start] + self.text + text[self.end :]


def slip(text: str, place: int, reads: Reads) -> Change | None:
    """Return the one slip near `place`, where reading stopped, without which the text can be read."""
    words = list(_WORD.finditer(text))
    at = next((i for i, word in enumerate(words) if word.end() > place), len(words))
    near = words[max(0, at - BEFORE) : at + AFTER + 1]
    return only(text, twice(near), reads) or only(text, turned(text, near), reads)


def first_words_turned(text: str, reads: Reads) -> Change | None:
    """Return the change that turns the first two words round, if the text can then be read."""
    return only(text, turned(text, list(_WORD.finditer(text))[:2]), reads)


def begun_with(text: str, words: Sequence[str], reads: Reads) -> Change | None:
    """Return the one of `words` that a text lacks at its beginning."""
    return only(text, (Change(0, 0, f"{word} ", f"add `{word}`") for word in words), reads)


def bracket_twice(text: str, place: int, closer: str, reads: Reads) -> Change | None:
    """Return the change that leaves out the bracket at `place` where it stands twice; `text` ends in its `closer`."""
    once = f"{text[:place]} {text[place + 1 :]}"
    beside = text[:place].rstrip()[-1:] + text[place + 1 :].lstrip()[:1]
    if len(text) <= LONGEST and text[place] in beside and (reads(once) or reads(once.removesuffix(closer))):
        return Change(place, place + 1, "", f"remove the second `{text[place]}`")
    return None


def only(text: str, changes: Iterator[Change], reads: Reads) -> Change | None:
    """Return the change after which a text can be read; None where there is none, several differ, or it is too long."""
    if len(text) > LONGEST:
        return None
    found: dict[str, Change] = {}
    for change in changes:
        if reads(changed := change.of(text)):
            found.setdefault(" ".join(changed.split()), change)
            if len(found) > 1:
                return None
    return next(iter(found.values()), None)


def twice(words: Sequence[re.Match[str]]) -> Iterator[Change]:
    """Give for each word that stands twice in a row the change that leaves it out once."""
    for one, other in pairwise(words):
        if one[0] == other[0]:
            yield Change(one.end(), other.end(), "", f"remove the second `{one[0]}`")


def turned(text: str, words: Sequence[re.Match[str]]) -> Iterator[Change]:
    """Give for each two words on one line the change that turns them round. What is in brackets stays there."""
    for one, other in pairwise(words):
        between = text[one.end() : other.start()]
        if "\n" in between or one[0] == other[0] or _BRACKETS & {one[0], other[0]}:
            continue
        turned = f"{other[0]}{between}{one[0]}"
        change = Change(one.start(), other.end(), turned, f"write `{turned}`")
        if sorted(_WORD.findall(change.of(text))) == sorted(_WORD.findall(text)):  # no two words have become one
            yield change


def opened(text: str, place: int, reads: Reads) -> Change | None:
    """Return the one place where the bracket at `place`, which closes nothing, can be opened so that the text reads."""
    bracket = {")": "(", "]": "[", "}": "{"}[text[place]]
    ends = (word.end() for word in _WORD.finditer(text[:place]))
    return only(text, (Change(end, end, bracket, f"add `{bracket}`") for end in ends), reads)
