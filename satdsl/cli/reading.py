"""What reads stored artifacts: `results` and `curves`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli.app import READ, app
from satdsl.cli.common import (
    STORE,
    USAGE,
    AgainstSetOption,
    File,
    OnlyOption,
    ResultsFormat,
    SetOption,
    SmokeOption,
    StoreOption,
    compile_spec,
    fail,
    kept_in,
    open_store,
    restricted,
    stdout,
    user_errors,
)

if TYPE_CHECKING:
    from satdsl.ir.plan import Plan


@app.command(rich_help_panel=READ)
def results(
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    against: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare with the results of this file, or of the same.")
    ] = None,
    against_set: AgainstSetOption = [],  # noqa: B006
    smoke: SmokeOption = False,
    format: Annotated[ResultsFormat, typer.Option(help="How to print them.")] = ResultsFormat.text,
    store: StoreOption = STORE,
) -> None:
    """Print the stored results: each with its point in the sweep, value, number of images and 95 % interval."""
    plan = restricted(compile_spec(file, set_, smoke=smoke).plan, only)
    if against is not None:
        other = restricted(compile_spec(against, against_set, "--against-set", smoke=smoke).plan, only)
        names = [" ".join([str(path), *values]) for path, values in ((file, set_), (against, against_set))]
        _compare(plan, other, names, format, kept_in(store, smoke))
        return
    if against_set:
        fail("--against-set is for the file that --against names", USAGE)
    from satdsl.report import columns, result_formats
    from satdsl.report.load_report import load_report

    with user_errors():
        report = load_report(plan, open_store(kept_in(store, smoke)))
        _print(
            format,
            text=lambda: result_formats.to_text(report, stdout().width),
            csv=lambda: result_formats.to_csv(report.results),
            json=lambda: result_formats.to_json(report),
            parquet=lambda: columns.results_parquet(plan, report.results),
        )


def _compare(plan: Plan, other: Plan, names: list[str], format: ResultsFormat, store: str) -> None:
    from satdsl.report import columns, results_comparison
    from satdsl.report.results import measured

    with user_errors():
        place = open_store(store)
        found = results_comparison.compare_results(measured(plan, place), measured(other, place))
    _print(
        format,
        text=lambda: results_comparison.to_text(found, names, stdout().width),
        csv=lambda: results_comparison.to_csv(found),
        json=lambda: results_comparison.to_json(found, [plan.title, other.title]),
        parquet=lambda: columns.comparison_parquet([plan, other], found),
    )


@app.command(rich_help_panel=READ)
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
    from satdsl.report import columns
    from satdsl.report import curves as stored
    from satdsl.show.terminal import ruled, text

    with user_errors():
        found = stored.curves(plan, open_store(kept_in(store, smoke)))
    _print(
        format,
        text=lambda: (
            "\n".join(text(ruled(stored.curve_table(curve), compact=True), stdout().width) for curve in found)
            or "no training is stored yet\n"
        ),
        csv=lambda: stored.to_csv(found),
        json=lambda: stored.to_json(found),
        parquet=lambda: columns.curves_parquet(plan, found),
    )


def _print(format: ResultsFormat, **made: Callable[[], str | bytes]) -> None:
    """What the chosen format makes."""
    if format is ResultsFormat.parquet and sys.stdout.isatty():
        fail("Parquet is not for a terminal. Write it to a file: add `> results.parquet`", USAGE)
    typer.echo(made[format.value](), nl=False)
