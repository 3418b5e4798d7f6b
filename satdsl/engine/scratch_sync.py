"""Copy what an unfinished step saved from its scratch folder to a bucket, and back on another machine.

A save is a set of objects and an index that names them. The index is written last, and objects are never overwritten,
so that whoever reads an index finds all files of one and the same save. Example: a checkpoint is two files, weights and
optimizer state. If a machine dies after it has uploaded the new weights, the index still names the old weights and the
old state, which belong together. Objects that no index names any more are deleted.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from satdsl.engine import disk
from satdsl.engine.bucket import Bucket
from satdsl.engine.manifest import digest, is_inside
from satdsl.ir.steps import Key

FOLDER = "scratch"
_INDEX = "index.json"

Signature = tuple[int, int, int]


@dataclass(frozen=True)
class _SavedFile:
    """A file of a save: where it lies in the bucket, and what it must be."""

    object: str
    size: int
    sha256: str


class ScratchSync:
    """The saves of one step. `folder` is its scratch folder here; the file `mark` says which save that came from."""

    def __init__(self, bucket: Bucket, key: Key, folder: Path, mark: Path) -> None:
        self._bucket = bucket
        self._place = f"{FOLDER}/{key}"
        self._folder = folder
        self._mark = mark
        self._stored = False
        self._uploaded: dict[str, tuple[Signature, _SavedFile]] = {}

    def download(self) -> None:
        """Make the folder what was last saved, unless that save came from this folder."""
        index = self._bucket.read(self._name(_INDEX))
        self._stored = index is not None
        if index is None or (self._mark.exists() and self._mark.read_bytes() == index and any(self._folder.iterdir())):
            return
        fresh = self._folder.with_name(f"{self._folder.name}.restored")
        disk.remove(fresh)
        fresh.mkdir(parents=True)
        if self._fetch(index, fresh):
            disk.remove(self._folder)
            fresh.rename(self._folder)
            self._remember(index)
        else:
            disk.remove(fresh)

    def upload(self) -> None:
        """Save the folder as it is now, if it has changed since the last time."""
        files = {path.relative_to(self._folder).as_posix(): path for path in _files(self._folder)}
        signatures = {name: _signature(path) for name, path in files.items()}
        if signatures == {name: signature for name, (signature, _) in self._uploaded.items()}:
            return
        uploaded = {}
        for name, path in files.items():
            before = self._uploaded.get(name)
            same = before is not None and before[0] == signatures[name]
            uploaded[name] = before if before is not None and same else (signatures[name], self._upload_file(path))
        index = json.dumps({"files": {name: asdict(saved) for name, (_, saved) in uploaded.items()}}).encode()
        self._bucket.write(self._name(_INDEX), index)
        self._remember(index)
        self._stored = True
        self._uploaded = uploaded
        self._delete_others({saved.object for _, saved in uploaded.values()})

    def delete(self) -> None:
        """Delete all saves of the step, the index first, and the mark."""
        self._mark.unlink(missing_ok=True)
        if self._stored:
            self._bucket.delete([self._name(_INDEX)])
            self._delete_others(set())

    def _upload_file(self, path: Path) -> _SavedFile:
        saved = _SavedFile(uuid.uuid4().hex, path.stat().st_size, digest(path))
        self._bucket.upload(path, self._name(saved.object))
        return saved

    def _delete_others(self, named: set[str]) -> None:
        there = self._bucket.sizes(self._place)
        self._bucket.delete([self._name(name) for name in there if name not in named and name != _INDEX])

    def _fetch(self, index: bytes, to: Path) -> bool:
        """Download all that the index names into the folder `to`; return whether all of it was there, unchanged."""
        try:
            files = {str(name): _SavedFile(**saved) for name, saved in json.loads(index)["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        if not all(is_inside(name) and is_inside(saved.object) for name, saved in files.items()):
            return False
        for name, saved in files.items():
            try:
                self._bucket.download(self._name(saved.object), to / name)
            except FileNotFoundError:
                return False
            if digest(to / name) != saved.sha256:
                return False
        return True

    def _remember(self, index: bytes) -> None:
        self._mark.parent.mkdir(parents=True, exist_ok=True)
        self._mark.write_bytes(index)

    def _name(self, name: str) -> str:
        return f"{self._place}/{name}"


def saved_steps(bucket: Bucket) -> frozenset[Key]:
    """Return the keys of the steps that have a save."""
    names = (name.partition("/") for name in bucket.sizes(FOLDER))
    return frozenset(key for key, _, rest in names if rest == _INDEX)


def is_saved(bucket: Bucket, key: Key) -> bool:
    """Return whether this step has a save."""
    return bucket.read(f"{FOLDER}/{key}/{_INDEX}") is not None


def _files(folder: Path) -> list[Path]:
    """Return all files but those that a kill left half-written: their names begin with a dot."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _signature(path: Path) -> Signature:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size, status.st_ino
