"""A report to one self-contained HTML page: nothing in it is loaded from anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from satdsl.ir.plan import Display
from satdsl.report import charts, grids
from satdsl.report.claims import ClaimResult, Verdict
from satdsl.report.curves import summary_table
from satdsl.report.grids import Grid
from satdsl.report.illustrations import Drawings, data_uri
from satdsl.report.load_report import Report
from satdsl.report.number_text import point_text
from satdsl.report.results import ReportError
from satdsl.report.run_context import RunContext
from satdsl.report.source_listing import SourceListing, source_listings
from satdsl.report.tables import table
from satdsl.show.document import plan_document
from satdsl.show.text import parts
from satdsl.version import __version__

LONG = 20
"""Rows above which a list is folded."""

FORMATS = {"csv": "CSV", "svg": "SVG", "pdf": "PDF", "png": "PNG", "tex": "LaTeX"}
"""What the files beside the page are called."""


@dataclass(frozen=True)
class Shown:
    """A display on the page: its figure, the table below, or what is wrong with it; and its files beside the page."""

    display: Display
    anchor: str
    svg: Markup | None
    spread: str
    grid: Grid | None
    problem: str
    files: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Claimed:
    """A claim on the page: `counts` has how many of its points stand how, where it is made at several."""

    verdict: ClaimResult
    counts: Sequence[tuple[Verdict, int]]


def page(
    report: Report,
    context: RunContext,
    when: datetime | None = None,
    *,
    files: Sequence[Mapping[str, Path]] = (),
    refresh: float | None = None,
    drawings: Drawings | None = None,
) -> str:
    """The page's HTML.

    Equal for equal reports but for `when`, which it is said to be written at (default: now). `files` are those of
    each display in the plan's order, relative to the page. With `refresh` it loads itself anew every so many seconds.
    `drawings` has what an earlier page has drawn.
    """
    drawings = drawings or Drawings()
    texts = source_listings(context.sources)
    document = plan_document(report.plan, {key: context.reasons.get(key, "new") for key in report.plan.steps})
    # What a smoke run has made small stands at the top of the page.
    planned = parts({**document, "smoke": ()})
    shown = [_shown(i, display, report, files, drawings) for i, display in enumerate(report.plan.displays)]
    linked = _Links(texts)
    html: str = _template().render(
        report=report,
        plan=report.plan,
        context=context,
        version=__version__,
        when=(when or datetime.now(UTC)).astimezone(UTC),
        refresh=refresh,
        link=linked,
        claims=[Claimed(verdict, _counts(verdict)) for verdict in report.verdicts],
        standings=_standings(report.verdicts),
        plots=[one for one in shown if one.display.kind != "rows"],
        tables=[one for one in shown if one.display.kind == "rows"],
        results=grids.result_grid(report.results, linked),
        breakdowns=grids.breakdown_grid(report.breakdowns),
        curves=list(drawings.curves(report.curves)),
        summary=list(grids.captioned(grids.from_terminal(summary_table(report.curves)))),
        parts=[(title, list(grids.captioned(grids.from_terminal(body)))) for title, body in planned],
        steps=grids.step_grid(report.plan, context.reasons),
        source_listings=texts,
        long=LONG,
    )
    return html


def _shown(i: int, display: Display, report: Report, files: Sequence[Mapping[str, Path]], drawings: Drawings) -> Shown:
    beside = [(FORMATS[kind], path.as_posix()) for kind, path in files[i].items()] if i < len(files) else []
    anchor = f"d{i + 1}"
    try:
        grid = grids.display_grid(table(display, report.plan, report.results))
        svg = drawings.figure(display, report, anchor)
        spread = charts.spread(display, report.plan, report.results)
        return Shown(display, anchor, svg, spread, grid, "", beside)
    except ReportError as error:
        return Shown(display, anchor, None, "", None, f"{error.reason}. {error.help}".strip(), beside)


def _counts(verdict: ClaimResult) -> list[tuple[Verdict, int]]:
    """How its points stand; nothing where the claim is made at one."""
    if not any(one.comparison.at for one in verdict.compared):
        return []
    counts = Counter(one.standing for one in verdict.compared)
    return [(standing, counts[standing]) for standing in Verdict if counts[standing]]


def _standings(verdicts: Sequence[ClaimResult]) -> list[tuple[Verdict, int]]:
    counts = Counter(verdict.standing for verdict in verdicts)
    return [(standing, counts[standing]) for standing in Verdict if counts[standing]]


class _Links:
    """The address of a line of the specification on the page; empty where the page does not have it."""

    def __init__(self, texts: Sequence[SourceListing]) -> None:
        self._texts = {text.path: text for text in texts}

    def __call__(self, file: str, line: int) -> str:
        text = self._texts.get(file)
        return f"#{text.line_id(line)}" if text is not None and 0 < line <= len(text.lines) else ""

    def name(self, file: str, line: int) -> str:
        """`common.sat, line 12`; `line 12` where there is one file."""
        if len(self._texts) == 1 and file in self._texts:
            return f"line {line}"
        text = self._texts.get(file)
        return f"{text.name if text is not None else Path(file).name}, line {line}"


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("satdsl.report"),
        autoescape=select_autoescape(["html", "css", "js"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"point": point_text, "data_uri": data_uri, "duration": _duration}
    environment.globals["inlined"] = _inlined
    return environment.get_template("report.html")


def _inlined(name: str) -> Markup:
    """The text of a style sheet or script of ours, as it is."""
    return Markup((Path(__file__).parent / "templates" / name).read_text("utf-8"))


def _duration(seconds: float) -> str:
    """`3 h 12 min`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"
