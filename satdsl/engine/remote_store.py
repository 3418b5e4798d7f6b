"""A store in a bucket, with a folder on this machine for what steps read and write.

    store.json                       the version of this layout
    artifacts/<key>.json             the manifest of a finished artifact, which exists when this does
    files/<key>/<digest>/...         its files; <digest> is that of the manifest's list of them
    scratch/<key>/                   what an unfinished step saved: objects, and index.json, which names them
    leases/<key>/<number>            held by the process that runs the step, and says how far that is
    failed/<key>.json                why a step failed, until it is begun again
    damaged/<key>-<n>/               manifest and files of an artifact that was set aside; fault.txt says why

Files are uploaded first and the manifest last. Two processes that should make the same step at once write the same
files to the same place or others to another, so that no manifest ever names a mixture. The folder here is itself laid
out as a local store: inputs are fetched into it once, and steps write there before they are uploaded.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from satdsl.engine import disk, manifest, saves
from satdsl.engine.bucket import Bucket
from satdsl.engine.copies import CHOICE, Copies, files_folder
from satdsl.engine.heartbeat import FailedStep, Running
from satdsl.engine.leases import Lease, Leases, Timing
from satdsl.engine.local_store import KEY, LocalStore
from satdsl.engine.manifest import FORMAT, Manifest, UnreadableManifest
from satdsl.engine.saves import Saves
from satdsl.engine.stamp import STAMP, check_stamp, newer, stamped
from satdsl.engine.store import Damaged, Leftover, StoreError
from satdsl.ir.steps import Key, Step

SAVE_SECONDS = 60.0
"""What a running step saves here is taken to the bucket no more often."""


@dataclass
class _Running:
    """A step that this process has the lease of."""

    lease: Lease
    saves: Saves
    saved: float = float("-inf")


class RemoteStore:
    """The artifacts in `bucket`; `cache` is a folder of this machine, which several processes may share.

    Raises:
        StoreError: the bucket cannot be read, or was written by a newer version of satdsl.
    """

    def __init__(
        self, bucket: Bucket, cache: Path, timing: Timing | None = None, save_seconds: float = SAVE_SECONDS
    ) -> None:
        self._bucket = bucket
        self._cache = LocalStore(cache, CHOICE)
        self._copies = Copies(bucket, self._cache)
        self._leases = Leases(bucket, cache / "watched", timing or Timing())
        self._save_seconds = save_seconds
        self._running: dict[Key, _Running] = {}
        self._keys: set[Key] | None = None
        self._failed: set[Key] | None = None
        self._prepared: dict[Key, bytes] = {}
        self._sizes: dict[str, int] | None = None
        stamp = bucket.read(STAMP)
        self._initialised = stamp is not None
        if stamp is not None:
            check_stamp(self.url, stamp)

    @property
    def url(self) -> str:
        """The bucket's address."""
        return self._bucket.url

    @property
    def workplace(self) -> tuple[Path, str]:
        """The folder on this machine."""
        return self._cache.workplace

    # --- what is there ---------------------------------------------------------------------------

    def keys(self) -> frozenset[Key]:
        """Every finished artifact, as of the last look at the bucket."""
        return frozenset(self._present())

    def has(self, key: Key) -> bool:
        """Whether the artifact is finished. The bucket is listed once; `refresh` looks again."""
        return key in self._present()

    def look(self, key: Key) -> bool:
        """Whether the artifact is finished now: another process may have made or removed it."""
        self._forget_prepared()
        there = self._bucket.read(_manifest(key)) is not None
        (self._present().add if there else self._present().discard)(key)
        return there

    def refresh(self) -> None:
        """Forget which artifacts there are; the next question lists the bucket again."""
        self._keys = None
        self._forget_prepared()

    def prepare(self, keys: Collection[Key]) -> None:
        """Fetch the manifests of these artifacts and list all files, at once instead of one by one."""
        there = [key for key in keys if self.has(key)]
        found = self._bucket.read_all([_manifest(key) for key in there if key not in self._prepared])
        self._prepared |= {key: found[_manifest(key)] for key in there if _manifest(key) in found}
        if there and self._sizes is None:
            self._sizes = self._bucket.sizes("files")

    def manifest(self, key: Key) -> Manifest:
        """The manifest of a finished artifact.

        Raises:
            Damaged: it is missing or cannot be read.
            StoreError: a newer version of satdsl wrote it.
        """
        return self._parsed(key, self._content(key))

    def inspect(self, key: Key) -> str | None:
        """What is wrong with a finished artifact as far as its files' sizes tell; None if nothing is."""
        try:
            found = self.manifest(key)
        except Damaged as damaged:
            return damaged.fault
        return self._size_fault(found)

    def verify(self, key: Key) -> str | None:
        """What is wrong with a finished artifact, every byte of it fetched anew; None if nothing is."""
        self._forget_prepared()
        try:
            content = self._content(key)
            self._copies.check(self._parsed(key, content), key, content)
        except Damaged as damaged:
            return damaged.fault
        return None

    def input(self, key: Key) -> Path:
        """The folder here with the files of a finished artifact, fetched unless they are the same already.

        Raises:
            Damaged: it is missing or changed.
        """
        content = self._prepared.pop(key, None) or self._content(key)
        return self._copies.folder(self._parsed(key, content), key, content)

    def is_begun(self, key: Key) -> bool:
        """Whether an unfinished run of this step saved something to continue from, here or elsewhere."""
        return self._cache.is_begun(key) or saves.is_saved(self._bucket, key)

    def begun(self) -> frozenset[Key]:
        """The keys of unfinished runs that saved something to continue from."""
        return saves.saved_steps(self._bucket) | frozenset(filter(KEY.fullmatch, self._cache.begun()))

    def damaged(self) -> frozenset[Key]:
        """The keys of artifacts that were set aside."""
        return frozenset(name.partition("-")[0] for name in self._bucket.sizes("damaged"))

    def running(self) -> tuple[Running, ...]:
        """The steps that processes run at this moment; who died elsewhere is among them until taken over."""
        return self._leases.running()

    def failures(self) -> tuple[FailedStep, ...]:
        """Why steps failed that were not finished since."""
        names = [f"failed/{name}" for name in self._bucket.sizes("failed")]
        found = (FailedStep.from_json(content) for content in self._bucket.read_all(names).values())
        return tuple(one for one in found if one is not None and not self.has(one.key))

    # --- making an artifact ----------------------------------------------------------------------

    def lock(self, key: Key) -> Lease | None:
        """The right to run this step, or None while another process has it."""
        self._initialise()
        lease = self._leases.acquire(key)
        if lease is not None:
            scratch = self._cache.root / "scratch" / key
            self._running[key] = _Running(lease, Saves(self._bucket, key, scratch, self._mark(key)))
        return lease

    def owner(self, key: Key) -> str:
        """Who runs this step at present, for messages."""
        return self._leases.owner(key)

    def begin(self, key: Key) -> Path:
        """An empty folder for the step's files. Half-written ones of a killed run are removed."""
        if key in self._known_failures():
            self._bucket.delete([_failed(key)])
            self._known_failures().discard(key)
        return self._cache.begin(key)

    def scratch(self, key: Key) -> Path:
        """The folder where the step saves what it continues from, with what an earlier run left, here or elsewhere."""
        folder = self._cache.scratch(key)
        running = self._running.get(key)
        if running is not None:
            running.saves.restore()
        return folder

    def save(self, key: Key) -> None:
        """Take the step's scratch to the bucket, if it has changed and was not taken a moment ago."""
        running = self._running.get(key)
        if running is None or time.monotonic() - running.saved < self._save_seconds:
            return
        running.saved = time.monotonic()
        self._save(running)

    def commit(self, step: Step, label: str, *, seconds: float, continued: bool, device: str) -> Manifest:
        """Upload the folder that `begin` gave, its manifest last, and remove the step's scratch.

        Raises:
            StoreError: the bucket does not take it, or the disk here is full.
            ValueError: the step left something that is not a plain file.
        """
        key = step.key
        made = self._cache.seal(step, label, seconds=seconds, continued=continued, device=device)
        running = self._running.get(key)
        if self._upload(made, self._cache.work(key), replace=running is None or running.lease.held):
            self._cache.adopt(key, self._cache.work(key))
        disk.remove(self._cache.root / "scratch" / key)
        if running is not None:
            running.saves.delete()
        return made

    def discard(self, key: Key) -> None:
        """Take what an unfinished step saved to the bucket, and remove its unfinished folder here."""
        running = self._running.pop(key, None)
        self._cache.discard(key)
        if running is not None and self._cache.is_begun(key):
            self._save(running)

    def note_failure(self, failed: FailedStep) -> None:
        """Remember why a step failed, until it is begun again."""
        self._bucket.write(_failed(failed.key), failed.to_json())
        self._known_failures().add(failed.key)

    def adopt(self, key: Key, folder: Path) -> None:
        """Upload a folder whose manifest and files have been checked, and keep it here as well."""
        self._initialise()
        self._upload(manifest.read(folder), folder, replace=True)
        self._cache.adopt(key, folder)

    # --- taking artifacts away -------------------------------------------------------------------

    def set_aside(self, key: Key, fault: str) -> str:
        """Move a damaged artifact out of its place, with a note of its fault; where it went."""
        before = {name.partition("/")[0] for name in self._bucket.sizes("damaged")}
        number = sum(name.startswith(f"{key}-") for name in before)
        aside = f"damaged/{key}-{number + 1}"
        self._bucket.write(f"{aside}/fault.txt", f"{fault}\n".encode())
        self._bucket.move(_manifest(key), f"{aside}/{manifest.NAME}")
        self._forget(key)
        for name in self._bucket.sizes(f"files/{key}"):
            self._bucket.move(f"files/{key}/{name}", f"{aside}/{name}")
        return f"{self.url}/{aside}"

    def remove(self, key: Key) -> None:
        """Delete a finished artifact, its manifest first; here, too."""
        self._bucket.delete([_manifest(key)])
        self._bucket.delete([f"files/{key}/{name}" for name in self._bucket.sizes(f"files/{key}")])
        self._forget(key)

    def tidy(self) -> None:
        """Remove what a kill has left of steps that were finished all the same; never mind what cannot be removed."""
        self._cache.tidy()
        with contextlib.suppress(StoreError):
            left = {name.partition("/")[0] for what in ("leases", "scratch") for name in self._bucket.sizes(what)}
            for key in left:
                if self._bucket.read(_manifest(key)) is not None:
                    self._tidy(key)

    def _tidy(self, key: Key) -> None:
        lease = self._leases.acquire(key)
        if lease is None:  # whoever has it finishes the step at this moment, or it expires
            return
        with lease:
            if self._bucket.read(_manifest(key)) is not None:
                disk.remove(self._cache.root / "scratch" / key)
                self._bucket.delete([f"scratch/{key}/{name}" for name in self._bucket.sizes(f"scratch/{key}")])

    def leftovers(self) -> tuple[Leftover, ...]:
        """What kills, failures and damage have left, in the bucket and here."""
        found: dict[tuple[str, str], int] = {}
        for what in ("scratch", "damaged", "failed", "leases"):
            for name, size in self._bucket.sizes(what).items():
                place = f"{what}/{name.partition('/')[0]}"
                found[what, place] = found.get((what, place), 0) + size
        self.refresh()
        self.prepare(self.keys())
        named = {folder for key in self.keys() if (folder := self._files_folder(key)) is not None}
        for name, size in self._bucket.sizes("files").items():
            folder = "/".join(["files", *name.split("/")[:2]])
            if folder not in named:
                found["work", folder] = found.get(("work", folder), 0) + size
        there = (
            Leftover(what, place.split("/")[1].partition("-")[0].partition(".")[0], f"{self.url}/{place}", size)
            for (what, place), size in sorted(found.items())
        )
        return (*there, *self._cache.leftovers(), *self._copies.left(self.keys()))

    def clear(self, leftover: Leftover) -> None:
        """Delete a leftover."""
        if not leftover.place.startswith(self.url):
            self._cache.clear(leftover)
            return
        place = leftover.place.removeprefix(f"{self.url}/")
        names = [f"{place}/{name}" for name in self._bucket.sizes(place)]
        self._bucket.delete([place] if leftover.what == "failed" else names)

    # --- between the bucket and here -------------------------------------------------------------

    def _present(self) -> set[Key]:
        if self._keys is None:
            names = self._bucket.sizes("artifacts")
            self._keys = {name[:-5] for name in names if name.endswith(".json") and KEY.fullmatch(name[:-5])}
        return self._keys

    def _known_failures(self) -> set[Key]:
        """Which steps had failed when this process first asked, and since then here."""
        if self._failed is None:
            self._failed = {name.partition(".")[0] for name in self._bucket.sizes("failed")}
        return self._failed

    def _content(self, key: Key) -> bytes:
        content = self._prepared.get(key) or self._bucket.read(_manifest(key))
        if content is None:
            self._present().discard(key)
            raise Damaged(key, "it is missing")
        return content

    def _parsed(self, key: Key, content: bytes) -> Manifest:
        try:
            found = manifest.parse(content)
        except UnreadableManifest as error:
            raise Damaged(key, str(error)) from None
        if found.format > FORMAT:
            raise newer(self.url, found.format)
        return found

    def _size_fault(self, found: Manifest) -> str | None:
        folder = files_folder(found)
        sizes = self._bucket.sizes(folder) if self._sizes is None else self._listed(folder, found)
        for file in found.files:
            if file.path not in sizes:
                return f"{file.path} is missing"
            if sizes[file.path] != file.size:
                return f"{file.path} has {sizes[file.path]} bytes instead of {file.size}"
        return None

    def _listed(self, folder: str, found: Manifest) -> dict[str, int]:
        assert self._sizes is not None
        names = {file.path: f"{folder}/{file.path}".removeprefix("files/") for file in found.files}
        return {path: self._sizes[name] for path, name in names.items() if name in self._sizes}

    def _upload(self, made: Manifest, folder: Path, *, replace: bool) -> bool:
        """Files first, manifest last. False if another owner's artifact was there and was to stay."""
        before = self._files_folder(made.key)
        for file in made.files:
            self._bucket.upload(folder / file.path, f"{files_folder(made)}/{file.path}")
        content = (folder / manifest.NAME).read_bytes()
        if replace:
            self._bucket.write(_manifest(made.key), content)
        elif not self._bucket.create(_manifest(made.key), content):
            return False
        self._present().add(made.key)
        self._forget_prepared()
        if before is not None and before != files_folder(made):
            self._bucket.delete([f"{before}/{name}" for name in self._bucket.sizes(before)])
        return True

    def _files_folder(self, key: Key) -> str | None:
        """Where the files of the artifact lie that is there now, if there is one that can be read."""
        if not self.has(key):
            return None
        try:
            return files_folder(self.manifest(key))
        except Damaged:
            return None

    def _save(self, running: _Running) -> None:
        # A save that fails is not worth a training: the next one may succeed.
        with contextlib.suppress(StoreError):
            if running.lease.held:
                running.saves.take()

    def _forget(self, key: Key) -> None:
        self._forget_prepared()
        self._present().discard(key)
        self._copies.forget(key)

    def _forget_prepared(self) -> None:
        self._prepared, self._sizes = {}, None

    def _initialise(self) -> None:
        if not self._initialised:
            self._bucket.create(STAMP, stamped())
            self._initialised = True

    def _mark(self, key: Key) -> Path:
        return self._cache.root / "saved" / f"{key}.json"


def _manifest(key: Key) -> str:
    return f"artifacts/{key}.json"


def _failed(key: Key) -> str:
    return f"failed/{key}.json"
