"""Specifications before anything runs: `explain`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli.app import RUN, app
from satdsl.cli.common import (
    FAILED,
    PLANS,
    STORE,
    USAGE,
    File,
    OnlyOption,
    SetOption,
    SmokeOption,
    StoreOption,
    collect_no_garbage,
    compile_spec,
    fail,
    kept_in,
    open_store,
    readable,
    restricted,
    show_findings,
    show_json,
    stderr,
    stdout,
    user_errors,
)

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
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    smoke: SmokeOption = False,
    format: Annotated[PlanFormat, typer.Option(help="How to print the plan.")] = PlanFormat.text,
    stage: Annotated[Stage, typer.Option(help="Show the syntax tree, the typed experiment, or the plan.")] = Stage.plan,
    store: StoreOption = STORE,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="PLAN", help="Keep the plan in a .yaml or .json file, which run takes."),
    ] = None,
) -> None:
    """Show the resolved plan: sizes, weights, what is shared, what is stored, what it costs."""
    collect_no_garbage()
    if stage is not Stage.plan:
        _show_stage(file, stage, set_, smoke)
        return
    compiled = compile_spec(file, set_, smoke=smoke)
    plan = restricted(compiled.plan, only)
    if save is not None:
        _save(plan, save)
        return
    from satdsl.engine.staleness import reasons
    from satdsl.show.document import plan_document

    with user_errors():
        document = plan_document(plan, reasons(plan, open_store(kept_in(store, smoke))))
    match format:
        case PlanFormat.text:
            from satdsl.show.text import page

            show_findings(compiled.experiment.warnings, stderr())
            stdout().print(page(document))
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


def _save(plan: Plan, place: Path) -> None:
    from satdsl.plan.saved import save

    if place.suffix not in PLANS:
        fail(f"--save {place}: the name of a plan ends in {', '.join(PLANS)}", USAGE)
    try:
        save(plan, place)
    except OSError as error:
        fail(f"the plan cannot be written to {place}: {error.strerror}", FAILED)
    stdout().print(f"plan: {place}", soft_wrap=True, highlight=False, markup=False)


def _show_stage(file: Path, stage: Stage, set_: list[str], smoke: bool) -> None:
    from rich.pretty import pretty_repr

    from satdsl.compile import parse_file

    if stage is Stage.experiment:
        typer.echo(pretty_repr(compile_spec(file, set_, smoke=smoke).experiment, max_width=110))
        return
    with readable():
        typer.echo(pretty_repr(parse_file(file), max_width=110))
