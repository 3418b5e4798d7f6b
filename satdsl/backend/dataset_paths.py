"""Tell where the files of a data set lie, whether they are there, and how to get them. Never imports torch."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from satdsl.catalog import catalog
from satdsl.catalog.datasets import DatasetEntry
from satdsl.image_folders import listing
from satdsl.ir.steps import ArrayFile, CatalogCall
from satdsl.ir.work import StepError

STAND_IN = "stand_in"
"""What a smoke run reads in the place of a data set. It is made on the spot, and no entry of the catalog."""


def data_folder(named: str | None, data_root: Path) -> Path:
    """Return the folder of data sets: the one that a data step names, or else the run's."""
    return Path(named).expanduser() if named else data_root


def expected(source: CatalogCall, root: Path) -> tuple[Path, ...]:
    """Return what must be there for `source`; nothing for what comes with the package, or is read by a plug-in.

    Raises:
        StepError: No data set is called so.
    """
    entry = catalog().find("dataset", source.name)
    if source.name == STAND_IN or source.plugin is not None:
        return ()
    if not isinstance(entry, DatasetEntry):
        raise StepError(f"this version cannot load a data set called {source.name}")
    if entry.in_folder is not None:
        return tuple(root / source["path"] / part for part in ("train", "val"))
    if entry.named_files:
        return tuple(Path(file.path) for file in map(source.get, entry.named_files) if isinstance(file, ArrayFile))
    return tuple(root / name.format_map(dict(source.args)) for name in entry.files)


def by_hand_of(source: CatalogCall) -> str:
    """Return how the files of `source` are put there, where nobody lets them be fetched."""
    entry = catalog().find("dataset", source.name)
    return entry.by_hand if isinstance(entry, DatasetEntry) else ""


def locate(source: CatalogCall, root: Path) -> tuple[bool, Path, str]:
    """Return (whether `source` is there, where it is looked for below the folder `root`, how to get it)."""
    wanted = expected(source, root)
    if not wanted:
        return True, root, "in the package"
    where = wanted[0] if len(wanted) == 1 else Path(os.path.commonpath(wanted))
    how = by_hand_of(source) or "satdsl data FILE --download"
    present = all(path.exists() for path in wanted)
    packed = archive_of(source, root)
    return (True, packed, how) if packed is not None and not present else (present, where, how)


def archive_of(source: CatalogCall, root: Path) -> Path | None:
    """Return the archive of `source` below the folder `root` that it can be read out of; None where there is none."""
    entry = catalog().find("dataset", source.name)
    if not isinstance(entry, DatasetEntry) or not entry.archive:
        return None
    return root / entry.archive if (root / entry.archive).is_file() else None


def absent(source: CatalogCall, where: Path, how: str) -> StepError:
    """Return the error for a data set that is not there."""
    by_hand = how if by_hand_of(source) else f"fetch it with `{how}`, or put its files there by hand"
    return StepError(f"the data set {source.name} is not there: looked in {where}", by_hand)


def size_on_disk(source: CatalogCall, root: Path) -> int:
    """Return how many bytes the files of `source` take, of a folder of images those of its images."""
    return sum(sizes_on_disk(source, root).values())


def sizes_on_disk(source: CatalogCall, root: Path) -> dict[Path, int]:
    """Return how many bytes each file or folder of `source` takes."""
    entry = catalog().find("dataset", source.name)
    if isinstance(entry, DatasetEntry) and entry.in_folder is not None:
        folder = root / source["path"]
        return {folder: sum(image.size for image in listing(folder).images())}
    files = expected(source, root)
    packed = archive_of(source, root)
    read = files if packed is None or all(map(Path.exists, files)) else (packed,)
    return {file: _size(file) for file in read}


def megabytes(size: float) -> str:
    """Return a number of bytes as text."""
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.2f} GB"


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(_bytes(os.path.join(place, name)) for place, _, names in os.walk(path) for name in names)


def _bytes(file: str) -> int:
    """Return the size of a file; nothing for a link that leads nowhere."""
    with suppress(OSError):
        return os.path.getsize(file)
    return 0
