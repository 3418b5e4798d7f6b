"""The command `satdsl check`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satdsl.cli import options
from satdsl.cli.app import WRITE, app
from satdsl.cli.loading import disable_garbage_collection, parse_overrides
from satdsl.cli.output import FAILED, FINDINGS, USAGE, fail, say, show_findings, show_json, stderr, stdout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from satdsl.findings import Finding
    from satdsl.lint import Checked


class FindingsFormat(StrEnum):
    text = "text"
    json = "json"
    sarif = "sarif"
    github = "github"


@app.command(rich_help_panel=WRITE)
def check(
    files: Annotated[list[Path], typer.Argument(help="The files to check.", show_default=False)],
    set_: options.Set = [],
    format: Annotated[FindingsFormat, typer.Option(help="The output format.")] = FindingsFormat.text,
    strict: Annotated[
        bool, typer.Option(help="Count warnings as errors, but for those that the file accepts.")
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Correct the mistakes whose fix is certain; show the others.")
    ] = False,
) -> None:
    """Find the mistakes in specifications, without running anything."""
    disable_garbage_collection()
    from satdsl.findings import parted
    from satdsl.lint import checked

    overrides = parse_overrides(set_)
    if fix:
        _fix(files, overrides, stdout() if format is FindingsFormat.text else stderr())
    found = checked(files, overrides)
    _show(found, files, format)
    if found.unreadable:
        fail("; ".join(str(file) for file in found.unreadable), USAGE)
    if any(strict or finding.severity == "error" for finding in parted(found.findings)[0]):
        raise typer.Exit(FINDINGS)


def _fix(files: list[Path], overrides: Mapping[str, str], console: Console) -> None:
    from satdsl.compile import UnreadableFile
    from satdsl.lint import fixed

    for file in files:
        try:
            for finding in fixed(file, overrides):
                say(_fixed_line(finding), console)
        except UnreadableFile:
            continue  # The check that follows reports it together with the others.
        except OSError as error:
            fail(f"{error.filename} cannot be written: {error.strerror}", FAILED)


def _fixed_line(finding: Finding) -> str:
    line, column = finding.span.place
    title = finding.fix.title if finding.fix else ""
    return f"fixed {finding.span.source.path}:{line}:{column} {finding.code}: {title}"


def _show(found: Checked, files: list[Path], format: FindingsFormat) -> None:
    match format:
        case FindingsFormat.json:
            findings = [finding.document() for finding in found.findings]
            unreadable = [{"file": str(file.path), "reason": file.why} for file in found.unreadable]
            show_json({"format_version": 1, "findings": findings, "unreadable": unreadable})
        case FindingsFormat.sarif:
            from satdsl.sarif import sarif

            show_json(sarif(found))
        case FindingsFormat.github:
            from satdsl.annotations import annotated

            typer.echo(annotated(found), nl=False)
        case FindingsFormat.text:
            if found.findings:
                show_findings(found.findings, stdout())
            elif not found.unreadable:
                typer.echo(f"{', '.join(str(file) for file in files)}: no findings")
