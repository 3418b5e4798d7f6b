"""`satdsl status`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from satdsl.cli.app import RUN, app
from satdsl.cli.common import (
    INTERRUPTED,
    STORE,
    USAGE,
    DocumentFormat,
    OnlyOption,
    SetOption,
    SmokeOption,
    StoreOption,
    compile_spec,
    fail,
    kept_in,
    open_store,
    restricted,
    show_json,
    stdout,
    user_errors,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERY = 2.0
"""Seconds between two looks at the store."""


@app.command(rich_help_panel=RUN)
def status(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A .sat file, or a saved plan; all of the store if not given."),
    ] = None,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    smoke: SmokeOption = False,
    format: Annotated[DocumentFormat, typer.Option(help="How to print it.")] = DocumentFormat.text,
    store: StoreOption = STORE,
    watch: Annotated[bool, typer.Option("--watch", help="Keep it current until nothing is left, or Ctrl-C.")] = False,
) -> None:
    """Show how far a specification is: what is done, runs (how far, how long still), waits or failed, and why.

    It reads the store only, so it tells of runs in other terminals, on other machines and of other people, too.
    """
    if watch and format is DocumentFormat.json:
        fail("--watch is for people; programs follow a run with `satdsl run --log-format json`", USAGE)
    from satdsl.engine import status as state

    if file is None and (set_ or only):
        fail("--set and --only belong to a FILE", USAGE)
    place = open_store(kept_in(store, smoke))
    if file is None:
        look = partial(state.store_document, place)
    else:
        plan = restricted(compile_spec(file, set_, smoke=smoke).plan, only)
        look = partial(state.status_document, plan, place)
    with user_errors():
        if watch:
            _watch(look)
        elif format is DocumentFormat.json:
            show_json(look())
        else:
            from satdsl.engine.status_text import page

            stdout().print(page(look(), stdout().width), highlight=False)


def _watch(look: Callable[[], dict[str, Any]]) -> None:
    from rich.live import Live

    from satdsl.engine.status_text import page

    console = stdout()
    try:
        if not console.is_terminal:
            _follow(look)
            return
        with Live(console=console, auto_refresh=False) as live:
            for document in _looks(look):
                live.update(page(document, console.width), refresh=True)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _follow(look: Callable[[], dict[str, Any]]) -> None:
    """A line whenever a step has changed its state, and the page at the end."""
    from satdsl.engine.status_text import page, summary

    said = ""
    for document in _looks(look):
        if (now := summary(document)) != said:
            said = now
            typer.echo(said)
    typer.echo()
    stdout().print(page(document, stdout().width), highlight=False)


def _looks(look: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    import time

    while True:
        document = look()
        yield document
        if not (document["counts"]["running"] or document["counts"]["waiting"]):
            return
        time.sleep(EVERY)
