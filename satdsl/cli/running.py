"""What makes or fetches artifacts: `run` and `data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli.app import app
from satdsl.cli.common import (
    DATA,
    FAILED,
    INTERRUPTED,
    REFUTED,
    STORE,
    DataOption,
    File,
    OnlyOption,
    SetOption,
    StoreOption,
    chosen_device,
    compile_spec,
    open_store,
    report_errors,
    restricted,
    run_again,
    show_findings,
    stderr,
    stdout,
    store_errors,
)

if TYPE_CHECKING:
    from satdsl.engine.attempt import Place
    from satdsl.engine.executors import Executor
    from satdsl.engine.store import Store
    from satdsl.plan.plan import Plan
    from satdsl.plan.steps import Key
    from satdsl.report.gathered import Report


@app.command()
def run(
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    store: StoreOption = STORE,
    data: DataOption = DATA,
    device: Annotated[
        str, typer.Option(help="A torch device: cpu, cuda, cuda:1; auto takes a GPU if there is one.")
    ] = "auto",
    jobs: Annotated[
        int, typer.Option(min=1, help="Steps at once, each in a process of its own with its share of cores and GPUs.")
    ] = 1,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first step that fails.")] = False,
    strict: Annotated[bool, typer.Option(help="Exit with 4 unless every claim holds.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="The folder for the report; reports/NAME in the store's folder if not given.")
    ] = None,
) -> None:
    """Run the steps that are not stored yet, then show results and verdicts, and write the report."""
    from satdsl.backend import perform
    from satdsl.engine.attempt import Place
    from satdsl.engine.needs import RUNS, reasons
    from satdsl.engine.progress import progress
    from satdsl.engine.run import run as run_plan

    compiled = compile_spec(file, set_)
    show_findings(compiled.experiment.warnings, stderr())
    plan = restricted(compiled.plan, only)
    place = open_store(store)
    console = stderr()
    with store_errors():
        idle = RUNS.isdisjoint(reasons(plan, place).values())
    if not idle:
        device = chosen_device(device)
    with store_errors(), progress(console) as listen:
        outcome = run_plan(
            plan,
            place,
            perform,
            executor=_executor(place, Place(perform, data, device), 1 if idle else jobs),
            fail_fast=fail_fast,
            listen=listen,
        )
    if not outcome.complete:
        again = f"what was finished is kept; go on with: satdsl run {run_again(file, set_, only, store, data)}"
        console.print(again, soft_wrap=True, highlight=False, markup=False)
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    found = _report(plan, place, report or _usual_folder(store, file))
    if not outcome.complete:
        raise typer.Exit(FAILED)
    if strict and any(verdict.standing.value != "holds" for verdict in found.verdicts):
        raise typer.Exit(REFUTED)


def _executor(store: Store, place: Place, jobs: int) -> Executor:
    from satdsl.engine.executors import Local, Processes

    if jobs == 1:
        return Local(store, place)
    from satdsl.backend.device import shared_out

    return Processes(store, place, shared_out(place.device, jobs))


def _usual_folder(store: str, file: Path) -> Path:
    """The report lies in the store's folder; that of a remote store, in the working folder."""
    return Path("" if "://" in store else store) / "reports" / file.stem


def _report(plan: Plan, store: Store, folder: Path) -> Report:
    """Show tables and verdicts, and write them beside the results as files."""
    from satdsl.report.gathered import gathered
    from satdsl.report.page import show, write

    with report_errors():
        found = gathered(plan, store)
        shown = show(found)
    for part in shown:
        stdout().print(part)
    try:
        where = write(found, folder)
        stdout().print(f"report: {where}", soft_wrap=True, highlight=False, markup=False)
    except OSError as error:
        why = f"the report cannot be written to {folder}: {error.strerror}; choose another place with --report"
        stderr().print(why, soft_wrap=True, highlight=False, markup=False)
    return found


@app.command()
def data(
    file: File,
    set_: SetOption = [],  # noqa: B006
    download: Annotated[bool, typer.Option("--download", help="Fetch what is missing.")] = False,
    root: DataOption = DATA,
    store: StoreOption = STORE,
) -> None:
    """Say which data sets a specification needs, where they are and how large; fetch those that are missing."""
    plan = compile_spec(file, set_).plan
    from satdsl.backend.inventory import MISSING, needed, page

    place = open_store(store)
    with store_errors():
        found = needed(plan, place, root)
    again = f"satdsl data {file} --download" + (f" --data {root}" if root != DATA else "")
    for part in page(found, "is fetched now" if download else again):
        stdout().print(part, highlight=False)
    if download:
        _download(plan, place, root, [key for one in found for key in one.keys if one.fetchable])
    elif any(one.state == MISSING for one in found):
        raise typer.Exit(FAILED)


def _download(plan: Plan, place: Store, root: Path, absent: list[Key]) -> None:
    """Fetch what is absent, and check all the data sets that were not checked before."""
    from satdsl.backend import perform
    from satdsl.engine.progress import progress
    from satdsl.engine.run import run as run_plan

    keys = [key for key, step in plan.steps.items() if step.kind == "data"]
    with store_errors(), progress(stderr()) as listen:
        outcome = run_plan(
            plan, place, perform, wanted=keys, forced=absent, data_root=root, download=True, listen=listen
        )
    if not outcome.complete:
        raise typer.Exit(INTERRUPTED if outcome.interrupted else FAILED)
