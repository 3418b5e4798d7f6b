"""Write the manual's page about the command line: every command with its usage, arguments, options and exit codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer.main

from satdsl.cli import app
from satdsl.cli.output import FAILED, FINDINGS, INTERRUPTED, REFUTED, USAGE

EXIT_CODES = {
    0: "The command did what it was asked for.",
    FINDINGS: "The specification has errors, or with `--strict` warnings.",
    USAGE: "The command was used wrongly: an option is unknown, or a file cannot be read.",
    FAILED: "A step failed, or the store or the report cannot be read or written.",
    REFUTED: "A claim does not hold, with `run --strict`.",
    INTERRUPTED: "Ctrl-C stopped the command. What was finished is kept.",
}

INTRO = """# Command line

This page is generated from the program; `satdsl COMMAND --help` shows the same. `satdsl --install-completion` sets up
completion in the shell, and `satdsl --version` prints the version.

Commands that read a specification take the same options, so that those of `satdsl run` can be repeated after
`explain`, `diff`, `status`, `results`, `curves` or `report`. Only `run` and `data` read the folder of `--data`. The
others accept the option, and `report` puts it into the command that runs what is missing.

## Exit codes

| code | means |
|---:|---|
"""


def page() -> str:
    """Return the whole page, which does not depend on the terminal."""
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
        meaning += f" The variable `{one.envvar}` sets it, too."
    if one.multiple:
        meaning += " It can be given several times."
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
    """Return the Markdown for one cell of a help text, without the markup of Rich."""
    plain = re.sub(r"\[/?(?:bold|italic|dim|cyan|green|red|yellow)[^\]]*\]", "", text)
    return " ".join(plain.split()).replace("|", "\\|").replace("<", "&lt;")


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ("---",) * len(heads), *rows])
