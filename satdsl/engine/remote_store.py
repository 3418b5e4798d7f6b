"""Keep artifacts in a bucket, with a folder on this machine for what steps read and write.

    store.json                       the version of this layout
    artifacts/<key>.json             the manifest of a finished artifact, which exists when this does
    files/<key>/<digest>/...         its files; <digest> is that of the manifest's list of them
    scratch/<key>/                   what an unfinished step saved: objects, and index.json, which names them
    leases/<key>/<number>            held by the process that runs the step; it says how far the step is
    failed/<key>.json                why a step failed, until it is begun again
    damaged/<key>-<n>/               manifest and files of a quarantined artifact; fault.txt says why

A bucket has no folders that could be renamed as a whole, so the files are uploaded first and the manifest last.
Example: two processes make the same step at once, because one of them was believed dead. If their files are equal, both
write the same objects; if not, the digests differ, each writes into a folder of its own, and the manifest that is
written last names the files of one of them. No manifest ever names a mixture.

The folder on this machine is laid out as a `LocalStore`: inputs are fetched into it once, and steps write there before
their files are uploaded.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from satdsl import user_cache
from satdsl.engine import disk, manifest, scratch_sync
from satdsl.engine.artifact_cache import ArtifactCache, files_folder
from satdsl.engine.bucket import Bucket
from satdsl.engine.errors import Damaged, StoreError
from satdsl.engine.heartbeat import FailedStep, RunningStep
from satdsl.engine.leases import Lease, Leases, Timing
from satdsl.engine.local_store import LocalStore
from satdsl.engine.manifest import KEY, How, Manifest
from satdsl.engine.scratch_sync import ScratchSync
from satdsl.engine.store import Leftover, Store
from satdsl.engine.store_format import MARKER, check_marker, marker_content
from satdsl.ir.steps import Key, Step

SAVE_SECONDS = 60.0
"""The scratch folder of a running step is uploaded no more often than this."""


@dataclass
class _OwnedStep:
    """A step whose lease this process has."""

    lease: Lease
    scratch: ScratchSync
    saved: float = float("-inf")


class RemoteStore(Store):
    """The artifacts in `bucket`; `cache` is a folder of this machine, which several processes may share.

    Raises:
        StoreError: the bucket cannot be read, or a newer version of satdsl wrote it.
    """

    is_local = False

    def __init__(
        self, bucket: Bucket, cache: Path, timing: Timing | None = None, save_seconds: float = SAVE_SECONDS
    ) -> None:
        super().__init__()
        self._bucket = bucket
        self._local = LocalStore(cache, user_cache.VARIABLE)
        self._copies = ArtifactCache(bucket, self._local)
        self._leases = Leases(bucket, cache / "watched", timing or Timing())
        self._save_seconds = save_seconds
        self._owned: dict[Key, _OwnedStep] = {}
        self._failed_before: set[Key] | None = None
        self._manifests: dict[Key, bytes] = {}  # prefetched
        self._sizes: dict[str, int] | None = None  # prefetched
        marker = bucket.read(MARKER)
        self._initialised = marker is not None
        if marker is not None:
            check_marker(self.url, marker)

    @property
    def url(self) -> str:
        return self._bucket.url

    @property
    def work_folder(self) -> tuple[Path, str]:
        return self._local.work_folder

    def exists(self) -> bool:
        return self._initialised

    # --- artifacts -------------------------------------------------------------------------------

    def refresh(self) -> None:
        super().refresh()
        self._forget_prefetched()

    def prefetch(self, keys: Collection[Key]) -> None:
        stored = [key for key in keys if self.has(key)]
        found = self._bucket.read_all([_manifest(key) for key in stored if key not in self._manifests])
        self._manifests |= {key: found[_manifest(key)] for key in stored if _manifest(key) in found}
        if stored and self._sizes is None:
            self._sizes = self._bucket.sizes("files")

    def verify(self, key: Key) -> str | None:
        self._forget_prefetched()
        try:
            content = self._manifest_content(key)
            self._copies.verify(self._parsed(key, content), key, content)
        except Damaged as damaged:
            return damaged.fault
        return None

    def fetch(self, key: Key) -> Path:
        content = self._manifests.pop(key, None) or self._manifest_content(key)
        return self._copies.fetch(self._parsed(key, content), key, content)

    def _list_keys(self) -> set[Key]:
        names = (name.removesuffix(".json") for name in self._bucket.sizes("artifacts") if name.endswith(".json"))
        return set(filter(KEY.fullmatch, names))

    def _is_stored(self, key: Key) -> bool:
        self._forget_prefetched()
        return self._bucket.read(_manifest(key)) is not None

    def _manifest_content(self, key: Key) -> bytes:
        content = self._manifests.get(key) or self._bucket.read(_manifest(key))
        if content is None:
            self._known_keys().discard(key)
            raise Damaged(key, "it is missing")
        return content

    def _sizes_of(self, found: Manifest) -> Mapping[str, int]:
        folder = files_folder(found)
        if self._sizes is None:
            return self._bucket.sizes(folder)
        names = {file.path: f"{folder}/{file.path}".removeprefix("files/") for file in found.files}
        return {path: self._sizes[name] for path, name in names.items() if name in self._sizes}

    def _files_folder(self, key: Key) -> str | None:
        """Return where the files of the present artifact lie; None if there is none, or none that can be read."""
        if not self.has(key):
            return None
        try:
            return files_folder(self.manifest(key))
        except Damaged:
            return None

    # --- unfinished steps ------------------------------------------------------------------------

    def has_scratch(self, key: Key) -> bool:
        return self._local.has_scratch(key) or scratch_sync.is_saved(self._bucket, key)

    def unfinished(self) -> frozenset[Key]:
        return scratch_sync.saved_steps(self._bucket) | frozenset(filter(KEY.fullmatch, self._local.unfinished()))

    def quarantined(self) -> frozenset[Key]:
        return frozenset(name.partition("-")[0] for name in self._bucket.sizes("damaged"))

    def running(self) -> tuple[RunningStep, ...]:
        # A step whose owner died on another machine is among them until its lease expires.
        return self._leases.running()

    def _failure_records(self) -> Iterable[bytes]:
        return self._bucket.read_all([f"failed/{name}" for name in self._bucket.sizes("failed")]).values()

    # --- making an artifact ----------------------------------------------------------------------

    def lock(self, key: Key) -> Lease | None:
        self._initialise()
        lease = self._leases.acquire(key)
        if lease is not None:
            scratch, mark = self._local.root / "scratch" / key, self._local.root / "saved" / f"{key}.json"
            self._owned[key] = _OwnedStep(lease, ScratchSync(self._bucket, key, scratch, mark))
        return lease

    def owner(self, key: Key) -> str:
        return self._leases.owner(key)

    def begin(self, key: Key) -> Path:
        if key in self._failures_before():
            self._bucket.delete([_failed(key)])
            self._failures_before().discard(key)
        return self._local.begin(key)

    def scratch(self, key: Key) -> Path:
        folder = self._local.scratch(key)
        if key in self._owned:
            self._owned[key].scratch.download()
        return folder

    def save(self, key: Key) -> None:
        owned = self._owned.get(key)
        if owned is None or time.monotonic() - owned.saved < self._save_seconds:
            return
        owned.saved = time.monotonic()
        self._upload_scratch(owned)

    def commit(self, step: Step, label: str, **how: Unpack[How]) -> Manifest:
        key = step.key
        made = self._local.seal(step, label, **how)
        owned = self._owned.get(key)
        if self._upload(made, self._local.work(key), replace=owned is None or owned.lease.held):
            self._local.adopt(key, self._local.work(key))
        disk.remove(self._local.root / "scratch" / key)
        if owned is not None:
            owned.scratch.delete()
        return made

    def discard(self, key: Key) -> None:
        owned = self._owned.pop(key, None)
        self._local.discard(key)
        if owned is not None and self._local.has_scratch(key):
            self._upload_scratch(owned)

    def record_failure(self, failed: FailedStep) -> None:
        self._bucket.write(_failed(failed.key), failed.to_json())
        self._failures_before().add(failed.key)

    def adopt(self, key: Key, folder: Path) -> None:
        self._initialise()
        self._upload(manifest.read(folder), folder, replace=True)
        self._local.adopt(key, folder)

    def _upload(self, made: Manifest, folder: Path, *, replace: bool) -> bool:
        """Upload the files and then the manifest. Return False if an artifact was there already and was to stay."""
        before = self._files_folder(made.key)
        for file in made.files:
            self._bucket.upload(folder / file.path, f"{files_folder(made)}/{file.path}")
        content = (folder / manifest.NAME).read_bytes()
        if replace:
            self._bucket.write(_manifest(made.key), content)
        elif not self._bucket.create(_manifest(made.key), content):
            return False
        self._known_keys().add(made.key)
        self._forget_prefetched()
        if before is not None and before != files_folder(made):
            self._bucket.delete_folder(before)
        return True

    def _upload_scratch(self, owned: _OwnedStep) -> None:
        # A failure here must not end a training: the next upload may succeed.
        with contextlib.suppress(StoreError):
            if owned.lease.held:
                owned.scratch.upload()

    def _failures_before(self) -> set[Key]:
        """Return which steps had failed when this process first asked, and those that failed here since then."""
        if self._failed_before is None:
            self._failed_before = {name.partition(".")[0] for name in self._bucket.sizes("failed")}
        return self._failed_before

    # --- taking artifacts away -------------------------------------------------------------------

    def quarantine(self, key: Key, fault: str) -> str:
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
        self._bucket.delete([_manifest(key)])
        self._bucket.delete_folder(f"files/{key}")
        self._forget(key)

    def clean_up(self) -> None:
        self._local.clean_up()
        super().clean_up()

    def _traces(self) -> set[Key]:
        return {name.partition("/")[0] for kind in ("leases", "scratch") for name in self._bucket.sizes(kind)}

    def _delete_traces(self, key: Key) -> None:
        disk.remove(self._local.root / "scratch" / key)
        self._bucket.delete_folder(f"scratch/{key}")

    def leftovers(self) -> tuple[Leftover, ...]:
        found: dict[tuple[str, str], int] = {}
        for kind in ("scratch", "damaged", "failed", "leases"):
            for name, size in self._bucket.sizes(kind).items():
                place = f"{kind}/{name.partition('/')[0]}"
                found[kind, place] = found.get((kind, place), 0) + size
        self.refresh()
        self.prefetch(self.keys())
        named = {folder for key in self.keys() if (folder := self._files_folder(key)) is not None}
        for name, size in self._bucket.sizes("files").items():
            folder = "/".join(["files", *name.split("/")[:2]])
            if folder not in named:
                found["work", folder] = found.get(("work", folder), 0) + size
        in_bucket = (
            Leftover(kind, place.split("/")[1].partition("-")[0].partition(".")[0], f"{self.url}/{place}", size)
            for (kind, place), size in sorted(found.items())
        )
        return (*in_bucket, *self._local.leftovers(), *self._copies.leftovers(self.keys()))

    def delete_leftover(self, leftover: Leftover) -> None:
        if not leftover.place.startswith(self.url):
            self._local.delete_leftover(leftover)
            return
        place = leftover.place.removeprefix(f"{self.url}/")
        if leftover.kind == "failed":
            self._bucket.delete([place])
        else:
            self._bucket.delete_folder(place)

    def _forget(self, key: Key) -> None:
        self._forget_prefetched()
        self._known_keys().discard(key)
        self._copies.forget(key)

    def _forget_prefetched(self) -> None:
        self._manifests, self._sizes = {}, None

    def _initialise(self) -> None:
        if not self._initialised:
            self._bucket.create(MARKER, marker_content())
            self._initialised = True


def _manifest(key: Key) -> str:
    return f"artifacts/{key}.json"


def _failed(key: Key) -> str:
    return f"failed/{key}.json"
