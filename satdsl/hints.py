"""The way out of a mistake: in words, and as a change of the text where it is certain what the author meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from satdsl.findings import Fix, Span
from satdsl.records import Record, record

_PLAIN = re.compile(r"[A-Za-z_][\w-]*")
_SHORTEST = 4
"""Letters of a name in which one wrong letter leaves no doubt which name was meant; a swap leaves none in three."""


@record
class Hint(Record):
    """A finding's help, which is false where there is none, with its fix."""

    text: str
    fix: Fix | None = None

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        return self.text


def did_you_mean(name: str, known: Iterable[str], at: Span | None = None) -> Hint:
    """ "did you mean `x`?" where a known name is near; a fix where `name` stands at `at` and is a slip of the pen."""
    known = list(known)
    meant = nearest(name, known)
    if meant is None:
        return Hint("")
    fix = None
    if at is not None and slip_for(name, known) == meant and at.text.strip('"$') == name:
        sign, _, end = at.text.partition(name)
        quote = "" if sign or _PLAIN.fullmatch(meant) else '"'
        fix = write(at, f"{sign}{quote}{meant}{quote}{end}").fix
    return Hint(f"did you mean `{meant}`?", fix)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`, whatever its case."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    slip = slip_for(name, by_lower.values())
    near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return slip or (by_lower[near[0]] if near else None)


def slip_for(name: str, known: Iterable[str]) -> str | None:
    """The one known name that `name` differs from by a slip of the pen: another case, a hyphen for an underscore, two
    letters swapped, one left out, doubled or wrong. Other digits, or another first letter, are another name."""
    found = {candidate for candidate in known if _is_slip(name, candidate)}
    return found.pop() if len(found) == 1 else None


def _is_slip(written: str, meant: str) -> bool:
    a, b = (re.sub("[-_]", "", name).lower() for name in (written, meant))
    if a == b:
        return True
    if re.findall(r"\d+", a) != re.findall(r"\d+", b) or a[:1] != b[:1] or min(len(a), len(b)) < 3:
        return False
    first = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if len(a) == len(b):
        swapped = a[first + 1 : first + 2] + a[first] + a[first + 2 :] == b[first:]
        inside = len(a) > _SHORTEST and first < len(a) - 1
        return swapped or (inside and a[first + 1 :] == b[first + 1 :])
    longer, shorter = max(a, b, key=len), min(a, b, key=len)
    if len(longer) < _SHORTEST or longer[first + 1 :] != shorter[first:]:
        return False
    at_end = first == len(shorter)
    return not at_end or longer[-1] in (longer[-2], "s") or (len(b) > len(a) > _SHORTEST)


def write(at: Span, text: str, help: str = "") -> Hint:
    """ "write `text`", and that in the place of what stands at `at`."""
    return Hint(help or f"write `{text}`", Fix(f"write `{text}`", ((at, text),)))


def insert(at: Span, text: str, what: str, help: str = "") -> Hint:
    """ "add `what`", and that, with what separates it, after what stands at `at`."""
    return Hint(help or f"add `{what}`", Fix(f"add `{what}`", ((Span(at.source, at.end, at.end), text),)))


def leave_out(at: Span, help: str) -> Hint:
    """What stands at `at` goes, with the comma, the semicolon or the line that it leaves behind."""
    return Hint(help, Fix(f"remove `{' '.join(at.text.split())}`", ((_with_separator(at), ""),)))


def _with_separator(span: Span) -> Span:
    text, start, end = span.source.text, span.start, span.end
    before = len(text[:start].rstrip())
    if text[before - 1 : before] in (",", ";"):
        return Span(span.source, before - 1, end)
    if follows := re.compile(r"\s*[,;][^\S\n]*").match(text, end):
        return Span(span.source, start, follows.end())
    line = len(text[:start].rstrip(" \t"))
    rest = re.compile(r"[ \t]*(?:\r\n?|\n|$)").match(text, end)
    alone = rest is not None and text[line - 1 : line] in ("\n", "\r", "")
    return Span(span.source, line, rest.end()) if rest is not None and alone else span
