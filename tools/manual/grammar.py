"""Write the manual's page about the grammar: each rule as a person would write it, each name linked to its rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

INTRO = """# Grammar

Generated from `grammar/sat.lark`, which is what the compiler reads files with. Words in quotes are written as they are;
`[x]` and `x?` may be left out, `x*` comes any number of times, `x+` at least once, `|` separates alternatives. NEWLINE
ends a line of a block, and so does `;`. What the parts mean stands in [the language](language.md).
"""

OWN_WORDS = {"_NL": "NEWLINE"}
DEFINITION = re.compile(r"^(?P<name>\??[A-Za-z_]\w*)(?:\.\d+)?:\s*(?P<body>.*)$")
TOKEN = re.compile(r"\"(?:[^\"\\]|\\.)*\"|/(?:[^/\\]|\\.)*/|->\s*\w+|[A-Za-z_]\w*|\s+|.")
KEYWORD = re.compile(r"/([a-z]+)(\?)?(?:\\b|\(\?=.*)/")


def page(lark: str) -> str:
    """Return the page about a grammar's text."""
    rules, terminals = _definitions(lark)
    words = {name: word for name, body in terminals.items() if (word := _keyword(body))} | OWN_WORDS
    parts = [INTRO, "## Rules\n", *_block(rules, rules, terminals, words)]
    named = {name: body for name, body in terminals.items() if name not in words}
    parts += [
        "## Names, numbers and text\n",
        "As regular expressions of Python.\n",
        *_block(named, rules, terminals, words),
    ]
    return "\n".join(parts) + "\n"


def _definitions(lark: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the lines of each rule and of each terminal, without comments and directives."""
    rules: dict[str, list[str]] = {}
    terminals: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in lark.splitlines():
        if not line.strip() or line.startswith(("//", "%")):
            continue
        found = DEFINITION.match(line)
        if found is None:
            lines.append(line.strip())
            continue
        name = found["name"].lstrip("?")
        lines = [found["body"].strip()]
        (terminals if name.isupper() else rules)[name] = lines
    return rules, terminals


def _keyword(body: list[str]) -> str:
    r"""Return the word of a terminal: "train" for `/train\b/`, and "" for one that is no word."""
    if body == [r"/(dataset|model|attack|recipe)\b/"] or len(body) != 1:
        return ""
    found = KEYWORD.fullmatch(body[0])
    return f'"{found[1]}"' if found else ""


def _block(
    shown: dict[str, list[str]], rules: dict[str, list[str]], terminals: dict[str, list[str]], words: dict[str, str]
) -> Iterator[str]:
    yield '<pre class="grammar">'
    for name, body in shown.items():
        width = len(name)
        first, *rest = (_line(line, rules, terminals, words) for line in body)
        lines = [
            f'<a id="{_anchor(name)}"></a><b>{name}</b> : {first}',
            *(f"{' ' * (width + 1)}{line}" for line in rest),
        ]
        yield "\n".join(lines)
    yield "</pre>\n"


def _line(line: str, rules: dict[str, list[str]], terminals: dict[str, list[str]], words: dict[str, str]) -> str:
    """Return a line with its names linked and its keywords written out, without the names of alternatives."""
    found = []
    for token in TOKEN.findall(line):
        if token.startswith("->"):
            continue
        if token in words:
            found.append(escape(words[token], quote=False))
        elif token in rules or token in terminals:
            found.append(f'<a href="#{_anchor(token)}">{token}</a>')
        else:
            found.append(escape(token, quote=False))
    return "".join(found).rstrip()


def _anchor(name: str) -> str:
    return f"{'token' if name.isupper() else 'rule'}-{name.lower().replace('_', '-')}"
