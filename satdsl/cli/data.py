"""The command `satdsl data`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli import options
from satdsl.cli.app import RUN, app
from satdsl.cli.loading import Loaded, load
from satdsl.cli.output import FAILED, INTERRUPTED, stderr, stdout
from satdsl.cli.resume import resume_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from satdsl.ir.steps import Key


@app.command(rich_help_panel=RUN)
def data(
    file: options.File,
    set_: options.Set = [],
    download: Annotated[bool, typer.Option("--download", help="Download what is missing.")] = False,
    root: options.Data = options.DATA,
    store: options.Store = options.STORE,
) -> None:
    """Say which data sets a specification needs, where they are and how large; download those that are missing."""
    spec = load(file, set_, store=store)
    from satdsl.cli.required_datasets import MISSING, dataset_table, required_datasets

    found = required_datasets(spec.plan, spec.store, root)
    for part in dataset_table(found, "is fetched now" if download else resume_command("data", download=True)):
        stdout().print(part, highlight=False)
    if download:
        _download(spec, root, [key for one in found for key in one.keys if one.downloadable])
    elif any(one.state == MISSING for one in found):
        raise typer.Exit(FAILED)


def _download(spec: Loaded, root: Path, absent: Sequence[Key]) -> None:
    """Download what is absent, and check all the data sets that were not checked before."""
    from satdsl.backend import perform
    from satdsl.engine.execute import ExecutionContext
    from satdsl.engine.executors import LocalExecutor
    from satdsl.engine.progress import progress
    from satdsl.engine.run import run

    executor = LocalExecutor(spec.store, ExecutionContext(perform, root, download=True))
    keys = [key for key, step in spec.plan.steps.items() if step.kind == "data"]
    with progress(stderr()) as listen:
        outcome = run(spec.plan, spec.store, executor, wanted=keys, forced=absent, listen=listen)
    if not outcome.complete:
        raise typer.Exit(INTERRUPTED if outcome.interrupted else FAILED)
