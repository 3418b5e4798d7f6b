"""The command `satdsl report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli import options
from satdsl.cli.app import READ, app
from satdsl.cli.loading import load
from satdsl.cli.output import FAILED, USAGE, fail, say, show_page, stderr, unwritable
from satdsl.cli.resume import resume_command

if TYPE_CHECKING:
    from satdsl.report.load_report import Report
    from satdsl.report.run_context import RunContext


@app.command(rich_help_panel=READ)
def report(
    file: options.File,
    set_: options.Set = [],
    only: options.Only = [],
    smoke: options.Smoke = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="The folder to write to; options.STORE/reports/NAME by default."
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the page in the web browser.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep the page current while another process runs the steps.")
    ] = False,
    store: options.Store = options.STORE,
    data: options.Data = options.DATA,
) -> None:
    """Write a report of what is stored: an HTML page, its figures as files, results and curves as CSV and JSON."""
    spec = load(file, set_, only, store=store, smoke=smoke, reads_only=True)
    from satdsl.report.drawing_cache import DrawingCache
    from satdsl.report.load_report import load_report
    from satdsl.report.report_folder import usual_folder, write
    from satdsl.report.run_context import read_run_context
    from satdsl.report.watch import watch as keep_current

    plan = spec.plan
    folder = out or usual_folder(spec.place, file, plan.variant)
    run_command = resume_command("run")
    shown = False
    drawings = DrawingCache()

    def look() -> RunContext:
        experiment = spec.compiled.experiment
        return read_run_context(plan, spec.store, experiment.sources, run_command, experiment.warnings)

    def written(found: Report, context: RunContext, refresh: float | None) -> None:
        nonlocal shown
        page = write(found, folder, context, refresh=refresh, drawings=drawings)
        if not shown:
            show_page(page, open_)
            shown = True
        if context.steps_to_run or watch:
            _say_left(context.steps_to_run, len(plan.shown))

    try:
        if watch:
            keep_current(plan, spec.store, look, written)
        else:
            written(load_report(plan, spec.store), look(), None)
    except OSError as error:
        code = USAGE if folder.is_file() else FAILED
        fail(unwritable(folder, error), code, "choose another folder with --out")


def _say_left(left: int, steps: int) -> None:
    done = f"{steps - left:,} of {steps:,} steps are done; the page shows the command that runs the others"
    say(done if left else f"all {steps:,} steps are done", stderr())
