"""Each data set's own files to labelled parts, whose pixels are read for the images that are wanted only."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from satdsl.backend.dataset_paths import STAND_IN
from satdsl.backend.image_files import ImageFiles
from satdsl.backend.randomness import Stream, generator
from satdsl.ir.draws import order
from satdsl.ir.steps import CatalogCall
from satdsl.ir.work import StepError

Array = np.ndarray[Any, Any]

CALTECH_TRAINING = 60
"""Training images of each class of Caltech-256, the number its authors report with; the rest validates."""

CALTECH_SEED = 256
"""Seed of the Caltech-256 split: that of class k is CALTECH_SEED + k."""

PICTURES = (".jpg", ".jpeg", ".png")
"""What files in ImageNet's folders are images."""

DIGITS_VALIDATION = 360
"""Of scikit-learn's 1,797 digits, these many validate: the first of `draws.order(1797, 0)`."""


class RawPart(Protocol):
    """The training or the validation images of a data set."""

    @property
    def labels(self) -> Array:
        """int64 [n]"""

    def pixels(self, positions: Array) -> Tensor | ImageFiles:
        """uint8 [k, c, h, w] of the images at these positions."""


@dataclass(frozen=True, eq=False)
class ArrayPart:
    """Images that lie in memory: `array` uint8 [n, c, h, w], shown at `size` pixels (None: as they are)."""

    array: Array
    labels: Array
    size: int | None = None

    def pixels(self, positions: Array) -> Tensor:
        wanted = np.ascontiguousarray(self.array[positions])
        if self.size is not None and wanted.shape[2:] != (self.size, self.size):
            wanted = resized(wanted, self.size)
        return torch.from_numpy(wanted)


@dataclass(frozen=True, eq=False)
class FilePart:
    """Images that are decoded from one file each."""

    files: ImageFiles
    labels: Array

    def pixels(self, positions: Array) -> ImageFiles:
        return self.files.at(torch.from_numpy(positions))


@dataclass(frozen=True, eq=False)
class RawDataset:
    """A data set before `limit`: its class names and its two parts."""

    classes: tuple[str, ...]
    train: RawPart
    val: RawPart


def resized(pixels: Array, size: int) -> Array:
    """Bring [n, c, h, w] bytes to size x size, bilinear with anti-aliasing, in pieces to bound the memory."""
    pieces = []
    for piece in torch.split(torch.from_numpy(pixels), 1024):
        scaled = F.interpolate(piece.float(), (size, size), mode="bilinear", antialias=True)
        pieces.append(scaled.round().clamp(0, 255).to(torch.uint8))
    return torch.cat(pieces).numpy()


# --- in the package --------------------------------------------------------------------------------


def digits(choice: CatalogCall, root: Path) -> RawDataset:
    """scikit-learn's handwritten digits, 8x8 and grey; a pixel's byte is its count 0 ..

    16 times 255 / 16, rounded.

    An image's dataset index is its place, in scikit-learn's order, among the images of its part.
    """
    table = _digits_table()
    pixels = np.round(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = table[:, 64].astype(np.int64)
    validation = np.zeros(len(labels), dtype=bool)
    validation[order(len(labels), 0)[:DIGITS_VALIDATION]] = True
    size = choice.get("resize")
    return RawDataset(
        tuple(str(digit) for digit in range(10)),
        ArrayPart(pixels[~validation], labels[~validation], size),
        ArrayPart(pixels[validation], labels[validation], size),
    )


def _digits_table() -> Array:
    """[1797, 65]: pixel counts and label, from scikit-learn's file, because importing it takes seconds."""
    spec = find_spec("sklearn")
    for place in spec.submodule_search_locations or () if spec else ():
        path = Path(place) / "datasets" / "data" / "digits.csv.gz"
        if path.exists():
            return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return np.column_stack((images, labels))


def synthetic(choice: CatalogCall, root: Path) -> RawDataset:
    """Smooth patterns, one for each class, under noise: enough to learn from, nothing to learn about.

    Image i shows class i mod `classes`: a random 4x4 pattern of the class, enlarged, half of it mixed with
    one of the image's own, plus pixel noise.
    """
    classes, seed = int(choice["classes"]), int(choice.get("seed") or 0)
    train, val = (torch.arange(int(choice[part])) % classes for part in ("train", "val"))
    return RawDataset(tuple(str(k) for k in range(classes)), *_patterned(choice, classes, seed, (train, val)))


def stand_in(choice: CatalogCall, root: Path) -> RawDataset:
    """What a smoke run has in place of a data set: patterns as in `synthetic`, with its classes' names and counts.

    `of` is the name of the data set that they stand for, `classes` has its classes, `train` and `val` the number of
    images of each.
    """
    names = tuple(choice["classes"])
    seed = zlib.crc32(choice["of"].encode())
    labels = []
    for part in ("train", "val"):
        counts = torch.tensor(choice[part])
        ordered = torch.arange(len(names)).repeat_interleave(counts)
        labels.append(ordered[order(len(ordered), seed)])
    return RawDataset(names, *_patterned(choice, len(names), seed, labels))


def _patterned(choice: CatalogCall, classes: int, seed: int, labels: Sequence[torch.Tensor]) -> Iterator[ArrayPart]:
    """Images of the `shape` that `choice` has, for the labels of the training and of the validation part."""
    shape = tuple(choice["shape"])
    patterns = _patterns(classes, shape, generator(seed, Stream.SYNTHETIC))
    for part, of_part in enumerate(labels, start=1):
        n, drawn = len(of_part), generator(seed, Stream.SYNTHETIC, part)
        own = _patterns(n, shape, drawn)
        noise = 0.1 * torch.randn((n, *shape), generator=drawn)
        images = (0.5 * patterns[of_part] + 0.5 * own + noise).clamp(0, 1)
        yield ArrayPart((images * 255).round().to(torch.uint8).numpy(), of_part.numpy(), choice.get("resize"))


def _patterns(n: int, shape: tuple[int, ...], drawn: torch.Generator) -> torch.Tensor:
    coarse = torch.rand((n, shape[0], 4, 4), generator=drawn)
    return F.interpolate(coarse, shape[1:], mode="bilinear", align_corners=False)


# --- torchvision's ---------------------------------------------------------------------------------


def cifar(choice: CatalogCall, root: Path) -> RawDataset:
    """CIFAR-10 and CIFAR-100 (fine labels); Krizhevsky, 2009."""
    train, val = (torchvision_dataset(choice.name)(root, train=train) for train in (True, False))
    size = choice.get("resize")
    parts = [ArrayPart(s.data.transpose(0, 3, 1, 2), np.array(s.targets, dtype=np.int64), size) for s in (train, val)]
    return RawDataset(tuple(train.classes), *parts)


def mnist(choice: CatalogCall, root: Path) -> RawDataset:
    """MNIST and FashionMNIST."""
    train, val = (torchvision_dataset(choice.name)(root, train=train) for train in (True, False))
    parts = [ArrayPart(s.data.numpy()[:, None], s.targets.numpy(), choice.get("resize")) for s in (train, val)]
    names = (str(k) for k in range(10)) if choice.name == "MNIST" else train.classes
    return RawDataset(tuple(names), *parts)


def svhn(choice: CatalogCall, root: Path) -> RawDataset:
    """SVHN's cropped digits: `train` and `test`."""
    sets = (torchvision_dataset("SVHN")(root, split=split) for split in ("train", "test"))
    parts = [ArrayPart(s.data, s.labels.astype(np.int64), choice.get("resize")) for s in sets]
    return RawDataset(tuple(str(k) for k in range(10)), *parts)


def flowers102(choice: CatalogCall, root: Path) -> RawDataset:
    """Oxford Flowers. protocol `train+val`: train on both, validate on `test`; `train`: as published."""
    combined = choice.get("protocol", "train+val") == "train+val"
    parts = (("train", "val"), ("test",)) if combined else (("train",), ("val",))
    load = torchvision_dataset("Flowers102")
    loaded = ([load(root, split=split) for split in splits] for splits in parts)
    pairs = ([pair for s in sets for pair in zip(s._image_files, s._labels, strict=True)] for sets in loaded)
    return RawDataset(class_names("flowers102"), *(_decoded(root, found, choice) for found in pairs))


def caltech256(choice: CatalogCall, root: Path) -> RawDataset:
    """Caltech-256 with its clutter: CALTECH_TRAINING images of each class train, the others validate."""
    train: list[tuple[Path, int]] = []
    val: list[tuple[Path, int]] = []
    for klass, folder in enumerate(_folders(root / "caltech256" / "256_ObjectCategories")):
        paths = sorted(folder.glob("*.jpg"))
        chosen = set(order(len(paths), CALTECH_SEED + klass)[:CALTECH_TRAINING])
        for i, path in enumerate(paths):
            (train if i in chosen else val).append((path, klass))
    return RawDataset(class_names("caltech256"), *(_decoded(root, pairs, choice) for pairs in (train, val)))


def imagenet(choice: CatalogCall, root: Path) -> RawDataset:
    """ImageNet, or the 200 classes of ImageNet-A, from `imagenet/train/<wnid>` and `imagenet/val/<wnid>`."""
    base = root / "imagenet"
    names = class_names(choice.name.lower())
    present = {part: [place.name for place in _folders(base / part)] for part in ("train", "val")}
    wanted = present["train"] if choice.name == "ImageNet" else class_names("imagenet200_wnids")
    parts = []
    for part in present:
        there = len(set(wanted) & set(present[part]))
        if there != len(names):
            raise StepError(
                f"{base / part} has {there} of the {len(names)} class folders",
                "unpack every class of ILSVRC2012 into a folder named by its wnid",
            )
        pairs = [(path, k) for k, wnid in enumerate(wanted) for path in _pictures(base / part / wnid)]
        parts.append(_decoded(root, pairs, choice))
    return RawDataset(names, *parts)


def class_names(file: str) -> tuple[str, ...]:
    """The lines of one of the catalog's lists of classes, in label order."""
    return tuple((files("satdsl.catalog") / "classes" / f"{file}.txt").read_text("utf-8").splitlines())


def folder(choice: CatalogCall, root: Path) -> RawDataset:
    """torchvision's ImageFolder layout: `train/<class>/*` and `val/<class>/*`."""
    from torchvision.datasets import ImageFolder

    try:
        train, val = (ImageFolder(str(root / choice["path"] / part)) for part in ("train", "val"))
    except FileNotFoundError as error:
        raise StepError(str(error), "each class folder of train/ and val/ needs at least one image") from error
    if train.classes != val.classes:
        odd = sorted(set(train.classes) ^ set(val.classes))
        raise StepError(f"train/ and val/ of {choice['path']} differ in classes: {', '.join(odd[:5])}")
    parts = [_decoded(root, s.samples, choice) for s in (train, val)]
    return RawDataset(tuple(train.classes), *parts)


def torchvision_dataset(name: str) -> Any:
    """torchvision's class for a data set."""
    from torchvision import datasets

    return getattr(datasets, name)


def _decoded(root: Path, pairs: Sequence[tuple[str | Path, int]], choice: CatalogCall) -> FilePart:
    paths, labels = zip(*pairs, strict=True) if pairs else ((), ())
    names = np.array([os.fsencode(os.path.relpath(path, root)) for path in paths], dtype=np.bytes_)
    return FilePart(ImageFiles(root, names, choice.get("resize")), np.array(labels, dtype=np.int64))


def _folders(base: Path) -> list[Path]:
    return sorted(place for place in base.iterdir() if place.is_dir())


def _pictures(folder: Path) -> list[str]:
    """The image files in a folder, by name."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.name.lower().endswith(PICTURES))
    return [os.path.join(folder, name) for name in names]


LOADERS: Mapping[str, Callable[[CatalogCall, Path], RawDataset]] = {
    "digits": digits,
    "synthetic": synthetic,
    STAND_IN: stand_in,
    "CIFAR10": cifar,
    "CIFAR100": cifar,
    "MNIST": mnist,
    "FashionMNIST": mnist,
    "SVHN": svhn,
    "Flowers102": flowers102,
    "Caltech256": caltech256,
    "ImageNet": imagenet,
    "ImageNet200": imagenet,
    "folder": folder,
}
"""By a source's name: what reads it from below the folder of data sets."""
