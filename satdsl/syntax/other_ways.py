"""Know ways in which people write what this language writes otherwise, and what they are written like here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from satdsl.records import Record, record
from satdsl.syntax.slips import LONGEST, Change, Reads


@record
class Meant(Record):
    """What is to be said of a way of writing: `message`, and `help` where there is no `change` after which it reads."""

    start: int
    end: int
    message: str
    help: str
    change: Change | None = None


def meant(construct: str, text: str, reads: Reads) -> Meant | None:
    """Return what a text of a construct means that is written in another way; None where no such way is known."""
    if len(text) > LONGEST:
        return None
    if construct.endswith(" line") and (commas := _commas_between_lines(text, reads)) is not None:
        return commas
    for of, pattern, written, message in WAYS:
        match = re.search(pattern, text) if of == construct else None
        if match is None:
            continue
        new = written(match) if callable(written) else match.expand(written)
        change = Change(*match.span(), new, f"write `{new.strip()}`")
        if new and reads(change.of(text)):
            return Meant(*match.span(), message, change.what, change)
    for of, pattern, message, help in IN_WORDS:
        if of == construct and (match := re.search(pattern, text)):
            return Meant(*match.span(), message, match.expand(help))
    return None


def _commas_between_lines(text: str, reads: Reads) -> Meant | None:
    """Return what is said of commas between lines of a block, each of which reads."""
    commas, depth = [], 0
    for piece in re.finditer(r'"[^"]*"|[(\[{)\]},]', text):
        depth += (piece[0] in "([{") - (piece[0] in ")]}")
        if piece[0] == "," and depth == 0 and re.match(_BEGINS_A_LINE, text[piece.end() :]):
            commas.append(piece.start())
    lines = [text[start + 1 : end] for start, end in pairwise([-1, *commas, len(text)])]
    if not commas or not all(map(reads, lines)):
        return None
    first = commas[0]
    change = Change(first, len(text), ";".join(lines)[first:], "write `;` in the place of the comma")
    return Meant(first, first + 1, "a line of a block ends with `;` or a new line", change.what, change)


def _classes(match: re.Match[str]) -> str:
    """Return a list of classes with commas, and ranges of numbers with two dots."""
    if match["stop"]:
        first, stop = int(match["first"] or 0), int(match["stop"])
        return f"classes {first}..{stop - 1}"
    return f"classes {', '.join(_class_items(match['list']))}"


def _point_last(match: re.Match[str]) -> str:
    """Return `sat.robust[share=30%]` for each `sat[share=30%].robust`."""
    return re.sub(_POINT, r"\g<owner>.\g<result>\g<point>", match[0])


def _class_items(text: str) -> Iterator[str]:
    numbers = r"(\d+)\s*(?:-|:|\bto\b|\.{2,3})\s*(\d+)"
    for item in re.findall(rf'{numbers}|("[^"]*"|\$?\w+)', text):
        first, last, other = item
        if first:
            yield f"{first}..{last}"
        elif other != "and":
            yield other


_BEGINS_A_LINE = r"\s*(?:[^\W\d]\w*\s*=(?!=)|(?:attack|keep|loss|seed|select|share|start|weight)\b)"
_POINT = r"(?P<owner>[^\W\d]\w*)(?P<point>\[[^\[\]]*\])\.(?P<result>[^\W\d]\w*)"
_POINT_FIRST = r"\b\w+\[[^\[\]]*\]\.\w+(?:(?s:.*)\]\.\w+)?"
_ITEM = r'(?:"[^"]*"|\$?[^\W\d]\w*|\d+)'
_CLASS_LIST = rf"{_ITEM}(?:\s*(?:,\s*and\b|,|-|:|\.\.\.?|\bto\b|\band\b)\s*{_ITEM}|\s+\d+)*"
_CALL = r"[^\W\d]\w*\s*\([^()]*\)"

WAYS: tuple[tuple[str, str, str | Callable[[re.Match[str]], str], str], ...] = (
    (
        "split line",
        rf"\bclass(?:es)?\b\s*(?:=|:|\bin\b)?\s*(?:range\(\s*(?:(?P<first>\d+)\s*,\s*)?(?P<stop>\d+)\s*\)"
        rf"|[\[(]?\s*(?P<list>{_CLASS_LIST})\s*[\])]?)",
        _classes,
        "classes are listed with commas, and a range of numbers has two dots",
    ),
    (
        "expect",
        r'(?<="):\s*(?P<condition>(?!for\s)[^:]+?),?\s+for\s+(?:all|each|every)\s+(?P<axes>[^:]+?)\s*$',
        r": for all \g<axes>: \g<condition>",
        "`for all` comes before the condition",
    ),
    (
        "expect",
        r"\bfor\s+(?:each|every|any)\s+",
        "for all ",
        "a claim about every value of an axis begins with `for all`",
    ),
    ("expect", _POINT_FIRST, _point_last, "the point stands after the result"),
    ("plot", _POINT_FIRST, _point_last, "the point stands after the result"),
    ("table", _POINT_FIRST, _point_last, "the point stands after the result"),
    ("published", _POINT_FIRST, _point_last, "the point stands after the result"),
    ("expect", r"^expect\s+(?P<name>[^\W\d]\w*)\s*:", r'expect "\g<name>":', "a claim's text stands in double quotes"),
    ("plot", r"^plot\s+(?P<name>[^\W\d]\w*)\s*=", r'plot "\g<name>" =', "a plot needs a title in double quotes"),
    ("table", r"^table\s+(?P<name>[^\W\d]\w*)\s*=", r'table "\g<name>" =', "a table needs a title in double quotes"),
    ("plot", r'^plot\s+(?P<title>"[^"]*")\s*:\s*', r"plot \g<title> = ", "what a plot shows comes after `=`"),
    ("table", r'^table\s+(?P<title>"[^"]*")\s*:\s*', r"table \g<title> = ", "what a table shows comes after `=`"),
    (
        "evaluate line",
        r"\bon\s+(?P<part>[\w.]+)\s+under\s+(?P<attacks>\w+(?:\s*,\s*\w+)*)",
        r"under \g<attacks> on \g<part>",
        "the attack comes before the images",
    ),
    ("evaluate line", r"\baccuracy\s+(?:against|with|by|vs)\s+", "accuracy under ", "an attack comes after `under`"),
    ("evaluate line", r"\badversarial\s+accuracy\b", "robust accuracy", "accuracy under attack is `robust accuracy`"),
    (
        "evaluate line",
        r"\b(?:standard|natural)\s+accuracy\b",
        "clean accuracy",
        "accuracy without attack is `clean accuracy`",
    ),
    (
        "train line",
        r"^attack\s+(?P<of>\w+)\s+(?:using|by|under|:)\s*",
        r"attack \g<of> with ",
        "an attack comes after `with`",
    ),
    ("train line", r"^loss\s*=\s*", "loss all = ", "a loss is of a subset, or of `all` images"),
    ("train line", r"^seed\s*:?\s*(?P<value>[\w$]+)$", r"seed = \g<value>", "a seed's value comes after `=`"),
    ("train line", r"^(?P<of>loss\s+\w+|seed)\s*:\s*", r"\g<of> = ", "a value comes after `=`"),
    ("split line", r"\bseed\s*:\s*(?P<value>[\w$]+)", r"seed = \g<value>", "a seed's value comes after `=`"),
    ("split line", r"^(?P<name>\w+)\s*:\s*", r"\g<name> = ", "what a subset is comes after `=`"),
    ("sweep line", r"^(?P<name>\w+)\s*(?::|\bin\b)\s*", r"\g<name> = ", "the values of an axis come after `=`"),
    (
        "sweep line",
        r"=\s*(?P<list>[^\s=,\[({]+(?:\s*,\s*[^\s=,\])}]+)+)\s*$",
        r"= [\g<list>]",
        "several values of an axis stand between `[` and `]`",
    ),
    (
        "sweep line",
        r"(?P<first>[\d.]+%?)\s*(?:\bto\b|:|\.{3}|…)\s*(?P<last>[\d.]+%?)",
        r"\g<first>..\g<last>",
        "a range has two dots",
    ),
    (
        "evaluate",
        r"^evaluate\s+(?!evaluate\b)(?P<all>\w+(?:\s+(?:and\s+)?\w+)+)(?=\s*\{)",
        lambda match: f"evaluate {', '.join(name for name in match['all'].split() if name != 'and')}",
        "several networks are named with commas",
    ),
)
"""For a construct: what is found in it, how it is written here, and what is said of it; the first that then reads."""


IN_WORDS = (
    (
        "evaluate line",
        rf"\bunder\s+(?P<call>{_CALL})",
        "an attack has a name of its own before it is used",
        r"declare it, `attack mine = \g<call>`, and write `under mine`",
    ),
    (
        "train line",
        rf"\b(?P<word>with|under)\s+(?P<call>{_CALL})",
        "an attack has a name of its own before it is used",
        r"declare it, `attack mine = \g<call>`, and write `\g<word> mine`",
    ),
    (
        "train",
        rf"\b(?P<word>using)\s+(?P<call>{_CALL})",
        "a recipe has a name of its own before it is used",
        r"declare it, `recipe mine = \g<call>`, and write `using mine`",
    ),
    (
        "train",
        rf"=\s*(?P<call>{_CALL})\s+on\b",
        "a network has a name of its own before it is trained",
        r"declare it, `model mine = \g<call>`, and write `mine on`",
    ),
)
"""For a construct: what is found in it, what is said of it, and the way out, which takes more than one statement."""
