"""`satdsl init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satdsl.cli.app import WRITE, app
from satdsl.cli.common import FAILED, USAGE, fail, stdout

FIRST = Path("paper.sat")


@app.command(rich_help_panel=WRITE)
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The file to write.", show_default=True)] = FIRST,
    from_paper_setup: Annotated[
        str | None,
        typer.Option(
            "--from-paper-setup",
            metavar="DATASET",
            help="The paper's setup for a data set: cifar10, cifar100, imagenet200, svhn, caltech256, flowers102.",
        ),
    ] = None,
) -> None:
    """Write a first specification, with comments that teach; it never overwrites a file."""
    from satdsl import templates

    try:
        text = templates.first() if from_paper_setup is None else templates.paper_setup(from_paper_setup)
    except templates.UnknownSetup as error:
        fail(str(error.args[0]), USAGE)
    if file.is_dir():
        fail(f"{file} is a folder; name the file: satdsl init {file / FIRST}", USAGE)
    try:
        with file.open("x", encoding="utf-8", newline="") as written:
            written.write(text.replace(str(FIRST), file.name))
    except FileExistsError:
        fail(f"{file} is there already; give another name: satdsl init {_other(file)}", USAGE)
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}", FAILED)
    stdout().print(_next(file, from_paper_setup is not None), soft_wrap=True, highlight=False, markup=False)


def _other(file: Path) -> Path:
    """A name that is free."""
    number = 2
    while (other := file.with_stem(f"{file.stem}{number}")).exists():
        number += 1
    return other


def _next(file: Path, large: bool) -> str:
    """What to do with the file that was written."""
    import shlex

    name = shlex.quote(str(file))
    last = ("run --smoke", "try all of it, made small") if large else ("run", "run it: about two minutes, no download")
    commands = [("check", "find mistakes"), ("explain", "what would be run, and what it costs"), last]
    if large:
        commands += [("data --download", "fetch its data sets"), ("run", "run it: this takes GPUs, and days")]
    width = max(len(command) for command, _ in commands) + len(name) + 1
    lines = (f"  satdsl {f'{command} {name}':{width}}  {what}" for command, what in commands)
    return "\n".join([f"wrote {file}", *lines])
