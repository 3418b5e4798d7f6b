"""Read each data set from its own files, before any `limit` and, where they are in memory, any `resize`."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from satdsl import folder_contents
from satdsl.backend.array_images import arrays
from satdsl.backend.corrupted_images import corrupted
from satdsl.backend.dataset_paths import STAND_IN
from satdsl.backend.image_files import Array, Decoding, ImageFiles
from satdsl.backend.images import DataSet, Images
from satdsl.backend.randomness import Stream, generator
from satdsl.catalog.datasets import DatasetEntry, class_list, folder_rules
from satdsl.folder_contents import Contents
from satdsl.image_folders import Part, class_folders, images_below, left_lying, shown
from satdsl.ir.draws import order
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

CALTECH_TRAINING = 60
"""Training images of each class of Caltech-256, as in its authors' experiments; the others are for validation."""

CALTECH_SEED = 256
"""Seed of the Caltech-256 split: that of class k is CALTECH_SEED + k."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
"""Which files in ImageNet's folders are images."""

DIGITS_VALIDATION = 360
"""How many of scikit-learn's 1,797 digits are for validation: the first of `draws.order(1797, 0)`."""


def in_memory(pixels: Array, labels: Array) -> Images:
    """Return a whole part of a data set from its pixels, uint8 [n, c, h, w], and labels [n]."""
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64)), torch.arange(len(labels)))


def in_files(root: Path, samples: Sequence[tuple[str | Path, int]], choice: CatalogCall) -> Images:
    """Return a whole part of a data set from (path below `root`, label) of each image, not yet decoded."""
    paths, labels = zip(*samples, strict=True) if samples else ((), ())
    names = np.array([os.fsencode(os.path.relpath(path, root)) for path in paths], dtype=np.bytes_)
    return Images(
        ImageFiles(root, names, Decoding.of(choice)), torch.tensor(labels, dtype=torch.int64), torch.arange(len(labels))
    )


# --- in the package --------------------------------------------------------------------------------


def digits(choice: CatalogCall, root: Path) -> DataSet:
    """Read scikit-learn's handwritten digits, 8x8 and grey. A pixel's count, 0 to 16, becomes a byte.

    An image's dataset index is its position, in scikit-learn's order, among the images of its part. The file,
    [1797, 65] with the label last, is read directly, because importing scikit-learn takes seconds.
    """
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    table = np.loadtxt(Path(package.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
    pixels = np.round(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = table[:, 64].astype(np.int64)
    validation = np.zeros(len(labels), dtype=bool)
    validation[order(len(labels), 0)[:DIGITS_VALIDATION]] = True
    return DataSet(
        tuple(str(digit) for digit in range(10)),
        in_memory(pixels[~validation], labels[~validation]),
        in_memory(pixels[validation], labels[validation]),
    )


def synthetic(choice: CatalogCall, root: Path) -> DataSet:
    """Make images of smooth patterns, one pattern for each class, under noise.

    Image i shows class i mod `classes`: the mean of a random 4x4 pattern of the class and one of the image's own, both
    enlarged, plus pixel noise.
    """
    classes, seed = int(choice["classes"]), int(choice.get("seed") or 0)
    train, val = (torch.arange(int(choice[part])) % classes for part in ("train", "val"))
    return DataSet(tuple(str(k) for k in range(classes)), *_patterned(choice, classes, seed, (train, val)))


def stand_in(choice: CatalogCall, root: Path) -> DataSet:
    """Make what a smoke run reads in place of a data set: images as in `synthetic`, with its class names and counts.

    `of` is the name of the real data set, `classes` has its classes, `train` and `val` the number of images of each.
    """
    names = tuple(choice["classes"])
    seed = zlib.crc32(choice["of"].encode())
    labels = []
    for part in ("train", "val"):
        counts = torch.tensor(choice[part])
        ordered = torch.arange(len(names)).repeat_interleave(counts)
        labels.append(ordered[order(len(ordered), seed)])
    return DataSet(names, *_patterned(choice, len(names), seed, labels))


def _patterned(choice: CatalogCall, classes: int, seed: int, labels: Sequence[torch.Tensor]) -> Iterator[Images]:
    """Make images of the `shape` in `choice`, for the labels of the training and of the validation part."""
    shape = tuple(choice["shape"])
    patterns = _patterns(classes, shape, generator(seed, Stream.SYNTHETIC))
    for part, of_part in enumerate(labels, start=1):
        n, drawn = len(of_part), generator(seed, Stream.SYNTHETIC, part)
        own = _patterns(n, shape, drawn)
        noise = 0.1 * torch.randn((n, *shape), generator=drawn)
        images = (0.5 * patterns[of_part] + 0.5 * own + noise).clamp(0, 1)
        yield in_memory((images * 255).round().to(torch.uint8).numpy(), of_part.numpy())


def _patterns(n: int, shape: tuple[int, ...], drawn: torch.Generator) -> torch.Tensor:
    coarse = torch.rand((n, shape[0], 4, 4), generator=drawn)
    return F.interpolate(coarse, shape[1:], mode="bilinear", align_corners=False)


# --- torchvision's ---------------------------------------------------------------------------------


def cifar(choice: CatalogCall, root: Path) -> DataSet:
    """Read CIFAR-10 or CIFAR-100 with its fine labels (Krizhevsky, 2009)."""
    train, val = (torchvision_dataset(choice.name)(root, train=train) for train in (True, False))
    parts = [in_memory(s.data.transpose(0, 3, 1, 2), np.array(s.targets)) for s in (train, val)]
    return DataSet(tuple(train.classes), *parts)


def cifar_c(choice: CatalogCall, root: Path) -> DataSet:
    """Read CIFAR-10-C or CIFAR-100-C: one corruption at one severity, for validation alone."""
    pixels, labels = corrupted(choice, root)
    nothing = in_memory(pixels[:0], labels[:0])
    return DataSet(listed(choice, "classes"), nothing, in_memory(pixels, labels))


def mnist(choice: CatalogCall, root: Path) -> DataSet:
    """Read MNIST or FashionMNIST."""
    train, val = (torchvision_dataset(choice.name)(root, train=train) for train in (True, False))
    parts = [in_memory(s.data.numpy()[:, None], s.targets.numpy()) for s in (train, val)]
    return DataSet(listed(choice, "classes"), *parts)


def svhn(choice: CatalogCall, root: Path) -> DataSet:
    """Read SVHN's cropped digits: `train` for training, `test` for validation."""
    sets = (torchvision_dataset("SVHN")(root, split=split) for split in ("train", "test"))
    parts = [in_memory(s.data, s.labels) for s in sets]
    return DataSet(tuple(str(k) for k in range(10)), *parts)


def flowers102(choice: CatalogCall, root: Path) -> DataSet:
    """Read Oxford Flowers. The protocol `train+val` trains on both and validates on `test`; `train` is as published."""
    combined = choice.get("protocol", "train+val") == "train+val"
    parts = (("train", "val"), ("test",)) if combined else (("train",), ("val",))
    load = torchvision_dataset("Flowers102")
    loaded = ([load(root, split=split) for split in splits] for splits in parts)
    pairs = ([pair for s in sets for pair in zip(s._image_files, s._labels, strict=True)] for sets in loaded)
    return DataSet(listed(choice, "classes"), *(in_files(root, found, choice) for found in pairs))


def caltech256(choice: CatalogCall, root: Path) -> DataSet:
    """Read Caltech-256 with its clutter class: CALTECH_TRAINING images of each class are for training."""
    train: list[tuple[Path, int]] = []
    val: list[tuple[Path, int]] = []
    for klass, folder in enumerate(class_folders(root / "caltech256" / "256_ObjectCategories")):
        paths = sorted(path for path in folder.glob("*.jpg") if not left_lying(path.name))
        chosen = set(order(len(paths), CALTECH_SEED + klass)[:CALTECH_TRAINING])
        for i, path in enumerate(paths):
            (train if i in chosen else val).append((path, klass))
    return DataSet(listed(choice, "classes"), *(in_files(root, pairs, choice) for pairs in (train, val)))


def imagenet(choice: CatalogCall, root: Path) -> DataSet:
    """Read ImageNet, or the 200 classes of ImageNet-A, from `imagenet/train/<wnid>` and `imagenet/val/<wnid>`."""
    base = root / "imagenet"
    names = listed(choice, "classes")
    present = {part: [place.name for place in class_folders(base / part)] for part in ("train", "val")}
    wanted = listed(choice, "wnids") or present["train"]
    parts = []
    for part in present:
        there = len(set(wanted) & set(present[part]))
        if there != len(names):
            raise StepError(
                f"{base / part} has {there} of the {len(names)} class folders",
                "unpack every class of ILSVRC2012 into a folder named by its wnid",
            )
        pairs = [
            (base / part / wnid / image.name, k)
            for k, wnid in sorted(enumerate(wanted), key=itemgetter(1))
            for image in images_below(base / part / wnid, IMAGE_SUFFIXES).images
        ]
        parts.append(in_files(root, pairs, choice))
    return DataSet(names, *parts)


def listed(choice: CatalogCall, fact: str) -> tuple[str, ...]:
    """Return what the catalog lists of a data set by label: `classes`, or `wnids`, which most have none of."""
    known = DatasetEntry.of(choice).facts or {}
    return class_list(known[fact]) if fact in known else ()


def folder(choice: CatalogCall, root: Path) -> DataSet:
    """Read a folder of images: `train/<class>/*` and `val/<class>/*`, each file as it was when the plan was made.

    Raises:
        StepError: Something is wrong with the folder, or it holds other images than were planned.
    """
    contents = folder_contents.read(root / choice["path"])
    for problem in folder_rules.wrong(contents):
        raise StepError(problem.message, problem.help)
    planned = choice.get("listing")
    if planned is not None and contents.digest != planned:
        where, what = shown(contents.folder), folder_contents.differences(planned, contents)
        raise StepError(
            f"{where} does not hold the images that were planned" + (f": {what}" if what else ""),
            "plan anew with the images that are there now, or put back those that were there",
        )
    train, val = (part for part in contents.listing.parts.values() if part is not None)
    classes = tuple(klass.name for klass in train.classes)
    parts = (_of_part(part, contents, root, choice, classes) for part in (train, val))
    return DataSet(classes, *parts)


def _of_part(part: Part, contents: Contents, root: Path, choice: CatalogCall, classes: Sequence[str]) -> Images:
    labels = {name: k for k, name in enumerate(classes)}
    numbers = [labels[klass.name] for klass in part.classes]
    below = "" if choice["path"] == "." else f"{choice['path']}/"
    found = [(image.name, numbers[k]) for k, image in part.images()]
    names = np.array([os.fsencode(below + name) for name, _ in found], dtype=np.bytes_)
    digests = np.frombuffer(b"".join(contents.known[name].digest for name, _ in found), dtype=np.uint8).reshape(-1, 32)
    files = ImageFiles(root, names, Decoding.of(choice), digests)
    return Images(files, torch.tensor([label for _, label in found], dtype=torch.int64), torch.arange(len(found)))


def torchvision_dataset(name: str) -> Any:
    """Return torchvision's class for a data set; None where it has none."""
    from torchvision import datasets

    return getattr(datasets, name, None)


LOADERS: Mapping[str, Callable[[CatalogCall, Path], DataSet]] = {
    "digits": digits,
    "synthetic": synthetic,
    STAND_IN: stand_in,
    "CIFAR10": cifar,
    "CIFAR100": cifar,
    "CIFAR10C": cifar_c,
    "CIFAR100C": cifar_c,
    "MNIST": mnist,
    "FashionMNIST": mnist,
    "SVHN": svhn,
    "Flowers102": flowers102,
    "Caltech256": caltech256,
    "ImageNet": imagenet,
    "ImageNet200": imagenet,
    "folder": folder,
    "arrays": arrays,
}
"""The function that reads each data set from below the folder of data sets."""
