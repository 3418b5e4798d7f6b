"""A report's displays as files for a paper: figures, their numbers, and tables in LaTeX."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from satdsl.ir.plan import Display
from satdsl.report.charts.chart import chart
from satdsl.report.charts.drawing import Format
from satdsl.report.charts.theme import Look, drawn_in
from satdsl.report.latex import latex
from satdsl.report.load_report import Report
from satdsl.report.results import ReportError
from satdsl.report.tables import Cell, Table, table

FORMATS = ("svg", "pdf", "png", "csv", "tex")
_DRAWN: tuple[Format, ...] = ("svg", "pdf", "png")

COLUMN, PAGE = 3.25, 6.75
"""The width of a column and of a page of two columns, in inches."""

NUMBERS = ("series", "x", "mean", "std", "draws", "n", "low", "high", "published")
"""The columns of a figure's CSV: values as stored (shares in [0, 1]); `low` and `high` end the 95 % interval of a
single value; `draws` is how many have a value; baselines have no x."""

_LONGEST = 80


@dataclass(frozen=True)
class FigureFiles:
    """The files of one display by format; `name` is that of its files without ending."""

    display: Display
    name: str
    paths: Mapping[str, Path]


def figure_files(
    report: Report, folder: Path, formats: Sequence[str] = FORMATS, *, width: float = COLUMN
) -> list[FigureFiles]:
    """Write `figures/NAME.FORMAT` in `folder` for every display, in the plan's order.

    Tables have no drawing, and a display that chooses no result has no file.

    A file is there as a whole or not at all, and with the same results it is the same to the byte.

    Args:
        width: of the figures, in inches.

    Raises:
        OSError: the folder cannot be written.
        ValueError: a format is not one of `FORMATS`.
    """
    if unknown := set(formats) - set(FORMATS):
        raise ValueError(f"there is no format {', '.join(sorted(unknown))}; these are known: {', '.join(FORMATS)}")
    place = folder / "figures"
    place.mkdir(parents=True, exist_ok=True)
    displays = report.plan.displays
    return [
        FigureFiles(display, name, dict(_written(display, report, place / name, formats, width)))
        for display, name in zip(displays, names([display.title for display in displays]), strict=True)
    ]


def names(titles: Sequence[str]) -> list[str]:
    """A file name for each title: lower-case letters, digits and hyphens, each name once."""
    found: list[str] = []
    for title in titles:
        plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9]+", "-", plain)[:_LONGEST].strip("-") or "figure"
        number, unique = 1, name
        while unique in found:
            number += 1
            unique = f"{name}-{number}"
        found.append(unique)
    return found


def to_csv(shown: Table) -> str:
    """A display's numbers, a line for each cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(NUMBERS)
    for row in shown.rows:
        if row.baseline:
            writer.writerows(_numbers(row.names[0], "", cell) for cell in row.cells[:1] if cell is not None)
            continue
        for column, cell in zip(shown.columns, row.cells, strict=True):
            if cell is not None:
                writer.writerow(_numbers(column, ", ".join(filter(None, row.names)), cell))
    return out.getvalue()


def _numbers(series: str, x: str, cell: Cell) -> tuple[object, ...]:
    interval = cell.measured[0].interval if len(cell.measured) == 1 else None
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return (series, x, cell.value, cell.std, cell.over, cell.n, *ends, cell.published)


def _written(
    display: Display, report: Report, path: Path, formats: Sequence[str], width: float
) -> Iterator[tuple[str, Path]]:
    try:
        shown = table(display, report.plan, report.results)
    except ReportError:
        return
    texts = {"csv": to_csv, "tex": latex}
    for format, text in texts.items():
        if format in formats:
            yield format, _whole(path, format, text(shown).encode())
    wanted = [format for format in _DRAWN if format in formats]
    figure = chart(display, report.plan, report.results) if wanted else None
    if figure is None:
        return
    from satdsl.report.charts.draw import draw

    look = Look(width)
    with drawn_in(look):
        drawing = draw(figure, look)
        for drawn in wanted:
            yield drawn, _whole(path, drawn, drawing.saved(drawn))


def _whole(path: Path, format: str, content: bytes) -> Path:
    """Written beside its place and renamed into it: whoever looks meanwhile sees the old file or the new one."""
    place = path.with_name(f"{path.name}.{format}")
    fresh = path.with_name(f".{path.name}.{format}.new")
    fresh.write_bytes(content)
    return fresh.replace(place)
