"""`satdsl report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satdsl.cli.app import READ, app
from satdsl.cli.common import (
    DATA,
    FAILED,
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
    say_left,
    show_page,
    unwritable,
    user_errors,
)
from satdsl.cli.resume import again


@app.command(rich_help_panel=READ)
def report(
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    smoke: SmokeOption = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The folder; STORE/reports/NAME if not given.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the page in the web browser.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep the page current while another process runs the steps.")
    ] = False,
    store: StoreOption = STORE,
    data: DataOption = DATA,
) -> None:
    """Write the report of what is stored: one HTML page, its figures as files, results and curves as CSV and JSON."""
    compiled = compile_spec(file, set_, smoke=smoke)
    from satdsl.report.drawing_cache import DrawingCache
    from satdsl.report.load_report import Report, load_report
    from satdsl.report.report_folder import usual_folder, write
    from satdsl.report.run_context import RunContext, read_run_context
    from satdsl.report.watch import watch as keep_current

    root = kept_in(store, smoke)
    plan, place, folder = restricted(compiled.plan, only), open_store(root), out or usual_folder(root, file)
    go_on = again("run")
    shown: list[Path] = []
    drawings = DrawingCache()

    def look() -> RunContext:
        return read_run_context(plan, place, compiled.experiment.sources, go_on)

    def written(found: Report, context: RunContext, refresh: float | None) -> None:
        page = write(found, folder, context, refresh=refresh, drawings=drawings)
        if not shown:
            show_page(page, open_)
            shown.append(page)
        if context.steps_to_run or watch:
            say_left(context.steps_to_run, len(plan.steps))

    try:
        with user_errors():
            if watch:
                keep_current(plan, place, look, written)
            else:
                written(load_report(plan, place), look(), None)
    except OSError as error:
        fail(f"{unwritable(folder, error)}; choose another place with --out", USAGE if folder.is_file() else FAILED)
