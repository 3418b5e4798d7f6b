"""Find the files of specifications, and write one of them anew."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path


def specifications(paths: Iterable[Path]) -> Iterator[Path]:
    """Return the files among `paths`, and all .sat files below the folders among them that are not hidden."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, below, files in os.walk(path):
            below[:] = sorted(name for name in below if not name.startswith("."))
            yield from (Path(folder) / name for name in sorted(files) if name.endswith(".sat") and name[0] != ".")


def write_anew(path: Path, text: str) -> None:
    """Put a text in the place of a file, whole or not at all, with the file's own permissions; links stay links.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    place = path.resolve()
    if place.exists() and not place.is_file():
        raise OSError(22, "it is no regular file", str(path))
    if not os.access(place, os.W_OK):
        raise PermissionError(13, "it may not be written", str(path))
    try:
        _replace(place, text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(place: Path, text: str) -> None:
    beside, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with open(beside, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, stat.S_IMODE(place.stat().st_mode))
        os.replace(name, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
