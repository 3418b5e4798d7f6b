"""The command `satdsl init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satdsl.cli.app import WRITE, app
from satdsl.cli.output import FAILED, USAGE, fail, say, stdout

FIRST = Path("experiment.sat")


@app.command(rich_help_panel=WRITE)
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The file to write.", show_default=True)] = FIRST,
    from_paper_setup: Annotated[
        str | None,
        typer.Option(
            "--from-paper-setup",
            metavar="DATASET",
            help="Take the paper's setup for a data set: "
            "cifar10, cifar100, imagenet200, svhn, caltech256 or flowers102.",
        ),
    ] = None,
) -> None:
    """Write a first specification with comments that explain it. A file that exists is never overwritten."""
    from satdsl import templates

    text = templates.first() if from_paper_setup is None else templates.paper_setup(from_paper_setup)
    if file.is_dir():
        fail(f"{file} is a folder", USAGE, f"name the file: satdsl init {file / FIRST}")
    try:
        with file.open("x", encoding="utf-8", newline="") as written:
            written.write(text.replace(str(FIRST), file.name))
    except FileExistsError:
        fail(f"{file} exists already", USAGE, f"give another name: satdsl init {_free_name(file)}")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}", FAILED)
    say(_next_commands(file, large=from_paper_setup is not None), stdout())


def _free_name(file: Path) -> Path:
    number = 2
    while (other := file.with_stem(f"{file.stem}{number}")).exists():
        number += 1
    return other


def _next_commands(file: Path, large: bool) -> str:
    """Return the commands that the user may want next, each with what it does."""
    import shlex

    name = shlex.quote(str(file))
    run = ("run --smoke", "try all of it with a small plan") if large else ("run", "run it: two minutes, no download")
    steps = [("check", "find mistakes"), ("explain", "show what would run, and what it costs"), run]
    if large:
        steps += [("data --download", "download its data sets"), ("run", "run it: this takes GPUs and days")]
    commands = [(f"{command} {name}", what) for command, what in steps]
    commands += [("catalog", "show what else can be written"), ("help seeds", "explain a word or a term")]
    width = max(len(command) for command, _ in commands)
    return "\n".join([f"wrote {file}", *(f"  satdsl {command:{width}}  {what}" for command, what in commands)])
