"""The command `satdsl explain`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli import options
from satdsl.cli.app import RUN, app
from satdsl.cli.loading import PLANS, compile_spec, disable_garbage_collection, load
from satdsl.cli.output import FAILED, USAGE, fail, say, show_findings, show_json, stderr, stdout

if TYPE_CHECKING:
    from satdsl.ir.plan import Plan


class PlanFormat(StrEnum):
    text = "text"
    json = "json"
    yaml = "yaml"
    mermaid = "mermaid"
    dot = "dot"


class Stage(StrEnum):
    ast = "ast"
    experiment = "experiment"
    plan = "plan"


@app.command(rich_help_panel=RUN)
def explain(
    file: options.File,
    set_: options.Set = [],
    only: options.Only = [],
    smoke: options.Smoke = False,
    format: Annotated[PlanFormat, typer.Option(help="The output format.")] = PlanFormat.text,
    stage: Annotated[Stage, typer.Option(help="Show the syntax tree, the typed experiment, or the plan.")] = Stage.plan,
    store: options.Store = options.STORE,
    data: options.Data = options.DATA,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure a batch of each network and attack whose time is not known yet.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="The torch device that times are shown for; auto takes a GPU if there is one.")
    ] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="How many steps run at once; by default one for each core.", show_default=False),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(metavar="N/gpu-hour", help="What an hour of a GPU, or (N/cpu-hour) of a core, costs."),
    ] = None,
    watts: Annotated[
        float | None, typer.Option(min=0, help="The power that the machine draws while it runs.", show_default=False)
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="PLAN", help="Save the plan to a .yaml or .json file, which run can read."),
    ] = None,
) -> None:
    """Show the resolved plan: sizes, weights, what is shared, what is stored, and what it costs, also in time."""
    disable_garbage_collection()
    if stage is not Stage.plan:
        _show_stage(file, stage, set_, smoke)
        return
    spec = load(file, set_, only, store=store, smoke=smoke)
    if save is not None:
        _save(spec.plan, save)
        return
    from satdsl.cli.minutes import minutes_of, parse_price
    from satdsl.engine.staleness import RUNS, reasons
    from satdsl.engine.why import because

    paid = parse_price(price, watts)
    why = reasons(spec.plan, spec.store)
    short = because(spec.plan, why, spec.store)
    to_run = [key for key, reason in why.items() if reason in RUNS]
    minutes = minutes_of(spec.plan, spec.store, to_run, device=device, jobs=jobs, price=paid, measure=measure)
    if format is PlanFormat.text:
        from satdsl.show.text import page

        show_findings(spec.compiled.experiment.warnings, stderr())
        stdout().print(page(spec.plan, why, short, minutes))
        return
    from satdsl.show.document import plan_document

    document = plan_document(spec.plan, why, short, minutes)
    match format:
        case PlanFormat.json:
            show_json(document)
        case PlanFormat.yaml:
            import yaml

            typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110), nl=False)
        case PlanFormat.mermaid:
            from satdsl.show.graph import mermaid

            typer.echo(mermaid(document), nl=False)
        case PlanFormat.dot:
            from satdsl.show.graph import dot

            typer.echo(dot(document), nl=False)


def _save(plan: Plan, file: Path) -> None:
    from satdsl.plan.saved import save

    if file.suffix not in PLANS:
        fail(f"{file} cannot be the name of a plan", USAGE, f"give --save a name that ends in {' or '.join(PLANS)}")
    try:
        save(plan, file)
    except OSError as error:
        fail(f"the plan cannot be written to {file}: {error.strerror}", FAILED)
    say(f"plan: {file}", stdout())


def _show_stage(file: Path, stage: Stage, set_: Sequence[str], smoke: bool) -> None:
    from rich.pretty import pretty_repr

    from satdsl.compile import parse_file

    shown = parse_file(file) if stage is Stage.ast else compile_spec(file, set_, smoke=smoke).experiment
    typer.echo(pretty_repr(shown, max_width=110))
