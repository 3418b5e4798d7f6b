"""Specifications as people might write them: any statement of the grammar, with white space and comments anywhere."""

from __future__ import annotations

import re
from itertools import chain
from random import Random
from typing import Any

NAMES = [
    "a",
    "b_1",
    "ref",
    "sat",
    "random",
    "class",
    "classes",
    "examples",
    "weight",
    "share",
    "images",
    "step",
    "hardest",
    "seed",
    "x" * 40,
]
PARTS = [*NAMES, "train", "val", "model", "title"]
SCORES = ["entropy", "snapshot-entropy", "el2n"]
NUMBERS = ["0", "1", "5e-4", "0.50", "30%", "2.5%", "100"]
COMMENTS = ["# why", "#", '# "quoted" ; { [', "#no space   ", "# é"]
_WORD = re.compile(r"[\w$%\"]")
_ENDS = re.compile(r"(?:[-=:,+*/<>&.{(\[!]|\b(?:and|if|else))$")
_BEGINS = re.compile(r"[-=:,+*/<>&.{})\]]|(?:and|if|else)\b")

Tokens = list[str]


class Writer:
    """Draws tokens, then the white space between them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def one(self, options: list[Any]) -> Any:
        return self.random.choice(options)

    def some(self, make: Any, least: int = 1, most: int = 3, between: str = ",") -> Tokens:
        found: Tokens = []
        for place in range(self.random.randint(least, most)):
            found += ([between] if place else []) + make()
        return found

    def maybe(self, make: Any) -> Tokens:
        return make() if self.random.random() < 0.5 else []

    def name(self) -> Tokens:
        return [self.one(NAMES)]

    def word(self) -> Tokens:
        return [self.one([*NAMES, "$p"])]

    def text(self) -> Tokens:
        return [self.one(['"t"', '""', '"a  long text; with # and { in it, to make the line too long for the page"'])]

    # values

    def atom(self, depth: int) -> Tokens:
        plain = [
            lambda: [self.one(NUMBERS)],
            lambda: ["$p"],
            self.name,
            self.text,
            lambda: ["|", *self.name(), "|"],
            lambda: ["classes", "of", *self.name()],
            lambda: [self.one(["apgd-ce", "snapshot-entropy"])],
            lambda: [*self.name(), ".", *self.name(), *self.maybe(self.selectors)],
        ]
        nested = [
            lambda: self.call(depth - 1),
            lambda: ["(", *self.expr(depth - 1), ")"],
            lambda: ["(", *self.expr(depth - 1), ",", *self.expr(depth - 1), ")"],
            lambda: ["(", *self.some(lambda: [*self.name(), "=", *self.value(depth - 1)]), ")"],
            lambda: ["[", *self.some(lambda: self.item(depth - 1), 0, 4), "]"],
            lambda: ["-", *self.atom(depth - 1)],
        ]
        return self.one([*plain, *(nested * 2 if depth > 0 else [])])()

    def expr(self, depth: int) -> Tokens:
        found = self.atom(depth)
        for _ in range(self.random.randint(0, 2 if depth > 0 else 0)):
            found += [self.one(["+", "-", "*", "/"]), *self.atom(depth - 1)]
        return found

    def plain(self, depth: int) -> Tokens:
        if self.random.randint(0, 3):
            return self.expr(depth)
        if self.random.randint(0, 2) == 0:
            return [*self.expr(0), self.one(["±", "+/-"]), *self.expr(0)]
        stepped = self.maybe(lambda: ["step", *self.expr(0)])
        return [*self.expr(0), "..", *self.expr(0), *stepped]

    def value(self, depth: int = 2) -> Tokens:
        found = self.plain(depth)
        if self.random.randint(0, 3) == 0:
            found += ["if", *self.condition(), "else", *self.plain(depth)]
        return found

    def condition(self) -> Tokens:
        return self.some(lambda: [*self.expr(1), self.comparison(), *self.expr(1)], most=3, between="and")

    def comparison(self) -> str:
        found: str = self.one([">=", "<=", "==", "!=", ">", "<"])
        return found

    def call(self, depth: int = 2) -> Tokens:
        arguments = self.some(lambda: [*self.maybe(lambda: [*self.name(), "="]), *self.value(depth)], 0, 5)
        comma = [","] if arguments and self.random.random() < 0.5 else []
        return [*self.name(), "(", *arguments, *comma, ")"]

    def item(self, depth: int) -> Tokens:
        label = self.one([self.name, self.text, lambda: [self.one(["0.25", "20%"])]])
        return [*self.maybe(lambda: [*label(), ":"]), *self.value(depth)]

    def selectors(self) -> Tokens:
        return ["[", *self.some(lambda: [*self.name(), "=", *self.expr(0)]), "]"]

    def point(self) -> Tokens:
        return [*self.word(), *self.maybe(self.selectors)]

    # blocks

    def subset(self, depth: int = 1) -> Tokens:
        found = self.subset_atom(depth)
        for _ in range(self.random.randint(0, 1)):
            found += [self.one(["+", "-", "&"]), *self.subset_atom(depth)]
        return found

    def subset_atom(self, depth: int) -> Tokens:
        forms = [
            lambda: [self.one([*PARTS, "rest", "all"])],
            lambda: ["classes", *self.some(lambda: [self.one(["cat", '"a b"', "3", "$p", *PARTS])], most=12)],
            self.pick,
            lambda: ["examples", "where", *self.score_of(), self.comparison(), *self.expr(0)],
            lambda: ["examples", "listed", "in", *self.text()],
            lambda: [self.one(["images of", "images  of"]), *self.word()],
            *([lambda: ["(", *self.subset(depth - 1), ")"]] * 2 if depth > 0 else []),
        ]
        return self.one(forms)()

    def pick(self) -> Tokens:
        amount = self.one([["30%"], ["4"], ["$p"], ["(", *self.expr(1), ")"]])
        modifiers = [
            ["per", "class"],
            ["of", *self.one([["ref"], ["(", *self.subset(0), ")"]])],
            ["by", *self.score_of()],
            ["by", self.one(["scores", "ranking"]), "in", *self.text()],
            ["by", self.one([*SCORES, "$p"]), "of", "itself", "every", *self.one([["epoch"], ["2", "epochs"]])],
            ["seed", *self.expr(0)],
        ]
        chosen = self.random.choices(modifiers, k=self.random.randint(0, 3))
        return [
            self.one(["hardest", "easiest", "random", "$o"]),
            *amount,
            self.one(["examples", "classes"]),
            *chain.from_iterable(chosen),
        ]

    def score_of(self) -> Tokens:
        return [self.one([*SCORES, "$p"]), "of", *self.point(), *self.maybe(lambda: ["under", *self.word()])]

    def measure(self) -> Tokens:
        return self.one(
            [
                ["clean", "accuracy"],
                ["robust", "accuracy", "under", *self.some(self.attacked, most=6)],
                ["mean", self.one([*SCORES, "$p"]), *self.maybe(lambda: ["under", *self.word()])],
                self.call(1),
            ]
        )

    def attacked(self) -> Tokens:
        return [*self.word(), *self.maybe(lambda: ["made", "on", *self.point()])]

    def nearest(self) -> Tokens:
        attacks = self.some(self.word, most=3)
        return self.one(
            [
                ["robust", "accuracy", "under", *attacks, "at", *self.radii()],
                ["median", "distance", "under", *attacks],
                ["mean", "distance", "under", *attacks],
            ]
        )

    def radii(self) -> Tokens:
        over = [*self.expr(0), "..", *self.expr(0), "step", *self.expr(0)]
        return self.one([self.expr(1), over])

    def every(self) -> Tokens:
        return self.one([["every", "epoch"], ["every", *self.expr(1), "epochs"]])

    def moment(self) -> Tokens:
        return self.one([["at", "end"], self.every()])

    def attacks(self) -> Tokens:
        return [*self.one([[], [], ["each of"], ["one  of"]]), *self.some(self.word, most=3)]

    def scaled(self) -> Tokens:
        by = self.one(["scaled by", "scaled  by"])
        return self.one([[], [], [by, "scores", "in", *self.text()]])

    def during(self) -> Tokens:
        since, until = ["from epoch", *self.expr(0)], ["until  epoch", *self.expr(1)]
        return self.one([[], [], [], since, until, [*since, *until]])

    def train_line(self) -> Tokens:
        when = self.one([["after", "each", "lr", "drop"], self.moment(), []])
        return self.one(
            [
                ["attack", *self.word(), "with", *self.attacks(), *self.scaled(), *self.during()],
                ["loss", *self.word(), "=", *self.one([self.word(), self.call(), self.expr(2)]), *self.during()],
                ["select", *self.maybe(lambda: ["by", *self.measure()]), *when],
                ["keep", self.one(["snapshots", "weights"]), *self.every()],
                ["seed", "=", *self.expr(1)],
                ["start", "from", *self.point()],
            ]
        )

    def transfer_line(self) -> Tokens:
        line = self.train_line()
        while line[0] == "start":
            line = self.train_line()
        return self.one([line, ["train", "all"], ["train", "head"], ["head", "=", *self.call()]])

    def split_line(self) -> Tokens:
        named = [self.one([*PARTS, "A", "B", "and", "else"])]
        weight = self.one([self.expr(2), ["scores", "in", *self.text()]])
        share = ["share", *self.name(), "=", *self.expr(1)]
        return self.one([[*named, "=", *self.subset()], ["weight", *self.name(), "=", *weight], share])

    def sweep_line(self) -> Tokens:
        tied = ["(", *self.some(self.name, least=2), ")"]
        return [*self.one([self.name(), tied]), "=", *self.value()]

    def measure_line(self) -> Tokens:
        part = self.some(lambda: [self.one(PARTS)], most=2, between=".")
        by_class = self.one([[], ["by class"], ["by  class"]])
        measure = self.one([self.measure(), self.nearest()])
        return [self.one(PARTS), "=", *measure, "on", *self.some(lambda: part, most=4), *by_class]

    def block(self, line: Any) -> Tokens:
        return ["{", *self.some(line, 0, 4, between="\n"), "}"]

    # statements

    def over(self) -> Tokens:
        ranging = lambda: [*self.name(), *self.maybe(lambda: ["in", *self.plain(1)])]  # noqa: E731
        return self.maybe(lambda: ["for", "all", *self.some(ranging), ":"])

    def statement(self) -> Tokens:
        part = self.maybe(lambda: [".", *self.word()])
        made = [*self.name(), "=", *self.word(), "on", *self.word(), *part, "using", *self.word()]
        moved = [*self.name(), "=", *self.point(), "to", *self.word(), "using", *self.word()]
        source = self.maybe(self.text)
        declared = [self.one(["dataset", "model", "attack", "recipe"]), *self.name(), "=", *self.call()]
        joined = ["dataset", *self.name(), "=", *self.name(), "+", *self.name()]
        return self.one(
            [
                ["sat", "1"],
                ["title", *self.text()],
                ["use", *self.text()],
                ["param", *self.name(), "=", *self.value()],
                declared,
                declared,
                joined,
                ["sweep", *self.block(self.sweep_line)],
                ["train", *made, *self.maybe(lambda: self.block(self.train_line))],
                ["split", *self.name(), "of", *self.word(), *self.block(self.split_line)],
                ["transfer", *moved, *self.maybe(lambda: self.block(self.transfer_line))],
                [
                    "evaluate",
                    *self.name(),
                    *self.maybe(lambda: [",", *self.name()]),
                    *self.maybe(self.moment),
                    *self.block(self.measure_line),
                ],
                [self.one(["plot", "table"]), *self.text(), "=", *self.call()],
                ["expect", *self.text(), ":", *self.over(), *self.condition()],
                ["label", *self.one([["[", *self.name(), "=", *self.expr(1), "]"], self.word()]), *self.text()],
                ["published", *source, *self.over(), *self.expr(1), "=", *self.expr(1)],
            ]
        )

    # white space

    def spelled(self, tokens: Tokens) -> str:
        """Tokens as text, with any white space that the language allows between them."""
        text, brackets = "", ""
        for place, token in enumerate(tokens):
            previous = tokens[place - 1] if place else ""
            if token == "\n":
                text += self.separator(tokens[place + 1])
                continue
            if previous not in ("", "\n"):
                text += self.gap(previous, token, brackets)
            text += token
            if token in "([{" or (token in ")]}" and brackets):
                brackets = brackets + token if token in "([{" else brackets[:-1]
        return text

    def gap(self, previous: str, token: str, brackets: str) -> str:
        words = bool(_WORD.match(previous[-1]) and _WORD.match(token[0]))
        gaps = [" "] * 6 + ["  ", "\t"] + ([] if words else ["", "", ""])
        inside = brackets[-1:] in ("(", "[") and token not in PARTS
        if (inside or _ENDS.search(previous) or _BEGINS.match(token)) and token not in PARTS:
            gaps += ["\n", " \n\n  ", "\r\n", f"  {self.one(COMMENTS)}\n", f"\n {self.one(COMMENTS)}\n\n"]
        found: str = self.one(gaps)
        return found

    def separator(self, following: str) -> str:
        """What ends a line; before a word that would carry it on, only `;` does."""
        if following in ("and", "else"):
            return ";\n"
        one = [";", "; ", "\n", "\n\n\n  ", " ; \n", f"  {self.one(COMMENTS)}\n", f"\n{self.one(COMMENTS)}\n", "\r\n;;"]
        found: str = self.one(one)
        return found


def specification(seed: int) -> str:
    """A text of some statements."""
    writer = Writer(seed)
    text: str = writer.one(["", "\n\n", "# first\n\n\n", "\ufeff", " "])
    for _ in range(writer.random.randint(1, 5)):
        text += writer.spelled(writer.statement()) + writer.separator("")
    return text.rstrip(";") if writer.one([True, False]) else text
