"""`satdsl export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from satdsl.cli.app import READ, app
from satdsl.cli.common import (
    FAILED,
    STORE,
    USAGE,
    File,
    SetOption,
    StoreOption,
    compile_spec,
    fail,
    open_store,
    stdout,
    user_errors,
)
from satdsl.cli.resume import again


class ExportFormat(StrEnum):
    torch = "torch"
    safetensors = "safetensors"
    onnx = "onnx"


@app.command(rich_help_panel=READ)
def export(
    file: File,
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A training or transfer: sat, 'sat\\[order=hardest, share=30%]'."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write to.")],
    format: Annotated[
        ExportFormat,
        typer.Option(help="A torch.export program; weights with the Python code of the network; or an ONNX model."),
    ] = ExportFormat.torch,
    set_: SetOption = [],  # noqa: B006
    store: StoreOption = STORE,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an export that is there.")] = False,
) -> None:
    """Write a trained network to a folder that works without satdsl, with a model card.

    MODEL names a training or transfer: sat, or at a point of a sweep 'sat\\[order=hardest, share=30%]'.
    """
    from satdsl.model_export import NotTrained, WrongRequest
    from satdsl.model_export import export as export_network

    compiled = compile_spec(file, set_)
    with user_errors():
        try:
            network = export_network(compiled, model, format.value, out, open_store(store), force=force)
        except WrongRequest as error:
            fail(str(error), USAGE)
        except NotTrained as error:
            fail(f"{error.reason}; run: {again('run', only=[error.name])}", FAILED)
    stdout().print(f"{network.name}: {out}", soft_wrap=True, highlight=False, markup=False)
