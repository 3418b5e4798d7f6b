"""The command `satdsl catalog`."""

from __future__ import annotations

from typing import Annotated

import typer

from satdsl.cli import options
from satdsl.cli.app import WRITE, app
from satdsl.cli.output import show_json, stdout


@app.command(rich_help_panel=WRITE)
def catalog(
    name: Annotated[
        str | None, typer.Argument(help="A family, an entry, or a Python file of your own.", show_default=False)
    ] = None,
    format: options.DocumentFormatOption = options.DocumentFormat.text,
) -> None:
    """Show what can be written: data sets, models, attacks, recipes, scores and plots, with all their arguments.

    Of a Python file, mine.py, it shows what the file declares; it is read and not run.
    """
    from satdsl.catalog import show

    if format is options.DocumentFormat.json:
        show_json(show.document(name))
        return
    for part in show.show(name):
        stdout().print(part)
