"""Keep copies of a bucket's artifacts in folders of this machine: each is fetched once and checked byte for byte."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import tempfile
import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import astuple
from pathlib import Path

from satdsl import user_cache
from satdsl.engine import disk, manifest
from satdsl.engine.bucket import Bucket
from satdsl.engine.errors import Damaged
from satdsl.engine.local_store import LocalStore
from satdsl.engine.manifest import Manifest
from satdsl.engine.store import Leftover
from satdsl.ir.steps import Key

_FETCHING = "fetching"
"""The folder into which artifacts are fetched. What has been in it for a day was left by a killed process."""

_DAY = 86_400.0


def files_folder(found: Manifest) -> str:
    """Return the folder in the bucket that has the files of this manifest. Other files have another folder."""
    digest = hashlib.sha256(json.dumps([astuple(file) for file in found.files]).encode()).hexdigest()
    return f"files/{found.key}/{digest[:16]}"


def cache_folder(url: str) -> Path:
    """Return where this machine keeps copies of the store at `url`: below SATDSL_CACHE, or the user's cache folder."""
    if url.startswith("memory://"):
        return _temporary_folder()
    return user_cache.place(hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16])


def _temporary_folder() -> Path:
    """Return a folder that is removed at the end of this process, as its memory is."""
    folder = Path(tempfile.mkdtemp(prefix="satdsl-"))
    atexit.register(disk.remove, folder)
    return folder


class ArtifactCache:
    """The copies in `local`, which several processes may share. A copy is valid while its manifest is the bucket's."""

    def __init__(self, bucket: Bucket, local: LocalStore) -> None:
        self._bucket = bucket
        self._local = local
        self._verified: dict[Key, bytes] = {}
        """By key, the manifest whose copy this process has read completely."""

    def fetch(self, found: Manifest, key: Key, content: bytes) -> Path:
        """Return the copy of the artifact with this manifest (`content` are its bytes), fetched if need be.

        Raises:
            Damaged: what the bucket has is not what the manifest says.
        """
        place = self._local.folder(key)
        if _read(place / manifest.NAME) != content or not self._is_sound(found, key, content):
            with self._download(found, key, content) as folder:
                self._move_into_place(key, folder)
            self._verified[key] = content
        return place

    def verify(self, found: Manifest, key: Key, content: bytes) -> None:
        """Fetch an artifact anew, check every byte, and keep nothing of it.

        Raises:
            Damaged: what the bucket has is not what the manifest says.
        """
        with self._download(found, key, content):
            pass

    def forget(self, key: Key) -> None:
        """Delete the copy, if there is one."""
        self._verified.pop(key, None)
        if self._local.recheck(key):
            self._local.remove(key)

    def leftovers(self, stored: Collection[Key]) -> Iterator[Leftover]:
        """Yield copies of artifacts that are not `stored` any more, and what killed processes left half-fetched."""
        self._local.refresh()
        for key in sorted(self._local.keys().difference(stored)):
            place = self._local.folder(key)
            yield Leftover("copy", key, str(place), disk.size(place))
        for name in sorted(disk.listing(self._local.root / _FETCHING)):
            place = self._local.root / _FETCHING / name
            with contextlib.suppress(FileNotFoundError):
                if time.time() - place.stat().st_mtime > _DAY:
                    yield Leftover("copy", name.partition(".")[0], str(place), disk.size(place))

    def _is_sound(self, found: Manifest, key: Key, content: bytes) -> bool:
        """Return whether the copy is whole, judged by the sizes of its files every time, by their digests once."""
        place = self._local.folder(key)
        if self._verified.get(key) == content:
            return manifest.size_fault(found, manifest.sizes_in(place, found)) is None
        sound = manifest.folder_fault(place, key) is None
        if sound:
            self._verified[key] = content
        return sound

    @contextlib.contextmanager
    def _download(self, found: Manifest, key: Key, content: bytes) -> Iterator[Path]:
        """Fetch the artifact into a new folder and check it. The folder is removed unless the caller moves it."""
        if found.key != key or found.identity != key:
            raise Damaged(key, f"{manifest.NAME} belongs to another artifact")
        folder = self._new_folder(key)
        try:
            with self._writing():
                folder.mkdir(parents=True)
                (folder / manifest.NAME).write_bytes(content)
            for file in found.files:
                try:
                    self._bucket.download(f"{files_folder(found)}/{file.path}", folder / file.path)
                except FileNotFoundError:
                    raise Damaged(key, f"{file.path} is missing") from None
            fault = manifest.folder_fault(folder, key)
            if fault is not None:
                raise Damaged(key, fault)
            yield folder
        finally:
            disk.remove(folder)

    def _move_into_place(self, key: Key, folder: Path) -> None:
        """Move a fetched folder to its place, unless another process has put the same artifact there."""
        place = self._local.folder(key)
        with self._writing():
            place.parent.mkdir(parents=True, exist_ok=True)
            while True:
                try:
                    folder.rename(place)
                    return
                except OSError:
                    if not place.exists():
                        raise
                same = _read(place / manifest.NAME) == _read(folder / manifest.NAME)
                if same and manifest.folder_fault(place, key) is None:
                    return
                aside = self._new_folder(key)
                with contextlib.suppress(FileNotFoundError):
                    place.rename(aside)
                disk.remove(aside)

    def _new_folder(self, key: Key) -> Path:
        return self._local.root / _FETCHING / f"{key}.{uuid.uuid4().hex}"

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        return disk.writing(self._local.root, user_cache.VARIABLE)


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
