"""One owner at a time for a step: a lock on a file, which the kernel lets go when its owner dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType


class FileLock:
    """A lock that is held; leaving its `with` block lets it go."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

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
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode())
                return FileLock(path, descriptor)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        # The owner before us removed the file between our open and our lock: this one is nobody's.
        os.close(descriptor)


def owner(path: Path) -> str:
    """Who has the lock, for messages: `process 4711 on node3`, or `another process` if that is unreadable."""
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
