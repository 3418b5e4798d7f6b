"""Lock a step by a file: one process at a time has the lock, and the kernel frees it when that process dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from satdsl.engine.heartbeat import (
    Heartbeat,
    RunningStep,
    owner_name,
    read_json_object,
    running_step,
    this_process,
    with_heartbeat,
)

HEARTBEAT_SECONDS = 1.0
"""Heartbeats are written no more often than this."""

_LOOK_SECONDS = 1.0
"""A process that only looks at a lock never keeps it so long."""


class FileLock:
    """A lock that is held. Its file says who holds it and how far the step is."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._length = 0
        self._last_beat = float("-inf")
        self._owner = this_process()
        self._write(self._owner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def held(self) -> bool:
        return True  # only this process can let it go

    def beat(self, heartbeat: Heartbeat) -> None:
        if time.monotonic() - self._last_beat >= HEARTBEAT_SECONDS:
            self._last_beat = time.monotonic()
            with contextlib.suppress(OSError):  # a step must not fail because nobody can see how far it is
                self._write(with_heartbeat(self._owner, heartbeat))

    def _write(self, document: dict[str, Any]) -> None:
        # One write covers the old text, with blanks where that was longer: a reader finds the old text or the new one.
        content = json.dumps(document).encode()
        os.pwrite(self._descriptor, content.ljust(self._length), 0)
        self._length = len(content)

    def release(self) -> None:
        # The file goes first, while nobody else can hold its lock. Otherwise: A unlocks, B locks, A deletes the file
        # of B's lock, C makes a new file and locks that, and B and C both run the step.
        self._path.unlink(missing_ok=True)
        # Unlocked by name instead of by closing: a forked child may still have the same open file.
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def acquire(path: Path) -> FileLock | None:
    """Take the lock on `path`; None while another process (or thread) has it.

    Raises:
        OSError: the file cannot be made, or the file system has no locks.
    """
    until = time.monotonic() + _LOOK_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                os.ftruncate(descriptor, 0)
                return FileLock(path, descriptor)
        except BlockingIOError:
            # Who only looks shares the lock for a moment: an owner does not.
            if not _is_free(descriptor) or time.monotonic() > until:
                os.close(descriptor)
                return None
            time.sleep(0.001)
        except BaseException:
            os.close(descriptor)
            raise
        # The owner before us removed the file between our open and our lock, so that this lock guards nothing.
        os.close(descriptor)


def owner(path: Path) -> str:
    """Return who has the lock, for messages: `process 4711 on node3`, or `another process` if that is unreadable."""
    until = time.monotonic() + _LOOK_SECONDS
    try:
        # Between taking the lock and writing its name into the file, an owner's file is empty for a moment.
        while not (content := path.read_bytes()) and time.monotonic() < until:
            time.sleep(0.001)
        return owner_name(read_json_object(content))
    except OSError:
        return "another process"


def read(path: Path) -> RunningStep | None:
    """Return what runs under the lock at this path (whose name is the key of the step); None where nobody holds it."""
    try:
        with path.open("rb") as file:
            if _is_free(file.fileno()):
                return None
            return running_step(path.name, read_json_object(file.read()))
    except OSError:
        return None


def _is_free(descriptor: int) -> bool:
    # Whoever wants the lock in this very moment finds it shared, not owned, and tries again.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
