"""The store: finished artifacts by key, each written beside its place and renamed into it.

    root/store.json                    the version of this layout
    root/artifacts/<key[:2]>/<key>/    finished: the step's files and manifest.json
    root/work/<key>/                   being written; a kill's leftover goes when the step starts again
    root/scratch/<key>/                what an unfinished step saved; survives a kill, goes at the end
    root/damaged/<key>-<n>/            set aside as a file was missing or changed; fault.txt says which
    root/failed/<key>.json             why a step failed, until it is begun again
    root/locks/<key>                   held by the process that runs the step, and says how far that is

Needs a POSIX system: locks by `flock`, folders renamed over the file system atomically.
"""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

from satdsl.engine import disk, locks, manifest
from satdsl.engine.heartbeat import FailedStep, Running
from satdsl.engine.locks import FileLock
from satdsl.engine.manifest import FORMAT, Manifest, UnreadableManifest
from satdsl.engine.stamp import STAMP, check_stamp, newer, stamped
from satdsl.engine.store import Damaged, Leftover, StoreError
from satdsl.ir.steps import Key, Step

KEY = re.compile(r"[0-9a-f]{64}")
_FAILED = re.compile(KEY.pattern + r"\.json")


class LocalStore:
    """The artifacts under `root`. Making one reads nothing but the layout's version and writes nothing.

    `option` is what chooses another root, for messages.

    Raises:
        StoreError: `root` is no folder, or was written by a newer version of satdsl.
    """

    def __init__(self, root: Path, option: str = "--store") -> None:
        self.root = root
        self._option = option
        self._keys: set[Key] | None = None
        self._sound: set[Key] = set()
        _check_format(root)

    @property
    def url(self) -> str:
        """The folder's path."""
        return str(self.root)

    @property
    def workplace(self) -> tuple[Path, str]:
        """The store itself."""
        return self.root, self._option

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

    def prepare(self, keys: Collection[Key]) -> None:
        """Nothing: a folder is quick to ask."""

    def place(self, key: Key) -> Path:
        """Where the artifact of this key lies or would lie."""
        return self.root / "artifacts" / key[:2] / key

    def manifest(self, key: Key) -> Manifest:
        """The manifest of a finished artifact.

        Raises:
            Damaged: it cannot be read.
            StoreError: a newer version of satdsl wrote it, or it may not be read.
        """
        try:
            found = manifest.read(self.place(key))
        except UnreadableManifest as error:
            raise Damaged(key, str(error)) from None
        except OSError as error:
            raise disk.cannot_read(self.place(key), error) from error
        if found.format > FORMAT:
            raise newer(self.url, found.format)
        return found

    def inspect(self, key: Key) -> str | None:
        """What is wrong with a finished artifact as far as its files' sizes tell; None if nothing is."""
        try:
            found = self.manifest(key)
        except Damaged as damaged:
            return damaged.fault
        return size_fault(self.place(key), found)

    def verify(self, key: Key) -> str | None:
        """What is wrong with a finished artifact, every byte of it read; None if nothing is."""
        fault = fault_in(self.place(key), key)
        if fault is None:
            self.manifest(key)
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
        return frozenset(filter(self.is_begun, disk.listing(self.root / "scratch")))

    def damaged(self) -> frozenset[Key]:
        """The keys of artifacts that were set aside."""
        return frozenset(name.partition("-")[0] for name in disk.listing(self.root / "damaged"))

    def running(self) -> tuple[Running, ...]:
        """The steps that processes run at this moment, on whatever machine."""
        names = filter(KEY.fullmatch, sorted(disk.listing(self.root / "locks")))
        found = ((key, locks.read(self.root / "locks" / key)) for key in names)
        return tuple(Running(key, *held) for key, held in found if held is not None)

    def failures(self) -> tuple[FailedStep, ...]:
        """Why steps failed that were not finished since."""
        found = []
        for name in sorted(filter(_FAILED.fullmatch, disk.listing(self.root / "failed"))):
            with contextlib.suppress(OSError):
                found.append(FailedStep.from_json((self.root / "failed" / name).read_bytes()))
        return tuple(one for one in found if one is not None and not self.place(one.key).is_dir())

    # --- making an artifact ----------------------------------------------------------------------

    def lock(self, key: Key) -> FileLock | None:
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
                disk.remove(folder.with_name(leftover))
            self._failed(key).unlink(missing_ok=True)
            folder.mkdir(parents=True)
            return folder

    def scratch(self, key: Key) -> Path:
        """The folder where the step saves what it continues from, with what an earlier run left in it."""
        with self._writing():
            folder = self.root / "scratch" / key
            folder.mkdir(parents=True, exist_ok=True)
            return folder

    def save(self, key: Key) -> None:
        """Nothing: scratch lies in the store already."""

    def commit(self, step: Step, label: str, *, seconds: float, continued: bool, device: str) -> Manifest:
        """Make the folder that `begin` gave a finished artifact, and remove the step's scratch.

        Everything reaches the disk before the folder gets its place. An artifact already there is replaced.

        Raises:
            StoreError: the disk is full or cannot be written.
            ValueError: the step left something that is not a plain file.
        """
        made = self.seal(step, label, seconds=seconds, continued=continued, device=device)
        self.adopt(step.key, self.work(step.key))
        return made

    def work(self, key: Key) -> Path:
        """The folder that `begin` gives."""
        return self.root / "work" / key

    def seal(self, step: Step, label: str, *, seconds: float, continued: bool, device: str) -> Manifest:
        """Write the manifest of the folder that `begin` gave, which stays where it is."""
        with self._writing():
            folder = self.work(step.key)
            made = manifest.describe(step, label, folder, seconds=seconds, continued=continued, device=device)
            (folder / manifest.NAME).write_text(manifest.to_json(made), encoding="utf-8")
            return made

    def adopt(self, key: Key, folder: Path) -> None:
        """Move a folder with its manifest to the artifact's place, and remove the step's scratch."""
        with self._writing():
            self._initialise()
            disk.flush_tree(folder)
            self._give_place(folder, key)
            self._present().add(key)
            self._sound.add(key)
            disk.remove(self.root / "scratch" / key)
            self._failed(key).unlink(missing_ok=True)

    def note_failure(self, failed: FailedStep) -> None:
        """Remember why a step failed, until it is begun again."""
        with self._writing():
            self._initialise()
            place = self._failed(failed.key)
            place.parent.mkdir(exist_ok=True)
            aside = place.with_name(f"{place.name}.{os.getpid()}")
            aside.write_bytes(failed.to_json())
            aside.replace(place)

    def _failed(self, key: Key) -> Path:
        return self.root / "failed" / f"{key}.json"

    def discard(self, key: Key) -> None:
        """Remove the unfinished folder of a step; its scratch stays unless nothing is in it."""
        with contextlib.suppress(OSError):
            disk.remove(self.work(key))
        with contextlib.suppress(OSError):
            (self.root / "scratch" / key).rmdir()

    def _give_place(self, folder: Path, key: Key) -> None:
        place = self.place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        replaced = self.root / "work" / f"{key}.replaced"
        if place.exists():
            replaced.parent.mkdir(exist_ok=True)
            disk.remove(replaced)
            place.rename(replaced)
        folder.rename(place)
        disk.flush(place.parent)
        disk.remove(replaced)

    # --- taking artifacts away -------------------------------------------------------------------

    def set_aside(self, key: Key, fault: str) -> str:
        """Move a damaged artifact out of its place, with a note of its fault; where it went."""
        with self._writing():
            self._initialise()
            folder = self.root / "damaged"
            folder.mkdir(exist_ok=True)
            aside = next(path for n in range(1, 1_000_000) if not (path := folder / f"{key}-{n}").exists())
            self.place(key).rename(aside)
            self._forget(key)
            (aside / "fault.txt").write_text(fault + "\n", encoding="utf-8")
            return str(aside)

    def remove(self, key: Key) -> None:
        """Delete a finished artifact; readers see it whole or not at all."""
        with self._writing():
            doomed = self.root / "work" / f"{key}.removed"
            doomed.parent.mkdir(exist_ok=True)
            disk.remove(doomed)
            self.place(key).rename(doomed)
            self._forget(key)
            disk.remove(doomed)

    def tidy(self) -> None:
        """Remove what a kill has left of steps that were finished all the same; never mind what cannot be removed."""
        names = (name for what in ("locks", "scratch", "work") for name in disk.listing(self.root / what))
        for key in {name.partition(".")[0] for name in names}:
            if self.place(key).is_dir():
                with contextlib.suppress(OSError, StoreError):
                    self._tidy(key)

    def _tidy(self, key: Key) -> None:
        lock = self.lock(key)
        if lock is None:  # whoever has it finishes the step at this moment
            return
        with lock:
            if self.place(key).is_dir():
                for left in (f"scratch/{key}", f"work/{key}", f"work/{key}.replaced", f"work/{key}.removed"):
                    disk.remove(self.root / left)

    def leftovers(self) -> tuple[Leftover, ...]:
        """What kills, failures and damage have left: half-written folders, scratch, artifacts set aside.

        Those of steps that run at this moment are among them; `lock` tells.
        """
        return tuple(
            Leftover(what, name.partition("-")[0].partition(".")[0], str(place), disk.size(place))
            for what in ("work", "scratch", "damaged", "failed")
            for name in sorted(disk.listing(self.root / what))
            for place in (self.root / what / name,)
        )

    def clear(self, leftover: Leftover) -> None:
        """Delete a leftover."""
        with self._writing():
            disk.remove(Path(leftover.place))

    def _forget(self, key: Key) -> None:
        self._present().discard(key)
        self._sound.discard(key)

    # --- the folders themselves ------------------------------------------------------------------

    def _present(self) -> set[Key]:
        if self._keys is None:
            artifacts = self.root / "artifacts"
            found = {key for prefix in disk.listing(artifacts) for key in disk.listing(artifacts / prefix)}
            self._keys = {key for key in found if KEY.fullmatch(key)}
        return self._keys

    def _initialise(self) -> None:
        stamp = self.root / STAMP
        if stamp.exists():
            return
        self.root.mkdir(parents=True, exist_ok=True)
        fresh = self.root / f".{STAMP}.{uuid.uuid4().hex}"
        fresh.write_bytes(stamped())
        fresh.replace(stamp)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk.cannot_write(self.root, error, self._option) from error


def _check_format(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise StoreError(f"the store {root} is not a folder", "choose another place with --store")
    try:
        check_stamp(str(root), (root / STAMP).read_bytes())
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk.cannot_read(root, error) from error


def fault_in(folder: Path, key: Key) -> str | None:
    """What is wrong with an artifact's folder, every byte of it read; None if nothing is."""
    try:
        found = manifest.read(folder)
    except UnreadableManifest as error:
        return str(error)
    if found.key != key or found.identity != key:
        return f"{manifest.NAME} belongs to another artifact"
    return size_fault(folder, found) or _digest_fault(folder, found)


def size_fault(folder: Path, found: Manifest) -> str | None:
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
