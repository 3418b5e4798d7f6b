"""`satdsl lsp`."""

from __future__ import annotations

from typing import Annotated

import typer

from satdsl.cli.app import WRITE, app
from satdsl.cli.common import USAGE, fail


@app.command(rich_help_panel=WRITE)
def lsp(
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Talk over standard input and output, as is done anyway.")
    ] = False,
) -> None:
    """Serve an editor: a language server on standard input and output."""
    try:
        from satdsl.lsp.server import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        fail("the language server needs pygls: pip install 'satdsl[lsp]'", USAGE)
    serve()
