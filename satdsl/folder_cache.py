"""Keep what the images of folders hold, so that an image is read again only when it has changed.

Each folder has a file in the user's cache folder. A file is known there by its inode, size and times. The inode and the
time of the last change of anything (ctime) tell of files that were replaced under their old time (`cp -p`, `rsync -t`);
the path does not count, so that a folder can be moved. Whatever is damaged, cannot be written or was made by another
version is left alone: images are read again then.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from satdsl.image_folders import ImageFile
from satdsl.image_headers import VERSION as HEADERS
from satdsl.image_headers import ImageHeader

Identity = tuple[int, int, int, int]
"""Inode, size in bytes, and the times of the last change of the content and of anything, in nanoseconds."""

MOST_FILES, MOST_BYTES = 200, 1 << 30
"""The cache has so many files, of so many bytes, at most. Those that were not used for longest are removed."""

VARIABLE = "SATDSL_CACHE"
"""The environment variable that chooses another folder for caches."""

_MAGIC = f"satdsl folder 1 {HEADERS}\n".encode()
_ENTRY = struct.Struct("<QQqqI32s")
"""An identity, the position of the header in the list of different ones, and the SHA-256."""

_HEAD = struct.Struct("<QQQ")
"""The inode of the folder, the number of entries, and the length of the headers."""

_DAY = 86_400.0


class Known(NamedTuple):
    """What a file holds: its SHA-256, and its header."""

    digest: bytes
    header: ImageHeader


def place() -> Path:
    """Return the folder of the cache."""
    own = os.environ.get(VARIABLE)
    root = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "satdsl"
    return root / "folders"


class FolderCache:
    """What is known of the files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._inode = _inode(folder)
        self._file: Path | None = None
        self.known: Mapping[Identity, Known] = {}
        # There may be no home folder; a path with a null byte is a ValueError.
        with suppress(OSError, RuntimeError, ValueError):
            real = os.fsencode(os.path.realpath(folder))
            self._file = place() / f"{hashlib.sha256(real).hexdigest()[:32]}.files"
            self.known = _load(self._file) or _load(_of_moved(self._inode)) or {}

    def keep(self, images: Iterable[ImageFile], new: Mapping[Identity, Known]) -> str:
        """Store what is known of these images, some of it `new`; return why it could not be stored."""
        if not new:
            return ""
        every = {**self.known, **new}
        present = {image[1:]: every[image[1:]] for image in images if image[1:] in every}
        if self._file is None:
            return "there is no place for a cache"
        return _write(self._file, _packed(self._inode, present))


def remember(digest: str, entries: Iterable[tuple[bytes, bytes]]) -> None:
    """Store the paths and SHA-256 of a listing under its digest, to be able to say later what has changed since."""
    with suppress(OSError, RuntimeError):
        file = place() / f"{digest}.listing"
        if file.exists():
            os.utime(file)
            return
        _write(file, b"".join(struct.pack("<IB", len(name), len(sha)) + name + sha for name, sha in entries))


def remembered(digest: str) -> list[tuple[bytes, bytes]] | None:
    """Return what was stored under a listing's digest; None where nothing is, or it is damaged."""
    try:
        return list(_entries((place() / f"{digest}.listing").read_bytes()))
    except (OSError, RuntimeError, struct.error):
        return None


def _entries(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        name, sha = struct.unpack_from("<IB", content, at)
        at += 5
        yield content[at : at + name], content[at + name : at + name + sha]
        at += name + sha


def _inode(folder: Path) -> int:
    try:
        return os.stat(folder).st_ino
    except (OSError, ValueError):
        return 0


def _packed(inode: int, known: Mapping[Identity, Known]) -> bytes:
    rows: dict[tuple[str | int | bool, ...], int] = {}
    entries = b"".join(
        _ENTRY.pack(*identity, rows.setdefault(one.header.row, len(rows)), one.digest)
        for identity, one in known.items()
    )
    headers = json.dumps(list(rows)).encode()
    body = _HEAD.pack(inode, len(known), len(headers)) + headers + entries
    return _MAGIC + hashlib.sha256(body).digest() + body


def _load(file: Path | None) -> dict[Identity, Known] | None:
    """Return what a file of the cache knows; None where there is none, or it is damaged or another version's."""
    if file is None:
        return None
    try:
        content = file.read_bytes()
        body = memoryview(content)[len(_MAGIC) + 32 :]
        if not content.startswith(_MAGIC) or hashlib.sha256(body).digest() != content[len(_MAGIC) : len(_MAGIC) + 32]:
            return None
        _, count, length = _HEAD.unpack_from(body)
        start = _HEAD.size + length
        headers = [ImageHeader.of_row(row) for row in json.loads(bytes(body[_HEAD.size : start]))]
        entries = body[start : start + count * _ENTRY.size]
        with suppress(OSError):
            os.utime(file)
        return {
            (inode, size, modified, changed): Known(digest, headers[row])
            for inode, size, modified, changed, row, digest in _ENTRY.iter_unpack(entries)
        }
    except (OSError, ValueError, IndexError, struct.error):
        return None


def _of_moved(inode: int) -> Path | None:
    """Return the file of a folder with this inode, which was at another place when its images were read."""
    for file in place().glob("*.files"):
        with suppress(OSError, struct.error), file.open("rb") as opened:
            head = opened.read(len(_MAGIC) + 32 + _HEAD.size)
            if head.startswith(_MAGIC) and _HEAD.unpack_from(head, len(_MAGIC) + 32)[0] == inode:
                return file
    return None


def _write(file: Path, content: bytes) -> str:
    """Replace a file, so that others who read it see the old one or the new one; return why that is not possible."""
    aside = file.with_name(f"{os.urandom(16).hex()}.aside")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside.write_bytes(content)
        aside.replace(file)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        return f"{file.parent} cannot be written ({error.strerror or error})"
    _tidy(file)
    return ""


def _tidy(kept: Path) -> None:
    """Remove what was not used for longest, beyond what the cache may have, and what killed processes left."""
    found = []
    for file in kept.parent.iterdir():
        with suppress(OSError):
            status = file.stat()
            if file.suffix == ".aside":
                if status.st_mtime < time.time() - _DAY:
                    file.unlink()
            elif file != kept:
                found.append((status.st_mtime, status.st_size, file))
    room = MOST_BYTES - kept.stat().st_size
    for number, (_, size, file) in enumerate(sorted(found, reverse=True), 2):
        room -= size
        if number > MOST_FILES or room < 0:
            with suppress(OSError):
                file.unlink()
