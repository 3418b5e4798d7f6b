"""The command `satdsl run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli import options
from satdsl.cli.app import RUN, app
from satdsl.cli.execution import ExecutionOptions, ExecutorName, jobs_option, make_executor
from satdsl.cli.loading import Loaded, load
from satdsl.cli.monitoring import (
    LogFormat,
    LogFormatOption,
    StepWarnings,
    Tracking,
    TrackOption,
    TrackToOption,
    log,
    shown,
)
from satdsl.cli.output import (
    FAILED,
    INTERRUPTED,
    REFUTED,
    USAGE,
    fail,
    say,
    show_findings,
    show_page,
    stderr,
    stdout,
    unwritable,
)
from satdsl.cli.resume import resume_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from satdsl.engine.events import Listener
    from satdsl.report.decide import Decisions
    from satdsl.report.load_report import Report


@app.command(rich_help_panel=RUN)
def run(
    file: options.File,
    set_: options.Set = [],
    only: options.Only = [],
    smoke: options.Smoke = False,
    store: options.Store = options.STORE,
    data: options.Data = options.DATA,
    device: Annotated[
        str, typer.Option(help="A torch device: cpu, cuda or cuda:1; auto takes a GPU if there is one.")
    ] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            parser=jobs_option,
            metavar="N|auto",
            help="The number of steps that run at once, at most. By default (auto) it is as many as the cores, GPUs "
            "and memory of this machine hold; on a cluster, as many as there is room for. It changes no result.",
            show_default=False,
        ),
    ] = None,
    executor: Annotated[
        ExecutorName | None,
        typer.Option(help="Where steps run; by default in this process, or in several where that is quicker."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A Ray cluster; this machine alone by default.")
    ] = None,
    slurm: Annotated[
        list[str],
        typer.Option("--slurm", metavar="NAME=VALUE", help="Options for sbatch, as in partition=gpu,time=4:00:00."),
    ] = [],
    cpus_per_step: Annotated[
        int | None,
        typer.Option(min=1, help="The cores that a step takes on a cluster; 1 by default.", show_default=False),
    ] = None,
    gpus_per_step: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="The GPUs (or with --device cpu, the processes) that train one network together; 1 by default.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Stop after 2h, 30m, 90s or 1h30m: what decides most claims runs first, and nothing is begun that is "
            "expected not to end in time.",
        ),
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first step that fails.")] = False,
    strict: Annotated[bool, typer.Option(help="Exit with code 4 unless every claim holds.")] = False,
    decide: Annotated[
        bool,
        typer.Option(
            "--decide",
            help="Run what the claims need, and attack images block after block only until each claim's verdict is "
            "certain; a later run without it goes on.",
        ),
    ] = False,
    no_python: Annotated[
        bool, typer.Option("--no-python", help="Refuse to execute Python of your own, which the file says to `use`.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder for the report; options.STORE/reports/NAME by default."),
    ] = None,
    log_format: LogFormatOption = LogFormat.text,
    track: TrackOption = None,
    track_to: TrackToOption = None,
) -> None:
    """Run the steps that are not stored yet, then show results and verdicts, and write the report."""
    from satdsl.backend import perform
    from satdsl.cli.budget import budget_of
    from satdsl.engine.events import broadcast
    from satdsl.engine.run import run as run_plan
    from satdsl.engine.staleness import RUNS, reasons
    from satdsl.ir.interrupts import terminated_as_interrupted
    from satdsl.report.report_folder import usual_folder

    if smoke and strict:
        fail("--strict judges claims, and a smoke run says nothing about them", USAGE, "leave one of the two out")
    execution = ExecutionOptions(executor, device, jobs, address, tuple(slurm), cpus_per_step, gpus_per_step)
    if smoke and decide:
        fail("--decide judges claims, and a smoke run says nothing about them", USAGE, "leave one of the two out")
    if decide and budget is not None:
        # What is left, and which claims are decided, is not known before --decide has looked.
        help = "stop a run with --decide by Ctrl-C: what was measured is kept, and it goes on from there"
        fail("--budget and --decide cannot be given together", USAGE, help)
    spec = load(file, set_, only, store=store, smoke=smoke)
    if decide and not spec.plan.claims:
        fail(
            "--decide runs what claims need, and there is none here",
            USAGE,
            'write one, as in `expect "ours is better": ours.robust > theirs.robust`, or leave --decide out',
        )
    console = stderr()
    show_findings(spec.compiled.experiment.warnings, console)
    for sentence in spec.plan.smoke:
        say(f"smoke run: {sentence}", console)
    to_run = [key for key, reason in reasons(spec.plan, spec.store).items() if reason in RUNS]
    place = make_executor(execution, spec.store, perform, data, spec.plan, to_run)
    limits = None if budget is None else budget_of(spec.plan, spec.store, to_run, budget, device=device, jobs=jobs)
    if limits is not None:
        say(limits.words, console)
    tracking = Tracking(track, track_to, spec.plan, spec.store)
    with log(log_format) as listen:
        told = shown(log_format, spec.plan, spec.store, listen)
        listeners = broadcast(told, StepWarnings(log_format, spec.plan, spec.store), tracking)
        at_once = place.announcement.most if place.announcement else 1
        decisions = _decisions(spec, lambda: max(at_once, place.free), listeners) if decide else None
        with terminated_as_interrupted():
            outcome = run_plan(
                spec.plan,
                spec.store,
                place,
                wanted=None if decisions is None else decisions.first,
                more=tuple if decisions is None else decisions.more,
                fail_fast=fail_fast,
                python=not no_python,
                listen=listeners,
                budget=None if limits is None else limits.budget,
            )
    tracking.put()
    if limits is not None and outcome.out_of_time:
        say(limits.left(outcome), console)
    if not outcome.complete:
        say(f"what was finished is kept; go on with: {resume_command('run')}", console)
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    found = _report(spec, report or usual_folder(spec.place, file, spec.plan.variant))
    if not outcome.complete and not (outcome.out_of_time and not outcome.failed):
        raise typer.Exit(FAILED)
    if smoke:
        say("smoke run: all that was asked for ran; its numbers mean nothing", console)
    if strict and any(one.verdict.value != "holds" for one in found.verdicts):
        raise typer.Exit(REFUTED)


def _decisions(spec: Loaded, workers: Callable[[], int], listen: Listener) -> Decisions:
    from satdsl.report.decide import Decisions, judged_in_full

    for sentence in judged_in_full(spec.plan):
        say(sentence, stderr())
    return Decisions(spec.plan, spec.store, workers, listen)


def _report(spec: Loaded, folder: Path) -> Report:
    """Show tables and verdicts, and write them beside the results as files."""
    from satdsl.report.load_report import load_report
    from satdsl.report.report_folder import write
    from satdsl.report.run_context import read_run_context
    from satdsl.report.run_summary import run_summary

    found = load_report(spec.plan, spec.store)
    shown = run_summary(found)
    checked = spec.compiled.experiment
    context = read_run_context(spec.plan, spec.store, checked.sources, resume_command("run"), checked.warnings)
    for part in shown:
        stdout().print(part)
    try:
        show_page(write(found, folder, context))
    except OSError as error:
        say(f"{unwritable(folder, error)}; choose another folder with --report", stderr())
    return found
