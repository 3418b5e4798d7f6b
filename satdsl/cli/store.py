"""`satdsl store`."""

from __future__ import annotations

import typer

from satdsl.cli.app import store_app
from satdsl.cli.common import FAILED, STORE, StoreOption, open_store, stdout, store_errors


@store_app.command("list")
def store_list(store: StoreOption = STORE) -> None:
    """List the finished steps."""
    from rich.table import Table
    from rich.text import Text

    from satdsl.engine.store import Damaged

    place = open_store(store)
    table = Table("key", "kind", "what", "seconds", box=None, pad_edge=False)
    for key in sorted(place.keys()):
        try:
            with store_errors():
                manifest = place.manifest(key)
            table.add_row(key[:12], manifest.kind, Text(manifest.label), f"{manifest.seconds:.1f}")
        except Damaged as damaged:
            table.add_row(key[:12], "?", Text(f"damaged: {damaged.fault}"), "")
    stdout().print(table)


@store_app.command("verify")
def store_verify(store: StoreOption = STORE) -> None:
    """Check every stored file against its digest; damaged artifacts are named and set aside, and will be rebuilt."""
    place = open_store(store)
    with store_errors():
        faults = [(key, fault) for key in sorted(place.keys()) if (fault := place.verify(key))]
    for key, fault in faults:
        with store_errors():
            place.set_aside(key, fault)
        stdout().print(f"damaged: {key[:12]}: {fault}", highlight=False)
    stdout().print(f"{len(place.keys())} artifacts sound, {len(faults)} damaged", highlight=False)
    if faults:
        raise typer.Exit(FAILED)
