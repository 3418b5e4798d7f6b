"""One owner at a time for a step where there are no locks: a lease, which expires unless its owner renews it.

The leases of a step are numbered, and the highest counts. One is made by a conditional write, so that of several who
want it one has it; who has made one looks again before it believes it. An owner changes its lease every `beat` seconds.
Who has watched a lease stay the same for `expiry` seconds makes the next number. Nobody compares clocks: each
watches by its own, a jump of which counts as little more than one look; an owner that was taken for dead
finds the higher number at its next beat, and stops. A dead process on the same machine is known at once.
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

from satdsl.engine.bucket import Bucket
from satdsl.engine.heartbeat import Running, Sign, here, owner_in, read_document
from satdsl.engine.store import StoreError
from satdsl.ir.steps import Key

_SHORT = 1.0
"""A step of fewer seconds needs no sign of life."""


@dataclass(frozen=True)
class Timing:
    """In seconds: when an unchanged lease is dead, how often its owner changes it, how often others look at it."""

    expiry: float = 60.0
    beat: float = 12.0
    look: float = 2.0


class Lease:
    """A step's lease that this process has, renewed by a thread until it is let go or found to be lost.

    `numbers` are a dead owner's, if there was one, and ours.
    """

    def __init__(self, bucket: Bucket, folder: str, numbers: list[int], owner: dict[str, Any], beat: float) -> None:
        self._bucket = bucket
        self._folder = folder
        self._numbers = numbers
        self._owner = owner
        self._beat = beat
        self._lost = False
        self._sign: dict[str, Any] = {}
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
        """Whether nobody has been found to have taken it. While the store does not answer, nobody has."""
        return not self._lost

    def tell(self, sign: Sign) -> None:
        """Have the next beat carry a sign of life; a step's first after a second does not wait for it."""
        self._sign = {"sign": sign.document()}
        if not self._announced and time.monotonic() - self._began >= _SHORT:
            self._announced = True
            self._wake.set()

    def release(self) -> None:
        """Let it go. One that was lost is its new owner's matter; one that cannot be deleted expires."""
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
            try:
                if self._is_taken():
                    self._lost = True
                    return
                self._bucket.write(
                    _name(self._folder, self._numbers[-1]), _written(self._owner | {"beats": beats} | self._sign)
                )
            except (StoreError, OSError):
                continue  # it may answer the next time; until then nobody else can have taken the lease

    def _is_taken(self) -> bool:
        """Whether another has a higher number, or this very one. Who makes a number in error takes it back at once."""
        if not self._is_surpassed():
            return False
        self._over.wait(min(1.0, self._beat / 4))
        return self._is_surpassed()

    def _is_surpassed(self) -> bool:
        if max(_numbers(self._bucket, self._folder), default=0) > self._numbers[-1]:
            return True
        mine = self._bucket.read(_name(self._folder, self._numbers[-1]))
        return mine is None or read_document(mine).get("lease") != self._owner["lease"]


@dataclass
class Leases:
    """The leases in a bucket, as this process sees them. `watched` is a folder for what processes here have seen."""

    bucket: Bucket
    watched: Path
    timing: Timing = Timing()
    _busy: dict[Key, float] = field(default_factory=dict)

    def acquire(self, key: Key) -> Lease | None:
        """The lease of a step, or None while another process has it."""
        if time.monotonic() - self._busy.get(key, float("-inf")) < self.timing.look:
            return None
        lease = self._acquire(key)
        if lease is None:
            self._busy[key] = time.monotonic()
        else:
            self._busy.pop(key, None)
        return lease

    def owner(self, key: Key) -> str:
        """Who has the lease, for messages."""
        folder = _folder(key)
        top = max(_numbers(self.bucket, folder), default=0)
        return owner_in(read_document(self.bucket.read(_name(folder, top)) or b"")) if top else "another process"

    def running(self) -> tuple[Running, ...]:
        """The steps that are leased, but for those whose owner is known to be dead."""
        top: dict[Key, int] = {}
        for name in self.bucket.sizes("leases"):
            key, _, number = name.partition("/")
            if number.isdecimal():
                top[key] = max(top.get(key, 0), int(number))
        found = self.bucket.read_all([_name(_folder(key), number) for key, number in top.items()])
        leases = ((key, read_document(found.get(_name(_folder(key), top[key]), b""))) for key in sorted(top))
        return tuple(_running(key, lease) for key, lease in leases if lease and not _is_gone(lease))

    def _acquire(self, key: Key) -> Lease | None:
        folder = _folder(key)
        top = max(_numbers(self.bucket, folder), default=0)
        last = self.bucket.read(_name(folder, top)) if top else None
        if top and (last is None or not self._is_dead(key, last)):
            return None
        owner = _myself()
        number = top + 1
        if not self.bucket.create(_name(folder, number), _written(owner)):
            return None
        if not self._is_alone(folder, number, top, last, owner):
            self.bucket.delete([_name(folder, number)])
            return None
        self._seen(key).unlink(missing_ok=True)
        return Lease(self.bucket, folder, [top, number] if top else [number], owner, self.timing.beat)

    def _is_alone(self, folder: str, number: int, top: int, last: bytes | None, owner: dict[str, Any]) -> bool:
        """Whether, after our lease was made, it is the highest, and the one before is still that of the dead."""
        numbers = _numbers(self.bucket, folder)
        if max(numbers, default=0) != number or any(n not in (number, top) for n in numbers if n >= top):
            return False
        mine = self.bucket.read(_name(folder, number))
        before = self.bucket.read(_name(folder, top)) if top else None
        return before == last and mine is not None and read_document(mine).get("lease") == owner["lease"]

    def _is_dead(self, key: Key, content: bytes) -> bool:
        if _is_gone(read_document(content)):
            return True
        return self._unchanged(key, content) >= self.timing.expiry

    def _unchanged(self, key: Key, content: bytes) -> float:
        """For how many seconds processes on this machine have seen this very lease."""
        now, digest, file = time.monotonic(), hashlib.sha256(content).hexdigest(), self._seen(key)
        seen = read_document(file.read_bytes()) if file.exists() else {}
        seconds = 0.0
        if seen.get("lease") == digest and seen.get("machine") == _machine() and now >= seen["at"]:
            seconds = seen["seconds"] + min(now - seen["at"], self.timing.expiry / 4)
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{key}.{uuid.uuid4().hex}")
        aside.write_bytes(_written({"lease": digest, "machine": _machine(), "at": now, "seconds": seconds}))
        aside.replace(file)
        return seconds

    def _seen(self, key: Key) -> Path:
        return self.watched / f"{key}.json"


def _folder(key: Key) -> str:
    return f"leases/{key}"


def _name(folder: str, number: int) -> str:
    return f"{folder}/{number:08}"


def _numbers(bucket: Bucket, folder: str) -> list[int]:
    return [int(name) for name in bucket.sizes(folder) if name.isdecimal()]


def _written(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _myself() -> dict[str, Any]:
    """A new lease's content: `lease` tells it from all others."""
    return {
        "lease": uuid.uuid4().hex,
        "machine": _machine(),
        **here(),
        "started": _started(os.getpid()),
        "beats": 0,
    }


@functools.cache
def _machine() -> str:
    """Of two processes with the same, each sees whether the other lives: the same start of the same system."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"unknown {uuid.getnode()} {uuid.uuid4()}"


def _started(process: int) -> str:
    """When a process began, in the system's own measure: a number is given to another process again."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _is_gone(owner: dict[str, Any]) -> bool:
    """Whether the owner was a process of this machine, and is no more."""
    return owner.get("machine") == _machine() and not _is_alive(owner.get("process"), owner.get("started"))


def _running(key: Key, lease: dict[str, Any]) -> Running:
    sign = lease.get("sign")
    return Running(key, owner_in(lease), Sign.read(sign) if isinstance(sign, dict) else None)


def _is_alive(process: object, started: object) -> bool:
    return isinstance(process, int) and bool(started) and _started(process) == started
