"""The command `satdsl why`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from satdsl.cli import options
from satdsl.cli.app import RUN, app
from satdsl.cli.loading import PLANS, disable_garbage_collection, load, parse_overrides
from satdsl.cli.output import show_json, stdout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from satdsl.ir.plan import Plan
    from satdsl.ir.steps import Key


@app.command(rich_help_panel=RUN)
def why(
    file: options.File,
    step: Annotated[
        list[str],
        typer.Argument(metavar="STEP", help="A step as the run calls it, such as `train sat`, or how its key begins."),
    ],
    set_: options.Set = [],
    format: options.DocumentFormatOption = options.DocumentFormat.text,
    store: options.Store = options.STORE,
    data: options.Data = options.DATA,
) -> None:
    """Say why a step has to run: which value, file or code differs from the nearest step that is stored, and where."""
    disable_garbage_collection()
    from satdsl.engine.why import why_document
    from satdsl.ir.named_step import step_called

    spec = load(file, set_, store=store, reads_only=True)
    key = step_called(spec.plan, " ".join(step))
    document = why_document(spec.plan, spec.store, key, _origins(file, set_, spec.plan))
    if format is options.DocumentFormat.json:
        show_json(document)
    else:
        from satdsl.show.why_text import page

        stdout().print(page(document), highlight=False)


def _origins(file: Path, set_: Sequence[str], plan: Plan) -> Any:
    """Return what finds the line that sets a setting; nothing does in a saved plan."""
    if file.suffix in PLANS:
        return lambda key, path: None
    from satdsl.compile import origins

    found = origins(file, plan, parse_overrides(set_))

    def origin(key: Key, path: tuple[str | int, ...]) -> Mapping[str, Any] | None:
        place = found.of(key, path)
        return None if place is None else place.document

    return origin
