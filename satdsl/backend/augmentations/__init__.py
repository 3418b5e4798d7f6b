"""Change batches of images at random.

What is drawn is drawn on the CPU, for a whole epoch at once. Distributions are those of torchvision's `RandomCrop`,
`RandomHorizontalFlip`, `ColorJitter`, `RandomRotation` and `RandomResizedCrop`, drawn anew for each image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from satdsl.backend.registry import bound
from satdsl.ir.steps import CatalogCall

Shape = Sequence[int]
"""Channels, height, width."""

CACHED = 2**20
"""Pixels that a CPU changes at a time, so that they stay in its cache. The outcome does not depend on it."""


@dataclass(frozen=True, eq=False)
class AugmentationDraw:
    """One change of every image of an epoch: `change(pixels, *numbers)`, each of `numbers` [n, ...]."""

    change: Callable[..., Tensor]
    numbers: tuple[Tensor, ...]

    def to(self, device: str) -> AugmentationDraw:
        return AugmentationDraw(self.change, tuple(numbers.to(device, non_blocking=True) for numbers in self.numbers))


@dataclass(frozen=True, eq=False)
class MixingDraw:
    """A mixing of every batch of an epoch: `change(images, others, *numbers)`, each of `numbers` [batches, ...].

    It gives the mixtures, float32, and the share that each image has in its own: [n], or one number for all.
    """

    change: Callable[..., tuple[Tensor, Tensor]]
    numbers: tuple[Tensor, ...]


def draw_augmentations(
    augment: Sequence[CatalogCall], n: int, shape: Shape, random: Generator
) -> list[AugmentationDraw]:
    """Draw every change for n images of this shape.

    Raise StepError for a change that this version has not, or that does not fit the images.
    """
    return [bound("augmentation", change)(n, shape, random) for change in augment]


def apply_augmentations(pixels: Tensor, changes: Sequence[AugmentationDraw], batch: slice) -> Tensor:
    """Change the batch of an epoch that `batch` cuts out: uint8 [n, c, h, w] to the same."""
    step = len(pixels) if pixels.device.type != "cpu" else max(1, CACHED // pixels[0].numel())
    parts = [_changed(part, changes, batch.start + i * step) for i, part in enumerate(torch.split(pixels, step))]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def drawn_shares(n: int, alpha: float, probability: float, random: Generator) -> Tensor:
    """Draw lambda of n batches, float32: from Beta(alpha, alpha), or 1 for those that are not mixed."""
    seed = int(torch.randint(2**62, (1,), generator=random))
    shares = torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, n)).float()
    return torch.where(torch.rand(n, generator=random) < probability, shares, 1.0)


def _changed(pixels: Tensor, changes: Sequence[AugmentationDraw], start: int) -> Tensor:
    """Change the images of an epoch from `start` on, as many as these."""
    for change in changes:
        pixels = change.change(pixels, *[numbers[start : start + len(pixels)] for numbers in change.numbers])
    return pixels
