"""Find out what a NumPy file (.npy) of images or labels holds: its type, its digest, and what its numbers are.

A file is read once, a piece at a time, and what was found is kept in the user's cache folder until the file changes.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from satdsl import npy_headers, user_cache
from satdsl.npy_headers import ArrayHeader
from satdsl.records import Record, record
from satdsl.sources import opened

CHUNK = 1 << 20
"""So many numbers are looked at at once."""

LEVELS = 255
"""The whole levels that a pixel in [0, 1] can have, besides 0."""

NEAR = 0.07
"""So far from a whole level may a number lie: half precision is off by 0.06 of one at most."""

_VERSION = 1


@record
class ArrayContents(Record):
    """What a file holds. The last four say of floating-point numbers where they lie; whole numbers are not read.

    `least` and `most` are of the finite numbers; `strange` counts the others; `between` counts those in [0, 1] that are
    no whole 255th.
    """

    path: str
    digest: str
    header: ArrayHeader
    least: float = 0.0
    most: float = 0.0
    strange: int = 0
    between: int = 0


def read(path: Path) -> ArrayContents:
    """Return what a file holds.

    Raises:
        OSError: It cannot be read, or is no file.
        ValueError: It is no .npy file of numbers, or is truncated.
    """
    with opened(path) as file:  # a pipe would be waited for
        status = os.fstat(file.fileno())
    header = npy_headers.read(path)
    identity = [_VERSION, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    place = _place(path)
    known = _known(place, identity)
    if known is None:
        known = [_digest(path), *(_numbers(path) if header.kind == "f" else (0.0, 0.0, 0, 0))]
        if place is not None:
            user_cache.write(place, json.dumps([identity, known]).encode())
    return ArrayContents(str(path), str(known[0]), header, *known[1:])


def opened_array(path: Path) -> Any:
    """Return the array in a file, which stays there: only what is taken of it is read."""
    import numpy as np

    return np.load(path, mmap_mode="r", allow_pickle=False)


def _place(path: Path) -> Path | None:
    with suppress(OSError, RuntimeError, ValueError):  # there may be no home folder
        return (
            user_cache.place("arrays") / f"{hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]}.json"
        )
    return None


def _known(place: Path | None, identity: list[int]) -> list[Any] | None:
    """Return what was found in the same file before; None where it has changed, or nothing was kept."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        found, known = json.loads(place.read_bytes() if place is not None else b"[0, []]")
        if found == identity and len(known) == 5:
            return list(known)
    return None


def _digest(path: Path) -> str:
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _numbers(path: Path) -> tuple[float, float, int, int]:
    """Return the least and the largest finite number, how many are not finite, and how many are between levels."""
    import numpy as np

    flat = opened_array(path).reshape(-1, order="A")
    least, most, strange, between = float("inf"), float("-inf"), 0, 0
    for start in range(0, len(flat), CHUNK):
        numbers = np.asarray(flat[start : start + CHUNK], dtype=np.float64)
        finite = numbers[np.isfinite(numbers)]
        strange += len(numbers) - len(finite)
        if len(finite):
            least, most = min(least, float(finite.min())), max(most, float(finite.max()))
            levels = LEVELS * finite
            between += int((np.abs(levels - np.rint(levels)) > NEAR).sum())
    return (least, most, strange, between) if least <= most else (0.0, 0.0, strange, between)
