"""The command `satdsl why`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from satdsl.cli import options
from satdsl.cli.app import RUN, app
from satdsl.cli.loading import PLANS, disable_garbage_collection, load, parse_overrides
from satdsl.cli.output import USAGE, fail, show_json, stdout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from satdsl.ir.plan import Plan
    from satdsl.ir.steps import Key

MOST_NAMED = 8
"""Steps that are named where several are meant."""


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

    spec = load(file, set_, store=store, reads_only=True)
    key = _meant(spec.plan, " ".join(step))
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


def _meant(plan: Plan, text: str) -> Key:
    """Return the step that is called so, or whose key begins so; end the program where there is none, or several."""
    labels = plan.labels
    found = [key for key, label in labels.items() if label == text]
    found = found or [key for key in labels if len(text) >= 4 and key.startswith(text.lower())]
    found = found or [key for key, label in labels.items() if label.partition(" ")[2] == text]
    found = found or [key for key, label in labels.items() if label.startswith(f"{text}[")]
    found = found or [key for key, label in labels.items() if label.partition(" ")[2].startswith(f"{text}[")]
    if len(found) == 1:
        return found[0]
    if found:
        same = len({labels[key] for key in found}) < len(found)
        names = [f"{labels[key]} ({key[:8]})" if same else labels[key] for key in found]
        more = ", ..." if len(names) > MOST_NAMED else ""
        fail(
            f"`{text}` can be {len(found)} steps: {', '.join(names[:MOST_NAMED])}{more}",
            USAGE,
            'give the whole name in quotes, as in "train sat[share=30%]", or how the key begins',
        )
    from satdsl.hints import suggest

    fail(f"the plan has no step `{text}`", USAGE, str(suggest(text, labels.values(), there_are="there are")))
