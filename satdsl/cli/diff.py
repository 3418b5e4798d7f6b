"""`satdsl diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satdsl.cli.app import RUN, app
from satdsl.cli.common import (
    STORE,
    AgainstSetOption,
    DocumentFormat,
    SetOption,
    StoreOption,
    collect_no_garbage,
    compile_spec,
    open_store,
    show_json,
    stdout,
    user_errors,
)


@app.command(rich_help_panel=RUN)
def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="A .sat file.", show_default=False)],
    second: Annotated[
        Path, typer.Argument(metavar="B", help="Another, or the same with other values.", show_default=False)
    ],
    set_: SetOption = [],  # noqa: B006
    against_set: AgainstSetOption = [],  # noqa: B006
    format: Annotated[DocumentFormat, typer.Option(help="How to print it.")] = DocumentFormat.text,
    store: StoreOption = STORE,
) -> None:
    """Compare two plans: what B says otherwise than A, which steps it shares with A, and which it would run.

    --set is for A, --against-set for B.
    """
    collect_no_garbage()
    from satdsl.engine.staleness import reasons
    from satdsl.show.diff import diff_document

    before = compile_spec(first, set_).plan
    after = compile_spec(second, against_set, "--against-set").plan
    with user_errors():
        document = diff_document(before, after, reasons(after, open_store(store)))
    if format is DocumentFormat.json:
        show_json(document)
    else:
        from satdsl.show.diff_text import page

        stdout().print(page(document))
