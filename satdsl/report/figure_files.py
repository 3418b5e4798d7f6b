"""Write a report's displays as files for a paper: figures, their numbers, and tables in LaTeX."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from satdsl.report.charts.drawing import Format
from satdsl.report.charts.theme import Theme, themed
from satdsl.report.csv_text import csv_text
from satdsl.report.figure import Figure
from satdsl.report.latex import latex
from satdsl.report.pivot import Cell, PivotTable
from satdsl.report.results import ReportError

FORMATS = ("svg", "pdf", "png", "csv", "tex")
_DRAWN: tuple[Format, ...] = ("svg", "pdf", "png")

COLUMN, PAGE = 3.25, 6.75
"""The width of a column and of a page of two columns, in inches."""

NUMBERS = ("series", "x", "mean", "std", "draws", "n", "of", "low", "high", "published")
"""The columns of a figure's CSV: values as stored (shares in [0, 1]); `low` and `high` end the 95 % interval of a
single value; `draws` is how many have a value; `n` of `of` images are measured; baselines have no x."""

_LONGEST = 80


@dataclass(frozen=True)
class FigureFiles:
    """The files of a display by format; `name` is what they are called without their ending."""

    name: str
    paths: Mapping[str, Path]


def figure_files(
    figures: Sequence[Figure], folder: Path, formats: Sequence[str] = FORMATS, *, width: float = COLUMN
) -> list[FigureFiles]:
    """Write `figures/NAME.FORMAT` in `folder` for every display, and return them in the same order.

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
    if figures:
        place.mkdir(parents=True, exist_ok=True)
    return [
        FigureFiles(name, dict(_write_files(figure, place / name, formats, width)))
        for figure, name in zip(figures, names([figure.title for figure in figures]), strict=True)
    ]


def names(titles: Sequence[str]) -> list[str]:
    """Return a file name for each title: lower-case letters, digits and hyphens, each name once."""
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


def to_csv(pivot: PivotTable) -> str:
    """Return a display's numbers as CSV, a line for each cell."""
    cells = [
        (column, ", ".join(filter(None, row.names)), cell)
        for row in pivot.rows
        for column, cell in zip(pivot.columns, row.cells, strict=True)
    ]
    cells += [(name, "", cell) for name, cell in pivot.baselines]
    return csv_text(NUMBERS, (_numbers(series, x, cell) for series, x, cell in cells if cell is not None))


def _numbers(series: str, x: str, cell: Cell) -> dict[str, object]:
    return {
        "series": series,
        "x": x,
        "mean": cell.value,
        "std": cell.std,
        "draws": cell.over,
        "n": cell.partial[0] if cell.partial else cell.n,
        "of": cell.partial[1] if cell.partial else cell.n,
        "low": cell.interval and cell.interval.low,
        "high": cell.interval and cell.interval.high,
        "published": cell.published,
    }


def write_whole(place: Path, content: bytes) -> Path:
    """Write a file so that whoever looks meanwhile sees the old one or the new one, never half of it."""
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        return beside.replace(place)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _write_files(figure: Figure, path: Path, formats: Sequence[str], width: float) -> Iterator[tuple[str, Path]]:
    def write(format: str, content: bytes) -> tuple[str, Path]:
        return format, write_whole(path.with_name(f"{path.name}.{format}"), content)

    try:
        texts = {"csv": to_csv(figure.pivot), "tex": latex(figure.table)}
    except ReportError:
        return
    yield from (write(format, text.encode()) for format, text in texts.items() if format in formats)
    drawn = [format for format in _DRAWN if format in formats]
    if not drawn or not figure.is_plot:
        return
    theme = Theme(width)
    with themed(theme):
        drawing = figure.draw(theme)
        yield from (write(format, drawing.to_bytes(format)) for format in drawn)
