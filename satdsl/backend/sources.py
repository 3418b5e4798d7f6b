"""Each data set's own files to labelled parts, whose pixels are read for the images that are wanted only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from satdsl.backend.randomness import Stream, generator
from satdsl.plan.draws import order
from satdsl.plan.steps import Choice
from satdsl.plan.work import StepError

Array = np.ndarray[Any, Any]

CALTECH_TRAINING = 60
"""Training images of each class of Caltech-256, the number its authors report with; the rest validates."""

CALTECH_SEED = 256
"""Seed of the Caltech-256 split: that of class k is CALTECH_SEED + k."""

DIGITS_VALIDATION = 360
"""Of scikit-learn's 1,797 digits, these many validate: the first of `draws.order(1797, 0)`."""


class Part(Protocol):
    """The training or the validation images of a data set."""

    @property
    def labels(self) -> Array:
        """int64 [n]"""

    def pixels(self, positions: Array) -> Array:
        """uint8 [k, c, h, w] of the images at these positions."""


@dataclass(frozen=True, eq=False)
class Stored:
    """Images that lie in memory: `array` uint8 [n, c, h, w], shown at `size` pixels (None: as they are)."""

    array: Array
    labels: Array
    size: int | None = None

    def pixels(self, positions: Array) -> Array:
        wanted = np.ascontiguousarray(self.array[positions])
        if self.size is None or wanted.shape[2:] == (self.size, self.size):
            return wanted
        return resized(wanted, self.size)


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images in files, decoded to RGB; `size`: shorter side to size * 256 / 224, then the central square."""

    paths: Sequence[Path]
    labels: Array
    size: int | None

    def pixels(self, positions: Array) -> Array:
        wanted = [self.paths[i] for i in positions]
        if not wanted:
            return np.zeros((0, 3, self.size or 0, self.size or 0), dtype=np.uint8)
        first = decoded(wanted[0], self.size)
        pixels = np.empty((len(wanted), *first.shape), dtype=np.uint8)
        with ThreadPoolExecutor() as pool:
            for row, (path, image) in enumerate(
                zip(wanted, pool.map(lambda p: decoded(p, self.size), wanted), strict=True)
            ):
                if image.shape != first.shape:
                    raise StepError(
                        f"{path} has the shape {image.shape}, others have {first.shape}",
                        "give the data set a size that all its images are brought to: resize=224",
                    )
                pixels[row] = image
        return pixels


@dataclass(frozen=True, eq=False)
class Source:
    """A data set before `limit`: its class names and its two parts."""

    classes: tuple[str, ...]
    train: Part
    val: Part


def resized(pixels: Array, size: int) -> Array:
    """Bring [n, c, h, w] bytes to size x size, bilinear with anti-aliasing, in pieces to bound the memory."""
    pieces = []
    for piece in torch.split(torch.from_numpy(pixels), 1024):
        scaled = F.interpolate(piece.float(), (size, size), mode="bilinear", antialias=True)
        pieces.append(scaled.round().clamp(0, 255).to(torch.uint8))
    return torch.cat(pieces).numpy()


def decoded(path: Path, size: int | None) -> Array:
    """One image file to uint8 [3, h, w]."""
    from PIL import Image

    with Image.open(path) as opened:
        image = opened.convert("RGB")
    if size is not None:
        scale = round(size * 256 / 224) / min(image.size)
        width, height = (max(size, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image).transpose(2, 0, 1)


# --- in the package --------------------------------------------------------------------------------


def digits(choice: Choice, root: Path) -> Source:
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
    return Source(
        tuple(str(digit) for digit in range(10)),
        Stored(pixels[~validation], labels[~validation], size),
        Stored(pixels[validation], labels[validation], size),
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


def synthetic(choice: Choice, root: Path) -> Source:
    """Smooth patterns, one for each class, under noise: enough to learn from, nothing to learn about.

    Image i shows class i mod `classes`: a random 4x4 pattern of the class, enlarged, half of it mixed with
    one of the image's own, plus pixel noise.
    """
    classes, shape, seed = int(choice["classes"]), tuple(choice["shape"]), int(choice.get("seed") or 0)
    patterns = _patterns(classes, shape, generator(seed, Stream.SYNTHETIC))
    parts = []
    for part, n in enumerate((int(choice["train"]), int(choice["val"])), start=1):
        drawn = generator(seed, Stream.SYNTHETIC, part)
        labels = torch.arange(n) % classes
        own = _patterns(n, shape, drawn)
        noise = 0.1 * torch.randn((n, *shape), generator=drawn)
        images = (0.5 * patterns[labels] + 0.5 * own + noise).clamp(0, 1)
        parts.append(Stored((images * 255).round().to(torch.uint8).numpy(), labels.numpy(), choice.get("resize")))
    return Source(tuple(str(k) for k in range(classes)), *parts)


def _patterns(n: int, shape: tuple[int, ...], drawn: torch.Generator) -> torch.Tensor:
    coarse = torch.rand((n, shape[0], 4, 4), generator=drawn)
    return F.interpolate(coarse, shape[1:], mode="bilinear", align_corners=False)


# --- torchvision's ---------------------------------------------------------------------------------


def cifar(choice: Choice, root: Path) -> Source:
    """CIFAR-10 and CIFAR-100 (fine labels); Krizhevsky, 2009."""
    train, val = (torchvision_set(choice.name)(root, train=train) for train in (True, False))
    size = choice.get("resize")
    parts = [Stored(s.data.transpose(0, 3, 1, 2), np.array(s.targets, dtype=np.int64), size) for s in (train, val)]
    return Source(tuple(train.classes), *parts)


def mnist(choice: Choice, root: Path) -> Source:
    """MNIST and FashionMNIST."""
    train, val = (torchvision_set(choice.name)(root, train=train) for train in (True, False))
    parts = [Stored(s.data.numpy()[:, None], s.targets.numpy(), choice.get("resize")) for s in (train, val)]
    names = (str(k) for k in range(10)) if choice.name == "MNIST" else train.classes
    return Source(tuple(names), *parts)


def svhn(choice: Choice, root: Path) -> Source:
    """SVHN's cropped digits: `train` and `test`."""
    sets = (torchvision_set("SVHN")(root, split=split) for split in ("train", "test"))
    parts = [Stored(s.data, s.labels.astype(np.int64), choice.get("resize")) for s in sets]
    return Source(tuple(str(k) for k in range(10)), *parts)


def flowers102(choice: Choice, root: Path) -> Source:
    """Oxford Flowers. protocol `train+val`: train on both, validate on `test`; `train`: as published."""
    load = torchvision_set("Flowers102")
    combined = choice.get("protocol", "train+val") == "train+val"
    training = [load(root, split=split) for split in (("train", "val") if combined else ("train",))]
    validation = [load(root, split="test" if combined else "val")]
    return Source(
        class_names("flowers102"),
        *(
            Decoded(
                [path for s in sets for path in s._image_files],
                np.array([label for s in sets for label in s._labels], dtype=np.int64),
                choice.get("resize"),
            )
            for sets in (training, validation)
        ),
    )


def caltech256(choice: Choice, root: Path) -> Source:
    """Caltech-256 with its clutter: CALTECH_TRAINING images of each class train, the others validate."""
    folders = sorted(p for p in (root / "caltech256" / "256_ObjectCategories").iterdir() if p.is_dir())
    train: list[tuple[Path, int]] = []
    val: list[tuple[Path, int]] = []
    for klass, folder in enumerate(folders):
        paths = sorted(folder.glob("*.jpg"))
        chosen = set(order(len(paths), CALTECH_SEED + klass)[:CALTECH_TRAINING])
        for i, path in enumerate(paths):
            (train if i in chosen else val).append((path, klass))
    return Source(class_names("caltech256"), *(_decoded(pairs, choice) for pairs in (train, val)))


def imagenet(choice: Choice, root: Path) -> Source:
    """ImageNet, or the 200 classes of ImageNet-A, from `imagenet/train/<wnid>` and `imagenet/val/<wnid>`."""
    base = root / "imagenet"
    present = [p.name for p in _folders(base / "train")]
    wanted = list(class_names("imagenet200_wnids")) if choice.name == "ImageNet200" else present
    missing = [wnid for wnid in wanted if wnid not in present]
    names = class_names(choice.name.lower())
    if missing or len(wanted) != len(names):
        raise StepError(
            f"{base / 'train'} has {len(wanted) - len(missing)} of the {len(names)} class folders",
            "unpack every class of ILSVRC2012 into a folder named by its wnid",
        )
    parts = []
    for part in ("train", "val"):
        pairs = [(path, k) for k, wnid in enumerate(wanted) for path in sorted((base / part / wnid).iterdir())]
        parts.append(_decoded(pairs, choice))
    return Source(names, *parts)


def class_names(file: str) -> tuple[str, ...]:
    """The lines of one of the catalog's lists of classes, in label order."""
    return tuple((files("satdsl.catalog") / "classes" / f"{file}.txt").read_text("utf-8").splitlines())


def folder(choice: Choice, root: Path) -> Source:
    """torchvision's ImageFolder layout: `train/<class>/*` and `val/<class>/*`."""
    from torchvision.datasets import ImageFolder

    try:
        train, val = (ImageFolder(str(root / choice["path"] / part)) for part in ("train", "val"))
    except FileNotFoundError as error:
        raise StepError(str(error), "each class folder of train/ and val/ needs at least one image") from error
    if train.classes != val.classes:
        odd = sorted(set(train.classes) ^ set(val.classes))
        raise StepError(f"train/ and val/ of {choice['path']} differ in classes: {', '.join(odd[:5])}")
    parts = [_decoded([(Path(path), k) for path, k in s.samples], choice) for s in (train, val)]
    return Source(tuple(train.classes), *parts)


def torchvision_set(name: str) -> Any:
    """torchvision's class for a data set."""
    from torchvision import datasets

    return getattr(datasets, name)


def _decoded(pairs: Sequence[tuple[Path, int]], choice: Choice) -> Decoded:
    return Decoded([path for path, _ in pairs], np.array([k for _, k in pairs], np.int64), choice.get("resize"))


def _folders(base: Path) -> Iterator[Path]:
    return iter(sorted(p for p in base.iterdir() if p.is_dir()))


LOADERS: Mapping[str, Callable[[Choice, Path], Source]] = {
    "digits": digits,
    "synthetic": synthetic,
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

DECODED = frozenset({"Flowers102", "Caltech256", "ImageNet", "ImageNet200", "folder"})
"""Sources whose images are decoded from one file each."""
