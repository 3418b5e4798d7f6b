"""Define the arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

STORE, DATA = ".satdsl", Path("data")
"""The default folders of the artifacts and of the data sets."""


class DocumentFormat(StrEnum):
    text = "text"
    json = "json"


class ResultsFormat(StrEnum):
    text = "text"
    csv = "csv"
    json = "json"
    parquet = "parquet"


File = Annotated[Path, typer.Argument(metavar="FILE", help="A .sat file or a saved plan.", show_default=False)]
Set = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Give a param or a sweep axis another value.")
]
AgainstSet = Annotated[
    list[str],
    typer.Option("--against-set", metavar="NAME=VALUE", help="Do the same in the file that is compared with."),
]
Only = Annotated[
    list[str], typer.Option("--only", metavar="NAME", help="Take only this result or training and what it needs.")
]
Smoke = Annotated[
    bool,
    typer.Option(
        "--smoke",
        help="Make the whole plan small and use synthetic images, to see whether all of it runs. "
        "The artifacts are kept apart, in STORE/smoke.",
    ),
]
Store = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="SATDSL_STORE",
        metavar="PLACE",
        help="The place that keeps every finished step: a folder, or an address such as s3://bucket/path.",
    ),
]
Data = Annotated[
    Path, typer.Option("--data", envvar="SATDSL_DATA", metavar="DIR", help="The folder that holds the data sets.")
]
DocumentFormatOption = Annotated[DocumentFormat, typer.Option("--format", help="The output format.")]
ResultsFormatOption = Annotated[ResultsFormat, typer.Option("--format", help="The output format.")]
