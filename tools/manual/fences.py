"""Find the code blocks of Markdown: their language, their marks, their text and their line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SHOWN = ("title",)
"""The marks that readers also see."""

_OPENING = re.compile(r"^(?P<fence>```+)(?P<language>[\w-]+)(?P<marks> [^`\n]*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block: ```` ```LANGUAGE NAME="value" FLAG ````; a flag is a mark without a value."""

    page: Path
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)


def blocks(page: Path) -> Iterator[Block]:
    """Return the code blocks of a page. Indented ones have an empty language, since they cannot name one."""
    from markdown_it import MarkdownIt

    for token in MarkdownIt("commonmark").parse(page.read_text("utf-8")):
        if token.type in ("fence", "code_block") and token.map is not None:
            language, _, rest = token.info.strip().partition(" ")
            yield Block(page, token.map[0] + 1, language, token.content, _marks(rest))


def without_marks(markdown: str) -> str:
    """Return the page without the marks of its fences, except those that readers see."""

    def shown(opening: re.Match[str]) -> str:
        kept = [f'{name}="{value}"' for name, value in _marks(opening["marks"]).items() if name in SHOWN]
        return " ".join([opening["fence"] + opening["language"], *kept])

    return _OPENING.sub(shown, markdown)


def _marks(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in shlex.split(text))
    return {name: value for name, _, value in pairs}
