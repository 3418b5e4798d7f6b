"""Read what the images of a data set's folder hold: the SHA-256 of each, and what its header says.

What was read once is kept in a cache (`satdsl.folder_cache`), so that a folder is read quickly the next time.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from satdsl.folder_cache import FolderCache, Identity, Known, remember, remembered
from satdsl.image_folders import ImageFile, Listing, composed, listing, shown
from satdsl.image_headers import ImageHeader, read_header
from satdsl.machine import cores
from satdsl.sources import opened

MARGIN_NS = 3_000_000_000
"""A file that changed less than this before its reading is not cached: it could change again within the same tick of
the file system's clock, as in git's index. Some file systems count in steps of two seconds."""

PATIENCE = 2.0
"""Seconds after which a person who waits for files to be read is told so."""

AT_ONCE = 256
"""Files that are handed to the threads at a time, so that an interrupt need not wait for all files."""

MOST_THREADS = 16


def _nobody(text: str) -> None:
    """Tell nobody."""


tell: Callable[[str], None] = _nobody
"""Is told what a person waits for. The command line prints it to standard error."""


@dataclass(frozen=True)
class Contents:
    """The listing of a folder, with what each image holds, by its path.

    `known` lacks images that could not be read, and, where none was to be read, those that the cache does not know.
    """

    listing: Listing
    known: Mapping[str, Known]
    unreadable: tuple[tuple[str, str], ...]
    """Images that could not be read, with the reason."""

    @property
    def folder(self) -> Path:
        return self.listing.folder

    @cached_property
    def digest(self) -> str:
        """Return a SHA-256 digest of the paths (below the folder) and the contents of all images.

        A folder that was moved keeps its digest, and so does one in which links were replaced by what they lead to.
        """
        return _digest(self.entries())

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Give the path and the SHA-256 of each image, in the order of the data set."""
        for image in self.listing.images():
            found = self.known.get(image.name)
            yield os.fsencode(composed(image.name)), b"" if found is None else found.digest

    def headers(self) -> Iterator[tuple[str, ImageHeader]]:
        """Give the path and the header of each image that was read, in the order of the data set."""
        for image in self.listing.images():
            found = self.known.get(image.name)
            if found is not None:
                yield image.name, found.header


def read(folder: Path) -> Contents:
    """List a folder, and say what each of its images holds."""
    found = listing(folder)
    cache, known, new = _cached(found)
    unreadable: list[tuple[str, str]] = []
    lasting: dict[Identity, Known] = {}
    begun = time.monotonic()
    try:
        for image, what, identity in _read_all(folder, new):
            if isinstance(what, str):
                unreadable.append((image.name, what))
                continue
            known[image.name] = what
            if identity is not None:
                lasting[identity] = what
    finally:
        # What was read before an interrupt need not be read again.
        problem = cache.keep(found.images(), lasting)
        if problem and time.monotonic() - begun > PATIENCE:
            tell(f"{problem}; the images of {shown(folder)} will be read again the next time")
    contents = Contents(found, known, tuple(unreadable))
    remember(contents.digest, contents.entries())
    return contents


def read_nothing(folder: Path) -> Contents:
    """List a folder, and say of its images what the cache knows; no image is opened."""
    found = listing(folder)
    return Contents(found, _cached(found)[1], ())


def _cached(found: Listing) -> tuple[FolderCache, dict[str, Known], list[ImageFile]]:
    """Return the cache of a folder, what it knows of the images, and the images that it does not know."""
    cache = FolderCache(found.folder)
    known: dict[str, Known] = {}
    new = []
    for image in found.images():
        kept = cache.known.get(image[1:])
        if kept is None:
            new.append(image)
        else:
            known[image.name] = kept
    return cache, known, new


# --- reading --------------------------------------------------------------------------------------


def _read_all(folder: Path, images: Sequence[ImageFile]) -> Iterator[tuple[ImageFile, Known | str, Identity | None]]:
    """Give each image with what it holds, or why it cannot be read; and its identity, if that may be cached."""
    if not images:
        return
    from concurrent.futures import ThreadPoolExecutor

    begun, told = time.monotonic(), False
    with ThreadPoolExecutor(min(MOST_THREADS, 2 * cores(), len(images))) as pool:
        for start in range(0, len(images), AT_ONCE):
            batch = images[start : start + AT_ONCE]
            places = [os.path.join(folder, image.name) for image in batch]
            for image, (what, identity) in zip(batch, pool.map(_read, places), strict=True):
                yield image, what, identity
            done, took = start + len(batch), time.monotonic() - begun
            if not told and took > PATIENCE and done < len(images):
                told = True
                rest = took / done * (len(images) - done)
                tell(
                    f"reading {len(images):,} images of {shown(folder)} that are new or have changed: "
                    f"about {_duration(rest)} more"
                )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _read(place: str) -> tuple[Known | str, Identity | None]:
    """Return what a file holds, or why it cannot be read; and its identity, if that will tell of every change."""
    try:
        content, before, after = content_of(place)
    except OSError as error:
        return error.strerror or str(error), None
    except MemoryError:
        return "it does not fit in memory", None
    what = Known(hashlib.sha256(content).digest(), read_header(content))
    still = _identity(before) == _identity(after) and after.st_size == len(content)
    return what, _identity(after) if still and _changed(after) < time.time_ns() - MARGIN_NS else None


def _changed(status: os.stat_result) -> int:
    """Return when a file was changed last. On Windows ctime is when it was made."""
    return max(status.st_ctime_ns, status.st_mtime_ns) if sys.platform == "win32" else status.st_ctime_ns


def _identity(status: os.stat_result) -> Identity:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def content_of(place: str | os.PathLike[str]) -> tuple[bytes, os.stat_result, os.stat_result]:
    """Return the content of a file, and its status before and after it was read.

    Raises:
        OSError: It cannot be read, or is no file. A pipe or a device is not waited for.
    """
    with opened(place) as file:
        before = os.fstat(file.fileno())
        return file.read(), before, os.fstat(file.fileno())


def _digest(entries: Iterable[tuple[bytes, bytes]]) -> str:
    return hashlib.sha256(b"".join(b"%d:%b%b" % (len(name), name, digest) for name, digest in entries)).hexdigest()


# --- what was planned -----------------------------------------------------------------------------


def differences(planned: str, now: Contents, most: int = 3) -> str:
    """Say in what a folder differs from the one whose digest was `planned`: the first files, and how many.

    Nothing is said of a listing that was not made on this machine, or long ago.
    """
    kept = remembered(planned)
    before = dict(kept) if kept is not None and _digest(kept) == planned else None
    if before is None:
        return ""
    there = dict(now.entries())
    kinds = (
        ("with another content", [name for name, digest in before.items() if there.get(name, digest) != digest]),
        ("gone", [name for name in before if name not in there]),
        ("new", [name for name in there if name not in before]),
    )
    parts = []
    for what, names in kinds:
        if names:
            first = ", ".join(
                [*(f"`{shown(os.fsdecode(name))}`" for name in names[:most]), *["..."] * (len(names) > most)]
            )
            parts.append(f"{len(names):,} {'file' if len(names) == 1 else 'files'} {what} ({first})")
    return "; ".join(parts)
