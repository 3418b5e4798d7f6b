"""`satdsl catalog`."""

from __future__ import annotations

from typing import Annotated

import typer

from satdsl.cli.app import WRITE, app
from satdsl.cli.common import USAGE, DocumentFormat, fail, show_json, stdout


@app.command(rich_help_panel=WRITE)
def catalog(
    name: Annotated[str | None, typer.Argument(help="A family or an entry.", show_default=False)] = None,
    format: Annotated[DocumentFormat, typer.Option(help="How to print it.")] = DocumentFormat.text,
) -> None:
    """Show what can be written: data sets, models, attacks, recipes, scores, plots, with every argument."""
    from satdsl.catalog import show

    try:
        if format is DocumentFormat.json:
            show_json(show.document(name))
        else:
            for part in show.show(name):
                stdout().print(part)
    except LookupError as error:
        fail(str(error.args[0]), USAGE)
