"""The command `satdsl status`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from satdsl.cli import options
from satdsl.cli.app import RUN, app
from satdsl.cli.loading import load, open_store_to_read, smoke_store
from satdsl.cli.output import INTERRUPTED, USAGE, fail, show_json, stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

INTERVAL = 2.0
"""Seconds between two reads of the store."""


@app.command(rich_help_panel=RUN)
def status(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A .sat file or a saved plan; the whole store by default."),
    ] = None,
    set_: options.Set = [],
    only: options.Only = [],
    smoke: options.Smoke = False,
    format: options.DocumentFormatOption = options.DocumentFormat.text,
    store: options.Store = options.STORE,
    data: options.Data = options.DATA,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep the page current until nothing is left to do, or Ctrl-C.")
    ] = False,
) -> None:
    """Show the progress of a specification: which steps are done, running, waiting or failed, why, and the time left.

    It only reads the store, so it also shows runs in other terminals, on other machines and of other people.
    """
    if watch and format is options.DocumentFormat.json:
        fail("--watch is for people", USAGE, "a program can follow `satdsl run --log-format json`")
    from satdsl.engine import status as state

    if file is None and (set_ or only):
        fail("--set and --only need a FILE", USAGE)
    if file is None:
        look = partial(state.store_document, open_store_to_read(smoke_store(store) if smoke else store))
    else:
        spec = load(file, set_, only, store=store, smoke=smoke, reads_only=True)
        look = partial(state.status_document, spec.plan, spec.store)
    if watch:
        _watch(look)
    elif format is options.DocumentFormat.json:
        show_json(look())
    else:
        _show(look(), stdout())


def _show(document: dict[str, Any], console: Console) -> None:
    from satdsl.engine.status_text import page

    console.print(page(document, console.width), highlight=False)


def _watch(look: Callable[[], dict[str, Any]]) -> None:
    from rich.live import Live

    from satdsl.engine.status_text import page

    console = stdout()
    try:
        if not console.is_terminal:
            _print_changes(look)
            return
        with Live(console=console, auto_refresh=False) as live:
            for document in _looks(look):
                live.update(page(document, console.width), refresh=True)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _print_changes(look: Callable[[], dict[str, Any]]) -> None:
    """Print a line whenever a step has changed its state, and the page at the end."""
    from satdsl.engine.status_text import summary

    printed = ""
    for document in _looks(look):
        if (now := summary(document)) != printed:
            printed = now
            typer.echo(printed)
    typer.echo()
    _show(document, stdout())


def _looks(look: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the state of the store again and again, until no step runs or waits."""
    import time

    while True:
        document = look()
        yield document
        if not (document["counts"]["running"] or document["counts"]["waiting"]):
            return
        time.sleep(INTERVAL)
