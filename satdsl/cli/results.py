"""The commands `satdsl results` and `satdsl curves`, which print what is stored."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from satdsl.cli import options
from satdsl.cli.app import READ, app
from satdsl.cli.loading import Loaded, load, parse_overrides
from satdsl.cli.output import USAGE, fail, stdout


@app.command(rich_help_panel=READ)
def results(
    file: options.File,
    set_: options.Set = [],
    only: options.Only = [],
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with the results of this file, which may be the same one."),
    ] = None,
    against_set: options.AgainstSet = [],
    variants: Annotated[
        bool,
        typer.Option("--variants", help="Show the results of every --set that was run and reported side by side."),
    ] = False,
    vary: Annotated[
        list[str],
        typer.Option("--vary", metavar="NAME=V,V", help="Show the results with each of these values side by side."),
    ] = [],
    smoke: options.Smoke = False,
    format: options.ResultsFormatOption = options.ResultsFormat.text,
    store: options.Store = options.STORE,
    data: options.Data = options.DATA,
) -> None:
    """Print the stored results, each with its point in the sweep, value, number of images and 95 % interval."""
    spec = load(file, set_, only, store=store, smoke=smoke, reads_only=True)
    if against is not None:
        other = load(against, against_set, only, store=store, smoke=smoke, option="--against-set")
        names = [" ".join([str(path), *values]) for path, values in ((file, set_), (against, against_set))]
        _compare(spec, other, names, format)
        return
    if variants or vary:
        _side_by_side(spec, set_, only, vary, smoke=smoke, store=store, format=format)
        return
    if against_set:
        fail("--against-set is for the file that --against names, and it names none", USAGE)
    from satdsl.report import columns, result_formats
    from satdsl.report.load_report import load_report

    report = load_report(spec.plan, spec.store)
    _print(
        format,
        text=lambda: result_formats.to_text(report, stdout().width),
        csv=lambda: result_formats.to_csv(report.results),
        json=lambda: result_formats.to_json(report),
        parquet=lambda: columns.results_parquet(spec.plan, report.results),
    )


def _side_by_side(
    spec: Loaded,
    set_: list[str],
    only: list[str],
    vary: list[str],
    *,
    smoke: bool,
    store: str,
    format: options.ResultsFormat,
) -> None:
    from satdsl.report import variants as found
    from satdsl.report.report_folder import usual_folder
    from satdsl.report.results import measured

    given = {name: _values(values) for name, values in parse_overrides(vary, "--vary").items()}
    base = dict(spec.plan.variant.values)
    asked = found.grid(given) if given else [{}, *found.reported(usual_folder(spec.place, spec.file))]
    loaded = [
        spec
        if values.items() <= base.items()
        else load(
            spec.file,
            [f"{name}={value}" for name, value in {**base, **values}.items()],
            only,
            store=store,
            smoke=smoke,
            option="--vary",
            reads_only=True,
        )
        for values in asked
    ]
    table = found.side_by_side(
        [found.VariantResults(dict(one.plan.variant.values), one.plan, measured(one.plan, one.store)) for one in loaded]
    )
    _print(
        format,
        text=lambda: found.to_text(table, stdout().width),
        csv=lambda: found.to_csv(table),
        json=lambda: found.to_json(table, spec.plan.title),
        parquet=lambda: fail("variants are printed as text, csv or json", USAGE),
    )


def _values(text: str) -> list[str]:
    """Return the values between commas; those in brackets stay together."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "[({") - (letter in "])}")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return [one.strip() for one in found if one.strip()]


def _compare(spec: Loaded, other: Loaded, names: list[str], format: options.ResultsFormat) -> None:
    from satdsl.report import columns, results_comparison
    from satdsl.report.results import measured

    found = results_comparison.compare_results(measured(spec.plan, spec.store), measured(other.plan, other.store))
    _print(
        format,
        text=lambda: results_comparison.to_text(found, names, stdout().width),
        csv=lambda: results_comparison.to_csv(found),
        json=lambda: results_comparison.to_json(found, [spec.plan.title, other.plan.title]),
        parquet=lambda: columns.comparison_parquet([spec.plan, other.plan], found),
    )


@app.command(rich_help_panel=READ)
def curves(
    file: options.File,
    set_: options.Set = [],
    only: options.Only = [],
    smoke: options.Smoke = False,
    format: options.ResultsFormatOption = options.ResultsFormat.text,
    store: options.Store = options.STORE,
    data: options.Data = options.DATA,
) -> None:
    """Print each epoch of the stored trainings: loss, accuracy, attacks, robustness and speed."""
    spec = load(file, set_, only, store=store, smoke=smoke, reads_only=True)
    from textwrap import fill

    from satdsl.report import columns
    from satdsl.report import curves as stored
    from satdsl.show.terminal import ruled, text

    found = stored.curves(spec.plan, spec.store)
    width = stdout().width

    def tables() -> str:
        shown = [text(ruled(stored.curve_table(curve), compact=True), width) for curve in found]
        words = [fill(line, width, subsequent_indent="  ") + "\n" for line in stored.columns_in_words(found)]
        return "\n".join([*shown, "".join(words)])

    _print(
        format,
        text=lambda: tables() if found else "no training is stored yet\n",
        csv=lambda: stored.to_csv(found),
        json=lambda: stored.to_json(found),
        parquet=lambda: columns.curves_parquet(spec.plan, found),
    )


def _print(format: options.ResultsFormat, **made: Callable[[], str | bytes]) -> None:
    """Print what the function for the chosen format makes."""
    if format is options.ResultsFormat.parquet and sys.stdout.isatty():
        fail("a terminal cannot show Parquet", USAGE, "write it to a file: add `> results.parquet`")
    typer.echo(made[format.value](), nl=False)
