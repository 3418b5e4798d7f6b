"""Define the applications that the commands register with, and turn errors into messages and exit codes."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from click import Context
from typer.core import TyperGroup

from satdsl import folder_contents
from satdsl.cli.output import FAILED, FINDINGS, USAGE, fail, say, show_findings, stderr
from satdsl.diagnostics import SpecError
from satdsl.errors import RequestError, UserError
from satdsl.version import __version__

WRITE, RUN, READ = "Write a specification", "Plan and run it", "Read the results"
"""The panels in which `satdsl --help` lists the commands."""


class Commands(TyperGroup):
    """All commands. Every error that a user can mend is shown here, so that no command has to catch it."""

    def invoke(self, ctx: Context) -> Any:
        folder_contents.tell = lambda text: say(text, stderr())
        try:
            return super().invoke(ctx)
        except SpecError as error:
            show_findings(error.findings, stderr())
            raise typer.Exit(FINDINGS) from None
        except UserError as error:
            fail(error.reason, USAGE if isinstance(error, RequestError) else FAILED, error.help)


app = typer.Typer(
    name="satdsl",
    cls=Commands,
    help="Describe adversarial-robustness experiments on one page, then check, plan and run them.",
    no_args_is_help=True,
    suggest_commands=False,  # click suggests the nearest command itself
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
