"""A batch of images to a randomly changed one.

What is drawn is drawn on the CPU, for a whole epoch at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from satdsl.plan.steps import Choice
from satdsl.plan.work import StepError


def cropped(pixels: Tensor, top: Tensor, left: Tensor, padding: int) -> Tensor:
    """Pad [n, c, h, w] with `padding` zeros on each side and cut an h x w window out of each image.

    `top`, `left`: int64 [n] in 0 .. 2 * padding.
    """
    n, channels, height, width = pixels.shape
    padded = F.pad(pixels, (padding,) * 4)
    rows = top[:, None] + torch.arange(height, device=pixels.device)
    columns = left[:, None] + torch.arange(width, device=pixels.device)
    image = torch.arange(n, device=pixels.device).view(n, 1, 1, 1)
    channel = torch.arange(channels, device=pixels.device).view(1, channels, 1, 1)
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def flipped(pixels: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror, left to right, the images of [n, c, h, w] for which `mirrored` (bool [n]) is true."""
    return torch.where(mirrored.view(-1, 1, 1, 1), pixels.flip(3), pixels)


@dataclass(frozen=True, eq=False)
class Drawn:
    """What one change does to each image of an epoch: `numbers` int64 [n, k]."""

    change: Choice
    numbers: Tensor

    def to(self, device: str) -> Drawn:
        return Drawn(self.change, self.numbers.to(device, non_blocking=True))


def drawn(augment: Sequence[Choice], n: int, random: Generator) -> list[Drawn]:
    """Draw every change for n images. StepError for a change that this version has not."""
    return [Drawn(change, _numbers(change, n, random)) for change in augment]


def _numbers(change: Choice, n: int, random: Generator) -> Tensor:
    if change.name == "crop":
        return torch.randint(0, 2 * int(change["padding"]) + 1, (n, 2), generator=random)
    if change.name == "flip":
        return torch.randint(0, 2, (n, 1), generator=random)
    raise StepError(f"this version has no augmentation called {change.name}", "crop(padding=4) or flip")


def augmented(pixels: Tensor, changes: Sequence[Drawn], batch: slice) -> Tensor:
    """The batch of an epoch that `batch` cuts out, changed: uint8 [n, c, h, w] to the same."""
    for drawn_change in changes:
        numbers = drawn_change.numbers[batch]
        if drawn_change.change.name == "crop":
            padding = int(drawn_change.change["padding"])
            pixels = cropped(pixels, numbers[:, 0], numbers[:, 1], padding)
        else:
            pixels = flipped(pixels, numbers[:, 0] == 1)
    return pixels
