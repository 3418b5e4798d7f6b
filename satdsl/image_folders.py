"""List the images of a data set that is a folder with `train/` and `val/`, each with one folder per class."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

PARTS = ("train", "val")

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""The endings of the files that torchvision's `ImageFolder` reads."""


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the classes: the folders in `train/`, sorted.

    Raises:
        OSError: `train/` cannot be read.
    """
    return tuple(sorted(entry.name for entry in os.scandir(folder / "train") if entry.is_dir()))


def images_per_class(folder: Path, part: str, classes: tuple[str, ...]) -> tuple[int, ...]:
    """Return how many images each class has in `part`; a class without a folder there has none."""
    return tuple(sum(1 for _ in _images(folder / part / name)) for name in classes)


def listing_digest(folder: Path) -> str:
    """Return a SHA-256 digest of the names and sizes of all images.

    A folder that was moved keeps its digest. A folder with other images has another one.
    """
    found = [
        (os.path.relpath(image, folder), os.path.getsize(image)) for part in PARTS for image in _images(folder / part)
    ]
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()


def _images(folder: Path) -> Iterator[str]:
    """Yield the path of each image below a folder; of none where there is no such folder."""
    for place, _, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names if name.lower().endswith(SUFFIXES))
