"""The applications that the commands register with."""

from __future__ import annotations

from typing import Annotated

import typer

from satdsl.version import __version__

WRITE, RUN, READ = "Write a specification", "Plan and run it", "Read what came of it"
"""What commands are for; the help lists them so."""

app = typer.Typer(
    name="satdsl",
    help="Adversarial-robustness experiments from one page: check it, plan it, run it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
store_app = typer.Typer(help="Look into the artifact store.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(store_app, name="store", rich_help_panel=READ)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"satdsl {__version__}")
        raise typer.Exit
