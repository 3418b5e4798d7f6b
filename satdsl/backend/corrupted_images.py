"""Read CIFAR-10-C and CIFAR-100-C: from their files, or out of the archive that they are published in."""

from __future__ import annotations

import hashlib
import io
import math
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from satdsl.catalog.datasets.corrupted import corruptions
from satdsl.ir.steps import CatalogCall

BLOCK = 1 << 20

EACH = 10_000
"""So many images a file has of each severity, the mildest first."""


@contextmanager
def opened_file(root: Path, name: str, file: str) -> Iterator[IO[bytes]]:
    """Open a file of the data set `name`: in its folder below `root` or, where that has none, in the archive there.

    Raises:
        FileNotFoundError: It is in neither.
    """
    known = corruptions(name)
    place, archive = root / known["folder"] / f"{file}.npy", root / known["archive"]
    if place.exists() or not archive.exists():
        with place.open("rb") as opened:
            yield opened
        return
    with tarfile.open(archive, "r:") as packed:
        try:
            found = packed.extractfile(f"{known['folder']}/{file}.npy")
        except KeyError as error:
            raise FileNotFoundError(2, "there is no such file in the archive", str(place)) from error
        assert found is not None
        with found:
            yield found


def md5_of(root: Path, name: str, file: str) -> str:
    """Return the MD5 of a file of the data set `name`."""
    total = hashlib.md5(usedforsecurity=False)
    with opened_file(root, name, file) as opened:
        while block := opened.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def rows(file: IO[bytes], first: int, count: int) -> np.ndarray:
    """Return some rows of an array in a NumPy file, of which only these are read.

    Raises:
        ValueError: It is no such array, or ends too early.
    """
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, kind = header(file)
    if fortran or kind.hasobject or len(shape) == 0 or shape[0] < first + count:
        raise ValueError(f"an array of {kind}, {shape}, has no rows {first} to {first + count - 1}")
    size = math.prod(shape[1:]) * kind.itemsize
    file.seek(first * size, io.SEEK_CUR)
    content = file.read(count * size)
    if len(content) < count * size:
        raise ValueError("it ends before its last number")
    return np.frombuffer(content, kind).reshape(count, *shape[1:])


def corrupted(choice: CatalogCall, root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of one corruption and severity, uint8 [10000, 3, 32, 32], and their labels."""
    found = []
    for file in (choice["corruption"], "labels"):
        with opened_file(root, choice.name, file) as opened:
            found.append(rows(opened, EACH * (choice["severity"] - 1), EACH))
    images, labels = found
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels
