"""A source's name to its images: where they lie, how to get them, and the loaded `DataSet`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from satdsl.backend.choices import choice_from
from satdsl.backend.files import read_arrays, read_json
from satdsl.backend.images import DataSet, Images, balanced, digest
from satdsl.backend.sources import DECODED, LOADERS, Part, torchvision_set
from satdsl.plan.steps import Choice
from satdsl.plan.work import StepError, Work

EXPECTED: dict[str, tuple[str, ...]] = {
    "digits": (),
    "synthetic": (),
    "CIFAR10": ("cifar-10-batches-py",),
    "CIFAR100": ("cifar-100-python",),
    "MNIST": ("MNIST/raw",),
    "FashionMNIST": ("FashionMNIST/raw",),
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


def root_of(named: str | None, data_root: Path) -> Path:
    """The folder of data sets: the one a data step names, or else the run's."""
    return Path(named).expanduser() if named else data_root


def locate(source: Choice, root: Path) -> tuple[bool, Path, str]:
    """(is it there, where it is looked for, how to get it) for `source` below the folder `root`."""
    if source.name == "folder":
        where = root / source["path"]
        return all((where / part).is_dir() for part in ("train", "val")), where, BY_HAND["folder"]
    if source.name not in EXPECTED:
        raise StepError(f"this version cannot load a data set called {source.name}")
    expected = [root / name for name in EXPECTED[source.name]]
    where = root if len(expected) != 1 else expected[0]
    if source.name in BY_HAND:
        return all(path.exists() for path in expected), root / "imagenet", BY_HAND[source.name]
    how = "in the package" if not expected else "satdsl data FILE --download"
    return all(path.exists() for path in expected), where, how


def absent(source: Choice, where: Path, how: str) -> StepError:
    """The error for a data set that is not there."""
    by_hand = how if source.name in BY_HAND else f"fetch it with `{how}`, or put its files there by hand"
    return StepError(f"the data set {source.name} is not there: looked in {where}", by_hand)


def download(source: Choice, root: Path) -> None:
    """Fetch `source` from its authors through torchvision, which checks what it got.

    StepError where that fails.
    """
    if not EXPECTED.get(source.name):
        if source.name == "folder":
            raise absent(source, *locate(source, root)[1:])
        return
    if source.name in BY_HAND:
        raise absent(source, *locate(source, root)[1:])
    parts: list[dict[str, Any]] = [{"train": True}, {"train": False}]
    if source.name == "SVHN":
        parts = [{"split": "train"}, {"split": "test"}]
    elif source.name in ("Flowers102", "Caltech256"):
        parts = [{}]
    try:
        root.mkdir(parents=True, exist_ok=True)
        for part in parts:
            torchvision_set(source.name)(str(root), download=True, **part)
    except (OSError, RuntimeError) as error:
        raise StepError(
            f"{source.name} could not be downloaded to {root}: {error}",
            f"put its files below {root} by hand, or try again later",
        ) from error


def is_decoded(source: Choice) -> bool:
    """Whether each image of `source` is decoded from its own file, so that its pixels are worth keeping."""
    return source.name in DECODED


def load(source: Choice, root: Path) -> DataSet:
    """Read `source` from below `root` and apply its `limit` and `limit_val`.

    Loaded sets are kept for the next step.
    """
    return _load(source, root.absolute())


@lru_cache(maxsize=3)
def _load(source: Choice, root: Path) -> DataSet:
    present, where, how = locate(source, root)
    if not present:
        raise absent(source, where, how)
    try:
        read = LOADERS[source.name](source, root)
    except RuntimeError as error:
        raise StepError(
            f"the files of {source.name} in {where} are damaged: {error}", f"remove them and {how}"
        ) from error
    classes = len(read.classes)
    return DataSet(
        read.classes,
        _limited(read.train, classes, source.get("limit")),
        _limited(read.val, classes, source.get("limit_val")),
    )


def _limited(part: Part, classes: int, limit: int | None) -> Images:
    positions = balanced(part.labels, classes, limit)
    return Images(
        torch.from_numpy(part.pixels(positions)),
        torch.from_numpy(part.labels[positions].astype(np.int64)),
        torch.from_numpy(positions.astype(np.int64)),
    )


# --- from the artifact of a data step --------------------------------------------------------------


def keep_pixels(data: DataSet, folder: Path) -> None:
    """Write the pixels of both parts as `train.npy` and `val.npy`."""
    for name, images in (("train", data.train), ("val", data.val)):
        np.save(folder / f"{name}.npy", images.pixels.numpy())


def of_input(work: Work, role: str = "data") -> DataSet:
    """The images of the data artifact in an input role; StepError where the files behind it changed."""
    facts = read_json(work.inputs[role] / "facts.json")
    if (work.inputs[role] / "train.npy").exists():
        return _kept(work.inputs[role])
    source = choice_from(facts["source"])
    root = root_of(facts["root"], work.data_root)
    data = load(source, root)
    if _digest(source, root.absolute()) != facts["digest"]:
        raise StepError(
            f"the files of {source.name} below {root} are not those that the data step saw",
            "restore them, or remove the stored data step to start anew from what is there",
        )
    return data


@lru_cache(maxsize=3)
def _digest(source: Choice, root: Path) -> str:
    return digest(_load(source, root))


@lru_cache(maxsize=3)
def _kept(folder: Path) -> DataSet:
    labels = {name: torch.from_numpy(values) for name, values in read_arrays(folder / "labels.npz").items()}
    parts = [
        # Copy-on-write: torch asks for memory that may be written to, the file stays as it is.
        Images(
            torch.from_numpy(np.load(folder / f"{part}.npy", mmap_mode="c")),
            labels[part],
            labels[f"{part}_index"],
        )
        for part in ("train", "val")
    ]
    return DataSet(tuple(read_json(folder / "facts.json")["classes"]), *parts)
