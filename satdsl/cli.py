"""The command line: one function a command, each a few calls into the house. Exit codes:

0 fine; 1 findings in the specification; 2 wrong usage; 3 a step failed; 4 a claim does not hold under --strict.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from satdsl import __version__

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from satdsl.compile import Compiled
    from satdsl.engine.store import Store
    from satdsl.findings import Finding
    from satdsl.plan.plan import Plan
    from satdsl.plan.steps import Key

FINDINGS, USAGE, FAILED, REFUTED, INTERRUPTED = 1, 2, 3, 4, 130

app = typer.Typer(
    name="satdsl",
    help="Adversarial-robustness experiments from one page: check it, plan it, run it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
store_app = typer.Typer(help="Look into the artifact store.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(store_app, name="store")


class CheckFormat(StrEnum):
    text = "text"
    json = "json"


class PlanFormat(StrEnum):
    text = "text"
    json = "json"
    yaml = "yaml"
    mermaid = "mermaid"
    dot = "dot"


class Stage(StrEnum):
    ast = "ast"
    experiment = "experiment"
    plan = "plan"


class ExportFormat(StrEnum):
    torch = "torch"
    safetensors = "safetensors"
    onnx = "onnx"


class ResultsFormat(StrEnum):
    text = "text"
    csv = "csv"
    json = "json"


File = Annotated[Path, typer.Argument(metavar="FILE", help="A .sat file.", show_default=False)]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Give a param or a sweep axis another value.")
]
OnlyOption = Annotated[
    list[str], typer.Option("--only", metavar="NAME", help="Only this result or training, and what it needs.")
]
StoreOption = Annotated[
    Path, typer.Option("--store", envvar="SATDSL_STORE", help="The folder that keeps every finished step.")
]
DataOption = Annotated[Path, typer.Option("--data", envvar="SATDSL_DATA", help="The folder that data sets lie in.")]
STORE, DATA = Path(".satdsl"), Path("data")


def main() -> None:
    """The `satdsl` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except KeyboardInterrupt:
        _stderr().print("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"satdsl {__version__}")
        raise typer.Exit


# --- commands ------------------------------------------------------------------------------------


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Files to check.", show_default=False)],
    set_: SetOption = [],  # noqa: B006
    format: Annotated[CheckFormat, typer.Option(help="How to print the findings.")] = CheckFormat.text,
    strict: Annotated[bool, typer.Option(help="Count warnings as errors.")] = False,
) -> None:
    """Find the mistakes in specifications, without running anything."""
    _collect_no_garbage()
    from satdsl.compile import UnreadableFile, check_file
    from satdsl.findings import SpecError

    overrides = _overrides(set_)
    found: list[Finding] = []
    unreadable = []
    for file in files:
        try:
            found += check_file(file, overrides).warnings
        except SpecError as error:
            found += error.findings
        except UnreadableFile as error:
            unreadable.append(str(error))
    if format is CheckFormat.json:
        _json({"format_version": 1, "findings": [finding.document() for finding in found]})
    elif found:
        _show_findings(found, _stdout())
    elif not unreadable:
        typer.echo(f"{', '.join(str(file) for file in files)}: no findings")
    if unreadable:
        _fail("; ".join(unreadable), USAGE)
    if any(strict or finding.severity == "error" for finding in found):
        raise typer.Exit(FINDINGS)


@app.command()
def explain(
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    format: Annotated[PlanFormat, typer.Option(help="How to print the plan.")] = PlanFormat.text,
    stage: Annotated[Stage, typer.Option(help="Show the syntax tree, the typed experiment, or the plan.")] = Stage.plan,
    store: StoreOption = STORE,
) -> None:
    """Show the resolved plan: sizes, weights, what is shared, what is stored, what it costs."""
    _collect_no_garbage()
    if stage is not Stage.plan:
        _show_stage(file, stage, set_)
        return
    compiled = _compile(file, set_)
    plan = _only(compiled.plan, only)
    from satdsl.engine.needs import reasons
    from satdsl.plan.document import plan_document

    with _store_errors():
        document = plan_document(plan, reasons(plan, _open(store)))
    match format:
        case PlanFormat.text:
            from satdsl.plan.text import page

            _show_findings(compiled.experiment.warnings, _stderr())
            _stdout().print(page(document))
        case PlanFormat.json:
            _json(document)
        case PlanFormat.yaml:
            import yaml

            typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110), nl=False)
        case PlanFormat.mermaid:
            from satdsl.plan.graph import mermaid

            typer.echo(mermaid(document), nl=False)
        case PlanFormat.dot:
            from satdsl.plan.graph import dot

            typer.echo(dot(document), nl=False)


@app.command()
def run(
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    store: StoreOption = STORE,
    data: DataOption = DATA,
    device: Annotated[
        str, typer.Option(help="A torch device: cpu, cuda, cuda:1; auto takes a GPU if there is one.")
    ] = "auto",
    strict: Annotated[bool, typer.Option(help="Exit with 4 unless every claim holds.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="The folder for the report; STORE/reports/NAME if not given.")
    ] = None,
) -> None:
    """Run the steps that are not stored yet, then show results and verdicts, and write the report."""
    from satdsl.backend import perform
    from satdsl.engine.needs import RUNS, reasons
    from satdsl.engine.progress import progress
    from satdsl.engine.run import run as run_plan

    compiled = _compile(file, set_)
    _show_findings(compiled.experiment.warnings, _stderr())
    plan = _only(compiled.plan, only)
    place = _open(store)
    console = _stderr()
    with _store_errors():
        idle = RUNS.isdisjoint(reasons(plan, place).values())
    if not idle:
        device = _device(device)
    with _store_errors(), progress(console) as listen:
        outcome = run_plan(plan, place, perform, device=device, data_root=data, listen=listen)
    if not outcome.complete:
        again = f"what was finished is kept; go on with: satdsl run {_again(file, set_, only, store, data)}"
        console.print(again, soft_wrap=True, highlight=False, markup=False)
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    verdicts = _report(plan, place, report or store / "reports" / file.stem)
    if not outcome.complete:
        raise typer.Exit(FAILED)
    if strict and any(verdict.standing.value != "holds" for verdict in verdicts):
        raise typer.Exit(REFUTED)


@app.command()
def results(
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    format: Annotated[ResultsFormat, typer.Option(help="How to print them.")] = ResultsFormat.text,
    store: StoreOption = STORE,
) -> None:
    """Print the stored results: each with its point in the sweep, value, number of images and 95 % interval."""
    plan = _only(_compile(file, set_).plan, only)
    from satdsl.report import curves as stored
    from satdsl.report import export
    from satdsl.report.breakdown import breakdowns
    from satdsl.report.claims import verdicts
    from satdsl.report.results import measured
    from satdsl.report.warnings import warned

    with _report_errors():
        place = _open(store)
        found, broken = measured(plan, place), breakdowns(plan, place)
        doubted = warned(plan, place, stored.curves(plan, place))
        match format:
            case ResultsFormat.text:
                typer.echo(export.to_text(found, doubted, broken, _stdout().width), nl=False)
            case ResultsFormat.csv:
                typer.echo(export.to_csv(found), nl=False)
            case ResultsFormat.json:
                typer.echo(export.to_json(plan, found, verdicts(plan, found), doubted, broken), nl=False)


@app.command()
def curves(
    file: File,
    set_: SetOption = [],  # noqa: B006
    only: OnlyOption = [],  # noqa: B006
    format: Annotated[ResultsFormat, typer.Option(help="How to print them.")] = ResultsFormat.text,
    store: StoreOption = STORE,
) -> None:
    """Print what happened in each epoch of the stored trainings: loss, accuracy, attacks, robustness, speed."""
    plan = _only(_compile(file, set_).plan, only)
    from satdsl.report import curves as stored

    with _report_errors():
        found = stored.curves(plan, _open(store))
    match format:
        case ResultsFormat.text:
            for curve in found:
                _stdout().print(stored.curve_table(curve), "")
            if not found:
                _stdout().print("no training is stored yet", highlight=False)
        case ResultsFormat.csv:
            typer.echo(stored.to_csv(found), nl=False)
        case ResultsFormat.json:
            typer.echo(stored.to_json(found), nl=False)


@app.command()
def export(
    file: File,
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A training or transfer: sat, 'sat[order=hardest, share=30%]'."),
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
    from satdsl.export import ExportError, NotTrained, WrongRequest
    from satdsl.export import export as export_network

    compiled = _compile(file, set_)
    try:
        with _report_errors():
            network = export_network(compiled, model, format.value, out, _open(store), force=force)
    except WrongRequest as error:
        _fail(f"{error.reason}; {error.help}", USAGE)
    except NotTrained as error:
        again = _again(file, set_, [error.name], store, DATA)
        _fail(f"{error.reason}; run: satdsl run {again}", FAILED)
    except ExportError as error:
        _fail(f"{error.reason}; {error.help}", FAILED)
    _stdout().print(f"{network.name}: {out}", soft_wrap=True, highlight=False, markup=False)


@app.command()
def data(
    file: File,
    set_: SetOption = [],  # noqa: B006
    download: Annotated[bool, typer.Option("--download", help="Fetch what is missing.")] = False,
    root: DataOption = DATA,
    store: StoreOption = STORE,
) -> None:
    """Say which data sets a specification needs, where they are and how large; fetch those that are missing."""
    plan = _compile(file, set_).plan
    from satdsl.backend.inventory import MISSING, needed, page

    place = _open(store)
    with _store_errors():
        found = needed(plan, place, root)
    again = f"satdsl data {file} --download" + (f" --data {root}" if root != DATA else "")
    for part in page(found, "is fetched now" if download else again):
        _stdout().print(part, highlight=False)
    if download:
        _download(plan, place, root, [key for one in found for key in one.keys if one.fetchable])
    elif any(one.state == MISSING for one in found):
        raise typer.Exit(FAILED)


def _download(plan: Plan, place: Store, root: Path, absent: list[Key]) -> None:
    """Fetch what is absent, and check all the data sets that were not checked before."""
    from satdsl.backend import perform
    from satdsl.engine.progress import progress
    from satdsl.engine.run import run as run_plan

    keys = [key for key, step in plan.steps.items() if step.kind == "data"]
    with _store_errors(), progress(_stderr()) as listen:
        outcome = run_plan(
            plan, place, perform, wanted=keys, forced=absent, data_root=root, download=True, listen=listen
        )
    if not outcome.complete:
        raise typer.Exit(INTERRUPTED if outcome.interrupted else FAILED)


@app.command()
def catalog(
    name: Annotated[str | None, typer.Argument(help="A family or an entry.", show_default=False)] = None,
    format: Annotated[CheckFormat, typer.Option(help="How to print it.")] = CheckFormat.text,
) -> None:
    """Show what can be written: data sets, models, attacks, recipes, scores, plots, with every argument."""
    from satdsl.catalog import show

    try:
        if format is CheckFormat.json:
            _json(show.document(name))
        else:
            for part in show.show(name):
                _stdout().print(part)
    except LookupError as error:
        _fail(str(error.args[0]), USAGE)


@store_app.command("list")
def store_list(store: StoreOption = STORE) -> None:
    """List the finished steps."""
    from rich.table import Table
    from rich.text import Text

    from satdsl.engine.store import Damaged

    place = _open(store)
    table = Table("key", "kind", "what", "seconds", box=None, pad_edge=False)
    for key in sorted(place.keys()):
        try:
            with _store_errors():
                manifest = place.manifest(key)
            table.add_row(key[:12], manifest.kind, Text(manifest.label), f"{manifest.seconds:.1f}")
        except Damaged as damaged:
            table.add_row(key[:12], "?", Text(f"damaged: {damaged.fault}"), "")
    _stdout().print(table)


@store_app.command("verify")
def store_verify(store: StoreOption = STORE) -> None:
    """Check every stored file against its digest; damaged artifacts are named and set aside, and will be rebuilt."""
    place = _open(store)
    with _store_errors():
        faults = [(key, fault) for key in sorted(place.keys()) if (fault := place.verify(key))]
    for key, fault in faults:
        with _store_errors():
            place.set_aside(key, fault)
        _stdout().print(f"damaged: {key[:12]}: {fault}", highlight=False)
    _stdout().print(f"{len(place.keys())} artifacts sound, {len(faults)} damaged", highlight=False)
    if faults:
        raise typer.Exit(FAILED)


# --- what the commands share -------------------------------------------------------------------


def _collect_no_garbage() -> None:
    """A plan is some hundred thousand small objects that live on: looking for cycles among them costs a fifth."""
    import gc

    gc.disable()


def _stdout() -> Console:
    from rich.console import Console

    return Console(soft_wrap=False)


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _fail(message: str, code: int) -> NoReturn:
    _stderr().print(f"[bold red]error[/]: {_plain(message)}", highlight=False)
    raise typer.Exit(code)


def _json(document: Any) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


@contextmanager
def _readable() -> Iterator[None]:
    from satdsl.compile import UnreadableFile

    try:
        yield
    except UnreadableFile as error:
        _fail(str(error), USAGE)


@contextmanager
def _store_errors() -> Iterator[None]:
    from satdsl.engine.store import StoreError

    try:
        yield
    except StoreError as error:
        _fail(f"{error.reason}. {error.help}".strip(), FAILED)


@contextmanager
def _report_errors() -> Iterator[None]:
    from satdsl.report.rows import ReportError

    try:
        with _store_errors():
            yield
    except ReportError as error:
        _fail(f"{error.reason}. {error.help}".strip(), FAILED)


def _device(name: str) -> str:
    from satdsl.backend.device import choose_device

    try:
        return choose_device(name)
    except ValueError as error:
        _fail(str(error), USAGE)


def _open(root: Path) -> Store:
    from satdsl.engine.store import Store

    with _store_errors():
        return Store(root)


def _overrides(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip().isidentifier() or not value.strip():
            _fail(f"--set takes NAME=VALUE, as in --set eps=0.5; this is `{one}`", USAGE)
        found[name.strip()] = value.strip()
    return found


def _compile(file: Path, set_: list[str]) -> Compiled:
    from satdsl.compile import compile_file
    from satdsl.findings import SpecError

    with _readable():
        try:
            return compile_file(file, _overrides(set_))
        except SpecError as error:
            _show_findings(error.findings, _stderr())
            raise typer.Exit(FINDINGS) from None


def _only(plan: Plan, names: list[str]) -> Plan:
    if not names:
        return plan
    from satdsl.findings import did_you_mean
    from satdsl.plan.document import only

    try:
        return only(plan, names)
    except LookupError as error:
        name = str(error.args[0])
        known = [*plan.named, *dict.fromkeys(result.name for result in plan.results)]
        hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
        _fail(f"--only {name}: nothing is called so at such a point; {hint}", USAGE)


def _show_findings(findings: tuple[Finding, ...] | list[Finding], console: Console) -> None:
    if findings:
        from satdsl.diagnostics import rendered

        console.print(rendered(findings), soft_wrap=True, highlight=False)


def _show_stage(file: Path, stage: Stage, set_: list[str]) -> None:
    from rich.pretty import pretty_repr

    from satdsl.compile import parse_file

    if stage is Stage.experiment:
        typer.echo(pretty_repr(_compile(file, set_).experiment, max_width=110))
        return
    with _readable():
        typer.echo(pretty_repr(parse_file(file), max_width=110))


def _again(file: Path, set_: list[str], only: list[str], store: Path, data: Path) -> str:
    import shlex

    words = [str(file), *(w for s in set_ for w in ("--set", s)), *(w for o in only for w in ("--only", o))]
    places = (("--store", store, STORE), ("--data", data, DATA))
    return shlex.join([*words, *(w for flag, place, usual in places if place != usual for w in (flag, str(place)))])


def _report(plan: Plan, store: Store, folder: Path) -> list[Any]:
    """Show tables and verdicts, and write them beside the results as files."""
    from satdsl.report.claims import verdicts
    from satdsl.report.curves import curves
    from satdsl.report.page import show, write
    from satdsl.report.results import measured
    from satdsl.report.warnings import warned

    with _report_errors():
        found = measured(plan, store)
        judged, trained = verdicts(plan, found), curves(plan, store)
        doubted = warned(plan, store, trained)
        shown: list[RenderableType] = show(plan, found, judged, doubted)
    for part in shown:
        _stdout().print(part)
    try:
        where = write(plan, found, judged, doubted, trained, folder)
        _stdout().print(f"report: {where}", soft_wrap=True, highlight=False, markup=False)
    except OSError as error:
        why = f"the report cannot be written to {folder}: {error.strerror}; choose another place with --report"
        _stderr().print(why, soft_wrap=True, highlight=False, markup=False)
    return judged
