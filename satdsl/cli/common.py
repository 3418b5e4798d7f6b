"""What the commands share: their options, the console, and how errors become messages and exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from satdsl.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from satdsl.compile import Compiled
    from satdsl.engine.store import Store
    from satdsl.findings import Finding
    from satdsl.ir.plan import Plan

FINDINGS, USAGE, FAILED, REFUTED, INTERRUPTED = 1, 2, 3, 4, 130
"""Exit codes: findings in the specification, wrong usage, a step failed, a claim does not hold, Ctrl-C."""


class DocumentFormat(StrEnum):
    text = "text"
    json = "json"


class ResultsFormat(StrEnum):
    text = "text"
    csv = "csv"
    json = "json"
    parquet = "parquet"


PLANS = (".yaml", ".yml", ".json")
"""What the names of saved plans end in."""

File = Annotated[Path, typer.Argument(metavar="FILE", help="A .sat file, or a saved plan.", show_default=False)]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Give a param or a sweep axis another value.")
]
AgainstSetOption = Annotated[
    list[str],
    typer.Option("--against-set", metavar="NAME=VALUE", help="The same for the file that is compared with."),
]
OnlyOption = Annotated[
    list[str], typer.Option("--only", metavar="NAME", help="Only this result or training, and what it needs.")
]
StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="SATDSL_STORE",
        metavar="PLACE",
        help="What keeps every finished step: a folder, or an address such as s3://bucket/path.",
    ),
]
DataOption = Annotated[Path, typer.Option("--data", envvar="SATDSL_DATA", help="The folder that data sets lie in.")]
SmokeOption = Annotated[
    bool,
    typer.Option(
        "--smoke",
        help="The whole plan made small, on synthetic images: does all of it run? Kept apart, in STORE/smoke.",
    ),
]
STORE, DATA = ".satdsl", Path("data")


def collect_no_garbage() -> None:
    """A plan is some hundred thousand small objects that live on: looking for cycles among them costs a fifth."""
    import gc

    gc.disable()


def stdout() -> Console:
    from rich.console import Console

    return Console(soft_wrap=False)


def stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def fail(message: str, code: int) -> NoReturn:
    stderr().print(f"[bold red]error[/]: {plain(message)}", highlight=False)
    raise typer.Exit(code)


def show_json(document: Any) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


@contextmanager
def readable() -> Iterator[None]:
    from satdsl.compile import UnreadableFile

    try:
        yield
    except UnreadableFile as error:
        fail(str(error), USAGE)


@contextmanager
def user_errors(code: int = FAILED) -> Iterator[None]:
    """Show an error that the user can mend, instead of a traceback, and exit with this code."""
    try:
        yield
    except UserError as error:
        fail(str(error), code)


def chosen_device(name: str) -> str:
    from satdsl.backend.device import choose_device

    try:
        return choose_device(name)
    except ValueError as error:
        fail(str(error), USAGE)


def open_store(url: str) -> Store:
    from satdsl.engine import open_store

    with user_errors():
        return open_store.open_store(url)


def parsed_overrides(given: list[str], option: str = "--set") -> dict[str, str]:
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip().isidentifier() or not value.strip():
            fail(f"{option} takes NAME=VALUE, as in {option} eps=0.5; this is `{one}`", USAGE)
        found[name.strip()] = value.strip()
    return found


def kept_in(store: str, smoke: bool) -> str:
    """Where artifacts and reports are kept; those of smoke runs apart from real ones."""
    return f"{store.rstrip('/')}/smoke" if smoke else store


def compile_spec(file: Path, set_: list[str], option: str = "--set", *, smoke: bool = False) -> Compiled:
    from satdsl.compile import compile_file
    from satdsl.diagnostics import SpecError

    if file.suffix in PLANS:
        return _saved_plan(file, changed=bool(set_) or smoke)
    with readable():
        try:
            return compile_file(file, parsed_overrides(set_, option), smoke=smoke)
        except SpecError as error:
            show_findings(error.findings, stderr())
            raise typer.Exit(FINDINGS) from None


def _saved_plan(file: Path, *, changed: bool) -> Compiled:
    from satdsl.compile import compiled_plan
    from satdsl.plan.saved import UnusablePlan

    if changed:
        fail(f"{file} is a saved plan, in which everything is settled; give --set and --smoke to its .sat file", USAGE)
    try:
        return compiled_plan(file)
    except UnusablePlan as error:
        fail(str(error), FINDINGS)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)


def restricted(plan: Plan, names: list[str]) -> Plan:
    if not names:
        return plan
    from satdsl.show.document import UnknownName, only

    try:
        return only(plan, names)
    except UnknownName as error:
        fail(f"--only {error}", USAGE)


def show_findings(findings: tuple[Finding, ...] | list[Finding], console: Console) -> None:
    if findings:
        from satdsl.diagnostics import rendered

        console.print(rendered(findings), soft_wrap=True, highlight=False)
        if console.is_terminal:
            console.print(f"satdsl help {findings[0].code} tells more", style="dim", highlight=False)


def show_page(page: Path, in_browser: bool = False) -> None:
    """Say where a report's page is, and open it where that is wanted."""
    stdout().print(f"report: {page}", soft_wrap=True, highlight=False, markup=False)
    if in_browser:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            stderr().print("there is no web browser to open it with", highlight=False)


def say_left(left: int, steps: int) -> None:
    done = f"{steps - left:,} of {steps:,} steps are done; the page says how to run the others"
    stderr().print(done if left else f"all {steps:,} steps are done", highlight=False)


def unwritable(folder: Path, error: OSError) -> str:
    why = "it is a file, not a folder" if folder.is_file() else error.strerror or str(error)
    return f"the report cannot be written to {folder}: {why}"
