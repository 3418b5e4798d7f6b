"""The places where a store can lie, and a small file system of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import gs, home, remote, s3  # noqa: F401


class Disk:
    """A file system in memory that can be made larger or read-only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", self.root], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    """A real file system of 64 kB."""
    root = tmp_path / "disk"
    root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(root)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"file systems cannot be mounted here ({error})")
    if done.returncode:
        pytest.skip(f"file systems cannot be mounted here ({done.stderr.strip()})")
    yield Disk(root)
    subprocess.run(["umount", root], check=True)
