"""The command `satdsl diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satdsl.cli import options
from satdsl.cli.app import RUN, app
from satdsl.cli.loading import disable_garbage_collection, load
from satdsl.cli.output import show_json, stdout


@app.command(rich_help_panel=RUN)
def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="A .sat file.", show_default=False)],
    second: Annotated[
        Path, typer.Argument(metavar="B", help="Another .sat file, or the same with other values.", show_default=False)
    ],
    set_: options.Set = [],
    against_set: options.AgainstSet = [],
    format: options.DocumentFormatOption = options.DocumentFormat.text,
    store: options.Store = options.STORE,
    data: options.Data = options.DATA,
) -> None:
    """Compare two plans: what differs in B, which steps both share, and which of them B would still run.

    --set is for A, --against-set for B.
    """
    disable_garbage_collection()
    from satdsl.engine.staleness import reasons
    from satdsl.show.diff import diff_document

    before = load(first, set_, store=store)
    after = load(second, against_set, store=store, option="--against-set")
    document = diff_document(before.plan, after.plan, reasons(after.plan, after.store))
    if format is options.DocumentFormat.json:
        show_json(document)
    else:
        from satdsl.show.diff_text import page

        stdout().print(page(document))
