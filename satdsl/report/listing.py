"""A specification's text to lines with anchors, its words marked for colour."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from satdsl.findings import Source
from satdsl.syntax.layout import RESERVED

_WORDS = re.compile(
    rf"""(?P<comment>\#.*)
    |(?P<string>"[^"\n]*"?)
    |(?P<parameter>\$\w+)
    |(?P<number>\b\d[\d.]*(?:[eE][+-]?\d+)?%?)
    |(?P<word>(?:(?<=^)|(?<=;)|(?<=\{{))\s*(?:{"|".join(RESERVED)})\b)
    |(?P<name>\w+)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Listing:
    """One file: `name` as the page calls it, `anchor` what its lines' ids begin with, `lines` as HTML."""

    path: str
    name: str
    anchor: str
    lines: tuple[Markup, ...]

    def line(self, number: int) -> str:
        """The id of a 1-based line."""
        return f"{self.anchor}-L{number}"


def listings(sources: Sequence[Source]) -> list[Listing]:
    """The files of a specification, the main one first; names are relative to its folder."""
    home = Path(sources[0].path).resolve().parent if sources else Path()
    found: list[Listing] = []
    for source in sources:
        name = Path(os.path.relpath(Path(source.path).resolve(), home)).as_posix()
        anchor = re.sub(r"[^\w.]+", "-", name).strip("-")
        while any(anchor == other.anchor for other in found):
            anchor += "-"
        found.append(Listing(source.path, name, anchor, tuple(_coloured(line) for line in source.text.splitlines())))
    return found


def _coloured(line: str) -> Markup:
    shown, end = Markup(), 0
    for match in _WORDS.finditer(line):
        if match.lastgroup != "name":
            shown += escape(line[end : match.start()])
            shown += Markup('<span class="{}">{}</span>').format(match.lastgroup, match[0])
            end = match.end()
    return shown + escape(line[end:])
