"""Write a report as files in a folder, each of which is whole at every moment."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from satdsl.ir.plan import Variant
from satdsl.report import result_formats
from satdsl.report.curves import to_csv
from satdsl.report.drawing_cache import DrawingCache
from satdsl.report.figure_files import figure_files, write_whole
from satdsl.report.load_report import Report
from satdsl.report.page import page
from satdsl.report.run_context import RunContext

PAGE = "report.html"


_WRITTEN = "figures/.written.json"
"""Notes which figures a report has, each with its digest, so that the next one can take away what it no longer has."""

_MOST_LETTERS = 80


def usual_folder(store: str, spec: Path, variant: Variant | None = None) -> Path:
    """Return where a report is written unless another place is given: in the store's folder.

    Each variant has a folder of its own, so that none takes the place of the whole report. The report of a remote
    store is written where one works.
    """
    folder = Path("" if "://" in store else store) / "reports" / spec.stem
    return folder / "variants" / _name(variant) if variant and variant.words else folder


def _name(variant: Variant) -> str:
    """Return a name for a folder: `eps=0.5,only-sat.robust`.

    A digest tells those apart that would have one name, also where a file system takes `A` for `a`.
    """
    only = [f"only-{'+'.join(sorted(variant.only))}"] if variant.only else []
    words = ",".join([*(f"{name}={value}" for name, value in variant.values), *only])
    name = re.sub(r"[^a-z0-9._=,+%-]+", "_", words.lower())[:_MOST_LETTERS].strip("._ ")
    return name if name == words else f"{name}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"


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
    are left for the last writing. `drawings`, where given, keeps what is drawn for the next one. What an earlier report
    wrote here and this one does not have is taken away, unless somebody has changed it since.

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
    place = write_whole(folder / PAGE, html.encode())
    if not refresh:
        _take_away_others(folder, [path for one in written for path in one.paths.values()])
    return place


def _take_away_others(folder: Path, written: Iterable[Path]) -> None:
    """Delete the figures' files that the last report wrote here and this one did not; note those of this one."""
    now = {path.relative_to(folder).as_posix(): _digest(path) for path in written}
    for name, digest in _noted(folder).items():
        path = folder / name
        if name not in now and path.parent == folder / "figures" and path.is_file() and _digest(path) == digest:
            path.unlink()
    if (folder / _WRITTEN).parent.is_dir():
        write_whole(folder / _WRITTEN, json.dumps(now, indent=1).encode())


def _noted(folder: Path) -> Mapping[str, str]:
    try:
        found = json.loads((folder / _WRITTEN).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
