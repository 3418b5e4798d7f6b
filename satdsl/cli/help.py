"""The command `satdsl help`."""

from __future__ import annotations

from typing import Annotated

import typer

from satdsl.cli.app import WRITE, app
from satdsl.cli.output import stdout


@app.command("help", rich_help_panel=WRITE)
def help_(
    asked: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CODE|WORD...", help="Codes of findings, words of the language, or terms.", show_default=False
        ),
    ] = None,
) -> None:
    """Explain findings by their codes, as in satdsl help E203, and show how a word of the language is written."""
    from rich.markdown import Markdown

    from satdsl import help

    parts = [part for topic in help.topics(asked) for part in help.about(topic)] if asked else help.overview()
    console = stdout()
    for number, part in enumerate(parts):
        if isinstance(part, Markdown) and not console.is_terminal:
            typer.echo(("\n" if number else "") + part.markup, nl=False)
        else:
            console.print(part)
