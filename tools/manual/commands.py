"""The command line to Markdown: every command with its usage, arguments, options and exit codes, from the typer app."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer.main

from satdsl.cli import app
from satdsl.cli.output import FAILED, FINDINGS, INTERRUPTED, REFUTED, USAGE

EXIT_CODES = {
    0: "fine",
    FINDINGS: "findings in the specification: errors, or warnings under `--strict`",
    USAGE: "wrong usage: an unknown option, a file that cannot be read",
    FAILED: "a step failed, or the store or the report cannot be read or written",
    REFUTED: "a claim does not hold, under `run --strict`",
    INTERRUPTED: "interrupted by Ctrl-C; what was finished is kept",
}

INTRO = """# Command line

Generated from the program itself; `satdsl COMMAND --help` says the same. `satdsl --install-completion` sets up the
shell's completion, `satdsl --version` says which version this is.

## Exit codes

| code | means |
|---:|---|
"""


def page() -> str:
    """The whole page; the same for the same commands, whatever the terminal."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    parts = [
        text for name, command in _commands(typer.main.get_command(app), "satdsl") for text in _section(name, command)
    ]
    return f"{INTRO}{codes}\n" + "\n\n".join(parts) + "\n"


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for part in sorted(group.commands):
        command = group.commands[part]
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} {part}")
        else:
            yield f"{name} {part}", command


def _section(name: str, command: Any) -> Iterator[str]:
    yield f"## `{name}` {{ #{name.removeprefix('satdsl ').replace(' ', '-')} }}"
    yield _text(command.help or "")
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *map(_argument_name, arguments)])
    yield f"<p><code>{usage}</code></p>"
    if arguments:
        rows = [(f"`{one.metavar or one.name.upper()}`", _text(getattr(one, "help", "") or "")) for one in arguments]
        yield _table(("argument", "meaning"), rows)
    if options:
        yield _table(("option", "takes", "default", "meaning"), [_option(one) for one in options])


def _argument_name(one: Any) -> str:
    name = (one.metavar or one.name.upper()) + ("..." if one.nargs == -1 else "")
    return name if one.required else f"[{name}]"


def _option(one: Any) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
    meaning = _text(one.help or "")
    if one.envvar:
        meaning += f" Or `{one.envvar}` in the environment."
    if one.multiple:
        meaning += " May be given several times."
    return names, "" if one.is_flag else _takes(one), _default(one), meaning


def _takes(one: Any) -> str:
    if getattr(one.type, "choices", None):
        return ", ".join(f"`{_plain(word)}`" for word in one.type.choices)
    low, high = getattr(one.type, "min", None), getattr(one.type, "max", None)
    bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
    kind = {"integer": "a whole number", "float": "a number", "path": "a path", "directory": "a folder"}
    said = f"`{one.metavar}`" if one.metavar else kind.get(one.type.name.partition(" ")[0], "text")
    return ", ".join([said, *bounds])


def _default(one: Any) -> str:
    default = one.default() if callable(one.default) else one.default
    if default is None or default is False or default in ([], ()):
        return ""
    return f"`{_plain(default)}`"


def _plain(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _text(text: str) -> str:
    """Help in Markdown and Rich's markup to Markdown for one cell."""
    plain = re.sub(r"\[/?(?:bold|italic|dim|cyan|green|red|yellow)[^\]]*\]", "", text)
    return " ".join(plain.split()).replace("|", "\\|").replace("<", "&lt;")


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ("---",) * len(heads), *rows])
