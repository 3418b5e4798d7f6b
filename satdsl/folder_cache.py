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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from satdsl import user_cache
from satdsl.image_folders import ImageFile
from satdsl.image_headers import VERSION as HEADERS
from satdsl.image_headers import ImageHeader

Identity = tuple[int, int, int, int]
"""Inode, size in bytes, and the times of the last change of the content and of anything, in nanoseconds."""

_MAGIC = f"satdsl folder 1 {HEADERS}\n".encode()
_ENTRY = struct.Struct("<QQqqI32s")
"""An identity, the position of the header in the list of different ones, and the SHA-256."""

_HEAD = struct.Struct("<QQQ")
"""The inode of the folder, the number of entries, and the length of the headers."""


class Known(NamedTuple):
    """What a file holds: its SHA-256, and its header."""

    digest: bytes
    header: ImageHeader


def _place() -> Path:
    return user_cache.place("folders")


class FolderCache:
    """What is known of the files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._inode = _inode(folder)
        self._file: Path | None = None
        self.known: Mapping[Identity, Known] = {}
        # There may be no home folder; a path with a null byte is a ValueError.
        with suppress(OSError, RuntimeError, ValueError):
            real = os.fsencode(os.path.realpath(folder))
            self._file = _place() / f"{hashlib.sha256(real).hexdigest()[:32]}.files"
            self.known = _load(self._file) or _load(_of_moved(self._inode)) or {}

    def keep(self, images: Iterable[ImageFile], new: Mapping[Identity, Known]) -> str:
        """Store what is known of these images, some of it `new`; return why it could not be stored."""
        if not new:
            return ""
        every = {**self.known, **new}
        present = {image[1:]: every[image[1:]] for image in images if image[1:] in every}
        if self._file is None:
            return "there is no place for a cache"
        return user_cache.write(self._file, _packed(self._inode, present))


def remember(digest: str, entries: Iterable[tuple[bytes, bytes]]) -> None:
    """Store the paths and SHA-256 of a listing under its digest, to be able to say later what has changed since."""
    with suppress(OSError, RuntimeError):
        file = _place() / f"{digest}.listing"
        if file.exists():
            os.utime(file)
            return
        user_cache.write(file, b"".join(struct.pack("<IB", len(name), len(sha)) + name + sha for name, sha in entries))


def remembered(digest: str) -> list[tuple[bytes, bytes]] | None:
    """Return what was stored under a listing's digest; None where nothing is, or it is damaged."""
    try:
        return list(_entries((_place() / f"{digest}.listing").read_bytes()))
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
    for file in _place().glob("*.files"):
        with suppress(OSError, struct.error), file.open("rb") as opened:
            head = opened.read(len(_MAGIC) + 32 + _HEAD.size)
            if head.startswith(_MAGIC) and _HEAD.unpack_from(head, len(_MAGIC) + 32)[0] == inode:
                return file
    return None
