"""One owner at a time for a step: a lock on a file, which the kernel lets go when its owner dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from satdsl.engine.heartbeat import Sign, here, owner_in, read_document

SIGN_SECONDS = 1.0
"""The owner's signs of life are written no more often."""

_LOOK_SECONDS = 1.0
"""Those who look at a lock never keep it so long."""


class FileLock:
    """A lock that is held; leaving its `with` block lets it go. The file says who holds it and how far the step is."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._length = 0
        self._told = float("-inf")
        self._owner = here()
        self._write(self._owner)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def held(self) -> bool:
        """Always: only this process can let it go."""
        return True

    def tell(self, sign: Sign) -> None:
        """Write a sign of life, unless the last one was a moment ago."""
        if time.monotonic() - self._told >= SIGN_SECONDS:
            self._told = time.monotonic()
            with contextlib.suppress(OSError):  # that nobody can see how far a step is must not end it
                self._write(self._owner | {"sign": sign.document()})

    def _write(self, document: dict[str, Any]) -> None:
        # One write over the last one, which is covered with blanks: a reader finds the old text or the new.
        content = json.dumps(document).encode()
        os.pwrite(self._descriptor, content.ljust(self._length), 0)
        self._length = len(content)

    def release(self) -> None:
        """Let the lock go. The file is removed first, while nobody else can hold it."""
        self._path.unlink(missing_ok=True)
        # Unlocking by name, not by closing: a forked child may still have the same open file.
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def acquire(path: Path) -> FileLock | None:
    """The lock on `path`, or None while another process (or thread) has it.

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
        # The owner before us removed the file between our open and our lock: this one is nobody's.
        os.close(descriptor)


def owner(path: Path) -> str:
    """Who has the lock, for messages: `process 4711 on node3`, or `another process` if that is unreadable."""
    try:
        return owner_in(read_document(path.read_bytes()))
    except OSError:
        return "another process"


def read(path: Path) -> tuple[str, Sign | None] | None:
    """Who holds the lock at this moment, and the last sign of life; None where nobody does."""
    try:
        with path.open("rb") as file:
            if _is_free(file.fileno()):
                return None
            document = read_document(file.read())
    except OSError:
        return None
    sign = document.get("sign")
    return owner_in(document), Sign.read(sign) if isinstance(sign, dict) else None


def _is_free(descriptor: int) -> bool:
    # Who wants the lock in this very moment finds it shared, not owned, and tries again.
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
