"""What every word of a specification is, by satdsl's own lexer: what each editor's colours are held against."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from lark import Token, Tree

from satdsl.syntax.layout import chunks
from satdsl.syntax.read import _parse, _parser

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SPECS = sorted([*ROOT.glob("specs/*.sat"), *ROOT.glob("examples/*.sat"), *HERE.glob("*.sat")])

KINDS = {"STRING": "string", "NUMBER": "number", "PERCENT": "number", "PARAM": "parameter", "NAME": "name"}


@cache
def keywords() -> frozenset[str]:
    """The grammar's terminals that are words of the language."""
    return frozenset(one.name for one in _parser().terminals if re.match(r"\(?[a-z]+", one.pattern.value))


def kinds(text: str) -> list[tuple[int, str, str, str]]:
    """Every word, number, text and comment: its offset, its text, its kind and its terminal."""
    found = []
    covered = [False] * len(text)
    for chunk in chunks(text):
        names = _names(_parse(chunk.text, "statement"))
        covered[chunk.start : chunk.start + len(chunk.text)] = [mark != " " for mark in chunk.text]
        for token in _tokens(chunk.text):
            start, kind = token.start_pos or 0, KINDS.get(token.type, "")
            if token.type in keywords():
                kind = "name" if start in names else "keyword"
            if kind:
                found.append((chunk.start + start, str(token), kind, token.type))
    for match in re.finditer(r'"[^"\n]*"|#[^\n\r]*', text):
        if match[0][0] == "#":
            found.append((match.start(), match[0], "comment", "COMMENT"))
    return sorted(found)


def _tokens(text: str) -> list[Token]:
    return list(_parser().parse_interactive(text, start="statement").iter_parse())


def _names(tree: Tree[Token]) -> set[int]:
    return {
        token.start_pos or 0 for name in tree.find_data("name") for token in name.children if isinstance(token, Token)
    }


def specified(name: str) -> Path:
    (path,) = (path for path in SPECS if path.stem == name)
    return path


def wrongly_coloured(text: str, classes: Sequence[str | None]) -> list[str]:
    """Each word whose characters do not all have the class of what it is (None: not looked at), in words."""
    wrong = []
    for start, word, kind, terminal in kinds(text):
        given = {classes[start + i] for i, mark in enumerate(word) if not mark.isspace()} - {None}
        if given != {kind}:
            line = text.count("\n", 0, start) + 1
            wrong.append(f"line {line}: `{word}` ({terminal}) is a {kind}, coloured as {', '.join(map(str, given))}")
    return wrong
