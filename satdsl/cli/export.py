"""The command `satdsl export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from satdsl.cli import options
from satdsl.cli.app import READ, app
from satdsl.cli.loading import load
from satdsl.cli.output import FAILED, fail, say, stderr, stdout
from satdsl.cli.resume import resume_command


class ExportFormat(StrEnum):
    torch = "torch"
    safetensors = "safetensors"
    onnx = "onnx"


@app.command(rich_help_panel=READ)
def export(
    file: options.File,
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A training or transfer: sat, 'sat\\[order=hardest, share=30%]'."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write to.")],
    format: Annotated[
        ExportFormat,
        typer.Option(help="A torch.export program, the weights with the network's Python code, or an ONNX model."),
    ] = ExportFormat.torch,
    set_: options.Set = [],
    store: options.Store = options.STORE,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an export that is in the folder.")] = False,
) -> None:
    """Write a trained network to a folder that works without satdsl, with a model card.

    MODEL names a training or transfer: sat, or at a point of a sweep 'sat\\[order=hardest, share=30%]'. With an epoch,
    'sat\\[epoch=100]', it means the weights that the training kept after it.
    """
    from satdsl.engine import user_code
    from satdsl.model_export import NotTrained, find_network
    from satdsl.model_export import export as export_network

    spec = load(file, set_, store=store)
    for code in user_code.of_network(spec.compiled.plan, find_network(spec.compiled, model).key):
        say(f"runs {code.path} (sha256 {code.sha256[:12]})", stderr())
    try:
        network = export_network(spec.compiled, model, format.value, out, spec.store, force=force)
    except NotTrained as error:
        fail(error.reason, FAILED, f"run it: {resume_command('run', only=[error.name])}")
    say(f"{network.name}: {out}", stdout())
