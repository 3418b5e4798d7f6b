"""What a store is to whoever runs steps or reads results, wherever it lies; `open_store` gives the one of an address.

A store keeps finished artifacts by key. One exists when its manifest does, which is written last; nothing half-written
is ever visible. One owner at a time runs a step; what an unfinished step saved outlives its process.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from satdsl.engine.heartbeat import FailedStep, Running, Sign
from satdsl.engine.manifest import Manifest
from satdsl.errors import UserError
from satdsl.ir.steps import Key, Step


class StoreError(UserError):
    """The store cannot be used."""


class Damaged(Exception):
    """An artifact is not what its manifest says: `fault` tells what is wrong with it."""

    def __init__(self, key: Key, fault: str) -> None:
        super().__init__(f"artifact {key[:12]}: {fault}")
        self.key = key
        self.fault = fault


@dataclass(frozen=True)
class Leftover:
    """Something in the store that no finished artifact needs.

    `what` is `work`, `scratch`, `damaged`, `failed`, `leases`, or `copy`, which is this machine's of a
    remote artifact. `size` is in bytes.
    """

    what: str
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
        """Whether it is still ours: another process may have taken it, believing this one dead."""

    def tell(self, sign: Sign) -> None:
        """Let those who ask `Store.running` know how far the step is; seldom, however often it is called."""

    def release(self) -> None:
        """Let it go."""


class Store(Protocol):
    """Finished artifacts by key. Opening one writes nothing; every method may raise StoreError."""

    @property
    def url(self) -> str:
        """What `open_store` opens this store with, in another process too. It holds no secrets."""

    @property
    def workplace(self) -> tuple[Path, str]:
        """The folder on this machine in which steps write, and the name of the setting that chooses another."""

    # --- what is there ---------------------------------------------------------------------------

    def keys(self) -> frozenset[Key]:
        """Every finished artifact, as of the last look at the store."""

    def has(self, key: Key) -> bool:
        """Whether the artifact is finished. The store is listed once; `refresh` looks again."""

    def look(self, key: Key) -> bool:
        """Whether the artifact is finished now: another process may have made or removed it."""

    def refresh(self) -> None:
        """Forget which artifacts there are; the next question lists the store again."""

    def prepare(self, keys: Collection[Key]) -> None:
        """These artifacts are about to be asked for: fetch at once what would be fetched one by one."""

    def manifest(self, key: Key) -> Manifest:
        """The manifest of a finished artifact.

        Raises:
            Damaged: it cannot be read.
        """

    def inspect(self, key: Key) -> str | None:
        """What is wrong with a finished artifact as far as its files' sizes tell; None if nothing is."""

    def verify(self, key: Key) -> str | None:
        """What is wrong with a finished artifact, every stored byte of it read; None if nothing is."""

    def input(self, key: Key) -> Path:
        """A folder on this machine with the files of a finished artifact, which is about to be used.

        Their sizes are checked every time, their digests once in the life of this object.

        Raises:
            Damaged: the artifact is missing or changed.
        """

    def is_begun(self, key: Key) -> bool:
        """Whether an unfinished run of this step saved something to continue from."""

    def begun(self) -> frozenset[Key]:
        """The keys of unfinished runs that saved something to continue from."""

    def damaged(self) -> frozenset[Key]:
        """The keys of artifacts that were set aside."""

    def running(self) -> tuple[Running, ...]:
        """The steps that processes run at this moment, on whatever machine."""

    def failures(self) -> tuple[FailedStep, ...]:
        """Why steps failed that were not finished since."""

    # --- making an artifact ----------------------------------------------------------------------

    def lock(self, key: Key) -> Lock | None:
        """The right to run this step, or None while another process has it."""

    def owner(self, key: Key) -> str:
        """Who runs this step at present, for messages."""

    def begin(self, key: Key) -> Path:
        """An empty folder for the step's files. Half-written ones of a killed run are removed."""

    def scratch(self, key: Key) -> Path:
        """The folder where the step saves what it continues from, with what an earlier run left in it."""

    def save(self, key: Key) -> None:
        """Take the step's scratch, as it is now, to where other machines see it; seldom, since that takes time.

        Called from the step's own thread, between two of its writes.
        """

    def commit(self, step: Step, label: str, *, seconds: float, continued: bool, device: str) -> Manifest:
        """Make the folder that `begin` gave a finished artifact, and remove the step's scratch.

        An artifact already there is replaced, unless the lock was lost and another owner has made it.

        Raises:
            ValueError: the step left something that is not a plain file.
        """

    def discard(self, key: Key) -> None:
        """Remove the unfinished folder of a step; its scratch stays unless nothing is in it."""

    def note_failure(self, failed: FailedStep) -> None:
        """Remember why a step failed, until it is begun again."""

    def adopt(self, key: Key, folder: Path) -> None:
        """Make a folder an artifact that was finished elsewhere. Its manifest and files have been checked."""

    # --- taking artifacts away -------------------------------------------------------------------

    def set_aside(self, key: Key, fault: str) -> str:
        """Move a damaged artifact out of its place, with a note of its fault; where it went."""

    def remove(self, key: Key) -> None:
        """Delete a finished artifact; readers see it whole or not at all."""

    def tidy(self) -> None:
        """Remove what a kill has left of steps that were finished all the same; never mind what cannot be removed."""

    def leftovers(self) -> tuple[Leftover, ...]:
        """What kills, failures and damage have left: half-written folders, scratch, artifacts set aside.

        Those of steps that run at this moment are among them; `lock` tells.
        """

    def clear(self, leftover: Leftover) -> None:
        """Delete a leftover."""


def address(store: Store) -> str:
    """What `open_store` opens this store with in any process and on any machine that sees it."""
    return store.url if "://" in store.url else str(Path(store.url).absolute())


def open_store(url: str) -> Store:
    """The store at a folder's path, a `file://` address, or any other address that fsspec knows (`s3://bucket/path`).

    Raises:
        StoreError: it cannot be one, or was written by a newer version of satdsl.
    """
    protocol, separator, path = url.partition("://")
    if not separator or protocol in ("file", "local"):
        from satdsl.engine.local_store import LocalStore

        return LocalStore(Path(path if separator else url))
    from satdsl.engine.bucket import Bucket
    from satdsl.engine.copies import cache_folder
    from satdsl.engine.remote_store import RemoteStore

    return RemoteStore(Bucket(url), cache_folder(url))
