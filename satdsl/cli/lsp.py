"""The command `satdsl lsp`."""

from __future__ import annotations

from typing import Annotated

import typer

from satdsl.cli.app import WRITE, app
from satdsl.cli.output import USAGE, fail


@app.command(rich_help_panel=WRITE)
def lsp(
    stdio: Annotated[bool, typer.Option("--stdio", help="Use standard input and output. This is always so.")] = False,
) -> None:
    """Start the language server, which an editor talks to over standard input and output."""
    try:
        from satdsl.lsp.server import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        fail("the language server needs pygls, which is not installed", USAGE, "pip install 'satdsl[lsp]'")
    serve()
