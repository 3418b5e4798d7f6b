"""Write a report as one self-contained HTML page: nothing in it is loaded from anywhere."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from satdsl.report import result_tables
from satdsl.report.claims import ClaimResult, Verdict
from satdsl.report.curves import summary_table
from satdsl.report.drawing_cache import DrawingCache
from satdsl.report.figure import Figure
from satdsl.report.load_report import Report
from satdsl.report.number_text import name_at, point_text
from satdsl.report.results import ReportError
from satdsl.report.run_context import RunContext
from satdsl.report.source_listing import SourceLinks, source_listings
from satdsl.show.table import Table
from satdsl.show.text import sections
from satdsl.version import __version__

LONG = 20
"""Rows above which a list is folded."""

FORMATS = {"csv": "CSV", "svg": "SVG", "pdf": "PDF", "png": "PNG", "tex": "LaTeX"}
"""What the files beside the page are called."""


@dataclass(frozen=True)
class PageFigure:
    """A display on the page: its drawing, the table below, or what is wrong with it; and its files beside the page."""

    figure: Figure
    anchor: str
    files: Sequence[tuple[str, str]]
    svg: Markup | None = None
    spread: str = ""
    table: Table | None = None
    problem: str = ""


@dataclass(frozen=True)
class PageClaim:
    """A claim on the page. `counts` has how many of its points have which verdict, where it is made at several."""

    result: ClaimResult
    counts: Sequence[tuple[Verdict, int]]


def page(
    report: Report,
    context: RunContext,
    when: datetime | None = None,
    *,
    files: Sequence[Mapping[str, Path]] = (),
    refresh: float | None = None,
    drawings: DrawingCache | None = None,
) -> str:
    """Return the HTML of the page; it is equal for equal reports but for the time.

    Args:
        when: the time that the page says it was written at; now if not given.
        files: the files of each display in the plan's order, relative to the page.
        refresh: seconds after which the page loads itself anew; never if not given.
        drawings: what an earlier page has drawn.
    """
    drawings = drawings or DrawingCache()
    listings = source_listings(context.sources)
    links = SourceLinks(listings)
    reasons = {key: context.reasons.get(key, "new") for key in report.plan.steps}
    # What a smoke run has made small stands at the top of the page.
    plan = replace(report.plan, smoke=())
    figures = [_page_figure(i, one, files, drawings) for i, one in enumerate(report.figures)]
    html: str = _template().render(
        report=report,
        plan=report.plan,
        context=context,
        version=__version__,
        when=(when or datetime.now(UTC)).astimezone(UTC),
        refresh=refresh,
        link=links,
        claims=[PageClaim(one, _claim_counts(one)) for one in report.verdicts],
        verdicts=_counts(one.verdict for one in report.verdicts),
        plots=[one for one in figures if one.figure.is_plot],
        tables=[one for one in figures if not one.figure.is_plot],
        results=result_tables.results_table(report.results, report.plan, links),
        breakdowns=result_tables.breakdown_table(report.breakdowns),
        curves=list(drawings.curves(report.curves)),
        confusions=list(drawings.confusions(context.confusions)),
        trade_offs=list(drawings.clean_against_robust(report.plan, report.results)),
        compared=drawings.compared(report.plan, report.curves),
        summary=summary_table(report.curves),
        parts=list(sections(plan, reasons)),
        steps=result_tables.step_table(report.plan, context.reasons),
        source_listings=listings,
        long=LONG,
    )
    return html


def _page_figure(i: int, figure: Figure, files: Sequence[Mapping[str, Path]], drawings: DrawingCache) -> PageFigure:
    beside = [(FORMATS[kind], path.as_posix()) for kind, path in files[i].items()] if i < len(files) else []
    anchor = f"d{i + 1}"
    try:
        spread = figure.chart.spread if figure.chart else ""
        return PageFigure(figure, anchor, beside, drawings.figure(figure, anchor), spread, figure.table)
    except ReportError as error:
        return PageFigure(figure, anchor, beside, problem=f"{error.reason}. {error.help}".strip())


def _claim_counts(result: ClaimResult) -> list[tuple[Verdict, int]]:
    """Return how many of its comparisons have which verdict; nothing where the claim is made at one point."""
    several = any(one.comparison.at for one in result.compared)
    return _counts(one.verdict for one in result.compared) if several else []


def _counts(verdicts: Iterable[Verdict]) -> list[tuple[Verdict, int]]:
    counts = Counter(verdicts)
    return [(verdict, counts[verdict]) for verdict in Verdict if counts[verdict]]


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("satdsl.report"),
        autoescape=select_autoescape(["html", "css", "js"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "point": point_text,
        "name_at": name_at,
        "data_uri": _data_uri,
        "duration": _duration,
    }
    environment.globals["inlined"] = _inlined
    return environment.get_template("report.html")


def _inlined(name: str) -> Markup:
    """Return the text of a style sheet or script of ours, as it is."""
    return Markup((Path(__file__).parent / "templates" / name).read_text("utf-8"))


def _data_uri(png: bytes) -> str:
    """Return a PNG file as an address that holds it."""
    return f"data:image/png;base64,{b64encode(png).decode()}"


def _duration(seconds: float) -> str:
    """Return `3 h 12 min`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"
