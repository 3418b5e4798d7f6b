"""Define labelled images, which keep their dataset index, and give batches of them in [0, 1]."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from satdsl.backend.image_files import ImageFiles, Positions
from satdsl.ir.draws import order

EVALUATION_BATCH = 500
"""Images in one pass when nothing is trained. It is the same everywhere, so that rounding is, too."""

LIMIT_SEED = 20_250_000
"""Seed of the draws of `limit`; class k is drawn with LIMIT_SEED + k."""

DEVICE_SHARE = 0.5
"""Pixels are moved to a GPU if they take at most this share of its free memory; else they are sent in batches."""

Pixels = Tensor | ImageFiles
"""Bytes [n, c, h, w], in memory or still in files. `pixels[positions]` is a tensor in both cases."""


@dataclass(frozen=True, eq=False)
class Images:
    """n images: `pixels` uint8 [n, c, h, w], `labels` int64 [n], `index` int64 [n], ascending.

    `index` is the position in the part (training or validation) of the whole data set, before any limit.
    """

    pixels: Pixels
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, positions: Tensor) -> Images:
        """Select images by their positions (int64, or a boolean mask [n])."""
        pixels = self.pixels.at(positions) if isinstance(self.pixels, ImageFiles) else self.pixels[positions]
        return Images(pixels, self.labels[positions], self.index[positions])

    def to(self, device: str) -> Images:
        """Move labels and index to `device`, and the pixels, too, unless they are in files or too large for it."""
        pixels = self.pixels
        if isinstance(pixels, Tensor) and pixels.nbytes <= DEVICE_SHARE * _free(device):
            pixels = pixels.to(device)
        return Images(pixels, self.labels.to(device), self.index.to(device))

    @property
    def resident(self) -> bool:
        """Return whether the pixels are on the device of the labels, so that nothing has to be sent."""
        return isinstance(self.pixels, Tensor) and self.pixels.device == self.labels.device

    def read(self, batches: Sequence[Positions], device: str | torch.device) -> Iterator[Tensor]:
        """Give the pixels of each batch in turn, uint8 on `device`; those in files are decoded ahead.

        `batches` are positions on the device of the pixels: the host, unless the images are `resident`.
        """
        target = torch.device(device)
        if isinstance(self.pixels, ImageFiles):
            found = self.pixels.read(batches, pinned=target.type == "cuda")
        else:
            found = (self.pixels[rows] for rows in batches)
        for pixels in found:
            yield _sent(pixels, target)

    def batches(self, size: int, device: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Give (images in [0, 1], labels) in order, `size` at a time, on `device`."""
        cuts = [slice(start, start + size) for start in range(0, len(self), size)]
        for rows, pixels in zip(cuts, self.read(cuts, device), strict=True):
            yield unit_scale(pixels), self.labels[rows].to(device)


@dataclass(frozen=True, eq=False)
class DataSet:
    """The images an experiment works with, after `limit`."""

    classes: tuple[str, ...]
    train: Images
    val: Images

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return channels, height and width of an image."""
        channels, height, width = self.train.pixels.shape[1:]
        return int(channels), int(height), int(width)


def unit_scale(pixels: Tensor) -> Tensor:
    """Convert bytes 0 .. 255 to float32 in [0, 1]."""
    return pixels.to(torch.float32).div_(255)


def to_bytes(levels: Tensor) -> Tensor:
    """Convert whole numbers 0 .. 255 in float32 to bytes."""
    return levels.to(torch.int16).to(torch.uint8)  # on a CPU three times as fast as at once


def resized(pixels: Tensor, size: int | None) -> Tensor:
    """Scale bytes [n, c, h, w] to size x size, bilinearly with anti-aliasing; None leaves them as they are.

    Works on 1,024 images at a time, to bound the memory.
    """
    if size is None or pixels.shape[2:] == (size, size):
        return pixels
    chunks = []
    for chunk in torch.split(pixels, 1024):
        scaled = F.interpolate(chunk.float(), (size, size), mode="bilinear", antialias=True)
        chunks.append(scaled.round().clamp(0, 255).to(torch.uint8))
    return torch.cat(chunks)


def _sent(pixels: Tensor, device: torch.device) -> Tensor:
    """Send `pixels` to `device`; a GPU fetches them from pinned memory while the host goes on."""
    if device.type == "cuda" and not pixels.is_cuda:
        return pixels.pin_memory().to(device, non_blocking=True)
    return pixels.to(device)


def _free(device: str) -> float:
    """Return how many bytes of memory are free on a GPU; infinity for a CPU."""
    return torch.cuda.mem_get_info(device)[0] if torch.device(device).type == "cuda" else float("inf")


def balanced_subsample(labels: np.ndarray, classes: int, limit: int | None) -> np.ndarray:
    """Return the positions, ascending, of a class-balanced subsample of at most `limit` images (all if None).

    Each class gives limit // classes images, the first limit % classes classes give one more, and none gives more than
    it has. They are the first of `draws.order` over the class's images in dataset order.
    """
    if limit is None:
        return np.arange(len(labels))
    chosen = []
    for klass in range(classes):
        members = np.flatnonzero(labels == klass)
        quota = limit // classes + (klass < limit % classes)
        chosen.append(members[order(len(members), LIMIT_SEED + klass)[:quota]])
    return np.sort(np.concatenate(chosen))


def digest(data: DataSet) -> str:
    """Return the SHA-256 of pixels (or of the names and digests of their files), labels and indices of both parts."""
    total = hashlib.sha256()
    for images in (data.train, data.val):
        for values in (*_identity(images.pixels), images.labels.numpy(), images.index.numpy()):
            total.update(np.ascontiguousarray(values).data)
    return total.hexdigest()


def _identity(pixels: Pixels) -> tuple[np.ndarray, ...]:
    if isinstance(pixels, Tensor):
        return (pixels.numpy(),)
    assert pixels.digests is not None
    return pixels.names, pixels.digests
