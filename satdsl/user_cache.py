"""Keep what takes long to find out in the user's cache folder.

Whoever reads a cache finds all of an entry or nothing; what cannot be written is found out again the next time.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

MOST_FILES, MOST_BYTES = 200, 1 << 30
"""A cache has so many files, of so many bytes, at most. Those that were not used for longest are removed."""

VARIABLE = "SATDSL_CACHE"
"""The environment variable that chooses another folder for caches: of folders, of networks, of a store's artifacts."""

_DAY = 86_400.0


def place(name: str) -> Path:
    """Return the folder of the cache of this name.

    Raises:
        RuntimeError: There is no home folder.
    """
    own = os.environ.get(VARIABLE)
    root = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "satdsl"
    return root / name


def write(file: Path, content: bytes) -> str:
    """Replace a file, so that others who read it see the old one or the new one; return why that is not possible."""
    aside = file.with_name(f"{os.urandom(16).hex()}.aside")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside.write_bytes(content)
        aside.replace(file)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        return f"{file.parent} cannot be written ({error.strerror or error})"
    with suppress(OSError):  # another process may tidy up at the same time
        _tidy(file)
    return ""


def _tidy(kept: Path) -> None:
    """Remove what was not used for longest, beyond what the cache may have, and what killed processes left."""
    found = []
    for file in kept.parent.iterdir():
        with suppress(OSError):
            status = file.stat()
            if file.suffix == ".aside":
                if status.st_mtime < time.time() - _DAY:
                    file.unlink()
            elif file != kept:
                found.append((status.st_mtime, status.st_size, file))
    room = MOST_BYTES - kept.stat().st_size
    for number, (_, size, file) in enumerate(sorted(found, reverse=True), 2):
        room -= size
        if number > MOST_FILES or room < 0:
            with suppress(OSError):
                file.unlink()
