"""`satdsl help`."""

from __future__ import annotations

from typing import Annotated

import typer

from satdsl.cli.app import WRITE, app
from satdsl.cli.common import USAGE, fail, stdout


@app.command("help", rich_help_panel=WRITE)
def help_(
    about: Annotated[
        list[str] | None,
        typer.Argument(metavar="CODE|WORD...", help="Codes of findings, words of the language.", show_default=False),
    ] = None,
) -> None:
    """Explain findings by their codes, as in satdsl help E203, and how a word of the language is written."""
    from rich.markdown import Markdown

    from satdsl import help

    try:
        parts = [part for one in about for part in help.about(one)] if about else help.overview()
    except LookupError as error:
        fail(str(error.args[0]), USAGE)
    console = stdout()
    for number, part in enumerate(parts):
        if isinstance(part, Markdown) and not console.is_terminal:
            typer.echo(("\n" if number else "") + part.markup, nl=False)
        else:
            console.print(part)
