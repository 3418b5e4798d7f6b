"""What makes or fetches artifacts: `run` and `data`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli.app import RUN, app
from satdsl.cli.common import (
    DATA,
    FAILED,
    INTERRUPTED,
    REFUTED,
    STORE,
    USAGE,
    DataOption,
    File,
    OnlyOption,
    SetOption,
    SmokeOption,
    StoreOption,
    compile_spec,
    fail,
    kept_in,
    open_store,
    restricted,
    show_findings,
    show_page,
    stderr,
    stdout,
    unwritable,
    user_errors,
)
from satdsl.cli.monitoring import LogFormat, LogFormatOption, Tracking, TrackOption, TrackToOption, log
from satdsl.cli.places import Asked, ExecutorName, executor_for
from satdsl.cli.resume import again

if TYPE_CHECKING:
    from rich.console import Console

    from satdsl.engine.store import Store
    from satdsl.findings import Source
    from satdsl.ir.plan import Plan
    from satdsl.ir.steps import Key
    from satdsl.report.load_report import Report


@app.command(rich_help_panel=RUN)
def run(
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    smoke: SmokeOption = False,
    store: StoreOption = STORE,
    data: DataOption = DATA,
    device: Annotated[
        str, typer.Option(help="A torch device: cpu, cuda, cuda:1; auto takes a GPU if there is one.")
    ] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Steps at once. On this machine 1 if not given, and each takes its share of cores and GPUs; "
            "on a cluster as many as there is room for.",
            show_default=False,
        ),
    ] = None,
    executor: Annotated[
        ExecutorName | None,
        typer.Option(help="Where steps are done: local, or with several --jobs processes, if not given."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A Ray cluster; this machine alone if not given.")
    ] = None,
    slurm: Annotated[
        list[str],
        typer.Option("--slurm", metavar="NAME=VALUE", help="What sbatch is told: partition=gpu,time=4:00:00."),
    ] = [],  # noqa: B006
    cpus_per_step: Annotated[
        int | None,
        typer.Option(min=1, help="Cores that a step takes on a cluster; 1 if not given.", show_default=False),
    ] = None,
    gpus_per_step: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="GPUs (or with --device cpu, processes) that train one network together; 1 if not given.",
            show_default=False,
        ),
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first step that fails.")] = False,
    strict: Annotated[bool, typer.Option(help="Exit with 4 unless every claim holds.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="The folder for the report; reports/NAME in the store's folder if not given.")
    ] = None,
    log_format: LogFormatOption = LogFormat.text,
    track: TrackOption = None,
    track_to: TrackToOption = None,
) -> None:
    """Run the steps that are not stored yet, then show results and verdicts, and write the report."""
    from satdsl.backend import perform
    from satdsl.engine.events import told
    from satdsl.engine.run import run as run_plan
    from satdsl.engine.staleness import RUNS, reasons
    from satdsl.report.report_folder import usual_folder

    if smoke and strict:
        fail("--strict wants every claim to hold, and a smoke run says nothing of any; leave one of them out", USAGE)
    asked = Asked(executor, device, jobs, address, tuple(slurm), cpus_per_step, gpus_per_step)
    compiled = compile_spec(file, set_, smoke=smoke)
    show_findings(compiled.experiment.warnings, stderr())
    plan = restricted(compiled.plan, only)
    store_root = kept_in(store, smoke)
    place = open_store(store_root)
    console = stderr()
    _announce(plan, console)
    with user_errors():
        idle = RUNS.isdisjoint(reasons(plan, place).values())
    at = executor_for(None if idle else asked, place, perform, data)
    tracking = Tracking(track, track_to, plan, place)
    with user_errors(), log(log_format) as listen:
        outcome = run_plan(
            plan,
            place,
            at,
            fail_fast=fail_fast,
            listen=told(listen, tracking),
        )
    tracking.put()
    go_on = again("run")
    if not outcome.complete:
        console.print(f"what was finished is kept; go on with: {go_on}", soft_wrap=True, highlight=False, markup=False)
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    found = _report(plan, place, report or usual_folder(store_root, file), compiled.experiment.sources, go_on)
    if not outcome.complete:
        raise typer.Exit(FAILED)
    if smoke:
        console.print(SMOKE_ENDED, soft_wrap=True, highlight=False, markup=False)
    if strict and any(one.verdict.value != "holds" for one in found.verdicts):
        raise typer.Exit(REFUTED)


SMOKE_ENDED = "smoke run: all that was asked for ran; its numbers mean nothing"


def _announce(plan: Plan, console: Console) -> None:
    """Say before a smoke run what it has made small."""
    for sentence in plan.smoke:
        console.print(f"smoke run: {sentence}", soft_wrap=True, highlight=False, markup=False)


def _report(plan: Plan, store: Store, folder: Path, sources: Sequence[Source], go_on: str) -> Report:
    """Show tables and verdicts, and write them beside the results as files."""
    from satdsl.report.load_report import load_report
    from satdsl.report.report_folder import write
    from satdsl.report.run_context import read_run_context
    from satdsl.report.run_summary import run_summary

    with user_errors():
        found = load_report(plan, store)
        shown = run_summary(found)
        context = read_run_context(plan, store, sources, go_on)
    for part in shown:
        stdout().print(part)
    try:
        show_page(write(found, folder, context))
    except OSError as error:
        why = f"{unwritable(folder, error)}; choose another place with --report"
        stderr().print(why, soft_wrap=True, highlight=False, markup=False)
    return found


@app.command(rich_help_panel=RUN)
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
    with user_errors():
        found = needed(plan, place, root)
    for part in page(found, "is fetched now" if download else again("data", download=True)):
        stdout().print(part, highlight=False)
    if download:
        _download(plan, place, root, [key for one in found for key in one.keys if one.fetchable])
    elif any(one.state == MISSING for one in found):
        raise typer.Exit(FAILED)


def _download(plan: Plan, place: Store, root: Path, absent: list[Key]) -> None:
    """Fetch what is absent, and check all the data sets that were not checked before."""
    from satdsl.backend import perform
    from satdsl.engine.execute import Place
    from satdsl.engine.executors import Local
    from satdsl.engine.progress import progress
    from satdsl.engine.run import run as run_plan

    here = Local(place, Place(perform, root, download=True))
    keys = [key for key, step in plan.steps.items() if step.kind == "data"]
    with user_errors(), progress(stderr()) as listen:
        outcome = run_plan(plan, place, here, wanted=keys, forced=absent, listen=listen)
    if not outcome.complete:
        raise typer.Exit(INTERRUPTED if outcome.interrupted else FAILED)
