"""Lock a step where there are no file locks: by a lease, which expires unless its owner renews it.

An object store has no locks, but it can create an object on the condition that none is there yet. The leases of a step
are numbered objects `leases/<key>/00000001`, `00000002` and so on, and the highest number counts:

- Whoever wants the step creates the next number. If two processes try at once, the conditional write gives the number
  to one of them. Not every store keeps this promise, so the winner reads the leases again before it believes it has
  won.
- The owner rewrites its lease every `beat` seconds (a heartbeat). A process that has watched a lease stay the same for
  `expiry` seconds takes the owner for dead and creates the next number.
- Clocks of different machines are never compared, because they may differ by minutes: each process measures by its own
  clock how long it has seen the lease unchanged. A jump of that clock counts for little more than one look.
- An owner may be alive though others took it for dead: a laptop that slept, say. At its next beat it finds the higher
  number and stops, before it stores anything.

The death of a process on the same machine is known at once, without waiting.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from satdsl.engine import disk
from satdsl.engine.bucket import Bucket
from satdsl.engine.errors import StoreError
from satdsl.engine.heartbeat import (
    Heartbeat,
    RunningStep,
    owner_name,
    read_json_object,
    running_step,
    this_process,
    with_heartbeat,
)
from satdsl.ir.steps import Key

_SHORT = 1.0
"""A step that takes fewer seconds needs no heartbeat."""


@dataclass(frozen=True)
class Timing:
    """In seconds: when an unchanged lease is dead, how often its owner changes it, how often others look at it."""

    expiry: float = 60.0
    beat: float = 12.0
    look: float = 2.0


class Lease:
    """The lease of a step that this process has. A thread renews it until it is released or found to be lost.

    `numbers` are ours and, before it, that of a dead owner, if there was one.
    """

    def __init__(self, bucket: Bucket, folder: str, numbers: list[int], owner: dict[str, Any], beat: float) -> None:
        self._bucket = bucket
        self._folder = folder
        self._numbers = numbers
        self._owner = owner
        self._beat = beat
        self._lost = False
        self._heartbeat: Heartbeat | None = None
        self._began = time.monotonic()
        self._announced = False
        self._over = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True, name=f"lease {folder}")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def held(self) -> bool:
        # While the store does not answer, nobody else can have taken the lease.
        return not self._lost

    def beat(self, heartbeat: Heartbeat) -> None:
        """Have the next renewal carry this heartbeat. The first one after a second does not wait for the renewal."""
        self._heartbeat = heartbeat
        if not self._announced and time.monotonic() - self._began >= _SHORT:
            self._announced = True
            self._wake.set()

    def release(self) -> None:
        """Delete the lease, unless it was lost and belongs to another. One that cannot be deleted expires."""
        self._over.set()
        self._wake.set()
        self._thread.join()
        if not self._lost:
            with contextlib.suppress(StoreError):
                self._bucket.delete([_name(self._folder, number) for number in self._numbers])

    def _renew(self) -> None:
        beats = 0
        while True:
            self._wake.wait(self._beat)
            self._wake.clear()
            if self._over.is_set():
                return
            beats += 1
            document = self._owner | {"beats": beats}
            if self._heartbeat is not None:
                document = with_heartbeat(document, self._heartbeat)
            try:
                if self._is_taken():
                    self._lost = True
                    return
                self._bucket.write(_name(self._folder, self._numbers[-1]), _encoded(document))
            except (StoreError, OSError):
                continue  # the store may answer the next time

    def _is_taken(self) -> bool:
        """Return whether another process has taken the step over.

        It looks twice: a process that created a number in error deletes it again at once.
        """
        if not self._is_superseded():
            return False
        self._over.wait(min(1.0, self._beat / 4))
        return self._is_superseded()

    def _is_superseded(self) -> bool:
        """Return whether there is a higher number than ours, or another lease under our number."""
        if _highest(self._bucket, self._folder) > self._numbers[-1]:
            return True
        mine = self._bucket.read(_name(self._folder, self._numbers[-1]))
        return mine is None or not _is_same(mine, self._owner)


@dataclass
class Leases:
    """The leases in a bucket, as this process sees them.

    `watched` is a folder in which the processes of this machine note for how long they have seen a lease unchanged.
    """

    bucket: Bucket
    watched: Path
    timing: Timing = Timing()
    _busy: dict[Key, float] = field(default_factory=dict)

    def acquire(self, key: Key) -> Lease | None:
        """Take the lease of a step; None while another process has it."""
        if time.monotonic() - self._busy.get(key, float("-inf")) < self.timing.look:
            return None
        lease = self._acquire(key)
        if lease is None:
            self._busy[key] = time.monotonic()
        else:
            self._busy.pop(key, None)
        return lease

    def owner(self, key: Key) -> str:
        """Return who has the lease, for messages."""
        folder = _folder(key)
        highest = _highest(self.bucket, folder)
        last = self.bucket.read(_name(folder, highest)) if highest else None
        return owner_name(read_json_object(last or b""))

    def running(self) -> tuple[RunningStep, ...]:
        """Return the steps that are leased, except those whose owner is known to be dead."""
        highest: dict[Key, int] = {}
        for name in self.bucket.sizes("leases"):
            key, _, number = name.partition("/")
            if number.isdecimal():
                highest[key] = max(highest.get(key, 0), int(number))
        found = self.bucket.read_all([_name(_folder(key), number) for key, number in highest.items()])
        leases = {key: read_json_object(found.get(_name(_folder(key), highest[key]), b"")) for key in sorted(highest)}
        return tuple(running_step(key, lease) for key, lease in leases.items() if lease and not _is_gone(lease))

    def _acquire(self, key: Key) -> Lease | None:
        folder = _folder(key)
        highest = _highest(self.bucket, folder)
        last = self.bucket.read(_name(folder, highest)) if highest else None
        if highest and (last is None or not self._is_dead(key, last)):
            return None
        owner = _new_owner()
        number = highest + 1
        if not self.bucket.create(_name(folder, number), _encoded(owner)):
            return None
        if not self._has_won(folder, number, last, owner):
            self.bucket.delete([_name(folder, number)])
            return None
        self._seen(key).unlink(missing_ok=True)
        return Lease(self.bucket, folder, [highest, number] if highest else [number], owner, self.timing.beat)

    def _has_won(self, folder: str, number: int, last: bytes | None, owner: dict[str, Any]) -> bool:
        """Return whether the lease that we have just created counts.

        It must be the highest and really ours, and the one before it must be gone or still be that of the dead owner.
        Example: A and B both find number 1 dead. A creates 2, works, and deletes 1 and 2. B, which is slow, creates
        number 2 only now; but number 1, which it saw, is gone: its look is out of date, and it has to look again.
        """
        if _highest(self.bucket, folder) != number:
            return False
        mine = self.bucket.read(_name(folder, number))
        before = self.bucket.read(_name(folder, number - 1)) if number > 1 else None
        return before == last and mine is not None and _is_same(mine, owner)

    def _is_dead(self, key: Key, content: bytes) -> bool:
        if _is_gone(read_json_object(content)):
            return True
        return self._seconds_unchanged(key, content) >= self.timing.expiry

    def _seconds_unchanged(self, key: Key, content: bytes) -> float:
        """Return for how many seconds processes on this machine have seen this very lease."""
        now, digest, file = time.monotonic(), hashlib.sha256(content).hexdigest(), self._seen(key)
        seen = read_json_object(file.read_bytes()) if file.exists() else {}
        seconds = 0.0
        if seen.get("lease") == digest and seen.get("machine") == _machine() and now >= seen["at"]:
            seconds = seen["seconds"] + min(now - seen["at"], self.timing.expiry / 4)
        disk.replace_file(file, _encoded({"lease": digest, "machine": _machine(), "at": now, "seconds": seconds}))
        return seconds

    def _seen(self, key: Key) -> Path:
        return self.watched / f"{key}.json"


def _folder(key: Key) -> str:
    return f"leases/{key}"


def _name(folder: str, number: int) -> str:
    return f"{folder}/{number:08}"


def _highest(bucket: Bucket, folder: str) -> int:
    """Return the highest number of the leases of a step; 0 if there are none."""
    return max((int(name) for name in bucket.sizes(folder) if name.isdecimal()), default=0)


def _encoded(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _is_same(content: bytes, owner: dict[str, Any]) -> bool:
    return bool(read_json_object(content).get("lease") == owner["lease"])


def _new_owner() -> dict[str, Any]:
    """Return the content of a new lease; `lease` distinguishes it from all others."""
    return {
        "lease": uuid.uuid4().hex,
        "machine": _machine(),
        **this_process(),
        "started": _start_time(os.getpid()),
        "beats": 0,
    }


@functools.cache
def _machine() -> str:
    """Identify this boot of this system. Of two processes with the same value, each sees whether the other lives."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"unknown {uuid.getnode()} {uuid.uuid4()}"


def _start_time(process: object) -> str:
    """Return when a process began, in ticks of the system: its number may be given to another process later."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _is_gone(owner: dict[str, Any]) -> bool:
    """Return whether the owner was a process of this machine that has ended."""
    started = owner.get("started")
    alive = isinstance(owner.get("process"), int) and bool(started) and _start_time(owner["process"]) == started
    return owner.get("machine") == _machine() and not alive
