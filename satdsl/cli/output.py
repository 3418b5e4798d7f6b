"""Print to the terminal: messages, findings, documents and errors, and define the exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from satdsl.findings import Finding

FINDINGS, USAGE, FAILED, REFUTED, INTERRUPTED = 1, 2, 3, 4, 130
"""Exit codes: the specification has findings, the command was used wrongly, a step failed, a claim does not hold,
Ctrl-C."""


def stdout() -> Console:
    from rich.console import Console

    return Console()


def stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def say(text: RenderableType, console: Console) -> None:
    """Print a text as it is: no colours are added, and lines are as long as they are."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def fail(reason: str, code: int, help: str = "") -> NoReturn:
    """Print what is wrong and the way out, and exit."""
    from rich.text import Text

    console = stderr()
    for label, style, text in (("error", "bold red", reason), ("help", "bold", help)):
        if text:
            line = Text.assemble((label, style), f": {text}")
            console.print(line, soft_wrap=not console.is_terminal, highlight=False)
    raise typer.Exit(code)


def show_json(document: Any) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def show_findings(findings: Sequence[Finding], console: Console) -> None:
    if findings:
        from satdsl.diagnostics import rendered

        console.print(rendered(findings), soft_wrap=True, highlight=False)
        if console.is_terminal and any(not finding.accepted for finding in findings):
            code = next(finding.code for finding in findings if not finding.accepted)
            console.print(f"`satdsl help {code}` explains this finding", style="dim", highlight=False)


def show_page(page: Path, in_browser: bool = False) -> None:
    """Print where a report's page is, and open it in the web browser if that is wanted."""
    say(f"report: {page}", stdout())
    if in_browser:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            say("there is no web browser that could open it", stderr())


def unwritable(folder: Path, error: OSError) -> str:
    """Return the reason why a report cannot be written to a folder."""
    why = "it is a file, not a folder" if folder.is_file() else error.strerror or str(error)
    return f"the report cannot be written to {folder}: {why}"
