"""Read images and labels from NumPy files, a piece at a time, so that memory does not grow with the files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from satdsl.array_files import LEVELS, opened_array
from satdsl.backend.images import DataSet, Images, balanced_subsample, resized
from satdsl.catalog.datasets.array_rules import PARTS, ROWS, found_layout, image_shape
from satdsl.ir.steps import ArrayFile, CatalogCall
from satdsl.ir.work import Progress, StepError

CHUNK = 1024
"""So many images are converted at once."""


@dataclass(frozen=True, eq=False)
class ArrayPart:
    """The chosen rows of a part: `pixels` [n, ...] as the file has them, `labels` int64 [n].

    `first` says whether the channels come before height and width.
    """

    pixels: np.ndarray
    labels: np.ndarray
    first: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return channels, height and width."""
        shape = image_shape(self.pixels.shape, "channels_first" if self.first else "channels_last")
        assert shape is not None
        return shape

    def at(self, positions: np.ndarray) -> Tensor:
        """Return some images as bytes [m, c, h, w]; floats in [0, 1] become the nearest of 256 levels."""
        found = self.pixels[positions]
        if found.ndim == 3:
            found = found[:, None]
        elif not self.first:
            found = found.transpose(0, 3, 1, 2)
        if found.dtype != np.uint8:
            found = np.rint(LEVELS * found.astype(np.float64)).astype(np.uint8)
        return torch.from_numpy(np.ascontiguousarray(found))


def parts(source: CatalogCall) -> dict[str, ArrayPart | None]:
    """Return the two parts of a data set, None for one that is absent.

    Raises:
        StepError: A file has changed since the specification was compiled.
    """
    found: dict[str, ArrayPart | None] = {}
    for part in PARTS:
        images, labels = source.get(f"{part}_images"), source.get(f"{part}_labels")
        if images is None or labels is None:
            found[part] = None
            continue
        pixels, numbers = _array(images), _array(labels)
        first, last = source.get(ROWS[part]) or (0, len(pixels) - 1)
        rows = slice(first, last + 1)
        layout = source.get("layout") or found_layout(pixels.shape)
        own = numbers[rows].reshape(-1).astype(np.int64)
        found[part] = ArrayPart(pixels[rows], own, layout == "channels_first")
    return found


def _array(file: ArrayFile) -> np.ndarray:
    try:
        with open(file.path, "rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest == file.digest:
            return np.asarray(opened_array(Path(file.path)))
    except (OSError, ValueError) as error:
        raise StepError(f"{file.path} cannot be read as an array: {error}", "put it back, or plan anew") from error
    raise StepError(f"{file.path} changed since the specification was compiled", "run again to compile it as it is now")


def arrays(choice: CatalogCall, root: Path) -> DataSet:
    """Read all images of both parts, before any limit."""
    found = parts(choice)
    shape = next(part.shape for part in found.values() if part is not None)
    whole = [_images(part, np.arange(len(part.labels)), shape) if part else _nothing(shape) for part in found.values()]
    return DataSet(tuple(choice["classes"]), *whole)


def _images(part: ArrayPart, positions: np.ndarray, shape: tuple[int, int, int]) -> Images:
    pixels = part.at(positions)
    return Images(pixels, torch.from_numpy(part.labels[positions]), torch.from_numpy(positions))


def _nothing(shape: tuple[int, int, int]) -> Images:
    none = torch.zeros(0, dtype=torch.int64)
    return Images(torch.zeros((0, *shape), dtype=torch.uint8), none, none)


def store_arrays(source: CatalogCall, folder: Path, report: Callable[[Progress], None]) -> DataSet:
    """Write the bytes of both parts, after `limit` and `resize`, as `train.npy` and `val.npy`, uint8 [n, c, h, w].

    Returns the data set with these pixels, which stay in the files.
    """
    found, classes, size = parts(source), tuple(source["classes"]), source.get("resize")
    channels, height, width = next(part.shape for part in found.values() if part is not None)
    shape = (channels, size or height, size or width)
    limits = {"train": source.get("limit"), "val": source.get("limit_val")}
    chosen = {
        name: balanced_subsample(part.labels, len(classes), limits[name]) if part else np.arange(0)
        for name, part in found.items()
    }
    done, total, whole = 0, sum(map(len, chosen.values())), []
    for name, part in found.items():
        positions = chosen[name]
        to = (len(positions), *shape)
        pixels = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=to)
        for start in range(0, len(positions), CHUNK):
            assert part is not None
            here = positions[start : start + CHUNK]
            pixels[start : start + len(here)] = resized(part.at(here), size).numpy()
            done += len(here)
            report(Progress(done, total, f"converting {total:,} images"))
        pixels.flush()
        labels = part.labels[positions] if part else np.zeros(0, dtype=np.int64)
        whole.append(Images(torch.from_numpy(pixels), torch.from_numpy(labels), torch.from_numpy(positions)))
    return DataSet(classes, *whole)
