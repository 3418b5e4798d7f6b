"""What reads stored artifacts: `results` and `curves`."""

from __future__ import annotations

from typing import Annotated

import typer

from satdsl.cli.app import app
from satdsl.cli.common import (
    STORE,
    File,
    OnlyOption,
    ResultsFormat,
    SetOption,
    SmokeOption,
    StoreOption,
    compile_spec,
    kept_in,
    open_store,
    report_errors,
    restricted,
    stdout,
)


@app.command()
def results(
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    smoke: SmokeOption = False,
    format: Annotated[ResultsFormat, typer.Option(help="How to print them.")] = ResultsFormat.text,
    store: StoreOption = STORE,
) -> None:
    """Print the stored results: each with its point in the sweep, value, number of images and 95 % interval."""
    plan = restricted(compile_spec(file, set_, smoke=smoke).plan, only)
    from satdsl.report import export
    from satdsl.report.gathered import gathered

    with report_errors():
        report = gathered(plan, open_store(kept_in(store, smoke)))
        match format:
            case ResultsFormat.text:
                typer.echo(export.to_text(report, stdout().width), nl=False)
            case ResultsFormat.csv:
                typer.echo(export.to_csv(report.results), nl=False)
            case ResultsFormat.json:
                typer.echo(export.to_json(report), nl=False)


@app.command()
def curves(
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    smoke: SmokeOption = False,
    format: Annotated[ResultsFormat, typer.Option(help="How to print them.")] = ResultsFormat.text,
    store: StoreOption = STORE,
) -> None:
    """Print what happened in each epoch of the stored trainings: loss, accuracy, attacks, robustness, speed."""
    plan = restricted(compile_spec(file, set_, smoke=smoke).plan, only)
    from satdsl.report import curves as stored

    with report_errors():
        found = stored.curves(plan, open_store(kept_in(store, smoke)))
    match format:
        case ResultsFormat.text:
            for curve in found:
                stdout().print(stored.curve_table(curve), "")
            if not found:
                stdout().print("no training is stored yet", highlight=False)
        case ResultsFormat.csv:
            typer.echo(stored.to_csv(found), nl=False)
        case ResultsFormat.json:
            typer.echo(stored.to_json(found), nl=False)
