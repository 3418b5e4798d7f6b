"""Say the way out of a mistake: in words, and as a change of the text where it is certain what the author meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from satdsl.findings import Fix, Span
from satdsl.records import Record, record

_PLAIN = re.compile(r"[A-Za-z_][\w-]*")
_SHORTEST = 4
"""Letters of a name in which one wrong letter leaves no doubt which name was meant. For a swap three are enough."""

_MOST_LISTED = 12


@record
class Hint(Record):
    """A finding's help, which is false where there is none, with its fix."""

    text: str
    fix: Fix | None = None

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        return self.text


def suggest(name: str, known: Iterable[str], at: Span | None = None, there_are: str = "you can use") -> Hint:
    """Return the known name that was probably meant, or else a list of the names that there are.

    Names that differ from `name` in digits only are listed alone: for `resnet110` and `resnet` the resnets.
    """
    known = list(known)
    if meant := did_you_mean(name, known, at):
        return meant
    series = [candidate for candidate in known if _without_digits(candidate) == _without_digits(name)]
    return Hint(f"{there_are} {listed(series or known)}" if known else "")


def listed(names: Collection[str], most: int = _MOST_LISTED) -> str:
    """Return the first names, separated by commas, and `...` where there are more."""
    return ", ".join([*list(names)[:most], *["..."] * (len(names) > most)])


def article(word: str) -> str:
    """Return a word with its indefinite article."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def did_you_mean(name: str, known: Iterable[str], at: Span | None = None) -> Hint:
    """Return "did you mean `x`?" where known names are near.

    It has a fix where `name` stands at `at` and is certainly a typo of one of them.
    """
    known = list(known)
    meant = closest(name, known)
    if not meant:
        return Hint("")
    fix = None
    if at is not None and typo_of(name, known) == meant[0] and at.text.strip('"$') == name:
        sign, _, end = at.text.partition(name)
        quote = "" if sign or _PLAIN.fullmatch(meant[0]) else '"'
        fix = write(at, f"{sign}{quote}{meant[0]}{quote}{end}").fix
    return Hint(f"did you mean {' or '.join(f'`{one}`' for one in meant)}?", fix)


def closest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that `name` can be a misspelling of: those that are nearest to it, if they are one or two.

    A name that is far from all of them means something else, and to guess would mislead. So the first letter has to be
    the same (`apgd` is not `pgd`), and so have the digits (`resnet110` is not `resnet101`), but for one that was typed
    twice. Of every three letters one may be wrong (`noise` is not `none`). The beginning of a name is near to it.
    """
    known = list(known)
    if typo := typo_of(name, known):
        return [typo]
    near = {candidate: far for candidate in known if (far := _nearness(name, candidate)) is not None}
    found = [candidate for candidate, far in near.items() if far == min(near.values())]
    return found if len(found) <= 2 else []


def _nearness(name: str, candidate: str) -> int | None:
    """Return how far two names are apart, None where they are not near. A name is near to its beginnings."""
    a, b = _normalised(name), _normalised(candidate)
    shorter, longer = sorted((a, b), key=len)
    if a[:1] != b[:1] or len(shorter) < 3:
        return None
    continues = longer.startswith(shorter)
    digits, wanted = re.findall(r"\d", a), re.findall(r"\d", b)
    if digits != wanted and not (continues and not (digits and wanted)) and re.sub(r"(\d)\1", r"\1", a) != b:
        return None
    distance = 1 if continues else _distance(a, b)
    return distance if distance <= min(len(longer) // 3, 3) else None


def _distance(a: str, b: str) -> int:
    """Return how many letters have to be added, left out, changed or swapped with their neighbour to turn a into b.

    This is the optimal string alignment distance (Boytsov, "Indexing methods for approximate dictionary searching",
    2011, section 2.2).
    """
    rows = [list(range(len(b) + 1))]
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            least = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and (letter, a[i - 2]) == (b[j - 2], other):
                least = min(least, rows[-2][j - 2] + 1)
            row.append(least)
        rows.append(row)
    return rows[-1][-1]


def typo_of(name: str, known: Iterable[str]) -> str | None:
    """Return the one known name that `name` is certainly a typo of, None where there is none or more than one.

    A typo is another case, a hyphen in the place of an underscore, or one letter that is swapped with its neighbour,
    left out, doubled or wrong. Other digits, or another first letter, make another name.
    """
    found = {candidate for candidate in known if _is_typo(name, candidate)}
    return found.pop() if len(found) == 1 else None


def _is_typo(written: str, meant: str) -> bool:
    a, b = _normalised(written), _normalised(meant)
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


def _normalised(name: str) -> str:
    return re.sub("[-_]", "", name).lower()


def _without_digits(name: str) -> str:
    return re.sub(r"\d+", "", _normalised(name))


def write(at: Span, text: str, help: str = "") -> Hint:
    """Return the hint to write `text`, with the fix that puts it in the place of what stands at `at`."""
    said = f"write `{text.strip()}`"
    return Hint(help or said, Fix(said, ((at, text),)))


def insert(at: Span, text: str, what: str, help: str = "") -> Hint:
    """Return the hint to add `what`, with the fix that puts `text`, which has it, after what stands at `at`."""
    return Hint(help or f"add `{what}`", Fix(f"add `{what}`", ((Span(at.source, at.end, at.end), text),)))


def leave_out(at: Span, help: str) -> Hint:
    """Return a hint with the fix that removes what stands at `at`, and the comma, semicolon or line that it leaves."""
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
