"""A source's name to the place where its files lie, what is there, and how to get what is not. Never imports torch."""

from __future__ import annotations

import os
from pathlib import Path

from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

IDX = tuple(f"{part}-{file}" for part in ("train", "t10k") for file in ("images-idx3-ubyte", "labels-idx1-ubyte"))

EXPECTED: dict[str, tuple[str, ...]] = {
    "digits": (),
    "synthetic": (),
    "stand_in": (),
    "CIFAR10": ("cifar-10-batches-py",),
    "CIFAR100": ("cifar-100-python",),
    "MNIST": tuple(f"MNIST/raw/{file}" for file in IDX),
    "FashionMNIST": tuple(f"FashionMNIST/raw/{file}" for file in IDX),
    "SVHN": ("train_32x32.mat", "test_32x32.mat"),
    "Flowers102": ("flowers-102/jpg", "flowers-102/imagelabels.mat", "flowers-102/setid.mat"),
    "Caltech256": ("caltech256/256_ObjectCategories",),
    "ImageNet": ("imagenet/train", "imagenet/val"),
    "ImageNet200": ("imagenet/train", "imagenet/val"),
}
"""What must lie below the folder of data sets for a source to be there."""

BY_HAND = {
    "ImageNet": "its terms allow no download: unpack ILSVRC2012 into train/<wnid>/ and val/<wnid>/",
    "folder": "put one folder for each class into train/ and into val/",
}
BY_HAND["ImageNet200"] = BY_HAND["ImageNet"]


def data_folder(named: str | None, data_root: Path) -> Path:
    """The folder of data sets: the one a data step names, or else the run's."""
    return Path(named).expanduser() if named else data_root


def expected(source: CatalogCall, root: Path) -> tuple[Path, ...]:
    """What must be there for `source`; nothing for what comes with the package."""
    if source.name == "folder":
        return tuple(root / source["path"] / part for part in ("train", "val"))
    if source.name not in EXPECTED:
        raise StepError(f"this version cannot load a data set called {source.name}")
    return tuple(root / name for name in EXPECTED[source.name])


def locate(source: CatalogCall, root: Path) -> tuple[bool, Path, str]:
    """(is it there, where it is looked for, how to get it) for `source` below the folder `root`."""
    wanted = expected(source, root)
    if not wanted:
        return True, root, "in the package"
    where = wanted[0] if len(wanted) == 1 else Path(os.path.commonpath(wanted))
    how = BY_HAND.get(source.name, "satdsl data FILE --download")
    return all(path.exists() for path in wanted), where, how


def absent(source: CatalogCall, where: Path, how: str) -> StepError:
    """The error for a data set that is not there."""
    by_hand = how if source.name in BY_HAND else f"fetch it with `{how}`, or put its files there by hand"
    return StepError(f"the data set {source.name} is not there: looked in {where}", by_hand)


def size_on_disk(source: CatalogCall, root: Path) -> int:
    """Bytes in the files of `source`."""
    return sum(_size(path) for path in expected(source, root))


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(path) for name in names)
