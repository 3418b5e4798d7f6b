"""The store: finished artifacts by key, each written beside its place and renamed into it.

    root/store.json                    the version of this layout
    root/artifacts/<key[:2]>/<key>/    finished: the step's files and manifest.json
    root/work/<key>/                   being written; a kill's leftover goes when the step starts again
    root/scratch/<key>/                what an unfinished step saved; survives a kill, goes at the end
    root/damaged/<key>-<n>/            set aside as a file was missing or changed; fault.txt says which
    root/locks/<key>                   held by the process that runs the step

Needs a POSIX system: locks by `flock`, folders renamed over the file system atomically.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from satdsl.engine import locks, manifest
from satdsl.engine.locks import Lock
from satdsl.engine.manifest import FORMAT, Manifest, UnreadableManifest
from satdsl.plan.steps import Key, Step

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)


_KEY = re.compile(r"[0-9a-f]{64}")


class StoreError(Exception):
    """The store cannot be used: `reason` names the place, `help` the way out."""

    def __init__(self, reason: str, help: str = "") -> None:
        super().__init__(f"{reason}. {help}" if help else reason)
        self.reason = reason
        self.help = help


class Damaged(Exception):
    """An artifact is not what its manifest says: `fault` tells what is wrong with it."""

    def __init__(self, key: Key, fault: str) -> None:
        super().__init__(f"artifact {key[:12]}: {fault}")
        self.key = key
        self.fault = fault


@dataclass(frozen=True)
class Leftover:
    """Something in the store that no finished artifact needs: `what` is `work`, `scratch` or `damaged`."""

    what: str
    key: Key
    place: Path


class Store:
    """The artifacts under `root`. Making one reads nothing but the layout's version and writes nothing.

    Raises:
        StoreError: `root` is no folder, or was written by a newer version of satdsl.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._keys: set[Key] | None = None
        self._sound: set[Key] = set()
        _check_format(root)

    # --- what is there ---------------------------------------------------------------------------

    def keys(self) -> frozenset[Key]:
        """Every finished artifact, as of the last look at the folders."""
        return frozenset(self._present())

    def has(self, key: Key) -> bool:
        """Whether the artifact is finished. The folders are listed once; `refresh` looks again."""
        return key in self._present()

    def look(self, key: Key) -> bool:
        """Whether the artifact is finished now: another process may have made or removed it."""
        there = self.place(key).is_dir()
        (self._present().add if there else self._present().discard)(key)
        return there

    def refresh(self) -> None:
        """Forget which artifacts there are; the next question lists the folders again."""
        self._keys = None

    def place(self, key: Key) -> Path:
        """Where the artifact of this key lies or would lie."""
        return self.root / "artifacts" / key[:2] / key

    def artifact(self, key: Key) -> Path:
        """The folder of a finished artifact.

        Raises:
            KeyError: there is none.
        """
        if not self.has(key):
            raise KeyError(key)
        return self.place(key)

    def manifest(self, key: Key) -> Manifest:
        """The manifest of a finished artifact.

        Raises:
            Damaged: it cannot be read.
            StoreError: a newer version of satdsl wrote it.
        """
        try:
            found = manifest.read(self.place(key))
        except UnreadableManifest as error:
            raise Damaged(key, str(error)) from None
        if found.format > FORMAT:
            raise _newer(self.root, found.format)
        return found

    def inspect(self, key: Key) -> str | None:
        """What is wrong with a finished artifact as far as its files' sizes tell; None if nothing is."""
        try:
            found = self.manifest(key)
        except Damaged as damaged:
            return damaged.fault
        return _size_fault(self.place(key), found)

    def verify(self, key: Key) -> str | None:
        """What is wrong with a finished artifact, every byte of it read; None if nothing is."""
        try:
            found = self.manifest(key)
        except Damaged as damaged:
            return damaged.fault
        if found.key != key or found.identity != key:
            return f"{manifest.NAME} belongs to another artifact"
        fault = _size_fault(self.place(key), found) or _digest_fault(self.place(key), found)
        if fault is None:
            self._sound.add(key)
        return fault

    def input(self, key: Key) -> Path:
        """The folder of a finished artifact that is about to be used.

        Its files' sizes are checked every time, their digests once in the life of this `Store`.

        Raises:
            Damaged: it is missing or changed.
        """
        if not self.look(key):
            raise Damaged(key, "it is missing")
        fault = self.inspect(key) if key in self._sound else self.verify(key)
        if fault is not None:
            raise Damaged(key, fault)
        return self.place(key)

    def is_begun(self, key: Key) -> bool:
        """Whether an unfinished run of this step saved something to continue from."""
        try:
            with os.scandir(self.root / "scratch" / key) as entries:
                return any(True for _ in entries)
        except OSError:
            return False

    def begun(self) -> frozenset[Key]:
        """The keys of unfinished runs that saved something to continue from."""
        return frozenset(filter(self.is_begun, _listing(self.root / "scratch")))

    def damaged(self) -> frozenset[Key]:
        """The keys of artifacts that were set aside."""
        return frozenset(name.partition("-")[0] for name in _listing(self.root / "damaged"))

    # --- making an artifact ----------------------------------------------------------------------

    def lock(self, key: Key) -> Lock | None:
        """The right to run this step, or None while another process has it."""
        with self._writing():
            self._initialise()
            folder = self.root / "locks"
            folder.mkdir(exist_ok=True)
            return locks.acquire(folder / key)

    def owner(self, key: Key) -> str:
        """Who runs this step at present, for messages."""
        return locks.owner(self.root / "locks" / key)

    def begin(self, key: Key) -> Path:
        """An empty folder for the step's files. Half-written ones of a killed run are removed."""
        with self._writing():
            self._initialise()
            folder = self.root / "work" / key
            for leftover in (key, f"{key}.replaced", f"{key}.removed"):
                _remove(folder.with_name(leftover))
            folder.mkdir(parents=True)
            return folder

    def scratch(self, key: Key) -> Path:
        """The folder where the step saves what it continues from, with what an earlier run left in it."""
        with self._writing():
            folder = self.root / "scratch" / key
            folder.mkdir(parents=True, exist_ok=True)
            return folder

    def commit(self, step: Step, label: str, *, seconds: float, continued: bool, device: str) -> Manifest:
        """Make the folder that `begin` gave a finished artifact, and remove the step's scratch.

        Everything reaches the disk before the folder gets its place. An artifact already there is replaced.

        Raises:
            StoreError: the disk is full or cannot be written.
            ValueError: the step left something that is not a plain file.
        """
        key = step.key
        with self._writing():
            folder = self.root / "work" / key
            made = manifest.describe(step, label, folder, seconds=seconds, continued=continued, device=device)
            (folder / manifest.NAME).write_text(manifest.to_json(made), encoding="utf-8")
            _flush_tree(folder)
            self._give_place(folder, key)
            self._present().add(key)
            self._sound.add(key)
            _remove(self.root / "scratch" / key)
        return made

    def discard(self, key: Key) -> None:
        """Remove the unfinished folder of a step; its scratch stays unless nothing is in it."""
        with contextlib.suppress(OSError):
            _remove(self.root / "work" / key)
        with contextlib.suppress(OSError):
            (self.root / "scratch" / key).rmdir()

    def _give_place(self, folder: Path, key: Key) -> None:
        place = self.place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        replaced = self.root / "work" / f"{key}.replaced"
        if place.exists():
            _remove(replaced)
            place.rename(replaced)
        folder.rename(place)
        _flush(place.parent)
        _remove(replaced)

    # --- taking artifacts away -------------------------------------------------------------------

    def set_aside(self, key: Key, fault: str) -> Path:
        """Move a damaged artifact out of its place, with a note of its fault; where it went."""
        with self._writing():
            self._initialise()
            folder = self.root / "damaged"
            folder.mkdir(exist_ok=True)
            aside = next(path for n in range(1, 1_000_000) if not (path := folder / f"{key}-{n}").exists())
            self.place(key).rename(aside)
            self._forget(key)
            (aside / "fault.txt").write_text(fault + "\n", encoding="utf-8")
            return aside

    def remove(self, key: Key) -> None:
        """Delete a finished artifact; readers see it whole or not at all."""
        with self._writing():
            doomed = self.root / "work" / f"{key}.removed"
            doomed.parent.mkdir(exist_ok=True)
            _remove(doomed)
            self.place(key).rename(doomed)
            self._forget(key)
            _remove(doomed)

    def leftovers(self) -> tuple[Leftover, ...]:
        """What kills, failures and damage have left: half-written folders, scratch, artifacts set aside.

        Those of steps that run at this moment are among them; `lock` tells.
        """
        return tuple(
            Leftover(what, name.partition("-")[0].partition(".")[0], self.root / what / name)
            for what in ("work", "scratch", "damaged")
            for name in sorted(_listing(self.root / what))
        )

    def clear(self, leftover: Leftover) -> None:
        """Delete a leftover."""
        with self._writing():
            _remove(leftover.place)

    def _forget(self, key: Key) -> None:
        self._present().discard(key)
        self._sound.discard(key)

    # --- the folders themselves ------------------------------------------------------------------

    def _present(self) -> set[Key]:
        if self._keys is None:
            artifacts = self.root / "artifacts"
            found = {key for prefix in _listing(artifacts) for key in _listing(artifacts / prefix)}
            self._keys = {key for key in found if _KEY.fullmatch(key)}
        return self._keys

    def _initialise(self) -> None:
        stamp = self.root / "store.json"
        if stamp.exists():
            return
        self.root.mkdir(parents=True, exist_ok=True)
        fresh = self.root / f".store.json.{os.getpid()}"
        fresh.write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
        fresh.replace(stamp)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self.root, error) from error


def cannot_write(root: Path, error: OSError) -> StoreError:
    """What to tell the user when the store's file system refuses to take something."""
    kept = "everything finished so far is kept"
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return StoreError(
            f"the disk of the store {root} is full ({reason})",
            f"make room or choose another place with --store; {kept}",
        )
    if error.errno in _REFUSED:
        return StoreError(
            f"the store {root} cannot be written ({reason}: {error.filename or root})",
            f"check the folder's permissions or choose another place with --store; {kept}",
        )
    return StoreError(f"the store {root} does not work ({reason}: {error.filename or root})", kept)


def is_full(error: BaseException) -> bool:
    """Whether `error` means that a disk is full, also when a library wrapped it in an error of its own."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return os.strerror(errno.ENOSPC).lower() in str(error).lower()


def _check_format(root: Path) -> None:
    stamp = root / "store.json"
    if root.exists() and not root.is_dir():
        raise StoreError(f"the store {root} is not a folder", "choose another place with --store")
    try:
        version = int(json.loads(stamp.read_text(encoding="utf-8"))["format"])
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"the store {root} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{stamp} does not describe a satdsl store", "choose another place with --store") from None
    if version > FORMAT:
        raise _newer(root, version)


def _newer(root: Path, version: int) -> StoreError:
    return StoreError(
        f"the store {root} was written by a newer satdsl (format {version}; this one reads up to {FORMAT})",
        "update satdsl, or choose another place with --store",
    )


def _size_fault(folder: Path, found: Manifest) -> str | None:
    for file in found.files:
        try:
            size = (folder / file.path).stat().st_size
        except OSError:
            return f"{file.path} is missing"
        if size != file.size:
            return f"{file.path} has {size} bytes instead of {file.size}"
    return None


def _digest_fault(folder: Path, found: Manifest) -> str | None:
    for file in found.files:
        try:
            if manifest.digest(folder / file.path) != file.sha256:
                return f"{file.path} has changed (its SHA-256 differs)"
        except OSError as error:
            return f"{file.path} cannot be read ({error.strerror})"
    return None


def _listing(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _flush_tree(folder: Path) -> None:
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            _flush(Path(place, name))
        _flush(Path(place))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder; its files are flushed all the same.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
