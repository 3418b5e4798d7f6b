"""Labelled images that keep their dataset index, as bytes; and [0, 1] batches of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from satdsl.plan.draws import order

EVALUATION_BATCH = 500
"""Images in one pass where nothing is trained. The same everywhere, for the same rounding everywhere."""

LIMIT_SEED = 20_250_000
"""Seed of the draws of `limit`: that of class k is LIMIT_SEED + k."""


@dataclass(frozen=True, eq=False)
class Images:
    """n images: `pixels` uint8 [n, c, h, w], `labels` int64 [n], `index` int64 [n], ascending.

    `index` is the position in the part (training or validation) of the whole data set, before any limit.
    """

    pixels: Tensor
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, positions: Tensor) -> Images:
        """The images at these positions (int64 positions or a boolean mask [n])."""
        return Images(self.pixels[positions], self.labels[positions], self.index[positions])

    def to(self, device: str) -> Images:
        return Images(self.pixels.to(device), self.labels.to(device), self.index.to(device))

    def batches(self, size: int, device: str) -> Iterator[tuple[Tensor, Tensor]]:
        """(images in [0, 1], labels) in order, `size` at a time, on `device`."""
        for start in range(0, len(self), size):
            pixels = self.pixels[start : start + size].to(device)
            yield unit_scale(pixels), self.labels[start : start + size].to(device)


@dataclass(frozen=True, eq=False)
class DataSet:
    """The images an experiment works with, after `limit`."""

    classes: tuple[str, ...]
    train: Images
    val: Images

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.train.pixels.shape[1:]
        return int(channels), int(height), int(width)


def unit_scale(pixels: Tensor) -> Tensor:
    """Bytes 0 .. 255 to float32 in [0, 1]."""
    return pixels.to(torch.float32).div_(255)


def to_bytes(levels: Tensor) -> Tensor:
    """Whole numbers 0 .. 255 in float32 to bytes."""
    return levels.to(torch.int16).to(torch.uint8)  # on a CPU three times as fast as at once


def balanced(labels: np.ndarray, classes: int, limit: int | None) -> np.ndarray:
    """Positions, ascending, of a class-balanced subsample of at most `limit` images (all if None).

    Each class gives limit // classes images, the first limit % classes classes one more, and never more
    than it has: the first of `draws.order` over the class's images in dataset order.
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
    """The SHA-256 over pixels, labels and indices of the training and the validation images."""
    total = hashlib.sha256()
    for images in (data.train, data.val):
        for values in (images.pixels, images.labels, images.index):
            total.update(values.contiguous().numpy().data)
    return total.hexdigest()
