"""Your own images, in one folder per class below `train/` and `val/`; the class names are the folders' names,
sorted.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from satdsl.catalog.datasets import CENTRE, PATH, DatasetEntry, images
from satdsl.catalog.registry import CallSite
from satdsl.ir.experiment import DatasetFacts

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""The files that torchvision's `ImageFolder` reads."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def known(args: Mapping[str, Any], folder: str, entry: DatasetEntry, site: CallSite) -> DatasetFacts:
    """Return what an image folder holds, by listing it."""
    parts = {part: Path(folder) / part for part in ("train", "val")}
    for part, where in parts.items():
        if not os.path.isdir(where):
            site.reject(
                "E306",
                f"there is no folder `{where}`",
                f"an image folder holds `train/` and `val/`, each with one folder per class; `{part}/` is missing",
                "give the folder that has both",
            )
    classes = tuple(sorted(entry.name for entry in os.scandir(parts["train"]) if entry.is_dir()))
    counts = {
        part: tuple(_images(where / name) if (where / name).is_dir() else 0 for name in classes)
        for part, where in parts.items()
    }
    train, val = counts["train"], counts["val"]
    return DatasetFacts(classes, (3, 0, 0), sum(train), sum(val), train, val, IMAGENET_MEAN, IMAGENET_STD)


def _images(folder: Path) -> int:
    return sum(name.lower().endswith(IMAGES) for _, _, names in os.walk(folder) for name in names)


def listing(folder: Path) -> str:
    """Return a digest of the names and sizes of a folder's images: the same after a move, another after a change."""
    found = []
    for part in ("train", "val"):
        for place, _, names in os.walk(folder / part):
            found += [
                (os.path.relpath(os.path.join(place, name), folder), os.path.getsize(os.path.join(place, name)))
                for name in names
                if name.lower().endswith(IMAGES)
            ]
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()


ENTRY = DatasetEntry(
    "folder",
    __doc__,
    arguments=(PATH, *images(CENTRE)),
    known=known,
    listing=listing,
    by_hand="put one folder for each class into train/ and into val/",
    place=8.5,
)
