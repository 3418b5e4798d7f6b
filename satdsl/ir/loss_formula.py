"""Define losses that are written as formulas, image by image, of terms over an image and its adversarial version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from satdsl.records import Record, record

IMAGES = ("clean", "adversarial")
"""The two versions of an image that a formula can look at."""

OPERATORS = frozenset("+-*/")


@record
class LossFormula(Record):
    """A loss of each image.

    `formula` is nested tuples: a number; ("-", x), or (operator, x, y) with one of + - * /; or (term, x, ...), whose
    operands are formulas, or images: "clean" or "adversarial" for what the network that is trained says of them, and
    ("of", i, "clean") for what the network in input role `teacher{i}` says.
    """

    formula: Any

    @property
    def text(self) -> str:
        """Return it as the language writes it, where the other networks are called `teacher0`, `teacher1`, ..."""
        return written(self.formula)

    def text_with(self, names: Mapping[str, str]) -> str:
        """Return it as the language writes it; `names` says what the networks of the input roles are called."""
        return re.sub(r"\bteacher\d+(?=\()", lambda role: names[role[0]], self.text)

    @property
    def looks_at(self) -> frozenset[str]:
        """Return the images that the network which is trained has to see."""
        return frozenset(part for part in parts(self.formula) if isinstance(part, str))

    @property
    def teachers(self) -> frozenset[tuple[int, str]]:
        """Return which other networks it asks, each with the image that it is asked about."""
        of = (part for part in parts(self.formula) if isinstance(part, tuple) and part[0] == "of")
        return frozenset((part[1], part[2]) for part in of)

    @property
    def needs_attack(self) -> bool:
        """Whether it looks at an adversarial image."""
        return "adversarial" in self.looks_at or any(image == "adversarial" for _, image in self.teachers)

    def renumbered(self, places: Sequence[int]) -> LossFormula:
        """Return it with other numbers for the other networks, each at the place of its old one."""
        return LossFormula(_renumbered(self.formula, places))

    @property
    def divisors(self) -> tuple[str, ...]:
        """Return what it divides by, without the numbers."""
        found = (part[2] for part in parts(self.formula) if isinstance(part, tuple) and part[0] == "/")
        return tuple(written(divisor) for divisor in found if isinstance(divisor, tuple))


def parts(formula: Any) -> Iterator[Any]:
    """Give a formula and everything below it: operations, terms, numbers, images."""
    yield formula
    if isinstance(formula, tuple) and formula[0] != "of":
        for operand in formula[1:]:
            yield from parts(operand)


def _renumbered(formula: Any, places: Sequence[int]) -> Any:
    if not isinstance(formula, tuple):
        return formula
    if formula[0] == "of":
        return "of", places[formula[1]], formula[2]
    operands = [_renumbered(operand, places) for operand in formula[1:]]
    return operation(formula[0], *operands)


def operation(operator: str, *operands: Any) -> Any:
    """Return an operation in its canonical form: what is added or multiplied has an order of its own."""
    return operator, *(sorted(operands, key=_place) if operator in "+*" else operands)


def _place(operand: Any) -> tuple[bool, str]:
    """Return what operands are sorted by: numbers stand first."""
    return isinstance(operand, tuple), repr(operand)


def written(formula: Any, within: str = "") -> str:
    """Return a formula as the language writes it, in brackets if it is `within` what binds more tightly."""
    if isinstance(formula, str):
        return formula
    if not isinstance(formula, tuple):
        return f"{formula:.6g}"
    operator, *operands = formula
    if operator == "of":
        return f"teacher{operands[0]}({operands[1]})"
    if operator not in OPERATORS:
        return f"{operator}({', '.join(map(written, operands))})"
    if len(operands) == 1:
        text, looser = f"-{written(operands[0], '/')}", within == "/"
    else:
        left = written(operands[0], "+" if operator in "+-" else "*")
        right = written(operands[1], "+" if operator == "+" else "/")
        text = f"{left} {operator} {right}" if operator in "+-" else f"{left}{operator}{right}"
        looser = {"": False, "+": False, "*": operator in "+-", "/": True}[within]
    return f"({text})" if looser else text
