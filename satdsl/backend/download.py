"""Download a data set from its authors: fetch, unpack and check it, and only then move it into place."""

from __future__ import annotations

import os
import tarfile
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

from satdsl.backend import datasets
from satdsl.backend.dataset_archives import PUBLICATIONS, Archive, archives, check_files, check_md5
from satdsl.backend.dataset_paths import absent, by_hand_of, locate, megabytes
from satdsl.backend.dataset_readers import torchvision_dataset
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import Progress, StepError
from satdsl.version import __version__

TIMEOUT = 30.0
"""After so many seconds without an answer the next server is tried."""

BLOCK = 1 << 18
REPORT_SECONDS = 0.2

Report = Callable[[Progress], None]


def download(source: CatalogCall, root: Path, report: Report = lambda progress: None) -> None:
    """Download `source` to below `root`, where nothing appears before all of it is checked.

    An archive that is already in its place is not fetched again.

    Raises:
        StepError: The data set cannot be fetched, unpacked or written, or is not what was published.
    """
    if by_hand_of(source):
        raise absent(source, *locate(source, root)[1:])
    published = archives(source.name)
    if not published:
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{source.name}-") as folder:
            aside = Path(folder)
            for number, archive in enumerate(published, start=1):
                which = f"{number}/{len(published)}: " if len(published) > 1 else ""
                obtain(source.name, archive, root, aside, report, which)
            report(Progress(0, 1, "unpacking"))
            unpack(source.name, aside)
            report(Progress(0, 1, "checking"))
            check_files(source, aside)
            datasets.read(source, aside)
            put_in_place(aside, root)
    except PermissionError as error:
        raise StepError(
            f"{source.name} cannot be put below {root}: {error}", "choose another folder with --data"
        ) from error


def obtain(name: str, archive: Archive, root: Path, aside: Path, report: Report, which: str) -> None:
    """Put `archive` into its place below `aside`: a link to the one below `root`, or else the fetched file."""
    mine, there = aside / archive.place, root / archive.place
    mine.parent.mkdir(parents=True, exist_ok=True)
    if there.is_file():
        check_md5(there, archive.md5, name)
        mine.symlink_to(there.absolute())
        return
    failures = []
    for url in archive.urls:
        try:
            fetch(url, mine, report, which)
            check_md5(mine, archive.md5, name)
            return
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            failures.append(f"{url}: {getattr(error, 'reason', None) or error}")
        except StepError as error:
            failures.append(f"{url}: {error.reason.replace(str(mine), mine.name)}")
    raise StepError(
        f"{name} could not be downloaded: {'; '.join(failures)}",
        f"try again later, or fetch {mine.name} elsewhere and put it into {there.parent}",
    )


def fetch(url: str, path: Path, report: Report, which: str = "") -> None:
    """Fetch `url` into the file `path`, and report the bytes as they come."""
    request = urllib.request.Request(url, headers={"User-Agent": f"satdsl/{__version__}"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, path.open("wb") as file:
        total, done, reported = int(answer.headers.get("Content-Length") or 0), 0, 0.0
        while block := answer.read(BLOCK):
            file.write(block)
            done += len(block)
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                report(Progress(done, max(total, done), f"{which}{megabytes(done)} of {megabytes(total)}"))
    if done < total:
        raise ConnectionError(f"the answer ended after {done:,} of {total:,} bytes")


def unpack(name: str, folder: Path) -> None:
    """Let torchvision unpack the archives in `folder`, or do it; remove those that nobody reads again."""
    try:
        if not PUBLICATIONS[name].parts:
            for archive in archives(name):
                with tarfile.open(folder / archive.place) as packed:
                    packed.extractall(folder, filter="data")
        for part in PUBLICATIONS[name].parts:
            torchvision_dataset(name)(str(folder), download=True, **part)
    except (RuntimeError, EOFError, zlib.error, tarfile.TarError) as error:
        raise StepError(f"the archives of {name} cannot be unpacked: {error}", "fetch them again") from error
    for archive in archives(name):
        if archive.place.endswith((".tar", ".tgz", ".tar.gz")):
            (folder / archive.place).unlink()


def put_in_place(aside: Path, root: Path) -> None:
    """Move everything below `aside` to below `root`; a folder is moved at once if there is none of its name."""
    for entry in sorted(aside.iterdir()):
        target = root / entry.name
        if entry.is_symlink():
            continue
        if not entry.is_dir() or not target.exists():
            os.replace(entry, target)
        else:
            put_in_place(entry, target)
