"""Define what a store offers to readers (`ReadableStore`) and to runs (`Store`), wherever its artifacts lie.

A store keeps finished artifacts by key. An artifact exists when its manifest does, and the manifest is written last, so
that nobody ever sees half an artifact. One process at a time runs a step; what an unfinished step saved in its scratch
folder survives the process.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Protocol, Self, Unpack

from satdsl.engine import manifest
from satdsl.engine.errors import Damaged, StoreError
from satdsl.engine.heartbeat import FailedStep, Heartbeat, RunningStep
from satdsl.engine.manifest import How, Manifest, UnreadableManifest
from satdsl.engine.store_format import check_format
from satdsl.ir.steps import Key, Step


@dataclass(frozen=True)
class Leftover:
    """Something in the store that no finished artifact needs.

    `kind` is `work`, `scratch`, `damaged`, `failed`, `leases`, or `copy` (this machine's copy of a remote artifact).
    `place` is its path or address, `size` is in bytes.
    """

    kind: str
    key: Key
    place: str
    size: int


class Lock(Protocol):
    """The right to run a step; leaving its `with` block gives it back."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def held(self) -> bool:
        """Whether the lock is still ours. Another process may have taken it because it believed this one dead."""

    def beat(self, heartbeat: Heartbeat) -> None:
        """Publish how far the step is, for `ReadableStore.running`. Frequent calls write only now and then."""

    def release(self) -> None:
        """Give the lock back."""


class ReadableStore(ABC):
    """Finished artifacts by key, and what is known of unfinished steps. Its methods write nothing into the store.

    Every method may raise StoreError.
    """

    is_local: ClassVar[bool] = True
    """Whether it lies on this machine, so that thousands of manifests are read in a moment."""

    def __init__(self) -> None:
        self._keys: set[Key] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """What `open_store` opens this store with, in another process too. It holds no secrets."""

    @abstractmethod
    def exists(self) -> bool:
        """Return whether anything was ever stored here; the first run creates the store."""

    # --- artifacts -------------------------------------------------------------------------------

    def keys(self) -> frozenset[Key]:
        """Return the keys of all finished artifacts. The store is listed once; `refresh` has it listed again."""
        return frozenset(self._known_keys())

    def has(self, key: Key) -> bool:
        """Return whether the artifact is finished, according to the same list as `keys`."""
        return key in self._known_keys()

    def recheck(self, key: Key) -> bool:
        """Return whether the artifact is finished now: another process may have made or removed it."""
        stored = self._is_stored(key)
        if stored:
            self._known_keys().add(key)
        else:
            self._known_keys().discard(key)
        return stored

    def refresh(self) -> None:
        """Forget which artifacts there are, so that the next question lists the store again."""
        self._keys = None

    def prefetch(self, keys: Collection[Key]) -> None:  # noqa: B027
        """Fetch the manifests of these artifacts at once, where asking for one after the other would be slow."""

    def manifest(self, key: Key) -> Manifest:
        """Read the manifest of a finished artifact.

        Raises:
            Damaged: it is missing or cannot be read.
            StoreError: a newer version of satdsl wrote it.
        """
        return self._parsed(key, self._manifest_content(key))

    def manifest_text(self, key: Key) -> bytes:
        """Read the manifest of a finished artifact, unparsed, where most of many are not looked at any further.

        Raises:
            Damaged: it is missing.
        """
        return self._manifest_content(key)

    def check_sizes(self, key: Key) -> str | None:
        """Return what is wrong with a finished artifact, judged by the sizes of its files; None if nothing is."""
        try:
            found = self.manifest(key)
        except Damaged as damaged:
            return damaged.fault
        return manifest.size_fault(found, self._sizes_of(found))

    @abstractmethod
    def verify(self, key: Key) -> str | None:
        """Read every byte of a finished artifact; return what is wrong with it, None if nothing is."""

    @abstractmethod
    def fetch(self, key: Key) -> Path:
        """Return a folder on this machine with the files of a finished artifact.

        The sizes of the files are checked every time, their digests once in the life of this object.

        Raises:
            Damaged: the artifact is missing or changed.
        """

    # --- unfinished steps ------------------------------------------------------------------------

    @abstractmethod
    def has_scratch(self, key: Key) -> bool:
        """Return whether an unfinished run of this step saved something to continue from."""

    @abstractmethod
    def unfinished(self) -> frozenset[Key]:
        """Return the keys of all steps for which `has_scratch` holds."""

    @abstractmethod
    def quarantined(self) -> frozenset[Key]:
        """Return the keys of damaged artifacts that `Store.quarantine` has moved away."""

    @abstractmethod
    def running(self) -> tuple[RunningStep, ...]:
        """Return the steps that processes run at this moment, on whatever machine."""

    def failures(self) -> tuple[FailedStep, ...]:
        """Return why steps failed that have not been finished since."""
        found = map(FailedStep.from_json, self._failure_records())
        return tuple(one for one in found if one is not None and not self.has(one.key))

    # --- what an implementation provides for the methods above --------------------------------------

    @abstractmethod
    def _list_keys(self) -> set[Key]: ...

    @abstractmethod
    def _is_stored(self, key: Key) -> bool: ...

    @abstractmethod
    def _manifest_content(self, key: Key) -> bytes: ...

    @abstractmethod
    def _sizes_of(self, found: Manifest) -> Mapping[str, int]:
        """Return the sizes in bytes of those files of an artifact that are there, by path."""

    @abstractmethod
    def _failure_records(self) -> Iterable[bytes]: ...

    def _known_keys(self) -> set[Key]:
        if self._keys is None:
            self._keys = self._list_keys()
        return self._keys

    def _parsed(self, key: Key, content: bytes) -> Manifest:
        try:
            found = manifest.parse(content)
        except UnreadableManifest as error:
            raise Damaged(key, str(error)) from None
        check_format(self.url, found.format)
        return found


class Store(ReadableStore):
    """A store that steps are run on: it gives out locks and folders, and takes finished artifacts in."""

    @property
    @abstractmethod
    def work_folder(self) -> tuple[Path, str]:
        """The folder on this machine in which steps write, and the name of the setting that chooses another."""

    # --- making an artifact ----------------------------------------------------------------------

    @abstractmethod
    def lock(self, key: Key) -> Lock | None:
        """Acquire the right to run this step; None while another process has it."""

    @abstractmethod
    def owner(self, key: Key) -> str:
        """Return who runs this step at present, for messages."""

    @abstractmethod
    def begin(self, key: Key) -> Path:
        """Return an empty folder for the files of the step. What a killed run left half-written is removed."""

    @abstractmethod
    def scratch(self, key: Key) -> Path:
        """Return the folder where the step saves what it continues from, with what an earlier run left in it."""

    @abstractmethod
    def save(self, key: Key) -> None:
        """Copy the scratch folder of the step to where other machines see it; most calls do nothing, as it takes time.

        The thread of the step itself calls this, between two of its writes.
        """

    @abstractmethod
    def commit(self, step: Step, label: str, **how: Unpack[How]) -> Manifest:
        """Make the folder that `begin` gave a finished artifact, and remove the scratch folder of the step.

        An artifact that is there already is replaced, unless the lock was lost and its new owner has made it.

        Raises:
            StoreError: the disk is full, or the store cannot be written.
            ValueError: the step left something that is not a plain file.
        """

    @abstractmethod
    def discard(self, key: Key) -> None:
        """Remove the unfinished folder of a step. Its scratch folder stays unless it is empty."""

    @abstractmethod
    def record_failure(self, failed: FailedStep) -> None:
        """Remember why a step failed, until it is begun again."""

    @abstractmethod
    def adopt(self, key: Key, folder: Path) -> None:
        """Store a folder as a finished artifact. Its manifest is in it; manifest and files have been checked."""

    # --- taking artifacts away -------------------------------------------------------------------

    @abstractmethod
    def quarantine(self, key: Key, fault: str) -> str:
        """Move a damaged artifact out of its place, with a note of its fault; return where it went."""

    @abstractmethod
    def remove(self, key: Key) -> None:
        """Delete a finished artifact. Readers see all of it or nothing of it."""

    def clean_up(self) -> None:
        """Remove what killed runs left of steps that are finished all the same; ignore what cannot be removed."""
        with contextlib.suppress(StoreError):
            for key in self._traces():
                with contextlib.suppress(OSError, StoreError):
                    self._clean_up(key)

    @abstractmethod
    def leftovers(self) -> tuple[Leftover, ...]:
        """Return what kills, failures and damage have left: half-written folders, scratch, quarantined artifacts.

        Those of steps that run at this moment are among them; `lock` tells.
        """

    @abstractmethod
    def delete_leftover(self, leftover: Leftover) -> None:
        """Delete a leftover."""

    # --- what an implementation provides for `clean_up` ---------------------------------------------

    @abstractmethod
    def _traces(self) -> set[Key]:
        """Return the keys of steps of which a lock, a scratch folder or a half-written folder is there."""

    @abstractmethod
    def _delete_traces(self, key: Key) -> None:
        """Delete the scratch and work folders of a finished step, whose lock is held."""

    def _clean_up(self, key: Key) -> None:
        if not self._is_stored(key):
            return
        lock = self.lock(key)
        if lock is None:  # its owner finishes the step at this moment, or is dead and its lease will expire
            return
        with lock:
            if self._is_stored(key):
                self._delete_traces(key)
