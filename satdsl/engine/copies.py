"""Artifacts of a bucket as folders on this machine: fetched once, checked byte for byte."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import tempfile
import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import astuple
from pathlib import Path

from satdsl.engine import disk, manifest
from satdsl.engine.bucket import Bucket
from satdsl.engine.local_store import LocalStore, fault_in, size_fault
from satdsl.engine.manifest import Manifest
from satdsl.engine.store import Damaged, Leftover
from satdsl.ir.steps import Key

CHOICE = "SATDSL_CACHE"
"""What chooses another folder for the copies."""

_FETCHING = "fetching"
"""The folder into which artifacts are fetched; what is in it for a day was left by a kill."""

_DAY = 86_400.0


def files_folder(found: Manifest) -> str:
    """The folder in the bucket of the files that a manifest names: another one for other files."""
    digest = hashlib.sha256(json.dumps([astuple(file) for file in found.files]).encode()).hexdigest()
    return f"files/{found.key}/{digest[:16]}"


def cache_folder(url: str) -> Path:
    """Where this machine keeps what it has of the store at `url`: below SATDSL_CACHE, or the user's cache folder."""
    if url.startswith("memory://"):
        return _passing_folder()
    own = os.environ.get(CHOICE)
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "satdsl"
    return (Path(own) if own else usual) / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


def _passing_folder() -> Path:
    """A folder that goes with this process, as what is in its memory does."""
    folder = Path(tempfile.mkdtemp(prefix="satdsl-"))
    atexit.register(disk.remove, folder)
    return folder


class Copies:
    """The copies in `cache`, which several processes may share. A copy counts while its manifest is the bucket's."""

    def __init__(self, bucket: Bucket, cache: LocalStore) -> None:
        self._bucket = bucket
        self._cache = cache
        self._sound: dict[Key, bytes] = {}

    def folder(self, found: Manifest, key: Key, content: bytes) -> Path:
        """The copy of the artifact with this manifest (`content` are its bytes); fetched if need be.

        Raises:
            Damaged: what the bucket has is not what the manifest says.
        """
        place = self._cache.place(key)
        if _read(place / manifest.NAME) != content or not self._is_sound(found, key, content):
            with self._fetched(found, key, content) as folder:
                self._take_in(key, folder)
            self._sound[key] = content
        return place

    def check(self, found: Manifest, key: Key, content: bytes) -> None:
        """Fetch an artifact anew, look at every byte, and keep none.

        Raises:
            Damaged: what the bucket has is not what the manifest says.
        """
        with self._fetched(found, key, content):
            pass

    def forget(self, key: Key) -> None:
        """Delete the copy, if there is one."""
        self._sound.pop(key, None)
        if self._cache.look(key):
            self._cache.remove(key)

    def left(self, there: Collection[Key]) -> Iterator[Leftover]:
        """Copies of artifacts that are not `there` any more, and what kills left of fetching some."""
        self._cache.refresh()
        for key in sorted(self._cache.keys().difference(there)):
            place = self._cache.place(key)
            yield Leftover("copy", key, str(place), disk.size(place))
        for name in sorted(disk.listing(self._cache.root / _FETCHING)):
            place = self._cache.root / _FETCHING / name
            with contextlib.suppress(FileNotFoundError):
                if time.time() - place.stat().st_mtime > _DAY:
                    yield Leftover("copy", name.partition(".")[0], str(place), disk.size(place))

    def _is_sound(self, found: Manifest, key: Key, content: bytes) -> bool:
        """Whether the copy is whole: by its files' sizes every time, by their digests once."""
        place = self._cache.place(key)
        fault = size_fault(place, found) if self._sound.get(key) == content else fault_in(place, key)
        if fault is None:
            self._sound[key] = content
        return fault is None

    @contextlib.contextmanager
    def _fetched(self, found: Manifest, key: Key, content: bytes) -> Iterator[Path]:
        """The artifact in a new folder, checked; the folder goes at the end unless it was given another place."""
        if found.key != key or found.identity != key:
            raise Damaged(key, f"{manifest.NAME} belongs to another artifact")
        folder = self._aside(key)
        try:
            with self._writing():
                folder.mkdir(parents=True)
                (folder / manifest.NAME).write_bytes(content)
            for file in found.files:
                try:
                    self._bucket.download(f"{files_folder(found)}/{file.path}", folder / file.path)
                except FileNotFoundError:
                    raise Damaged(key, f"{file.path} is missing") from None
            fault = fault_in(folder, key)
            if fault is not None:
                raise Damaged(key, fault)
            yield folder
        finally:
            disk.remove(folder)

    def _take_in(self, key: Key, folder: Path) -> None:
        """Give a fetched folder its place, unless another process has put the same there."""
        place = self._cache.place(key)
        with self._writing():
            place.parent.mkdir(parents=True, exist_ok=True)
            while True:
                try:
                    folder.rename(place)
                    return
                except OSError:
                    if not place.exists():
                        raise
                if _read(place / manifest.NAME) == _read(folder / manifest.NAME) and fault_in(place, key) is None:
                    return
                aside = self._aside(key)
                with contextlib.suppress(FileNotFoundError):
                    place.rename(aside)
                disk.remove(aside)

    def _aside(self, key: Key) -> Path:
        return self._cache.root / _FETCHING / f"{key}.{uuid.uuid4().hex}"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk.cannot_write(self._cache.root, error, CHOICE) from error


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
