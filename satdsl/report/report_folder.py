"""A report to files in a folder, each of which is whole at every moment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from satdsl.report import result_formats
from satdsl.report.curves import to_csv
from satdsl.report.illustrations import Drawings, figure_files
from satdsl.report.load_report import Report
from satdsl.report.page import page
from satdsl.report.run_context import RunContext

PAGE = "report.html"


def usual_folder(store: str, spec: Path) -> Path:
    """Where a report is written unless another place is given: with the store; for a remote one, where one works."""
    return Path("" if "://" in store else store) / "reports" / spec.stem


def write(
    report: Report,
    folder: Path,
    context: RunContext | None = None,
    *,
    when: datetime | None = None,
    refresh: float | None = None,
    drawings: Drawings | None = None,
) -> Path:
    """Write `report.html`, `results.csv`, `results.json`, `curves.csv` and `figures/`; the place of the page.

    With `refresh` the page loads itself anew every so many seconds, and the files of the figures, which take longest,
    are left for the last writing. `drawings`, where given, keeps what is drawn for the next one.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "results.csv", result_formats.to_csv(report.results))
    _replace(folder / "results.json", result_formats.to_json(report))
    _replace(folder / "curves.csv", to_csv(report.curves))
    files = [] if refresh else [_relative(paths, folder) for paths in figure_files(report, folder)]
    html = page(report, context or RunContext(), when, files=files, refresh=refresh, drawings=drawings)
    return _replace(folder / PAGE, html)


def _relative(paths: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    return {kind: path.relative_to(folder) for kind, path in paths.items()}


def _replace(place: Path, text: str) -> Path:
    """Write beside, then rename: who reads the file never finds half of it."""
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        beside.write_text(text, "utf-8")
        beside.replace(place)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    return place
