"""Find the class that a specification chooses: by its name, or by its number where the number can mean nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from satdsl.check.collector import FindingCollector
from satdsl.check.values import Environment, Num, Str, Value, Word, describe, evaluate, label
from satdsl.hints import Hint, did_you_mean, listed, write
from satdsl.ir.class_names import composed, number_of
from satdsl.syntax import tree

_WORD = re.compile(r"[A-Za-z_]\w*")

ORDER_SHOWN = 4
"""The most classes whose order a finding shows."""


def class_places(
    node: tree.Value, at: Environment, names: Sequence[str], data: str, findings: FindingCollector
) -> frozenset[int]:
    """Return the number of the class at `node`, or the numbers of all classes from one number to another, `0..4`."""
    if not isinstance(node, tree.Range):
        return frozenset([class_place(node, evaluate(node, at, findings), names, data, findings)])
    first, last = (_end(end, evaluate(end, at, findings), names, data, findings) for end in (node.start, node.stop))
    if last < first:
        reason = "a range of classes counts up, and has both its ends"
        findings.reject("E301", node, f"there is no class from {first} to {last}", reason, _turned(node))
    numbers = ((tree.Number(node.span, number), Num(number)) for number in range(first, last + 1))
    return frozenset(class_place(place, number, names, data, findings) for place, number in numbers)


def _end(node: tree.Value, value: Value, names: Sequence[str], data: str, findings: FindingCollector) -> int:
    """Return the number at one end of a range of classes."""
    if not isinstance(value, Num):
        message = f"a range of classes goes from number to number, and this is {describe(value)}"
        findings.reject("E301", node, message, help="name classes with commas: `classes cat, dog`")
    class_place(node, value, names, data, findings)
    return int(value.value)


def _turned(node: tree.Range) -> Hint:
    return write(node.span, f"{node.stop.span.text}..{node.start.span.text}")


def class_place(node: tree.Value, value: Value, names: Sequence[str], data: str, findings: FindingCollector) -> int:
    """Return the number of the class that `value`, which stands at `node`, means among the `names` of `data`.

    `data` is what a sentence calls the data set. A word or a text is a name. A number is the number of a class, unless
    the classes are called by numbers: then it has to be the name and the number of one class, since nothing says which
    of two was meant.
    """
    match value:
        case Word(text) | Str(text):
            return _named(node, composed(text), names, data, findings)
        case Num(number):
            return _numbered(node, number, names, data, findings)
    if (written := label(node)) in names:
        findings.reject("E301", node, f"`{written}` is {describe(value)}, not a class", help=_quoted(node, written))
    message = f"`{node.span.text}` is {describe(value)}, not a class"
    findings.reject("E301", node, message, help="write the name of a class, or its number")


def written(name: str) -> str:
    """Return the name of a class as the language writes it: in quotes where it is no plain word."""
    return name if _WORD.fullmatch(name) else f'"{name}"'


def _named(node: tree.Value, name: str, names: Sequence[str], data: str, findings: FindingCollector) -> int:
    if name in names:
        return names.index(name)
    number = number_of(name)
    help = _meant(node, name, names)
    if number is not None and not help and number < len(names) and all(number_of(one) is None for one in names):
        help = Hint(f"without quotes it is the class with this number, `{names[number]}`")
    help = help or Hint(f"its classes are {listed(names)}")
    findings.reject("E204", node, f"{data} has no class called `{name}`", help=help)


def _meant(node: tree.Value, name: str, names: Sequence[str]) -> Hint:
    """Return which class is probably meant, with a fix that quotes its name where it has to be."""
    if (number := number_of(name)) is not None:
        same = [f'`"{one}"`' for one in names if number_of(one) == number]
        return Hint(f"did you mean {' or '.join(same)}?" if same else "")
    meant = did_you_mean(name, names, None if isinstance(node, tree.Parameter) else node.span)
    text = re.sub("`([^`]+)`", lambda one: f"`{written(one[1])}`", meant.text)
    if meant.fix is None:
        return Hint(text)
    return write(node.span, written(next(one for one in names if f"`{one}`" in meant.text)), text)


def _numbered(node: tree.Value, number: float, names: Sequence[str], data: str, findings: FindingCollector) -> int:
    called = [place for place, name in enumerate(names) if number_of(name) == number or name == node.span.text]
    at_their_numbers = all(number_of(name) in (None, place) for place, name in enumerate(names))
    if called == [number] or (not called and at_their_numbers and number in range(len(names))):
        return int(number)
    if called or (number in range(len(names)) and not at_their_numbers):
        _misread(node, number, called, names, data, findings)
    if number != int(number):
        message = f"`{node.span.text}` is a number, not a class"
        findings.reject("E301", node, message, help="write the name of a class, or its number")
    if at_their_numbers:
        reason, help = f"the classes are numbered from 0 to {len(names) - 1}", ""
    else:
        reason, help = "", f"its classes are {listed(names)}"
    findings.reject("E204", node, f"there is no class {number:g}", reason, help)


def _misread(
    node: tree.Value, number: float, called: list[int], names: Sequence[str], data: str, findings: FindingCollector
) -> NoReturn:
    """Reject a number that is the name of one class and the number of another, or could be taken for either."""
    ways = [f'`"{names[place]}"` for the class of this name' for place in called]
    reasons = [f"the class called `{names[place]}` is number {place}" for place in called]
    only_name = len(called) == 1
    if number in range(len(names)) and int(number) not in called:
        only_name, numbered = False, names[int(number)]
        ways.append(f'`"{numbered}"` for the class with this number')
        reasons.append(f"number {number:g} is the class called `{numbered}`")
    findings.reject(
        "E209",
        node,
        f"`{number:g}` may be the name of a class of {data} or its number"
        if called
        else f"`{number:g}` is the number of a class of {data}, but its classes are called by other numbers",
        f"{'; '.join(reasons)} (the order is {listed(names, ORDER_SHOWN)})",
        write(node.span, f'"{names[called[0]]}"')
        if only_name and isinstance(node, tree.Number)
        else f"write {', or '.join(ways)}",
    )


def _quoted(node: tree.Value, name: str) -> Hint:
    return write(node.span, f'"{name}"') if not isinstance(node, tree.Parameter) else Hint(f'write `"{name}"`')
