"""Write a report as files in a folder, each of which is whole at every moment."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from satdsl.report import result_formats
from satdsl.report.curves import to_csv
from satdsl.report.drawing_cache import DrawingCache
from satdsl.report.figure_files import figure_files, write_whole
from satdsl.report.load_report import Report
from satdsl.report.page import page
from satdsl.report.run_context import RunContext

PAGE = "report.html"


def usual_folder(store: str, spec: Path) -> Path:
    """Return where a report is written unless another place is given: in the store's folder.

    The report of a remote store is written where one works.
    """
    return Path("" if "://" in store else store) / "reports" / spec.stem


def write(
    report: Report,
    folder: Path,
    context: RunContext | None = None,
    *,
    when: datetime | None = None,
    refresh: float | None = None,
    drawings: DrawingCache | None = None,
) -> Path:
    """Write `report.html`, `results.csv`, `results.json`, `curves.csv` and `figures/`; return the place of the page.

    With `refresh` the page loads itself anew every so many seconds, and the files of the figures, which take longest,
    are left for the last writing. `drawings`, where given, keeps what is drawn for the next one.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "results.csv": result_formats.to_csv(report.results),
        "results.json": result_formats.to_json(report),
        "curves.csv": to_csv(report.curves),
    }
    for name, text in texts.items():
        write_whole(folder / name, text.encode())
    written = [] if refresh else figure_files(report.figures, folder)
    files = [{format: path.relative_to(folder) for format, path in one.paths.items()} for one in written]
    html = page(report, context or RunContext(), when, files=files, refresh=refresh, drawings=drawings)
    return write_whole(folder / PAGE, html.encode())
